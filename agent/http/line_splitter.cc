#include "agent/http/line_splitter.h"

#include <utility>

namespace muster::agent {

std::vector<std::string> LineSplitter::Feed(std::string_view bytes) {
  std::vector<std::string> lines;
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    std::string_view piece = bytes.substr(0, end);
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
    if (!skipping_ && partial_.size() + piece.size() > max_line_bytes_) {
      skipping_ = true;
      ++skipped_;
      partial_ = {};
    }
    if (!skipping_) partial_ += piece;
    if (end == std::string_view::npos) break;
    if (partial_.ends_with('\r')) partial_.pop_back();
    if (!skipping_ && !partial_.empty()) lines.push_back(std::exchange(partial_, {}));
    skipping_ = false;
  }
  return lines;
}

void LineSplitter::Reset() {
  partial_.clear();
  skipping_ = false;
}

}  // namespace muster::agent
