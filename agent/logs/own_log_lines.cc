#include "agent/logs/own_log_lines.h"

#include <algorithm>
#include <cstdint>

#include "agent/logs/container_lines.h"
#include "agent/logs/line_cleaner.h"
#include "common/text.h"

namespace muster::agent {

void OwnLogLines::Take(const OwnLog& log, absl::Time now) {
  for (const OwnLogLine& line : log.lines) TakeLine(line, now);
  if (log.dropped == 0) return;
  text_ = MarkerText(kMarkerRate, log.dropped, absl::ToUnixMicros(log.dropped_to)) + '\n';
  kinds_ = KindByte({.stream = LogStream::kAgent, .is_marker = true});
  Add(log.dropped_from, now);
}

void OwnLogLines::TakeLine(const OwnLogLine& line, absl::Time now) {
  // A longer one is cut, and ends in U+2026.
  const std::string clean = CleanUtf8(EscapeControl(CleanUtf8(line.text, kMaxLineBytes)), kMaxLineBytes);
  SplitText(masker_->Mask(clean, &key_, &mask_buffer_), kMaxLineBytes, [&](std::string_view part, bool is_last) {
    text_.append(part).push_back('\n');
    kinds_ += KindByte({.stream = LogStream::kAgent, .level = line.level, .is_continued = !is_last});
  });
  Add(line.time, now);
}

void OwnLogLines::Add(absl::Time time, absl::Time now) {
  if (!builder_.Fits(text_.size(), kinds_.size())) Flush(now);
  builder_.Add(text_, kinds_, std::max<std::int64_t>(0, absl::ToUnixMicros(time)));
  text_.clear();
  kinds_.clear();
}

void OwnLogLines::Flush(absl::Time now) {
  if (builder_.empty()) return;
  LogJournal::Lines lines{.record = builder_.Take(now), .position = std::nullopt};
  lines.record.mutable_log_lines()->set_resource(std::string(kOwnResource));
  ready_->push_back(std::move(lines));
}

}  // namespace muster::agent
