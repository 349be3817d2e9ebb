#include "hub/logs/log_filter.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <string>
#include <utility>

#include "common/status.h"
#include "common/text.h"

namespace muster::hub {
namespace {

absl::Status BadFilter(std::string_view what) {
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_FILTER", what);
}

RE2::Options BaseOptions() {
  RE2::Options options;
  options.set_max_mem(static_cast<std::int64_t>(kMaxFilterMemoryBytes));
  options.set_log_errors(false);
  return options;
}

absl::StatusOr<std::unique_ptr<const RE2>> Compile(std::string_view pattern, const RE2::Options& options) {
  auto compiled = std::make_unique<const RE2>(pattern, options);
  // The words quote the pattern, which may hold anything.
  if (!compiled->ok()) return BadFilter(fmt::format("the filter is not valid: {}", EscapeControl(compiled->error())));
  return compiled;
}

absl::Status CheckSize(std::string_view filter) {
  if (filter.size() <= kMaxFilterBytes) return absl::OkStatus();
  return BadFilter(fmt::format("the filter has {} bytes, {} are allowed", filter.size(), kMaxFilterBytes));
}

// \A and \z are the ends of the text, \C is any byte, a newline too, and (?-m) makes ends of the text of ^ and $. Where
// one of them is only meant literally (\\A) the answer is yes as well, which costs time and nothing else.
bool MeansItsTextToBeALine(std::string_view expression) {
  for (std::size_t at = expression.find('\\'); at < expression.size(); at = expression.find('\\', at + 1)) {
    const std::string_view escaped = expression.substr(at + 1, 1);
    if (escaped == "A" || escaped == "z" || escaped == "C") return true;
  }
  for (std::size_t at = expression.find("(?"); at < expression.size(); at = expression.find("(?", at + 1)) {
    const std::string_view behind = expression.substr(at + 2);
    const std::string_view flags = behind.substr(0, behind.find_first_not_of("imsU-"));
    if (flags.find('m', flags.find('-')) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

LogFilter::LogFilter(std::unique_ptr<const re2::RE2> pattern, bool is_line_by_line)
    : pattern_(std::move(pattern)), is_line_by_line_(is_line_by_line) {}
LogFilter::LogFilter(LogFilter&& other) noexcept = default;
LogFilter& LogFilter::operator=(LogFilter&& other) noexcept = default;
LogFilter::~LogFilter() = default;

absl::StatusOr<LogFilter> LogFilter::ForText(std::string_view text) {
  RETURN_IF_ERROR(CheckSize(text));
  RE2::Options options = BaseOptions();
  options.set_literal(true);
  options.set_case_sensitive(false);
  options.set_never_nl(true);
  ASSIGN_OR_RETURN(auto pattern, Compile(text, options));
  return LogFilter(std::move(pattern), false);
}

absl::StatusOr<LogFilter> LogFilter::ForExpression(std::string_view expression) {
  RETURN_IF_ERROR(CheckSize(expression));
  RE2::Options options = BaseOptions();
  // As it stands, so that RE2 speaks of what was asked.
  ASSIGN_OR_RETURN(auto of_line, Compile(expression, options));
  if (MeansItsTextToBeALine(expression)) return LogFilter(std::move(of_line), true);
  // ^ and $ are at the ends of lines, and nothing matches a newline: no match reaches beyond a line. The flag holds to
  // the end of the expression; parentheses around that would be swallowed by an open \Q.
  options.set_never_nl(true);
  ASSIGN_OR_RETURN(auto of_lines, Compile(fmt::format("(?m){}", expression), options));
  return LogFilter(std::move(of_lines), false);
}

void LogFilter::VisitMatches(std::string_view text, Visitor visit) const {
  if (text.empty()) return;
  // Without the last newline: behind it is no line, though something empty would match there.
  text.remove_suffix(1);
  if (is_line_by_line_) {
    VisitEachLine(text, visit);
  } else {
    VisitWhole(text, visit);
  }
}

void LogFilter::VisitEachLine(std::string_view text, Visitor visit) const {
  std::size_t begin = 0;
  for (std::size_t index = 0; begin <= text.size(); ++index) {
    const std::string_view line = text.substr(begin, text.find('\n', begin) - begin);
    if (RE2::PartialMatch(line, *pattern_) && !visit(index, line)) return;
    begin += line.size() + 1;
  }
}

void LogFilter::VisitWhole(std::string_view text, Visitor visit) const {
  re2::StringPiece match;
  std::size_t begin = 0;
  std::size_t index = 0;
  while (begin <= text.size() && pattern_->Match(text, begin, text.size(), RE2::UNANCHORED, &match, 1)) {
    const auto at = static_cast<std::size_t>(match.data() - text.data());
    for (std::size_t end = text.find('\n', begin); end < at; end = text.find('\n', begin)) {
      begin = end + 1;
      ++index;
    }
    const std::string_view line = text.substr(begin, text.find('\n', at) - begin);
    if (!visit(index, line)) return;
    begin += line.size() + 1;
    ++index;
  }
}

}  // namespace muster::hub
