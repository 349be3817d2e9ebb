// The writing half of a gRPC callback stream: frames wait here while one is being written, and the stream ends when all
// are out. Outlives the reactor, because who writes may do so while the stream is ending. Thread-safe; never blocks.
#ifndef MUSTER_HUB_GRPC_WRITE_QUEUE_H_
#define MUSTER_HUB_GRPC_WRITE_QUEUE_H_

#include <grpcpp/support/status.h>

#include <cstddef>
#include <deque>
#include <functional>
#include <utility>

#include "common/mutex.h"

namespace muster::hub {

// Reactor: grpc::ServerBidiReactor or ServerWriteReactor of Frame. It calls OnWriteDone and, last of all, Detach.
template <typename Reactor, typename Frame>
class GrpcWriteQueue {
 public:
  GrpcWriteQueue(Reactor* reactor, std::size_t max_queued) : max_queued_(max_queued), reactor_(reactor) {}

  // False: the queue is full, and nothing was taken. A frame for a stream that is ending is dropped.
  bool Push(const Frame& frame) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    if (reactor_ == nullptr || finishing_) return true;
    if (queue_.size() >= max_queued_) return false;
    queue_.push_back(frame);
    if (!writing_) WriteNext();
    return true;
  }

  // `callback` runs once, at once or in OnWriteDone, when every frame taken so far is with gRPC; never when the stream
  // is ending. A later one takes its place.
  void OnEmpty(std::function<void()> callback) ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      MutexLock lock(&mutex_);
      if (reactor_ == nullptr || finishing_) return;
      if (!queue_.empty()) {
        on_empty_.swap(callback);
        return;
      }
    }
    callback();
  }

  // Ends the stream after the frames taken so far; the first call decides the status.
  void Finish(grpc::Status status = grpc::Status::OK) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    BeginFinish(std::move(status));
  }

  // Ends the stream without the frames that still wait.
  void Abort(grpc::Status status) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    DropWaiting();
    BeginFinish(std::move(status));
  }

  bool ending() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    return reactor_ == nullptr || finishing_;
  }

  // Nothing may be started on the reactor after its Finish, which another thread may call at any moment.
  template <typename Start>
  void StartUnlessFinished(Start start) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    if (reactor_ != nullptr && !finished_) start(reactor_);
  }

  void OnWriteDone(bool ok) ABSL_LOCKS_EXCLUDED(mutex_) {
    std::function<void()> on_empty;
    bool ending = false;
    {
      MutexLock lock(&mutex_);
      writing_ = false;
      queue_.pop_front();
      if (!ok) {
        queue_.clear();
        finishing_ = true;
      }
      if (!queue_.empty()) return WriteNext();
      FinishIfIdle();
      on_empty.swap(on_empty_);
      ending = finishing_;
    }
    if (on_empty && !ending) on_empty();
  }

  // The reactor is about to go.
  void Detach() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    reactor_ = nullptr;
  }

 private:
  void BeginFinish(grpc::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!finishing_) status_ = std::move(status);
    finishing_ = true;
    FinishIfIdle();
  }
  // The first one is with gRPC while it is being written.
  void DropWaiting() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { queue_.resize(writing_ ? 1 : 0); }
  // gRPC never runs a reaction inside StartWrite or Finish, so calling them under the lock is safe.
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    writing_ = true;
    reactor_->StartWrite(&queue_.front());
  }
  void FinishIfIdle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (reactor_ == nullptr || !finishing_ || writing_ || !queue_.empty() || finished_) return;
    finished_ = true;
    reactor_->Finish(status_);
  }

  const std::size_t max_queued_;
  mutable Mutex mutex_;
  Reactor* reactor_ ABSL_GUARDED_BY(mutex_);
  std::deque<Frame> queue_ ABSL_GUARDED_BY(mutex_);
  grpc::Status status_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finishing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::function<void()> on_empty_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_GRPC_WRITE_QUEUE_H_
