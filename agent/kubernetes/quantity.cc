#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include "absl/numeric/int128.h"
#include "absl/strings/numbers.h"
#include "agent/kubernetes/object_decode.h"

namespace muster::agent {
namespace {

// More than the API server writes; the product with every suffix stays within 128 bits.
constexpr int kMaxDigits = 18;
constexpr int kMaxExponent = 18;

struct Scale {
  int tens = 0;
  int twos = 0;
};

std::optional<Scale> ScaleOf(std::string_view suffix) {
  static constexpr struct {
    std::string_view suffix;
    Scale scale;
  } kScales[] = {
      {"", {}},
      {"n", {.tens = -9}},
      {"u", {.tens = -6}},
      {"m", {.tens = -3}},
      {"k", {.tens = 3}},
      {"M", {.tens = 6}},
      {"G", {.tens = 9}},
      {"T", {.tens = 12}},
      {"P", {.tens = 15}},
      {"E", {.tens = 18}},
      {"Ki", {.twos = 10}},
      {"Mi", {.twos = 20}},
      {"Gi", {.twos = 30}},
      {"Ti", {.twos = 40}},
      {"Pi", {.twos = 50}},
      {"Ei", {.twos = 60}},
  };
  for (const auto& row : kScales) {
    if (row.suffix == suffix) return row.scale;
  }
  // "1e3", "1E-3"
  if (suffix.size() < 2 || (suffix[0] != 'e' && suffix[0] != 'E')) return std::nullopt;
  int exponent = 0;
  if (!absl::SimpleAtoi(absl::string_view(suffix.data() + 1, suffix.size() - 1), &exponent)) return std::nullopt;
  if (exponent < -kMaxExponent || exponent > kMaxExponent) return std::nullopt;
  return Scale{.tens = exponent};
}

// In units of 10^-`unit_tens`, rounded up.
std::optional<std::int64_t> Parse(std::string_view text, int unit_tens) {
  if (text.starts_with('+')) text.remove_prefix(1);
  absl::uint128 value = 0;
  int digits = 0;
  int tens = unit_tens;
  bool has_digit = false;
  bool in_fraction = false;
  std::size_t i = 0;
  for (; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '.' && !in_fraction) {
      in_fraction = true;
      continue;
    }
    if (c < '0' || c > '9') break;
    has_digit = true;
    if (value != 0 && ++digits > kMaxDigits) return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
    if (in_fraction && --tens < -2 * kMaxExponent) return std::nullopt;
  }
  const std::optional<Scale> scale = ScaleOf(text.substr(i));
  if (!has_digit || !scale.has_value()) return std::nullopt;
  value <<= scale->twos;
  tens += scale->tens;
  bool is_exact = true;
  for (; tens > 0; --tens) {
    if (value > std::numeric_limits<std::int64_t>::max()) return std::nullopt;
    value *= 10;
  }
  for (; tens < 0 && value > 0; ++tens) {
    is_exact = is_exact && value % 10 == 0;
    value /= 10;
  }
  if (!is_exact) value += 1;
  if (value > std::numeric_limits<std::int64_t>::max()) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

}  // namespace

std::optional<std::int64_t> ParseKubeMilli(std::string_view quantity) { return Parse(quantity, 3); }

std::optional<std::int64_t> ParseKubeBytes(std::string_view quantity) { return Parse(quantity, 0); }

}  // namespace muster::agent
