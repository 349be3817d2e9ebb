// The hub's durable memory: an SQLite file in the data folder with one writer and a few readers. Owned by main;
// everything that must outlive the process goes through here. Notifications are hints, this is the truth.
#ifndef MUSTER_HUB_STORE_STORE_H_
#define MUSTER_HUB_STORE_STORE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "common/sqlite/database.h"
#include "hub/store/schema.h"
#include "hub/store/writer.h"

namespace muster::hub {

// The lock on a data folder, held for as long as the object lives (flock on D/lock).
class DataDirLock {
 public:
  // FAILED_PRECONDITION "DATA_DIR_IN_USE" when another hub holds it.
  static absl::StatusOr<DataDirLock> Acquire(const std::string& data_dir);
  DataDirLock(DataDirLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  DataDirLock& operator=(DataDirLock&&) = delete;
  ~DataDirLock();

 private:
  explicit DataDirLock(int fd) : fd_(fd) {}
  int fd_;
};

class Store {
 public:
  // Queries that run at the same time, each on a connection of its own; further ones wait. Four are more than two
  // cores use.
  static constexpr int kReaders = 4;

  struct Options {
    const Schema* schema = &HubSchema();
    // At the start, with quick_check: it reads all there is.
    bool is_checked = true;
    Writer::Pacing pacing;
    Writer::Observer observer;
  };

  // Creates, migrates and checks the database; a corrupt one is refused, DATABASE_CORRUPT.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& path, Options options);
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& path) { return Open(path, Options()); }

  Writer& writer() { return writer_; }

  // Runs `query` on a reading connection. Thread-safe; blocks while all are in use.
  absl::Status Read(const std::function<absl::Status(sqlite::Database&)>& query) ABSL_LOCKS_EXCLUDED(mutex_);

  // Bytes of the database and its WAL on disk.
  std::int64_t SizeBytes() const;

 private:
  Store(std::string path, std::unique_ptr<sqlite::Database> writer, Options options,
        std::vector<std::unique_ptr<sqlite::Database>> readers);

  const std::string path_;
  Writer writer_;  // synchronises itself
  Mutex mutex_;
  CondVar reader_free_;
  std::vector<std::unique_ptr<sqlite::Database>> idle_readers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_STORE_H_
