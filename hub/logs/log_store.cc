#include "hub/logs/log_store.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "common/log.h"
#include "common/status.h"
#include "hub/logs/log_schema.h"

namespace muster::hub {
namespace {

Store::Options StoreOptions(Writer::Observer observer) {
  Store::Options options;
  options.schema = &LogSchema();
  // It would read 10 GiB before any agent is heard. Chunks prove themselves when they are read.
  options.is_checked = false;
  options.pacing = {.distance = LogStore::kCommitDistance, .enough_weight = LogStore::kCommitBytes};
  options.observer = std::move(observer);
  return options;
}

// The log goes first: without it the file is a database as it was at its last checkpoint.
absl::Status SetAside(const std::string& path) {
  std::error_code ignored;
  std::filesystem::remove(path + "-shm", ignored);
  for (const char* suffix : {"-wal", ""}) {
    const std::string from = path + suffix;
    if (!std::filesystem::exists(from, ignored)) continue;
    if (std::rename(from.c_str(), (path + ".damaged" + suffix).c_str()) != 0) {
      return ErrnoError(errno, fmt::format("rename {}", from));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<LogStore>> LogStore::Open(const std::string& path, Writer::Observer observer) {
  const auto open = [&]() -> absl::StatusOr<std::unique_ptr<LogStore>> {
    ASSIGN_OR_RETURN(std::unique_ptr<Store> store, Store::Open(path, StoreOptions(observer)));
    std::unique_ptr<LogStore> logs(new LogStore(std::move(store)));
    RETURN_IF_ERROR(logs->store_->Read([&](sqlite::Database& database) { return logs->tail_.Load(database); }));
    return logs;
  };
  absl::StatusOr<std::unique_ptr<LogStore>> opened = open();
  if (ReasonOf(opened.status()) != "DATABASE_CORRUPT") return opened;
  log::Error("{} is damaged; it is set aside as {}.damaged, and a new one begins: agents send what they still hold",
             path, path);
  RETURN_IF_ERROR(SetAside(path));
  return open();
}

void LogStore::Apply(BatchOrigin origin, agent::v1::RecordBatch batch, absl::AnyInvocable<absl::Status()> may_store,
                     Done done) {
  struct Work {
    BatchOrigin origin;
    agent::v1::RecordBatch batch;
    absl::AnyInvocable<absl::Status()> may_store;
    Done done;
    LogBatchOutcome outcome;
  };
  const std::size_t bytes = batch.ByteSizeLong();
  auto work = std::make_shared<Work>(
      Work{std::move(origin), std::move(batch), std::move(may_store), std::move(done), LogBatchOutcome()});
  store_->writer().Submit(
      [this, work](sqlite::Database& database) -> absl::Status {
        RETURN_IF_ERROR(work->may_store());
        ASSIGN_OR_RETURN(work->outcome, ApplyLogBatch(database, work->origin, work->batch, &codec_));
        return absl::OkStatus();
      },
      [this, work](const absl::Status& stored) {
        // Before the answer: a query that follows it finds the lines.
        if (stored.ok()) tail_.Add(work->outcome.rows);
        work->done(stored, work->outcome.batch);
      },
      bytes);
}

absl::Status LogStore::Replace(const Merge& merge) {
  return store_->writer().Run([&](sqlite::Database& database) { return StoreMerge(database, merge); },
                              [&] {
                                if (!merge.tail_rows.empty()) {
                                  tail_.RemoveBefore(merge.source, merge.tail_rows.back() + 1);
                                }
                              });
}

absl::StatusOr<std::vector<agent::v1::LanePosition>> LogStore::Positions(
    std::string_view target_id, const std::vector<agent::v1::LanePosition>& listed) {
  std::vector<agent::v1::LanePosition> of_logs;
  for (const agent::v1::LanePosition& position : listed) {
    if (position.lane() == agent::v1::LANE_LOGS) of_logs.push_back(position);
  }
  absl::StatusOr<std::vector<agent::v1::LanePosition>> positions;
  RETURN_IF_ERROR(store_->Read([&](sqlite::Database& database) {
    positions = ReadPositions(database, target_id, of_logs);
    return positions.status();
  }));
  return positions;
}

}  // namespace muster::hub
