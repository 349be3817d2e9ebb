// What the collector of logs asks of the journal: lines and the position they lead to become durable together, so that
// after a kill at any instant the journal holds exactly the lines up to the position (docs/logs.md, "Where to go on").
// Implemented by Journal, and by a fake in tests.
#ifndef MUSTER_AGENT_LOGS_LOG_JOURNAL_H_
#define MUSTER_AGENT_LOGS_LOG_JOURNAL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/logs/kinds.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::agent {

// The last message that was taken of a container. A plain value; the meaning of the columns of log_positions.
struct LogPosition {
  // The engine's id, which is never used twice.
  std::string container;
  LogStream stream = LogStream::kStdout;
  std::int64_t time_ns = 0;
  // Which of the messages in a row with this stream and time it is, from 1; 0: there is no message, what is later is
  // new.
  std::int64_t count = 0;
  // Bytes of its text as the engine gave it.
  std::int64_t size = 0;
  // What both streams go on with (StreamState): written and read by agent/logs alone.
  std::string open;
  // The highest that wall clock minus boot clock was known to have been in this boot when this was written.
  std::int64_t clock_us = 0;
  std::string boot_id;
  bool operator==(const LogPosition&) const = default;
};

// What the journal's file remembers of collecting.
struct LogMemory {
  std::vector<LogPosition> positions;
  // When settings came first for this target in this data folder; absent: never yet.
  std::optional<absl::Time> first_settings;
  // Deployments whose logs are off.
  std::vector<std::string> off_keys;
  // The file was damaged and positions are lost: of a container that was created before this and has none, what is
  // later is new. Stays in the file for good (docs/agent.md, "The journal's file").
  std::optional<absl::Time> lost_since;
};

class LogJournal {
 public:
  struct Lines {
    // Of one resource.
    v1::Record record;
    // Where the container stands behind these lines; absent for the agent's own log.
    std::optional<LogPosition> position;
  };

  virtual ~LogJournal() = default;
  // Thread-safe, all of them; none waits for the disk. What is asked for takes effect in the order of the calls.

  // False: too much waits for the disk; nothing was taken, and `lines` is as it was. Else it is empty afterwards. Each
  // record's position is committed in the transaction that makes the record durable, or the gap in its place.
  virtual bool AppendLines(std::vector<Lines>& lines) = 0;
  virtual void ForgetPositions(std::vector<std::string> containers) = 0;
  // What was taken for the container `from` was another's: `from` has no position any more, and the other this one.
  virtual void MovePosition(std::string from, LogPosition to) = 0;
  // Sets LogMemory::off_keys, and first_settings when it has none.
  virtual void KeepSettings(std::vector<std::string> off_keys, absl::Time now) = 0;
  // As the file was when it was opened; absent until then. Given once, before the first of the calls above.
  virtual std::optional<LogMemory> Remember() = 0;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LOGS_LOG_JOURNAL_H_
