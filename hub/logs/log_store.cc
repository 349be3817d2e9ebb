#include "hub/logs/log_store.h"

#include <fmt/format.h>

#include <utility>

#include "common/status.h"
#include "hub/logs/log_schema.h"
#include "hub/store/set_aside.h"

namespace muster::hub {
absl::StatusOr<std::unique_ptr<LogStore>> LogStore::Open(const std::string& path, const Options& options) {
  std::unique_ptr<LogStore> logs;
  RETURN_IF_ERROR(OpenOrSetAside(path, "agents send what they still hold", [&]() -> absl::Status {
    ASSIGN_OR_RETURN(logs, TryOpen(path, options));
    return absl::OkStatus();
  }));
  return logs;
}

absl::StatusOr<std::unique_ptr<LogStore>> LogStore::TryOpen(const std::string& path, const Options& options) {
  std::unique_ptr<LogStore> logs(new LogStore(path, options.observer));
  Store::Options of_store;
  of_store.schema = &LogSchema();
  // It would read 10 GiB before any agent is heard. Chunks prove themselves when they are read.
  of_store.is_checked = false;
  of_store.pacing = options.pacing;
  of_store.observer = {
      .committed = [self = logs.get()](absl::Duration took, std::size_t) { self->observer_.committed(took); },
      .failed = [self = logs.get()] { MarkBad(self->path_, self->store_->writer().Fault()); },
      .subject = "log lines"};
  ASSIGN_OR_RETURN(logs->store_, Store::Open(path, std::move(of_store)));
  RETURN_IF_ERROR(logs->Load());
  return logs;
}

absl::Status LogStore::Load() {
  return store_->Read([this](sqlite::Database& database) -> absl::Status {
    RETURN_IF_ERROR(tail_.Load(database));
    ASSIGN_OR_RETURN(sqlite::Statement s, database.Prepare("SELECT count(*) FROM log_chunks"));
    RETURN_IF_ERROR(s.Step().status());
    chunks_ = s.Int64(0);
    return absl::OkStatus();
  });
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
        if (stored.ok()) OnStored(work->origin.target_id, work->outcome);
        work->done(stored, work->outcome.batch);
      },
      bytes);
}

void LogStore::OnStored(const std::string& target_id, const LogBatchOutcome& outcome) {
  tail_.Add(outcome.rows);
  {
    MutexLock lock(&counts_mutex_);
    counts_[target_id].Add(outcome.counts);
  }
  if (outcome.rows.empty()) return;
  observer_.stored(outcome.counts.bytes);
  // Under the lock, so that it has run for the last time when SetListener returns.
  MutexLock lock(&listener_mutex_);
  if (listener_) listener_();
}

void LogStore::SetListener(std::function<void()> stored) {
  MutexLock lock(&listener_mutex_);
  listener_ = std::move(stored);
}

absl::Status LogStore::Replace(const Merge& merge) {
  return store_->writer().Run([&](sqlite::Database& database) { return StoreMerge(database, merge); },
                              [&] {
                                chunks_ += 1 - static_cast<std::int64_t>(merge.chunks.size());
                                if (!merge.tail_rows.empty()) {
                                  tail_.RemoveBefore(merge.source, merge.tail_rows.back() + 1);
                                }
                              },
                              // At once: a merger that waited for others' batches would not keep up with them.
                              kCommitBytes);
}

absl::Status LogStore::Forget(const std::vector<OldChunk>& chunks) {
  return store_->writer().Run([&](sqlite::Database& database) { return DeleteChunks(database, chunks); },
                              [&] { chunks_ -= static_cast<std::int64_t>(chunks.size()); }, kCommitBytes);
}

void LogStore::NoteDamaged(const ChunkKey& chunk) {
  auto is_news = std::make_shared<bool>(false);
  store_->writer().Submit(
      [chunk, is_news](sqlite::Database& database) -> absl::Status {
        RETURN_IF_ERROR(RunBound(
            database, "UPDATE log_chunks SET damaged=1 WHERE source=? AND last_us=? AND first_line=? AND damaged=0",
            [&](sqlite::Statement& s) { s.Bind(1, chunk.source).Bind(2, chunk.last_us).Bind(3, chunk.first_line); }));
        *is_news = database.Changes() > 0;
        return absl::OkStatus();
      },
      [this, is_news](const absl::Status& stored) {
        if (stored.ok() && *is_news) observer_.damaged();
      });
}

absl::Status LogStore::Fault() const {
  absl::Status fault = store_->writer().Fault();
  if (fault.ok()) return fault;
  const std::string why = MessageOf(fault);
  const std::string advice = ReasonOf(fault) == "DISK_FULL"
                                 ? "there is no room; agents keep their lines until there is"
                                 : "agents keep their lines; look at the disk and restart the hub";
  return MakeError(fault.code(), ReasonOf(fault), fmt::format("{}: {} ({})", path_, advice, why));
}

void LogStore::VisitCounts(absl::FunctionRef<void(const LogCountsByTarget&)> visit) const {
  MutexLock lock(&counts_mutex_);
  visit(counts_);
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
