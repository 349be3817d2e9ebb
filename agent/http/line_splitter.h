// Cuts a stream of bytes into lines of bounded length. A longer line is skipped to its end and counted. Used by the
// event stream; not thread-safe.
#ifndef MUSTER_AGENT_HTTP_LINE_SPLITTER_H_
#define MUSTER_AGENT_HTTP_LINE_SPLITTER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace muster::agent {

class LineSplitter {
 public:
  explicit LineSplitter(std::size_t max_line_bytes) : max_line_bytes_(max_line_bytes) {}

  // The lines that `bytes` completes, without their end and without empty ones.
  std::vector<std::string> Feed(std::string_view bytes);
  // A new stream begins.
  void Reset();
  std::int64_t skipped() const { return skipped_; }

 private:
  const std::size_t max_line_bytes_;
  std::string partial_;
  bool skipping_ = false;
  std::int64_t skipped_ = 0;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_HTTP_LINE_SPLITTER_H_
