#include "hub/connect/template.h"

#include <fmt/format.h>

#include <cctype>

#include "common/status.h"

namespace muster::hub {

std::string FillTemplate(std::string_view text, const std::map<std::string, std::string, std::less<>>& values) {
  std::string filled;
  while (true) {
    const std::size_t begin = text.find('@');
    const std::size_t end = begin == std::string_view::npos ? begin : text.find('@', begin + 1);
    if (end == std::string_view::npos) return filled += text;
    const auto value = values.find(text.substr(begin + 1, end - begin - 1));
    filled += text.substr(0, begin);
    if (value == values.end()) {
      filled += '@';
      text.remove_prefix(begin + 1);
    } else {
      filled += value->second;
      text.remove_prefix(end + 1);
    }
  }
}

absl::Status CheckPlain(std::string_view what, std::string_view value) {
  constexpr std::string_view kAllowed = ".:_-[]";
  for (const char c : value) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && kAllowed.find(c) == std::string_view::npos) {
      return MakeError(absl::StatusCode::kFailedPrecondition, "INSTALL_VALUE",
                       fmt::format("{} {:?} has characters that an installation cannot carry", what, value));
    }
  }
  return absl::OkStatus();
}

}  // namespace muster::hub
