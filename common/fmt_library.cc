// fmt's own functions, compiled once. Debian ships fmt as headers and a shared object, and the agent is linked static;
// with FMT_HEADER_ONLY every source that formats would compile all of fmt again, some 4 s of 6 to 12 each. What
// is instantiated here is what <fmt/format.h> 9.1 declares and leaves to the library; a newer fmt that leaves more to
// it fails to link.
#include <fmt/format-inl.h>

namespace fmt {
inline namespace v9 {
namespace detail {

template auto dragonbox::to_decimal(float) noexcept -> dragonbox::decimal_fp<float>;
template auto dragonbox::to_decimal(double) noexcept -> dragonbox::decimal_fp<double>;
template locale_ref::locale_ref(const std::locale&);
template auto locale_ref::get<std::locale>() const -> std::locale;
template auto thousands_sep_impl<char>(locale_ref) -> thousands_sep_result<char>;
template auto decimal_point_impl<char>(locale_ref) -> char;
template void buffer<char>::append(const char*, const char*);
template void vformat_to(buffer<char>&, string_view, format_args, locale_ref);

}  // namespace detail
}  // namespace v9
}  // namespace fmt
