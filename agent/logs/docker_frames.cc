#include "agent/logs/docker_frames.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <optional>

#include "absl/status/statusor.h"
#include "common/status.h"
#include "common/text.h"

namespace muster::agent {
namespace {

constexpr std::size_t kHeadBytes = 8;
constexpr unsigned char kStdout = 1;
constexpr unsigned char kStderr = 2;
constexpr unsigned char kSystemError = 3;
// In a stream without frames the engine's errors have no head either, and the kubelet's never have.
std::string_view ErrorStart(DockerFrames::Format format) {
  return format == DockerFrames::Format::kTty ? "Error grabbing logs: " : "unable to retrieve container logs for ";
}
constexpr std::size_t kMaxErrorBytes = 512;

// Go's "2006-01-02T15:04:05.000000000Z07:00": Z, or the offset of the engine's time zone (driver `local` before 25.0,
// https://github.com/moby/moby/issues/46910), and a space.
constexpr std::string_view kTimeShape = "dddd-dd-ddTdd:dd:dd.ddddddddd";
constexpr std::string_view kOffsetShape = "dd:dd ";
constexpr std::size_t kMaxStampBytes = kTimeShape.size() + 1 + kOffsetShape.size();
// Of a message that is not complete: its text, or its text and what may be the next stamp.
constexpr std::size_t kMaxPendingBytes = kMaxMessageTextBytes + kMaxStampBytes;

absl::Status BadStream(std::string_view what) {
  return MakeError(absl::StatusCode::kDataLoss, "BAD_LOG_STREAM", fmt::format("the engine's log stream has {}", what));
}

absl::Status EngineError(std::string_view words) {
  while (words.ends_with('\n')) words.remove_suffix(1);
  return MakeError(absl::StatusCode::kUnavailable, "ENGINE_LOG_ERROR",
                   fmt::format("the engine cannot read the log: {}", EscapeControl(CleanUtf8(words, kMaxErrorBytes))));
}

// How far `text` agrees with `shape`, where d is a digit.
std::size_t Agreeing(std::string_view text, std::string_view shape) {
  const std::size_t size = std::min(text.size(), shape.size());
  for (std::size_t i = 0; i < size; ++i) {
    const bool agrees = shape[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == shape[i];
    if (!agrees) return i;
  }
  return size;
}

// The bytes of the stamp in front of `text`; nullopt: there is none, however the text goes on; 0: not all there yet.
std::optional<std::size_t> StampSize(std::string_view text) {
  if (Agreeing(text, kTimeShape) != std::min(text.size(), kTimeShape.size())) return std::nullopt;
  if (text.size() <= kTimeShape.size()) return 0;
  const char zone = text[kTimeShape.size()];
  if (zone != 'Z' && zone != '+' && zone != '-') return std::nullopt;
  const std::string_view shape = zone == 'Z' ? " " : kOffsetShape;
  const std::string_view rest = text.substr(kTimeShape.size() + 1);
  if (Agreeing(rest, shape) != std::min(rest.size(), shape.size())) return std::nullopt;
  return rest.size() < shape.size() ? 0 : kTimeShape.size() + 1 + shape.size();
}

unsigned Number(std::string_view stamp, std::size_t at, std::size_t digits) {
  unsigned value = 0;
  for (const char digit : stamp.substr(at, digits)) value = value * 10 + static_cast<unsigned>(digit - '0');
  return value;
}

// `stamp` has the right shape. Absent: no date or no time of day.
std::optional<std::int64_t> StampNanoseconds(std::string_view stamp) {
  const std::chrono::year_month_day date(std::chrono::year(static_cast<int>(Number(stamp, 0, 4))),
                                         std::chrono::month(Number(stamp, 5, 2)),
                                         std::chrono::day(Number(stamp, 8, 2)));
  const unsigned hour = Number(stamp, 11, 2);
  const unsigned minute = Number(stamp, 14, 2);
  const unsigned second = Number(stamp, 17, 2);
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  std::int64_t seconds = std::chrono::sys_days(date).time_since_epoch().count() * std::int64_t{86'400} + hour * 3600 +
                         minute * 60 + second;
  const std::size_t zone = kTimeShape.size();
  if (stamp[zone] != 'Z') {
    const int offset = static_cast<int>(Number(stamp, zone + 1, 2) * 3600 + Number(stamp, zone + 4, 2) * 60);
    seconds -= stamp[zone] == '+' ? offset : -offset;
  }
  constexpr std::int64_t kNanos = 1'000'000'000;
  if (seconds < 0) return 0;
  if (seconds >= std::numeric_limits<std::int64_t>::max() / kNanos) return std::numeric_limits<std::int64_t>::max();
  return seconds * kNanos + Number(stamp, 20, 9);
}

// Where in the text of a TTY stream another message begins whose newline before it is missing; npos: nowhere. An
// application that writes such times itself wrote them before the engine read them: earlier ones are text.
std::size_t FindNextStamp(std::string_view text, std::int64_t time_ns) {
  constexpr std::size_t kDateBytes = kTimeShape.find('T');
  for (std::size_t at = text.find('T', kDateBytes); at != std::string_view::npos; at = text.find('T', at + 1)) {
    const std::string_view stamp = text.substr(at - kDateBytes);
    if (StampSize(stamp).value_or(0) == 0) continue;
    const std::optional<std::int64_t> time = StampNanoseconds(stamp);
    if (time.has_value() && *time >= time_ns) return at - kDateBytes;
  }
  return std::string_view::npos;
}

}  // namespace

absl::Status DockerFrames::Feed(std::string_view bytes, Visitor visit) {
  if (!ended_with_.ok()) return ended_with_;
  const bool was_pending = !pending_.empty();
  if (was_pending) bytes = pending_.append(bytes);
  ended_with_ = format_ == Format::kMultiplexed ? ParseMultiplexed(&bytes, visit) : ParseStamped(&bytes, false, visit);
  if (!was_pending) {
    pending_.assign(bytes);
  } else {
    pending_.erase(0, pending_.size() - bytes.size());
  }
  if (pending_.capacity() > 2 * kMaxPendingBytes || pending_.empty()) pending_.shrink_to_fit();
  return ended_with_;
}

absl::Status DockerFrames::Finish(Visitor visit) {
  if (!ended_with_.ok()) return ended_with_;
  std::string_view rest = pending_;
  if (format_ != Format::kMultiplexed) {
    ended_with_ = ParseStamped(&rest, true, visit);
  } else if (in_frame_ || !rest.empty()) {
    ended_with_ = BadStream("an end within a frame");
  }
  pending_ = {};
  return ended_with_;
}

absl::Status DockerFrames::ParseMultiplexed(std::string_view* input, Visitor visit) {
  while (!input->empty()) {
    if (!in_frame_) {
      if (input->size() < kHeadBytes) return absl::OkStatus();
      RETURN_IF_ERROR(ParseHead(input->substr(0, kHeadBytes)));
      input->remove_prefix(kHeadBytes);
    }
    std::string_view frame = input->substr(0, frame_left_);
    const std::size_t before = frame.size();
    const bool is_whole = before == frame_left_;
    if (is_error_) {
      if (!is_whole && before < kMaxErrorBytes) return absl::OkStatus();
      return EngineError(frame);
    }
    if (!has_stamp_) {
      const absl::StatusOr<bool> has_stamp = ParseStamp(&frame, is_whole);
      RETURN_IF_ERROR(has_stamp.status());
      if (!*has_stamp) return absl::OkStatus();
    }
    // Only with what is beyond the limit, or with the frame's end, is it certain where the message ends.
    const bool is_certain = is_whole || frame.size() > kMaxMessageTextBytes;
    if (is_certain) {
      const std::size_t newline = frame.substr(0, kMaxMessageTextBytes + 1).find('\n');
      if (newline != std::string_view::npos) {
        Emit(&frame, newline, true, visit);
        frame.remove_prefix(1);
      } else {
        EmitWithoutNewline(&frame, visit);
      }
    }
    const std::size_t taken = before - frame.size();
    input->remove_prefix(taken);
    frame_left_ -= taken;
    if (frame_left_ == 0) in_frame_ = has_stamp_ = false;
    if (!is_certain) return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status DockerFrames::ParseHead(std::string_view head) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(head[i]); };
  const unsigned char stream = byte(0);
  if (stream < kStdout || stream > kSystemError) return BadStream(fmt::format("a frame of stream {}", stream));
  if (byte(1) != 0 || byte(2) != 0 || byte(3) != 0) return BadStream("a head without its three zeros");
  frame_left_ = std::size_t{byte(4)} << 24 | std::size_t{byte(5)} << 16 | std::size_t{byte(6)} << 8 | byte(7);
  if (frame_left_ > kMaxFrameBytes) return BadStream(fmt::format("a frame of {} bytes", frame_left_));
  if (frame_left_ == 0) return BadStream("an empty frame");
  in_frame_ = true;
  is_error_ = stream == kSystemError;
  stream_ = stream == kStderr ? LogStream::kStderr : LogStream::kStdout;
  return absl::OkStatus();
}

absl::Status DockerFrames::ParseStamped(std::string_view* input, bool at_end, Visitor visit) {
  while (!input->empty()) {
    if (has_stamp_) {
      if (!ParseStampedText(input, at_end, visit)) return absl::OkStatus();
      continue;
    }
    if (input->starts_with(ErrorStart(format_))) {
      const std::size_t end = input->find('\n');
      const bool is_whole = at_end || end != std::string_view::npos || input->size() >= kMaxErrorBytes;
      return is_whole ? EngineError(input->substr(0, end)) : absl::OkStatus();
    }
    if (ErrorStart(format_).starts_with(*input) && !at_end) return absl::OkStatus();
    const absl::StatusOr<bool> has_stamp = ParseStamp(input, at_end);
    RETURN_IF_ERROR(has_stamp.status());
    if (!*has_stamp) return absl::OkStatus();
  }
  return absl::OkStatus();
}

bool DockerFrames::ParseStampedText(std::string_view* input, bool at_end, Visitor visit) {
  // A message ends at its newline, where the next one begins, or at the limit, whatever comes first. That no other
  // begins before the limit is certain when a newline or enough bytes for a stamp are there.
  const std::string_view window = input->substr(0, kMaxMessageTextBytes + kMaxStampBytes);
  const std::size_t newline = window.find('\n');
  const std::size_t next =
      format_ == Format::kTty ? FindNextStamp(window.substr(0, newline), time_ns_) : std::string_view::npos;
  if (next <= kMaxMessageTextBytes) {
    const std::int64_t time_ns = *StampNanoseconds(input->substr(next));
    Emit(input, next, time_ns != time_ns_, visit);
    has_stamp_ = false;
  } else if (newline <= kMaxMessageTextBytes) {
    Emit(input, newline, true, visit);
    input->remove_prefix(1);
    has_stamp_ = false;
  } else if (newline != std::string_view::npos || window.size() == kMaxMessageTextBytes + kMaxStampBytes || at_end) {
    EmitWithoutNewline(input, visit);
  } else {
    return false;
  }
  return true;
}

absl::StatusOr<bool> DockerFrames::ParseStamp(std::string_view* input, bool at_end) {
  const std::optional<std::size_t> size = StampSize(*input);
  if (!size.has_value() || (*size == 0 && at_end)) return BadStream("a message without a time");
  if (*size == 0) return false;
  const std::optional<std::int64_t> time_ns = StampNanoseconds(*input);
  if (!time_ns.has_value()) return BadStream("a message with a time that does not exist");
  time_ns_ = *time_ns;
  has_stamp_ = true;
  has_parts_ = false;
  input->remove_prefix(*size);
  return true;
}

void DockerFrames::Emit(std::string_view* input, std::size_t size, bool ends_line, Visitor visit) {
  visit({.stream = stream_, .time_ns = time_ns_, .text = input->substr(0, size), .ends_line = ends_line});
  input->remove_prefix(size);
  has_parts_ = !ends_line;
}

void DockerFrames::EmitWithoutNewline(std::string_view* input, Visitor visit) {
  Emit(input, std::min(input->size(), kMaxMessageTextBytes), !has_parts_ && input->size() < kMaxMessageTextBytes,
       visit);
}

}  // namespace muster::agent
