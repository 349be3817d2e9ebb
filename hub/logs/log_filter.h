// Which lines a question asks for: plain text in any case, or an expression (docs/logs.md, "Questions"). What matches
// is what RE2::PartialMatch finds in each line without its newline; but the text of a chunk is searched as a whole,
// which is some times faster. Built once for a question; const, so any number of threads may search with it.
#ifndef MUSTER_HUB_LOGS_LOG_FILTER_H_
#define MUSTER_HUB_LOGS_LOG_FILTER_H_

#include <cstddef>
#include <memory>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"

namespace re2 {
class RE2;
}  // namespace re2

namespace muster::hub {

// Of text and of expression.
inline constexpr std::size_t kMaxFilterBytes = 512;
// Of a compiled filter and what it remembers while it searches. 1 MiB makes common expressions no safer.
inline constexpr std::size_t kMaxFilterMemoryBytes = 8 * 1024 * 1024;

class LogFilter {
 public:
  // INVALID_ARGUMENT "BAD_FILTER": too long, not UTF-8, and for an expression what RE2 says about it. The empty filter
  // matches every line.
  static absl::StatusOr<LogFilter> ForText(std::string_view text);
  static absl::StatusOr<LogFilter> ForExpression(std::string_view expression);

  LogFilter(LogFilter&& other) noexcept;
  LogFilter& operator=(LogFilter&& other) noexcept;
  ~LogFilter();

  // Gets a matching line's index in the text, from 0, and the line without its newline. False: no more are wanted.
  using Visitor = absl::FunctionRef<bool(std::size_t index, std::string_view line)>;
  // `text` is empty or made of lines that end in \n each, as a chunk's is. Ascending.
  void VisitMatches(std::string_view text, Visitor visit) const;

  // The expression means something else when it is asked about many lines at once, so they are searched one by one.
  bool is_line_by_line() const { return is_line_by_line_; }

 private:
  LogFilter(std::unique_ptr<const re2::RE2> pattern, bool is_line_by_line);

  void VisitEachLine(std::string_view text, Visitor visit) const;
  void VisitWhole(std::string_view text, Visitor visit) const;

  std::unique_ptr<const re2::RE2> pattern_;
  bool is_line_by_line_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_LOG_FILTER_H_
