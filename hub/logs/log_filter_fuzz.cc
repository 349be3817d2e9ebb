// What a filter finds in a text is what RE2 finds in each of its lines, whatever the expression.
//
// Input: a byte, even for an expression and odd for text to be found; the filter, up to the first byte 0x01; the lines.
#include <re2/re2.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "hub/logs/log_filter.h"

namespace {

using muster::hub::LogFilter;

void Require(bool condition) {
  if (!condition) std::abort();
}

std::vector<std::string_view> LinesOf(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    lines.push_back(text.substr(0, text.find('\n')));
    text.remove_prefix(lines.back().size() + 1);
  }
  return lines;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const bool is_text = data[0] % 2 != 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t end = std::min(bytes.find('\x01'), bytes.size());
  const std::string_view wanted = bytes.substr(0, end);
  std::string text(bytes.substr(std::min(end + 1, bytes.size())));
  if (!text.empty()) text += '\n';

  const auto filter = is_text ? LogFilter::ForText(wanted) : LogFilter::ForExpression(wanted);
  RE2::Options options;
  options.set_log_errors(false);
  options.set_literal(is_text);
  options.set_case_sensitive(!is_text);
  const RE2 pattern(wanted, options);
  if (!filter.ok()) {
    // A flag in front makes an expression a little larger.
    Require(!pattern.ok() || wanted.size() > muster::hub::kMaxFilterBytes ||
            filter.status().message().find("too large") != absl::string_view::npos);
    return 0;
  }
  Require(pattern.ok());
  const std::vector<std::string_view> lines = LinesOf(text);
  std::size_t next = 0;
  const auto skip_to_match = [&] {
    while (next < lines.size() && !RE2::PartialMatch(lines[next], pattern)) ++next;
  };
  filter->VisitMatches(text, [&](std::size_t index, std::string_view line) {
    skip_to_match();
    Require(index == next && index < lines.size() && line == lines[index]);
    ++next;
    return true;
  });
  skip_to_match();
  Require(next == lines.size());
  return 0;
}
