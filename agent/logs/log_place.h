// Where a container stands in its engine's log: LogPosition in the form that collecting works with. Plain values and
// pure functions (docs/logs.md, "Where to go on").
#ifndef MUSTER_AGENT_LOGS_LOG_PLACE_H_
#define MUSTER_AGENT_LOGS_LOG_PLACE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "agent/logs/line_maker.h"
#include "agent/logs/log_journal.h"
#include "common/clock.h"

namespace muster::agent {

// What tells a message from others of its stream and time.
struct MessageId {
  LogStream stream = LogStream::kStdout;
  std::int64_t time_ns = 0;
  // Of its text as the engine gave it.
  std::int64_t size = 0;
  std::uint32_t checksum = 0;
  bool operator==(const MessageId&) const = default;
};
MessageId IdOf(const DockerMessage& message);

// Numbers the messages of one stream that follow one another and have the same time: 1, 2, 3 ...
struct TimeRun {
  std::int64_t time_ns = 0;
  // 0: no message yet.
  std::int64_t count = 0;

  void Add(std::int64_t message_time_ns);
};

// A container has two streams; all that a TTY gives is stdout.
inline std::size_t StreamIndex(LogStream stream) { return stream == LogStream::kStderr ? 1 : 0; }

// Of one stream of the container.
struct StreamPlace {
  StreamState state;
  // Its last message.
  TimeRun run;
};

struct LogPlace {
  // L, the last message taken.
  MessageId last;
  // There is no L, only its time: what is later is new.
  bool is_moment = false;
  std::array<StreamPlace, 2> streams;
  // The highest that wall clock minus boot clock is known to have been in this boot.
  std::int64_t clock_us = 0;
  std::string boot_id;

  StreamPlace& Of(LogStream stream) { return streams[StreamIndex(stream)]; }
  const StreamPlace& Of(LogStream stream) const { return streams[StreamIndex(stream)]; }
  // Which of its stream's messages of the same time L is.
  std::int64_t count() const { return Of(last.stream).run.count; }
};

// `now` is of a clock whose Monotonic() counts from the machine's boot (Clock::SinceBoot()).
std::int64_t ClockMicros(const Moment& now);

LogPosition EncodePlace(const std::string& container, const LogPlace& place);
// kDataLoss BAD_POSITION: not what EncodePlace writes; nothing of it is used.
absl::StatusOr<LogPlace> DecodePlace(const LogPosition& position);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LOGS_LOG_PLACE_H_
