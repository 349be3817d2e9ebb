// The file of JobBook, D/jobs.db (format: docs/agent.md): loads all of it, writes what changed in one transaction.
// Synchronous; belongs to one thread. After an error of Save the outcome is the file's to tell: open it anew.
#ifndef MUSTER_AGENT_JOBS_JOB_FILE_H_
#define MUSTER_AGENT_JOBS_JOB_FILE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/jobs/job_book.h"
#include "common/clock.h"
#include "common/sqlite/database.h"

namespace muster::agent {

class JobFile {
 public:
  struct Options {
    std::string path;
    // Of this boot: the times of another are told by the wall clock.
    std::string boot_id;
    // SQLite's own when empty.
    std::string vfs;
  };
  struct Loaded {
    std::unique_ptr<JobFile> file;
    std::unique_ptr<JobBook> book;
  };

  // A damaged file is set aside as PATH.damaged, with a line in the log, and a new store begins.
  static absl::StatusOr<Loaded> Open(const Options& options, Moment now);
  JobFile(const JobFile&) = delete;
  JobFile& operator=(const JobFile&) = delete;

  // All that changed; durable when it returns OK.
  absl::Status Save(JobBook* book, Moment now);
  // Moves the write-ahead log into the file when it has grown enough. To be called after Save.
  absl::Status CheckpointIfDue();

  // Drawn when the file was made.
  const std::string& store_id() const { return store_id_; }

 private:
  JobFile(Options options, std::unique_ptr<sqlite::Database> database)
      : options_(std::move(options)), database_(std::move(database)) {}

  static absl::StatusOr<Loaded> OpenFile(const Options& options, Moment now);
  absl::Status MakeTables();
  absl::Status CheckIntact();
  absl::StatusOr<std::unique_ptr<JobBook>> Load(Moment now);
  absl::Status LoadFamilies(JobBook* book, std::map<std::int64_t, JobFamilyState*>* families);
  absl::Status LoadGroups(JobBook* book, Moment now, std::map<std::int64_t, JobGroupState*>* groups);
  absl::Status LoadSeries(const std::map<std::int64_t, JobFamilyState*>& families,
                          const std::map<std::int64_t, JobGroupState*>& groups);
  absl::Status LoadIds(JobBook* book, Moment now);
  absl::Status Write(JobBook* book, Moment now);
  absl::Status WriteFamilies(JobBook* book);
  absl::Status WriteGroup(const JobGroupState& group);
  absl::Status WriteSeries(const JobGroupState& group);
  absl::Status WriteIds(JobBook* book, Moment now);

  const Options options_;
  const std::unique_ptr<sqlite::Database> database_;
  std::string store_id_;
  // So are the times that the file had when it was opened.
  bool is_of_this_boot_ = false;
  // Written into the log since the last checkpoint, about.
  std::int64_t logged_bytes_ = 0;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOBS_JOB_FILE_H_
