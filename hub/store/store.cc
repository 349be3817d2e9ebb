#include "hub/store/store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "common/status.h"

namespace muster::hub {
namespace {

absl::Status QuickCheck(sqlite::Database& database) {
  ASSIGN_OR_RETURN(sqlite::Statement statement, database.Prepare("PRAGMA quick_check(1)"));
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  const std::string verdict = row ? statement.Text(0) : "no answer";
  if (verdict == "ok") return absl::OkStatus();
  return MakeError(absl::StatusCode::kDataLoss, "DATABASE_CORRUPT", fmt::format("damaged: {}", verdict));
}

// Opening for writing already changes a file (it becomes a WAL database), so one that is there is looked at first.
// What keeps it from being read is told better by opening it in earnest.
absl::Status LookBeforeOpening(const std::string& path, const Schema& schema) {
  const auto database = sqlite::Database::Open(path, sqlite::OpenMode::kReader);
  if (!database.ok()) return absl::OkStatus();
  const absl::Status owned = CheckOwnership(**database, schema);
  return absl::IsFailedPrecondition(owned) ? owned : absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<sqlite::Database>> OpenWriter(const std::string& path, const Store::Options& options) {
  RETURN_IF_ERROR(LookBeforeOpening(path, *options.schema));
  ASSIGN_OR_RETURN(auto database, sqlite::Database::Open(path, sqlite::OpenMode::kWriter));
  if (options.is_checked) RETURN_IF_ERROR(QuickCheck(*database));
  RETURN_IF_ERROR(Migrate(*database, *options.schema));
  // 16 MiB instead of 2: agents that catch up write to the ends of many histories in turn.
  RETURN_IF_ERROR(database->Execute("PRAGMA cache_size=-16384"));
  return database;
}

absl::Status WithAdvice(const absl::Status& status, const std::string& path) {
  if (ReasonOf(status) == "DATABASE_CORRUPT") {
    return MakeError(status.code(), "DATABASE_CORRUPT",
                     fmt::format("{} is damaged or no database ({}); move it away with its -wal and -shm files and "
                                 "restore the last backup",
                                 path, MessageOf(status)));
  }
  if (ReasonOf(status) == "DATABASE_UNREADABLE") {
    return MakeError(status.code(), "DATABASE_UNREADABLE",
                     fmt::format("{} cannot be opened ({}); the hub's user must be able to read and write it", path,
                                 MessageOf(status)));
  }
  return Annotate(status, path);
}

}  // namespace

absl::StatusOr<DataDirLock> DataDirLock::Acquire(const std::string& data_dir) {
  const std::string path = data_dir + "/lock";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    return Annotate(ErrnoError(errno, fmt::format("open {}", path)),
                    "cannot use the data folder; it must belong to the hub's user");
  }
  DataDirLock lock(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition, "DATA_DIR_IN_USE",
        fmt::format("{} is used by another muster-hub; stop that one or choose another --data-dir", data_dir));
  }
  return lock;
}

DataDirLock::~DataDirLock() {
  if (fd_ >= 0) close(fd_);
}

Store::Store(std::string path, std::unique_ptr<sqlite::Database> writer, Options options,
             std::vector<std::unique_ptr<sqlite::Database>> readers)
    : path_(std::move(path)),
      writer_(std::move(writer), std::move(options.observer), options.pacing),
      idle_readers_(std::move(readers)) {}

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& path, Options options) {
  const mode_t old_mask = umask(0077);
  auto writer = OpenWriter(path, options);
  umask(old_mask);
  if (!writer.ok()) return WithAdvice(writer.status(), path);
  std::vector<std::unique_ptr<sqlite::Database>> readers;
  for (int i = 0; i < kReaders; ++i) {
    ASSIGN_OR_RETURN(auto reader, sqlite::Database::Open(path, sqlite::OpenMode::kReader));
    readers.push_back(std::move(reader));
  }
  return std::unique_ptr<Store>(new Store(path, *std::move(writer), std::move(options), std::move(readers)));
}

std::int64_t Store::SizeBytes() const {
  std::int64_t bytes = 0;
  for (const char* suffix : {"", "-wal"}) {
    struct stat info {};
    if (stat((path_ + suffix).c_str(), &info) == 0) bytes += info.st_size;
  }
  return bytes;
}

absl::Status Store::Read(const std::function<absl::Status(sqlite::Database&)>& query) {
  std::unique_ptr<sqlite::Database> reader;
  {
    MutexLock lock(&mutex_);
    while (idle_readers_.empty()) reader_free_.Wait(&mutex_);
    reader = std::move(idle_readers_.back());
    idle_readers_.pop_back();
  }
  absl::Status status = query(*reader);
  {
    MutexLock lock(&mutex_);
    idle_readers_.push_back(std::move(reader));
  }
  reader_free_.NotifyOne();
  return status;
}

}  // namespace muster::hub
