#include "hub/logs/logs.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "common/status.h"

namespace muster::hub {
namespace {

// Text of the tail beside the bound: it is stored worse than chunks, and counts, too.
std::int64_t MaxTailBytes(std::int64_t max_bytes) { return std::min(kMaxTailBytes, max_bytes / 4); }

}  // namespace

absl::StatusOr<std::unique_ptr<Logs>> Logs::Open(Options options) {
  ASSIGN_OR_RETURN(auto store, LogStore::Open(options.data_dir + "/logs.db", options.store));
  ASSIGN_OR_RETURN(auto merger, LogMerger::Open(store.get(), MaxTailBytes(options.retention.max_bytes)));
  ASSIGN_OR_RETURN(auto retention, LogRetention::Open(store.get(), options.retention));
  return std::unique_ptr<Logs>(new Logs(std::move(options), std::move(store), std::move(merger), std::move(retention)));
}

Logs::Logs(Options options, std::unique_ptr<LogStore> store, std::unique_ptr<LogMerger> merger,
           std::unique_ptr<LogRetention> retention)
    : options_(std::move(options)),
      store_(std::move(store)),
      merger_(std::move(merger)),
      retention_(std::move(retention)),
      ballast_(options_.data_dir + "/logs.ballast"),
      // No jitter: nobody else backs off from this disk.
      backoff_(Backoff::Options(), [] { return 1.0; }),
      limit_bytes_(options_.retention.max_bytes) {}

void Logs::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void Logs::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  if (thread_.joinable()) thread_.join();
  store_->store().writer().Stop();
}

bool Logs::IsStopping() const {
  MutexLock lock(&mutex_);
  return stopping_;
}

void Logs::Loop() {
  // Linux has a nice value for each thread.
  if (setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice) != 0) {
    log::Warning("the merger of log lines runs at the priority of the others");
  }
  while (!IsStopping()) {
    Turn();
    MutexLock lock(&mutex_);
    if (!stopping_) wake_.WaitFor(&mutex_, kTurn);
  }
}

void Logs::Turn() {
  const Moment now = options_.clock->Read();
  KeepRoom();
  Sweep(now);
  Merge(now);
}

void Logs::KeepRoom() {
  const absl::StatusOr<VolumeSpace> volume = options_.volume();
  const bool is_full = ReasonOf(store_->Fault()) == "DISK_FULL";
  const absl::Status reserved = volume.ok() ? ballast_.Keep(is_full, *volume) : volume.status();
  Note(reserved, &reserving_);
  if (is_full && volume.ok() && !IsLow(*volume)) ProveRoom();
  // Age and size count also when nobody knows what the volume has.
  const VolumeSpace space =
      volume.value_or(VolumeSpace{.free_bytes = kEnoughFreeBytes, .total_bytes = kEnoughFreeBytes});
  Note(retention_->Trim(options_.clock->Now(), space, [this] { return !IsStopping(); }), &forgetting_);
  MutexLock lock(&mutex_);
  bytes_in_use_ = retention_->bytes_in_use();
  limit_bytes_ = retention_->limit_bytes();
}

void Logs::ProveRoom() {
  store_->store()
      .writer()
      .Run([](sqlite::Database& database) { return database.Execute("UPDATE log_meta SET next_line=next_line"); })
      .IgnoreError();
}

void Logs::Sweep(const Moment& now) {
  if (now.monotonic < next_sweep_) return;
  next_sweep_ = now.monotonic + kSweep;
  Note(retention_->Sweep(now.wall), &sweeping_);
}

void Logs::Merge(const Moment& now) {
  if (now.monotonic < next_merge_) return;
  const absl::Status merged = merger_->Turn(now.wall, [this] {
    KeepRoom();
    return !IsStopping();
  });
  Note(merged, &merging_);
  if (merged.ok()) {
    backoff_.Reset();
  } else {
    next_merge_ = now.monotonic + backoff_.Next();
  }
}

void Logs::Note(const absl::Status& status, Task* task) {
  if (!status.ok() && ReasonOf(status) != ReasonOf(task->last)) log::Warning("{}: {}", task->failed, MessageOf(status));
  task->last = status;
}

LogGauges Logs::gauges() const {
  LogGauges gauges;
  gauges.is_writable = store_->Fault().ok();
  gauges.tail_rows = store_->tail().totals().rows;
  gauges.chunks = store_->chunks();
  MutexLock lock(&mutex_);
  gauges.store_bytes = bytes_in_use_;
  gauges.limit_bytes = limit_bytes_;
  return gauges;
}

}  // namespace muster::hub
