#include "agent/logs/record_builder.h"

#include <utility>

#include "common/time_format.h"

namespace muster::agent {
namespace {

// Of a zigzag varint, at most.
constexpr std::size_t kMaxDeltaBytes = 10;
// Of deployment key (510), resource and revision (255 each), and the heads of all fields.
constexpr std::size_t kNameBytes = 1200;

std::size_t ZigzagBytes(std::int64_t value) {
  auto rest = (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
  std::size_t bytes = 1;
  for (; rest >= 0x80; rest >>= 7) ++bytes;
  return bytes;
}

}  // namespace

bool RecordBuilder::Fits(std::size_t text_bytes, std::size_t lines) const {
  if (empty()) return true;
  const std::size_t text = text_.size() + text_bytes;
  const std::size_t count = kinds_.size() + lines;
  // Lines behind the first have the first one's time.
  const std::size_t deltas = delta_bytes_ + kMaxDeltaBytes + lines - 1;
  return text <= kMaxRecordText && count <= kMaxRecordLines && kNameBytes + text + count + deltas <= kMaxLinesBytes;
}

void RecordBuilder::Add(std::string_view text, std::string_view kinds, std::int64_t time_us) {
  if (empty()) first_us_ = last_us_ = time_us;
  for (std::size_t i = empty() ? 1 : 0; i < kinds.size(); ++i) {
    const std::int64_t delta = time_us - last_us_;
    deltas_us_.Add(delta);
    delta_bytes_ += ZigzagBytes(delta);
    last_us_ = time_us;
  }
  text_ += text;
  kinds_ += kinds;
}

v1::Record RecordBuilder::Take(absl::Time observed_at) {
  v1::Record record;
  *record.mutable_observed_at() = ToProto(observed_at);
  v1::LogLines* lines = record.mutable_log_lines();
  lines->set_text(std::exchange(text_, {}));
  lines->set_kinds(std::exchange(kinds_, {}));
  *lines->mutable_base_time() = ToProto(absl::FromUnixMicros(first_us_));
  lines->mutable_time_delta_us()->Swap(&deltas_us_);
  deltas_us_.Clear();
  delta_bytes_ = 0;
  return record;
}

}  // namespace muster::agent
