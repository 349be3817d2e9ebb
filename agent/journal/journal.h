// The agent's journal: takes records from any thread, makes them durable from a thread of its own, and reads them back
// for the session. The thread opens the file too, so nobody waits for a slow or broken disk; while the disk takes
// nothing, records wait in memory up to a bound. Contract: docs/delivery.md. With the lines of containers it keeps
// where each of them goes on: docs/logs.md, "Where to go on".
#ifndef MUSTER_AGENT_JOURNAL_JOURNAL_H_
#define MUSTER_AGENT_JOURNAL_JOURNAL_H_

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "agent/journal/entry_queue.h"
#include "agent/journal/journal_store.h"
#include "agent/logs/log_journal.h"
#include "agent/records.h"
#include "common/clock.h"
#include "common/mutex.h"

namespace muster::agent {

// What is not urgent waits so long for company: four commits a second. The lines of containers have waited with their
// collector and go at once, but no more often.
inline constexpr absl::Duration kCommitInterval = absl::Milliseconds(250);
// An ack goes with the next commit, or with other acks after this time: alone it costs a sync, and what it says the hub
// would say again. Not while more than this waits to be sent, which may need the room.
inline constexpr absl::Duration kAckInterval = absl::Seconds(1);
inline constexpr std::int64_t kMaxBytesBeforeAcks = 64 * 1024;
// After a failure of the disk.
inline constexpr absl::Duration kJournalRetryInterval = absl::Seconds(2);
// No more log lines are taken while more than this waits for the disk: the engine's files are their buffer.
inline constexpr std::int64_t kMaxBytesBeforeLines = 1024 * 1024;
// A file that cannot be read or written so often in a row is taken for damaged, although SQLite does not call it so.
inline constexpr int kMaxFailures = 5;

class Journal : public RecordSink, public RecordSource, public LogJournal {
 public:
  // `clock` outlives the journal. Its monotonic readings go into the file: they count from the machine's boot.
  Journal(JournalStore::Options options, const Clock* clock);
  // Commits what waits, if the disk takes it.
  ~Journal() override;

  // Returns when the file has been opened, or could not be, or after `timeout`.
  void WaitUntilOpen(absl::Duration timeout);
  // Blocks until everything that was asked for before is done, or could not be.
  void Flush();

  void Append(v1::Record record) override;

  bool AppendLines(std::vector<Lines>& lines) override;
  void ForgetPositions(std::vector<std::string> containers) override;
  void MovePosition(std::string from, LogPosition to) override;
  void KeepSettings(std::vector<std::string> off_keys, absl::Time now) override;
  std::optional<LogMemory> Remember() override;

  RecordsView View() const override;
  void Read(const ReadRequest& request, std::function<void(v1::RecordBatch)> done) override;
  void Acknowledge(const v1::BatchAck& ack) override;
  void Resume(const std::vector<v1::LanePosition>& applied) override;
  void SetListener(std::function<void()> changed) override;

 private:
  struct Reading {
    ReadRequest request;
    std::function<void(v1::RecordBatch)> done;
  };
  // Changes of what the hub has, in order; an ack that could not be written is tried again.
  using Position = absl::AnyInvocable<absl::Status(JournalStore*)>;

  static Position ToPosition(v1::BatchAck ack);

  void Loop();
  // One turn of the loop: false when it is to end.
  bool WaitForWork();
  void Work();
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Duration TimeToWait() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Before something is put into the queue that is to be committed by then.
  void CommitBy(Instant due) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Change(LogChanges changes);
  // Those that may go with the next commit.
  std::vector<v1::BatchAck> TakeAcks() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The rest, or all, as commits of their own.
  void ApplyAcks() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool OpenStore();
  // When the file is opened for the first time. False if it cannot be read.
  bool ReadLogMemory(JournalStore* store);
  void ApplyPositions();
  // False if something is left; `acks` go with it, and are empty if they did.
  bool Commit(std::vector<v1::BatchAck>* acks);
  void AnswerReadings();
  // True if all is well. Otherwise notes why the disk takes nothing, and closes a store whose state is not certain.
  bool Check(const absl::Status& status);
  // All that waited is on the disk.
  void NoteRecovery();
  // Nothing while the file cannot be read.
  std::optional<RecordsView> ViewOfStore();
  void UpdateView();
  void TellListener();

  const JournalStore::Options options_;
  const Clock* const clock_;

  // The thread's own.
  std::unique_ptr<JournalStore> store_;
  int failures_ = 0;
  bool is_damaged_ = false;
  Instant retry_at_;
  std::deque<Position> positions_;
  bool has_read_log_memory_ = false;
  // The listener has not been told.
  bool has_news_ = false;

  mutable Mutex mutex_;
  CondVar wake_;
  CondVar idle_;
  EntryQueue queue_ ABSL_GUARDED_BY(mutex_);
  std::vector<Reading> readings_ ABSL_GUARDED_BY(mutex_);
  std::vector<Position> new_positions_ ABSL_GUARDED_BY(mutex_);
  // Not among the positions yet; one of each lane.
  std::vector<v1::BatchAck> acks_ ABSL_GUARDED_BY(mutex_);
  Instant acks_due_ ABSL_GUARDED_BY(mutex_);
  RecordsView view_ ABSL_GUARDED_BY(mutex_);
  // Until it is asked for.
  std::optional<LogMemory> log_memory_ ABSL_GUARDED_BY(mutex_);
  std::string fault_ ABSL_GUARDED_BY(mutex_);
  Instant commit_due_ ABSL_GUARDED_BY(mutex_);
  Instant committed_at_ ABSL_GUARDED_BY(mutex_);
  bool tried_to_open_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::uint64_t flushes_asked_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t flushes_done_ ABSL_GUARDED_BY(mutex_) = 0;

  // Held while the listener is called, so that taking it away waits for a call under way. Taken before mutex_.
  Mutex listening_;
  std::function<void()> listener_ ABSL_GUARDED_BY(listening_);

  std::thread thread_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOURNAL_JOURNAL_H_
