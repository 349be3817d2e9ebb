// One record on its way into the journal: serialized, numbered, with the times that its age is told by. A plain value.
#ifndef MUSTER_AGENT_JOURNAL_ENTRY_H_
#define MUSTER_AGENT_JOURNAL_ENTRY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "common/clock.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::agent {

// Stored in the journal's file: append-only numbers.
enum class EntryKind : std::uint8_t { kTransition = 1, kPresence = 2, kHostSample = 3, kLogLines = 4, kGap = 5 };

struct Entry {
  v1::Lane lane = v1::LANE_EVENTS;
  std::int64_t first_sequence = 0;
  // A gap stands for `count` records, everything else for itself.
  std::int64_t count = 1;
  EntryKind kind = EntryKind::kTransition;
  // When it was recorded. What it tells may have happened before: that is in the payload's observed_at.
  absl::Time wall;
  Instant monotonic;
  std::string payload;  // a serialized v1::Record

  std::int64_t last_sequence() const { return first_sequence + count - 1; }
};

// What an entry counts for against the bounds: its row in the file costs some 80 bytes besides the payload.
inline constexpr std::int64_t kEntryOverheadBytes = 80;
inline std::int64_t BytesOf(const Entry& entry) {
  return static_cast<std::int64_t>(entry.payload.size()) + kEntryOverheadBytes;
}

// The kind follows from the payload; a record without a known one is not recorded by this agent (kGap).
EntryKind KindOf(const v1::Record& record);
v1::Lane LaneOf(EntryKind kind);

// Not yet numbered. A record larger than kMaxRecordBytes becomes a gap.
Entry MakeEntry(const v1::Record& record, Moment now);

// Numbers of lost records, when the first and the last of them were recorded, and why they are lost.
struct Gap {
  v1::Lane lane = v1::LANE_EVENTS;
  std::int64_t first_sequence = 0;
  std::int64_t last_sequence = 0;
  v1::GapReason reason = v1::GAP_REASON_UNSPECIFIED;
  // Absent when that is lost too.
  std::optional<absl::Time> from = std::nullopt;
  std::optional<absl::Time> to = std::nullopt;
  Instant monotonic = Instant();  // of `to`
  // Log lines among the records, as far as known.
  std::int64_t lines = 0;

  std::int64_t count() const { return last_sequence - first_sequence + 1; }
};
v1::Record RecordOf(const Gap& gap);
Entry EntryOf(const Gap& gap);
// Of an entry of any kind: what it leaves behind when it is given up. Of a gap: itself, whatever `reason` says.
Gap GapOf(const Entry& entry, v1::GapReason reason);
// Log lines in it; of a gap: those it stands for, as far as known.
std::int64_t LinesOf(const Entry& entry);
// `later` begins behind the end of `earlier`.
Gap Join(const Gap& earlier, const Gap& later);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOURNAL_ENTRY_H_
