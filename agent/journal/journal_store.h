// The journal's file: what the agent recorded and the hub does not have yet, and a tail of what it has
// (docs/delivery.md; format: docs/agent.md). Synchronous and deterministic; belongs to one thread. Journal puts the
// thread around it.
//
// Every call is one transaction: after an error nothing of it happened, except that a failed commit leaves the outcome
// to the file. After an error other than a full disk the store is to be opened anew; appending the same entries again
// does no harm.
#ifndef MUSTER_AGENT_JOURNAL_JOURNAL_STORE_H_
#define MUSTER_AGENT_JOURNAL_JOURNAL_STORE_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/journal/entry.h"
#include "agent/journal/journal_rows.h"
#include "agent/journal/journal_state.h"
#include "agent/journal/journal_transaction.h"
#include "agent/journal/log_positions.h"
#include "agent/records.h"
#include "common/clock.h"
#include "common/sqlite/database.h"

namespace muster::agent {

inline constexpr std::int64_t kDefaultJournalBytes = 256 * 1024 * 1024;
inline constexpr std::int64_t kMinJournalBytes = 1024 * 1024;
// Acknowledged records that are kept for a hub that is restored from a backup; at most a quarter of the journal.
inline constexpr std::int64_t kTailBytes = 4 * 1024 * 1024;
// Of one Append: a quarter of the smallest journal.
inline constexpr std::int64_t kMaxAppendBytes = 256 * 1024;
// Of the smallest journal's 256.
inline constexpr std::int64_t kReservedPages = 16;
// Refused records that are kept for a person to look at: at most 64 * 60 KiB.
inline constexpr std::int64_t kMaxQuarantined = 64;
// Hello lists at most 1000 positions, two for each epoch; beyond, the oldest epoch is given up whole.
inline constexpr std::size_t kMaxEpochs = 400;

class JournalStore {
 public:
  struct Options {
    std::string path;
    // Records of another target are not sent in this one's name: they are deleted.
    std::string target_id;
    // Of this boot; records of other boots have no age.
    std::string boot_id;
    // Of this run: NewEpoch().
    std::string epoch;
    std::int64_t capacity_bytes = kDefaultJournalBytes;
    // SQLite's own when empty.
    std::string vfs;
  };
  enum class Condition {
    kUnknown,
    // Something went wrong that reading the file does not show: build it anew from what can be read.
    kBroken,
  };

  // Reads and checks the whole file. A damaged one is set aside as PATH.damaged and what can be read of it is kept;
  // `now` is when that happened.
  static absl::StatusOr<std::unique_ptr<JournalStore>> Open(Options options, absl::Time now,
                                                            Condition condition = Condition::kUnknown);
  JournalStore(const JournalStore&) = delete;
  JournalStore& operator=(const JournalStore&) = delete;

  // Entries of this run, at most kMaxAppendBytes, ascending within each lane. Makes room first. Numbers that the file
  // has already are left out, numbers that are missing before become a gap. `changes` are what goes with them, and
  // `acks`, of which none has refused records.
  absl::Status Append(const std::vector<Entry>& entries, const LogChanges& changes = {},
                      const std::vector<v1::BatchAck>& acks = {});

  absl::StatusOr<LogMemory> ReadLogMemory();

  // From first_sequence on, as much as fits; what is not held any more comes as a gap. No records: there are none.
  absl::StatusOr<v1::RecordBatch> Read(const ReadRequest& request, Instant now);

  // Never goes back. Refused records move to the quarantine.
  absl::Status Acknowledge(const v1::BatchAck& ack);
  // Sets what the hub has, also back.
  absl::Status Resume(const std::vector<v1::LanePosition>& applied);

  std::vector<LaneState> Lanes() const;
  // Of what is committed; `fault` is the caller's to fill.
  absl::StatusOr<v1::JournalDepth> Depth(Instant now);

  // Moves the write-ahead log into the file when it has grown enough. To be called after other calls.
  absl::Status CheckpointIfDue();

 private:
  class BatchBuilder;

  JournalStore(Options options, std::unique_ptr<sqlite::Database> database, JournalState state);

  static absl::StatusOr<std::unique_ptr<JournalStore>> OpenFile(Options options);
  absl::Status TryAppend(const std::vector<Entry>& entries, const LogChanges& changes,
                         const std::vector<v1::BatchAck>& acks, std::int64_t pages);
  absl::StatusOr<std::int64_t> OwnOrdinal(JournalTransaction* transaction);
  std::int64_t TailLimit() const { return std::min(kTailBytes, options_.capacity_bytes / 4); }
  // The file may have a few more: for gaps, and for what acknowledging and repairing write.
  std::int64_t MaxPages() const { return options_.capacity_bytes / kJournalPageBytes - kReservedPages; }
  std::int64_t MaxPositions() const {
    return std::min(kMaxLogPositions, options_.capacity_bytes / kJournalBytesPerPosition);
  }
  // The row that has waited longest for the hub; none when none waits.
  absl::StatusOr<std::optional<JournalRow>> OldestWaiting();
  bool HasAge(const JournalEpoch& epoch) const {
    return !options_.boot_id.empty() && epoch.boot_id == options_.boot_id;
  }

  const Options options_;
  const std::unique_ptr<sqlite::Database> database_;
  JournalState state_;
  // Written into the log since the last checkpoint, about.
  std::int64_t logged_bytes_ = 0;
};

// 128 random bits in hex.
std::string NewEpoch();

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOURNAL_JOURNAL_STORE_H_
