#include "hub/connect/yaml_text.h"

#include <fmt/format.h>

#include "common/text.h"

namespace muster::hub {
namespace {

// Not printable by YAML 1.2, 5.1, though valid UTF-8; readers refuse the whole stream for one of them. The byte order
// mark is, but they refuse it inside of a stream.
bool IsPrintable(std::uint32_t c) {
  return (c >= 0x20 && c <= 0x7E) || (c >= 0xA0 && c <= 0xFFFD && c != 0xFEFF) || c >= 0x10000;
}

}  // namespace

std::string YamlQuote(std::string_view text, std::size_t max_bytes) {
  const std::string clean = EscapeControl(CleanUtf8(text, max_bytes));
  std::string quoted = "\"";
  for (std::size_t pos = 0; pos < clean.size();) {
    const Utf8Step step = NextUtf8(clean, pos);
    if (step.code_point == '"' || step.code_point == '\\') quoted += '\\';
    if (step.valid && IsPrintable(step.code_point)) {
      quoted += std::string_view(clean).substr(pos, step.size);
    } else {
      quoted += fmt::format("\\U{:08X}", step.valid ? step.code_point : 0xFFFDU);
    }
    pos += step.size;
  }
  return quoted += '"';
}

}  // namespace muster::hub
