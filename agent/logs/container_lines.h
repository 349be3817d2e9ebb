// The messages of one container -> records with the position behind them: rate, lines, markers, places
// (docs/logs.md, "What happens to a line" and "Gaps"). Knows no engine and no journal. Used by the collector's thread
// only.
#ifndef MUSTER_AGENT_LOGS_CONTAINER_LINES_H_
#define MUSTER_AGENT_LOGS_CONTAINER_LINES_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/logs/docker_frames.h"
#include "agent/logs/line_maker.h"
#include "agent/logs/log_journal.h"
#include "agent/logs/log_place.h"
#include "agent/logs/log_sources.h"
#include "agent/logs/rate_gate.h"
#include "agent/logs/record_builder.h"
#include "common/clock.h"

namespace muster::agent {

// Reasons of markers (docs/logs.md, "Gaps").
inline constexpr std::string_view kMarkerRate = "RATE";
inline constexpr std::string_view kMarkerRotated = "ROTATED";
inline constexpr std::string_view kMarkerOff = "OFF";
inline constexpr std::string_view kMarkerDamaged = "DAMAGED";

// The text of a marker, as docs/formats/log-chunk.md says. `lines` is 0 when unknown.
std::string MarkerText(std::string_view reason, std::int64_t lines, std::int64_t to_us);

// What all containers share.
struct LineParts {
  LineMaker* maker = nullptr;
  TokenBucket* host_rate = nullptr;
  // Records that are complete, in order.
  std::vector<LogJournal::Lines>* ready = nullptr;
  std::string boot_id;
  // The highest ClockMicros in this run: what is read now may have been stamped before the clock was set back.
  std::int64_t highest_clock_us = std::numeric_limits<std::int64_t>::min();
};

class ContainerLines {
 public:
  // `parts` outlives this.
  ContainerLines(LogContainer container, LineParts* parts)
      : container_(std::move(container)), parts_(parts), gate_(parts->host_rate) {}

  const LogContainer& container() const { return container_; }
  // Lines from here on are told under the new names.
  void SetContainer(LogContainer container, const Moment& now);

  // Absent: nothing was taken yet.
  const std::optional<LogPlace>& place() const { return place_; }
  void SetPlace(LogPlace place) { place_ = std::move(place); }
  // What is later than `moment` is new; a marker says that lines are missing from `from` up to there.
  void BeginAt(absl::Time moment, std::string_view reason, absl::Time from, const Moment& now);
  // The clock was set back: a place that is a moment is no later than `now`, or nothing would be new for long.
  void LimitMoment(absl::Time now);
  // L is this one of the messages of its time, as the engine has them now.
  void SetCount(std::int64_t count);
  // The engine lost L and what was around it: what is later is new.
  void LoseEnd();
  // The engine had what comes next no more when it was asked: a marker stands in front of the next message.
  void MissUpToNext() { is_rotated_ = true; }

  void Take(const DockerMessage& message, const Moment& now);
  // A marker of refused lines that is due.
  void Tick(const Moment& now);
  std::optional<Instant> DueAt() const { return gate_.DueAt(); }

  bool empty() const { return builder_.empty(); }
  // Closes the record.
  void Flush(const Moment& now);
  // The same, and says what was refused so far.
  void Finish(const Moment& now);

 private:
  void AddMarker(std::string_view reason, std::int64_t lines, std::int64_t from_ns, std::int64_t to_ns,
                 const Moment& now);
  void AddRefused(const std::optional<RefusedLines>& refused, const Moment& now);
  void Close(const Moment& now);
  // Brings `next_` to the place behind the message; its stream's state is still that in front of it.
  StreamState* PrepareNext(const DockerMessage& message, const Moment& now);
  void Advance();

  LogContainer container_;
  LineParts* const parts_;
  RateGate gate_;
  RecordBuilder builder_;
  // While lines are refused that no marker tells yet, no record is open: a position never passes them.
  std::optional<LogPlace> place_;
  bool is_rotated_ = false;
  // Of the message that is being taken.
  LogPlace next_;
  std::string text_;
  std::string kinds_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LOGS_CONTAINER_LINES_H_
