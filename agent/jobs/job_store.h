// The store of jobs' numbers: takes pushes from any thread, counts and commits them on a thread of its own, all that
// wait in one transaction, and answers when it is durable. Tells the session which groups changed (JobSource).
//
// When a commit fails its outcome is unknown: the file is opened anew, and what it holds is the truth. All pushes of
// that commit get an error; who repeats one with its id is told "known" or is counted, once.
#ifndef MUSTER_AGENT_JOBS_JOB_STORE_H_
#define MUSTER_AGENT_JOBS_JOB_STORE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "agent/jobs/job_book.h"
#include "agent/jobs/job_file.h"
#include "agent/jobs/push.h"
#include "agent/reports.h"
#include "common/clock.h"
#include "common/mutex.h"

namespace muster::agent {

// Beyond, BUSY. One commit takes what waits, so that these are some 100 ms of work.
inline constexpr std::size_t kMaxWaitingPushes = 4096;
// In memory, of what waits: eight of the largest pushes.
inline constexpr std::size_t kMaxWaitingBytes = 32 * 1024 * 1024;
// A report a second reads what is published; each group that changed is copied for it.
inline constexpr absl::Duration kJobPublishInterval = absl::Milliseconds(250);
// Between attempts to open a file that fails.
inline constexpr absl::Duration kJobReopenInterval = absl::Seconds(1);

class JobStore : public JobSource {
 public:
  // Called from the store's thread, must return at once.
  using Done = absl::AnyInvocable<void(const absl::StatusOr<JobBook::Outcome>&)>;
  struct Status {
    // Why pushes are refused now; empty: they are taken.
    std::string fault;
    std::int64_t groups = 0;
    std::int64_t series = 0;
    friend bool operator==(const Status&, const Status&) = default;
  };

  // `clock` outlives the store.
  JobStore(JobFile::Options options, const Clock* clock);
  // Commits what waits.
  ~JobStore() override;

  // Thread-safe; false: BUSY, and `done` is not called.
  bool Submit(Push push, Done done);
  // Thread-safe; counts a push that was refused before it was one.
  void NoteRefusal(std::string group);
  // Thread-safe.
  Status GetStatus() const;
  // Thread-safe; since the start.
  std::int64_t Commits() const { return commits_; }
  // Returns when all that was submitted before is answered, or the file cannot be opened, and published. For tests.
  void Flush();

  std::optional<v1::JobPosition> Position() const override;
  v1::JobReport Report(std::int64_t version, std::size_t max_bytes, Moment now) override;
  void SetListener(std::function<void()> changed) override;

 private:
  struct Task {
    Push push;
    Done done;
    bool is_refusal = false;
  };
  struct Published {
    v1::JobGroup group;
    std::optional<Instant> push, success, failure;
  };

  void Loop();
  std::vector<Task> WaitForTasks() ABSL_LOCKS_EXCLUDED(mutex_);
  void Open();
  void Do(std::vector<Task> tasks);
  absl::Status Commit();
  void Fail(const absl::Status& why);
  void SetFault(std::string fault) ABSL_LOCKS_EXCLUDED(mutex_);
  void Publish() ABSL_LOCKS_EXCLUDED(mutex_);

  const JobFile::Options options_;
  const Clock* const clock_;

  // The thread's own.
  std::unique_ptr<JobFile> file_;
  std::unique_ptr<JobBook> book_;
  absl::Status failure_ = absl::OkStatus();
  std::optional<Instant> opened_at_;
  std::optional<Instant> published_at_;
  std::optional<Instant> expired_at_;
  std::int64_t told_version_ = 0;

  std::atomic<std::int64_t> commits_ = 0;

  mutable Mutex mutex_;
  CondVar wake_;
  CondVar idle_;
  std::vector<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  std::size_t waiting_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::uint64_t flushes_asked_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t flushes_done_ ABSL_GUARDED_BY(mutex_) = 0;
  Status status_ ABSL_GUARDED_BY(mutex_);
  std::optional<v1::JobPosition> position_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Published> published_ ABSL_GUARDED_BY(mutex_);

  // Held while the listener is called; taken after mutex_ is let go.
  Mutex listening_;
  std::function<void()> listener_ ABSL_GUARDED_BY(listening_);

  std::thread thread_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOBS_JOB_STORE_H_
