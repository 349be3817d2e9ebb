// What the journal's file says, in short: kept in memory beside it, and replaced as a whole after each commit.
#ifndef MUSTER_AGENT_JOURNAL_JOURNAL_STATE_H_
#define MUSTER_AGENT_JOURNAL_JOURNAL_STATE_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "agent/journal/log_positions.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::agent {

// One lane of one epoch. Every number from `oldest` to `last` is covered by exactly one row. Rows that reach beyond
// `acked` wait for the hub, the others are the tail.
struct JournalLane {
  std::int64_t oldest = 0;  // 0: no rows
  std::int64_t last = 0;
  std::int64_t acked = 0;
  std::int64_t waiting_rows = 0;
  std::int64_t waiting_bytes = 0;
  std::int64_t tail_bytes = 0;
  // Of log lines, the last that was read for the hub in this run; it may have it already. No gap is made that reaches
  // across: how many lines a part of a gap stands for is not known.
  std::int64_t told = 0;
  // No host sample waits up to here; saves looking again.
  std::int64_t scanned_for_samples = 0;

  bool empty() const { return oldest == 0; }
};

struct JournalEpoch {
  std::string name;
  std::string boot_id;
  std::array<JournalLane, 2> lanes;  // events, logs

  bool empty() const { return lanes[0].empty() && lanes[1].empty(); }
};

struct JournalState {
  std::map<std::int64_t, JournalEpoch> epochs;  // by ordinal: oldest first
  std::string target_id;
  std::int64_t dropped_total = 0;
  std::int64_t poisoned_total = 0;
  LogTotals logs;
};

// 0: there is none of that name.
inline std::int64_t OrdinalOfEpoch(const JournalState& state, const std::string& name) {
  for (const auto& [ordinal, epoch] : state.epochs) {
    if (epoch.name == name) return ordinal;
  }
  return 0;
}

inline constexpr v1::Lane kLanes[] = {v1::LANE_EVENTS, v1::LANE_LOGS};
inline std::size_t IndexOf(v1::Lane lane) { return lane == v1::LANE_LOGS ? 1 : 0; }

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOURNAL_JOURNAL_STATE_H_
