// One call on the gRPC port, of whatever method: messages come and go until one side ends it. Messages that cannot be
// sent yet wait here, bounded. Made by GrpcServer, which gives it a handler; it lives until gRPC is through with it.
//
// Thread-safe and never blocks, but for the handler, which is called from the server's one thread and must not block
// it: every agent waits behind it.
#ifndef MUSTER_HUB_GRPC_GRPC_CALL_H_
#define MUSTER_HUB_GRPC_GRPC_CALL_H_

#include <google/protobuf/message_lite.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "common/mutex.h"

namespace muster::hub {

class GrpcCall : public std::enable_shared_from_this<GrpcCall> {
 public:
  class Handler {
   public:
    virtual ~Handler() = default;
    // After each Read: a message, or that there will be none.
    virtual void OnMessage(grpc::ByteBuffer bytes) = 0;
    virtual void OnReadEnded() = 0;
    // The call is over, and not because of Finish: the peer cancelled it, the connection broke, or the server stops.
    virtual void OnCancelled() = 0;
  };

  // Whom the server's calls belong to.
  class Owner {
   public:
    virtual ~Owner() = default;
    // On the server's thread: the awaited call has come; begins it.
    virtual void OnCall(const std::shared_ptr<GrpcCall>& call) = 0;
    // On the server's thread: nothing of an awaited call is with gRPC any more, nor will be; also when it never came
    // because the server stops.
    virtual void OnGone() = 0;
    virtual bool IsOnThread() const = 0;
    // On any thread, with the call locked: has WriteFirst called on the server's thread, which wakes up once for all
    // that is to be written. A write elsewhere wakes it up for each, when it is done.
    virtual void WriteSoon(GrpcCall* call) = 0;
  };

  // For the call that comes next on the service.
  static void Await(Owner* owner, grpc::AsyncGenericService* service, grpc::ServerCompletionQueue* queue);
  // What the queue gave out.
  static void Advance(void* tag, bool ok);

  // "/muster.agent.v1.AgentService/Session"
  const std::string& method() const { return context_.method(); }
  // "10.0.0.7:41234", "[::1]:41234"
  std::string Peer() const;
  // The value of a header; empty: there is none.
  std::string Header(const char* name) const;

  // Before anything else, from Owner::OnCall. Of messages that wait at most `max_queued` are taken.
  void Begin(std::shared_ptr<Handler> handler, std::size_t max_queued);
  // One at a time.
  void Read() ABSL_LOCKS_EXCLUDED(mutex_);
  // False: too many wait, and nothing was taken. A message for a call that is ending is dropped.
  bool Write(const google::protobuf::MessageLite& message) ABSL_LOCKS_EXCLUDED(mutex_);
  // `callback` runs once, at once or on the server's thread, when every message taken so far is with gRPC; never when
  // the call is ending. A later one takes its place.
  void OnEmpty(std::function<void()> callback) ABSL_LOCKS_EXCLUDED(mutex_);
  // Ends the call after the messages taken so far; the first call decides the status and its reason, which travels in
  // the trailer "muster-reason" (none when empty).
  void Finish(const grpc::Status& status, const std::string& reason = "") ABSL_LOCKS_EXCLUDED(mutex_);
  // The same without the messages that still wait.
  void Abort(const grpc::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);
  bool ending() const ABSL_LOCKS_EXCLUDED(mutex_);
  // For the owner: what WriteSoon asked for.
  void WriteFirst() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Tag {
    GrpcCall* call;
    void (GrpcCall::*done)(bool ok);
  };

  GrpcCall() = default;

  void OnAccepted(bool ok);
  void OnRead(bool ok) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnWritten(bool ok) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnFinished(bool /*ok*/) {}
  void OnOver(bool ok);

  void BeginFinish(const grpc::Status& status, const std::string& reason) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FinishIfIdle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter stream_{&context_};
  grpc::ByteBuffer incoming_;
  std::shared_ptr<Handler> handler_;
  std::size_t max_queued_ = 0;
  Owner* owner_ = nullptr;

  mutable Mutex mutex_;
  // No deque: an empty one takes half a KiB.
  std::list<grpc::ByteBuffer> queue_ ABSL_GUARDED_BY(mutex_);
  grpc::Status status_ ABSL_GUARDED_BY(mutex_);
  bool is_writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::function<void()> on_empty_ ABSL_GUARDED_BY(mutex_);
  // What is with gRPC holds the call.
  int pending_ ABSL_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<GrpcCall> self_ ABSL_GUARDED_BY(mutex_);

  Tag accepted_tag_{this, &GrpcCall::OnAccepted};
  Tag read_tag_{this, &GrpcCall::OnRead};
  Tag written_tag_{this, &GrpcCall::OnWritten};
  Tag finished_tag_{this, &GrpcCall::OnFinished};
  Tag over_tag_{this, &GrpcCall::OnOver};
};

// False: these are no bytes of such a message. They are gone afterwards.
bool ParseMessage(grpc::ByteBuffer* bytes, google::protobuf::MessageLite* message);

}  // namespace muster::hub

#endif  // MUSTER_HUB_GRPC_GRPC_CALL_H_
