// The bytes of a log line -> valid UTF-8 of bounded length: docs/logs.md, "What happens to a line", 2 and 4. Pure
// functions; whoever collects a stream keeps what they keep.
#ifndef MUSTER_AGENT_LOGS_LINE_CLEANER_H_
#define MUSTER_AGENT_LOGS_LINE_CLEANER_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"

namespace muster::agent {

// Of UTF-8, without newline; docs/formats/log-chunk.md, "Text".
inline constexpr std::size_t kMaxLineBytes = 16 * 1024;
// What a cut may leave undecided: of a character of four bytes, or a \r that may be the line's last.
inline constexpr std::size_t kMaxKeptBytes = 3;

// The text of a message, or of a piece of a long line: one \r at the line's end goes, each maximal ill-formed part
// becomes U+FFFD. `kept` is the stream's: empty where a line begins; what the end of a piece leaves undecided waits
// there for the next one, so that the pieces of a line give what the whole line gives, wherever it was cut. Returns a
// view of `text` or of `buffer`, whose content is overwritten.
std::string_view CleanText(std::string_view text, bool ends_line, std::string* kept, std::string* buffer);

// Cuts valid UTF-8 into parts of at most `max_bytes` (at least 4), never inside a character, in order; `is_last` for
// the last one. Empty text is one empty part.
void SplitText(std::string_view text, std::size_t max_bytes,
               absl::FunctionRef<void(std::string_view part, bool is_last)> visit);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LOGS_LINE_CLEANER_H_
