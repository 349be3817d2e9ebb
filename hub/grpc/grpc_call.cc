#include "hub/grpc/grpc_call.h"

#include <grpcpp/impl/codegen/proto_utils.h>

#include <utility>

namespace muster::hub {

using google::protobuf::MessageLite;

void GrpcCall::Await(Owner* owner, grpc::AsyncGenericService* service, grpc::ServerCompletionQueue* queue) {
  const std::shared_ptr<GrpcCall> call(new GrpcCall);
  call->owner_ = owner;
  {
    MutexLock lock(&call->mutex_);
    call->self_ = call;
    call->pending_ = 1;
  }
  // Its tag comes only when the call has begun (OnAccepted counts it).
  call->context_.AsyncNotifyWhenDone(&call->over_tag_);
  service->RequestCall(&call->context_, &call->stream_, queue, queue, &call->accepted_tag_);
}

void GrpcCall::Advance(void* tag, bool ok) {
  const Tag* const of = static_cast<Tag*>(tag);
  const std::shared_ptr<GrpcCall> call = of->call->shared_from_this();
  ((*call).*(of->done))(ok);
  {
    MutexLock lock(&call->mutex_);
    if (--call->pending_ > 0) return;
    call->self_.reset();
  }
  // It holds the call.
  call->handler_.reset();
  call->owner_->OnGone();
}

std::string GrpcCall::Peer() const {
  const std::string peer = context_.peer();  // "ipv4:10.0.0.7:41234", "ipv6:%5B::1%5D:41234"
  std::string text = peer.substr(peer.find(':') + 1);
  for (const auto& [escape, plain] : {std::pair{"%5B", "["}, std::pair{"%5D", "]"}}) {
    if (const auto at = text.find(escape); at != std::string::npos) text.replace(at, 3, plain);
  }
  return text;
}

std::string GrpcCall::Header(const char* name) const {
  const auto found = context_.client_metadata().find(name);
  if (found == context_.client_metadata().end()) return "";
  return std::string(found->second.data(), found->second.size());
}

void GrpcCall::Begin(std::shared_ptr<Handler> handler, std::size_t max_queued) {
  handler_ = std::move(handler);
  max_queued_ = max_queued;
}

void GrpcCall::Read() {
  MutexLock lock(&mutex_);
  // Nothing may be started behind Finish.
  if (is_finished_) return;
  ++pending_;
  stream_.Read(&incoming_, &read_tag_);
}

bool GrpcCall::Write(const MessageLite& message) {
  grpc::ByteBuffer bytes;
  bool owned = false;
  if (!grpc::SerializationTraits<MessageLite>::Serialize(message, &bytes, &owned).ok()) return true;
  MutexLock lock(&mutex_);
  if (is_ending_) return true;
  if (queue_.size() >= max_queued_) return false;
  queue_.push_back(std::move(bytes));
  if (!is_writing_) WriteNext();
  return true;
}

void GrpcCall::OnEmpty(std::function<void()> callback) {
  {
    MutexLock lock(&mutex_);
    if (is_ending_) return;
    if (!queue_.empty()) {
      on_empty_.swap(callback);
      return;
    }
  }
  callback();
}

void GrpcCall::Finish(const grpc::Status& status, const std::string& reason) {
  MutexLock lock(&mutex_);
  BeginFinish(status, reason);
}

void GrpcCall::Abort(const grpc::Status& status) {
  MutexLock lock(&mutex_);
  // The first one is with gRPC, or soon will be, while it is being written.
  queue_.resize(is_writing_ ? 1 : 0);
  BeginFinish(status, "");
}

bool GrpcCall::ending() const {
  MutexLock lock(&mutex_);
  return is_ending_;
}

void GrpcCall::OnAccepted(bool ok) {
  if (!ok) return;  // the server stops; the call never was
  {
    MutexLock lock(&mutex_);
    ++pending_;  // over_tag_
  }
  owner_->OnCall(shared_from_this());
}

void GrpcCall::OnRead(bool ok) {
  if (!ok) return handler_->OnReadEnded();
  handler_->OnMessage(std::exchange(incoming_, {}));
}

void GrpcCall::OnWritten(bool ok) {
  std::function<void()> on_empty;
  {
    MutexLock lock(&mutex_);
    is_writing_ = false;
    queue_.pop_front();
    if (!ok) {
      queue_.clear();
      is_ending_ = true;
    }
    if (!queue_.empty()) return WriteNext();
    if (!is_ending_) on_empty.swap(on_empty_);
    FinishIfIdle();
  }
  if (on_empty) on_empty();
}

void GrpcCall::OnOver(bool /*ok*/) {
  if (context_.IsCancelled()) handler_->OnCancelled();
  // Whatever the handler does: nothing may be started when the server's queue is gone.
  Abort(grpc::Status::CANCELLED);
}

void GrpcCall::BeginFinish(const grpc::Status& status, const std::string& reason) {
  if (!is_ending_) {
    status_ = status;
    if (!reason.empty()) context_.AddTrailingMetadata("muster-reason", reason);
  }
  is_ending_ = true;
  FinishIfIdle();
}

// gRPC never completes an operation inside the call that starts it, so calling it under the lock is safe.
void GrpcCall::WriteNext() {
  is_writing_ = true;
  ++pending_;
  if (!owner_->IsOnThread()) return owner_->WriteSoon(this);
  stream_.Write(queue_.front(), &written_tag_);
}

void GrpcCall::WriteFirst() {
  MutexLock lock(&mutex_);
  stream_.Write(queue_.front(), &written_tag_);
}

void GrpcCall::FinishIfIdle() {
  if (!is_ending_ || is_writing_ || !queue_.empty() || is_finished_) return;
  is_finished_ = true;
  ++pending_;
  stream_.Finish(status_, &finished_tag_);
}

bool ParseMessage(grpc::ByteBuffer* bytes, MessageLite* message) {
  return grpc::SerializationTraits<MessageLite>::Deserialize(bytes, message).ok();
}

}  // namespace muster::hub
