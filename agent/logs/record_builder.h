// Gathers lines of one resource for a record. Plain logic; used by the collector's thread only.
#ifndef MUSTER_AGENT_LOGS_RECORD_BUILDER_H_
#define MUSTER_AGENT_LOGS_RECORD_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::agent {

// Text of a record, with newlines. One message may have some bytes more (16 KiB of what is no UTF-8 become 48 KiB of
// U+FFFD and three newlines), and is never divided between records: a position stands behind whole messages.
inline constexpr std::size_t kMaxRecordText = 48 * 1024;
// Text, kinds, times and names; 4 KiB below kMaxRecordBytes for what is around them.
inline constexpr std::size_t kMaxLinesBytes = 56 * 1024;
inline constexpr std::size_t kMaxRecordLines = 8192;

class RecordBuilder {
 public:
  bool empty() const { return kinds_.empty(); }
  // Whether lines with so many bytes (newlines among them) go into the same record. Always where it is empty.
  bool Fits(std::size_t text_bytes, std::size_t lines) const;
  // Lines of one time: `text` has a newline behind each, `kinds` a byte for each.
  void Add(std::string_view text, std::string_view kinds, std::int64_t time_us);
  // All of them; empty behind that. The names are the caller's to fill in.
  v1::Record Take(absl::Time observed_at);

 private:
  std::string text_;
  std::string kinds_;
  std::int64_t first_us_ = 0;
  std::int64_t last_us_ = 0;
  google::protobuf::RepeatedField<std::int64_t> deltas_us_;
  std::size_t delta_bytes_ = 0;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LOGS_RECORD_BUILDER_H_
