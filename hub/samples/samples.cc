#include "hub/samples/samples.h"

#include <sys/resource.h>
#include <unistd.h>

#include <utility>

#include "common/log.h"
#include "common/status.h"

namespace muster::hub {

absl::StatusOr<std::unique_ptr<Samples>> Samples::Open(Options options) {
  ASSIGN_OR_RETURN(auto store, SampleStore::Open(options.data_dir + "/metrics.db", options.hub, options.observer));
  return std::unique_ptr<Samples>(new Samples(std::move(options), std::move(store)));
}

Samples::Samples(Options options, std::unique_ptr<SampleStore> store)
    : options_(std::move(options)),
      store_(std::move(store)),
      mover_(store_.get()),
      retention_(store_.get(), options_.retention),
      // No jitter: nobody else backs off from this disk.
      backoff_(Backoff::Options(), [] { return 1.0; }),
      limit_bytes_(options_.retention.max_bytes) {}

void Samples::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void Samples::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  if (thread_.joinable()) thread_.join();
  store_->store().writer().Stop();
}

bool Samples::IsStopping() const {
  MutexLock lock(&mutex_);
  return stopping_;
}

void Samples::Loop() {
  // Linux has a nice value for each thread.
  if (setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice) != 0) {
    log::Warning("the merger of host metrics runs at the priority of the others");
  }
  while (!IsStopping()) {
    Turn();
    MutexLock lock(&mutex_);
    if (!stopping_) wake_.WaitFor(&mutex_, kTurn);
  }
}

void Samples::Turn() {
  const Moment now = options_.clock->Read();
  Trim(now);
  Sweep(now);
  Move(now);
}

void Samples::Trim(const Moment& now) {
  if (now.monotonic < next_trim_) return;
  next_trim_ = now.monotonic + kTrim;
  // Age and size count also when nobody knows what the volume has.
  const VolumeSpace space =
      options_.volume().value_or(VolumeSpace{.free_bytes = kEnoughFreeBytes, .total_bytes = kEnoughFreeBytes});
  Note(retention_.Trim(now.wall, space, [this] { return !IsStopping(); }), &forgetting_);
  MutexLock lock(&mutex_);
  bytes_in_use_ = retention_.bytes_in_use();
  limit_bytes_ = retention_.limit_bytes();
}

void Samples::Sweep(const Moment& now) {
  if (now.monotonic < next_sweep_) return;
  next_sweep_ = now.monotonic + kSweep;
  Note(retention_.Sweep(now.wall, [this] { return !IsStopping(); }), &sweeping_);
}

void Samples::Move(const Moment& now) {
  if (now.monotonic < next_move_) return;
  const absl::Status moved = mover_.Pass(now.wall, [this] {
    // A backlog may be larger than the bound.
    Trim(options_.clock->Read());
    return !IsStopping();
  });
  Note(moved, &moving_);
  if (moved.ok()) {
    backoff_.Reset();
    next_move_ = now.monotonic + kPass;
  } else {
    next_move_ = now.monotonic + backoff_.Next();
  }
  MutexLock lock(&mutex_);
  waiting_ = mover_.waiting();
}

void Samples::Note(const absl::Status& status, Task* task) {
  if (!status.ok() && ReasonOf(status) != ReasonOf(task->last)) log::Warning("{}: {}", task->failed, MessageOf(status));
  task->last = status;
}

SampleGauges Samples::gauges() const {
  SampleGauges gauges;
  gauges.is_writable = store_->Fault().ok();
  gauges.chunks = store_->chunks();
  MutexLock lock(&mutex_);
  gauges.store_bytes = bytes_in_use_;
  gauges.limit_bytes = limit_bytes_;
  gauges.waiting = waiting_;
  return gauges;
}

}  // namespace muster::hub
