// Where the collection of a container begins, and how it goes on behind the last message taken: docs/logs.md,
// "Collection" and "Where to go on". Pure: what to ask the engine for, and what its answers mean.
#ifndef MUSTER_AGENT_LOGS_RESUME_H_
#define MUSTER_AGENT_LOGS_RESUME_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "agent/logs/docker_frames.h"
#include "agent/logs/log_place.h"
#include "agent/logs/log_sources.h"

namespace muster::agent {

// A new agent does not ship an archive.
inline constexpr std::int64_t kFirstLines = 1000;
// Messages from the end that are looked through before all are; and so many more than needed are asked for, because
// others may come in between.
inline constexpr std::int64_t kFindTail = 1000;
// stdout and stderr are stamped before they are written: a message may be so much earlier than the one before it.
inline constexpr absl::Duration kStampSpread = absl::Seconds(1);

// ---- beginning

enum class BeginAt { kPosition, kFirstLine, kLastLines, kSwitchedOn, kLostSince };

struct BeginFacts {
  // Of its position: the time of L.
  std::optional<absl::Time> position_time;
  // When settings came first for this target in this data folder.
  absl::Time first_settings;
  // When this run of the agent learned that the deployment is on again.
  std::optional<absl::Time> switched_on;
  // Positions are lost: records up to here were made.
  std::optional<absl::Time> lost_since;
};

BeginAt ChooseBegin(const LogContainer& container, const BeginFacts& facts);

// ---- asking

struct LogQuery {
  bool follow = false;
  std::optional<std::int64_t> since_ns;
  // Absent: all.
  std::optional<std::int64_t> tail;
};
// Path and query of the request: of the Docker engine, or of Kubernetes, whose `sinceTime` has whole seconds.
std::string LogTarget(const LogContainer& container, const LogQuery& query);

// Kubernetes: what the paths of all runs of a pod's container have in common. Empty for the Docker engine's.
std::string_view RunsPath(const LogContainer& container);

// S: no message behind the place is earlier. `clock_us`: ClockMicros, now.
std::int64_t SinceNs(const LogPlace& place, absl::Time now, std::int64_t clock_us, std::string_view boot_id);

// ---- finding

// Looks for L in an answer without `follow`.
class PlaceSearch {
 public:
  struct Found {
    // Messages behind L in the answer.
    std::int64_t behind = 0;
    // L's count in the engine's log: less than the place's when earlier messages of the same time were rotated away.
    std::int64_t count = 0;
  };

  // `tail`: the most messages that were asked for.
  PlaceSearch(const LogPlace& place, std::optional<std::int64_t> tail)
      : last_(place.last), count_(place.count()), tail_(tail) {}

  void See(const DockerMessage& message);
  // Behind the last message. Absent: L is not there, or it is not certain which of several it is.
  std::optional<Found> Finish() const;
  // As many as were asked for: there may be more.
  bool is_cut() const { return tail_.has_value() && messages_ >= *tail_; }
  std::int64_t messages() const { return messages_; }

 private:
  struct Run {
    TimeRun run;
    // The answer begins within it, or where it does.
    bool is_first = true;
  };

  const MessageId last_;
  const std::int64_t count_;
  const std::optional<std::int64_t> tail_;
  std::array<Run, 2> runs_;
  std::int64_t messages_ = 0;
  // Told apart by its count, by its content.
  std::optional<Found> exact_;
  bool exact_is_first_ = false;
  std::optional<Found> moved_;
};

// ---- proving

// L is not in the engine's log.
enum class Absence {
  // Rotated away, or truncated: all there is is new.
  kRotated,
  // The engine lost the end of its log: what is later than L is new.
  kLostEnd,
};
// `oldest_ns`: of the first message in the engine's log, absent when there is none.
Absence ProveAbsence(std::int64_t since_ns, std::optional<std::int64_t> oldest_ns);

// ---- skipping

// Of a stream that is followed: which messages are new. Once one is, all behind it are, whatever the times say.
class Skipper {
 public:
  // All are.
  Skipper() = default;
  // Those behind L; or, where the place is a moment, from the first that is later.
  explicit Skipper(const LogPlace& place);

  bool IsNew(const DockerMessage& message);
  // L did not come yet.
  bool waits() const { return !is_behind_ && !is_moment_; }

 private:
  bool is_behind_ = true;
  bool is_moment_ = false;
  MessageId last_;
  std::int64_t count_ = 0;
  TimeRun run_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LOGS_RESUME_H_
