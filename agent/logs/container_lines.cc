#include "agent/logs/container_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace muster::agent {
namespace {

constexpr std::int64_t kNanosPerMicro = 1000;

}  // namespace

std::string MarkerText(std::string_view reason, std::int64_t lines, std::int64_t to_us) {
  return fmt::format("{} {} {}", reason, lines, to_us);
}

void ContainerLines::SetContainer(LogContainer container, const Moment& now) {
  const bool has_new_name = container.name != container_.name || container.revision != container_.revision ||
                            container.deployment_key != container_.deployment_key;
  if (has_new_name) Flush(now);
  container_ = std::move(container);
}

void ContainerLines::BeginAt(absl::Time moment, std::string_view reason, absl::Time from, const Moment& now) {
  const std::int64_t moment_ns = std::max<std::int64_t>(0, absl::ToUnixNanos(moment));
  place_ = LogPlace{.last = {.stream = LogStream::kStdout, .time_ns = moment_ns},
                    .is_moment = true,
                    .streams = {},
                    .clock_us = parts_->highest_clock_us,
                    .boot_id = parts_->boot_id};
  AddMarker(reason, 0, std::max<std::int64_t>(0, absl::ToUnixNanos(from)), moment_ns, now);
}

void ContainerLines::LimitMoment(absl::Time now) {
  if (place_->is_moment) place_->last.time_ns = std::min(place_->last.time_ns, absl::ToUnixNanos(now));
}

void ContainerLines::SetCount(std::int64_t count) { place_->Of(place_->last.stream).run.count = count; }

void ContainerLines::LoseEnd() {
  place_->is_moment = true;
  for (StreamPlace& stream : place_->streams) {
    stream.run = {};
    stream.state.open_line_ns.reset();
    stream.state.kept.clear();
  }
}

void ContainerLines::Take(const DockerMessage& message, const Moment& now) {
  if (is_rotated_) {
    is_rotated_ = false;
    // Lines that were refused stand in front of those that were rotated away.
    AddRefused(gate_.Finish(), now);
    AddMarker(kMarkerRotated, 0, place_.has_value() ? place_->last.time_ns : message.time_ns, message.time_ns, now);
  }
  AddRefused(gate_.TakeRefused(now.monotonic), now);

  StreamState* const state = PrepareNext(message, now);
  const bool was_refusing = gate_.DueAt().has_value();
  if (!gate_.Admit(static_cast<std::int64_t>(message.text.size()), message.time_ns, now.monotonic)) {
    if (!was_refusing) Flush(now);
    parts_->maker->Skip(message, state);
    Advance();
    return;
  }
  text_.clear();
  kinds_.clear();
  parts_->maker->Take(message, state, [&](const LogLine& line) {
    text_.append(line.text).push_back('\n');
    kinds_ += KindByte({.stream = message.stream, .level = line.level, .is_continued = line.is_continued});
  });
  if (!kinds_.empty()) {
    if (!builder_.Fits(text_.size(), kinds_.size())) Close(now);
    builder_.Add(text_, kinds_, message.time_ns / kNanosPerMicro);
  }
  Advance();
}

void ContainerLines::Tick(const Moment& now) { AddRefused(gate_.TakeRefused(now.monotonic), now); }

void ContainerLines::Flush(const Moment& now) {
  if (!builder_.empty()) Close(now);
}

void ContainerLines::Finish(const Moment& now) {
  AddRefused(gate_.Finish(), now);
  Flush(now);
}

void ContainerLines::AddRefused(const std::optional<RefusedLines>& refused, const Moment& now) {
  if (!refused.has_value()) return;
  AddMarker(kMarkerRate, refused->lines, refused->from_ns, refused->to_ns, now);
}

void ContainerLines::AddMarker(std::string_view reason, std::int64_t lines, std::int64_t from_ns, std::int64_t to_ns,
                               const Moment& now) {
  const std::int64_t to_us = std::max(from_ns, to_ns) / kNanosPerMicro;
  const std::string text = MarkerText(reason, lines, to_us) + '\n';
  if (!builder_.Fits(text.size(), 1)) Close(now);
  const LogStream stream = place_.has_value() ? place_->last.stream : LogStream::kStdout;
  builder_.Add(text, std::string(1, KindByte({.stream = stream, .is_marker = true})), from_ns / kNanosPerMicro);
}

void ContainerLines::Close(const Moment& now) {
  LogJournal::Lines lines{.record = builder_.Take(now.wall), .position = EncodePlace(container_.id, *place_)};
  v1::LogLines* names = lines.record.mutable_log_lines();
  names->set_deployment_key(container_.deployment_key);
  names->set_resource(container_.name);
  names->set_revision(container_.revision);
  parts_->ready->push_back(std::move(lines));
}

StreamState* ContainerLines::PrepareNext(const DockerMessage& message, const Moment& now) {
  if (place_.has_value()) next_ = *place_;
  next_.last = IdOf(message);
  next_.is_moment = false;
  const bool is_same_boot = next_.boot_id == parts_->boot_id;
  next_.clock_us = std::max(parts_->highest_clock_us, is_same_boot ? next_.clock_us : parts_->highest_clock_us);
  // One from the future was stamped before the clock was set back, nobody knows by how much: as good as another boot.
  const std::int64_t latest_us = absl::ToInt64Microseconds(now.monotonic - Instant()) + next_.clock_us;
  next_.boot_id = message.time_ns / kNanosPerMicro <= latest_us ? parts_->boot_id : std::string();
  StreamPlace& stream = next_.Of(message.stream);
  stream.run.Add(message.time_ns);
  return &stream.state;
}

void ContainerLines::Advance() {
  if (!place_.has_value()) place_.emplace();
  std::swap(*place_, next_);
}

}  // namespace muster::agent
