// The messages of a container -> the lines that are recorded: cleaned, masked, split, each with its level, as
// docs/logs.md says in "What happens to a line", 2 to 5. Message by message; nothing waits for the end of a line. No
// clock, no thread: used by the collector's thread only.
#ifndef MUSTER_AGENT_LOGS_LINE_MAKER_H_
#define MUSTER_AGENT_LOGS_LINE_MAKER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "agent/logs/docker_frames.h"
#include "agent/logs/masker.h"
#include "common/logs/kinds.h"

namespace muster::agent {

// What goes from one message of a stream (stdout, stderr) to the next. All but the level is kept with the position
// (docs/logs.md, "Where to go on", `open`), so that a restart between two pieces changes nothing.
struct StreamState {
  // The time of a line whose last message did not end it; the next piece has the same.
  std::optional<std::int64_t> open_line_ns;
  // What that message's end left undecided, at most kMaxKeptBytes.
  std::string kept;
  PrivateKeyState key;
  // Of the last line.
  LogLevel level = LogLevel::kNone;
};

struct LogLine {
  // Valid UTF-8 without newline, at most kMaxLineBytes. Valid during the call.
  std::string_view text;
  LogLevel level = LogLevel::kNone;
  // It goes on in the stream's next line.
  bool is_continued = false;
};

class LineMaker {
 public:
  // `masker` outlives the maker.
  explicit LineMaker(const Masker* masker) : masker_(masker) {}

  // The lines of `message`: mostly one, several where replacing or masking made it longer than a line, none where all
  // of a piece waits for the next one.
  void Take(const DockerMessage& message, StreamState* state, absl::FunctionRef<void(const LogLine&)> visit);
  // A message that is not taken (its rate): keeps the state right for those that follow.
  void Skip(const DockerMessage& message, StreamState* state) const;

 private:
  const Masker* const masker_;
  // One for all streams.
  std::string clean_buffer_;
  std::string mask_buffer_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LOGS_LINE_MAKER_H_
