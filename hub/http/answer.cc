#include "hub/http/answer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/status.h"
#include "hub/http/error_response.h"
#include "hub/http/gzip.h"

namespace muster::hub {
namespace {

// Below, the header of gzip and the work cost more than the bytes saved.
constexpr std::size_t kMinGzipBytes = 1024;

class AnswerResponder : public HttpResponder {
 public:
  explicit AnswerResponder(std::shared_ptr<Answer> answer) : answer_(std::move(answer)) {}
  ~AnswerResponder() override { answer_->Abandon(); }

  void Send(HttpResponse response) override { answer_->Send(std::move(response)); }
  void StartStream(HttpResponse head, std::function<void()> on_gone) override {
    answer_->StartStream(std::move(head), std::move(on_gone));
  }
  StreamWrite Write(std::string_view chunk) override { return answer_->Write(chunk); }
  void OnWritable(std::function<void()> callback) override { answer_->OnWritable(std::move(callback)); }
  void End(std::string_view last) override { answer_->End(last); }

 private:
  const std::shared_ptr<Answer> answer_;
};

}  // namespace

void Answer::Send(HttpResponse response) {
  // Here, on the caller's thread: the strand has other clients behind it.
  if (response.compressible && response.body.size() >= kMinGzipBytes) {
    response.headers.push_back({"Vary", "Accept-Encoding"});
    if (std::optional<std::string> packed; gzip_ && (packed = Gzip(response.body)).has_value()) {
      response.body = *std::move(packed);
      response.headers.push_back({"Content-Encoding", "gzip"});
    }
  }
  MutexLock lock(&mutex_);
  if (state_ != State::kOpen) return;
  state_ = State::kDone;
  if (sink_ != nullptr) sink_->PostSend(std::move(response));
}

void Answer::StartStream(HttpResponse head, std::function<void()> on_gone) {
  {
    MutexLock lock(&mutex_);
    if (state_ != State::kOpen) return;
    state_ = State::kStreaming;
    if (sink_ != nullptr) {
      callbacks_.on_gone = std::move(on_gone);
      sink_->PostStreamStart(std::move(head));
      return;
    }
  }
  if (on_gone) on_gone();
}

StreamWrite Answer::Write(std::string_view chunk) {
  MutexLock lock(&mutex_);
  if (state_ != State::kStreaming || sink_ == nullptr) return StreamWrite::kGone;
  // An empty chunk would end a chunked body.
  if (chunk.empty()) return StreamWrite::kTaken;
  // One chunk is always taken, however large: otherwise a client could wait for it for ever.
  if (unsent_ > 0 && unsent_ + chunk.size() > max_stream_buffer_) return StreamWrite::kFull;
  unsent_ += chunk.size();
  sink_->PostStreamChunk(std::string(chunk));
  return StreamWrite::kTaken;
}

void Answer::OnWritable(std::function<void()> callback) {
  {
    MutexLock lock(&mutex_);
    if (state_ != State::kStreaming || sink_ == nullptr) return;
    if (unsent_ > 0) {
      callbacks_.on_writable.swap(callback);
      return;
    }
  }
  callback();
}

void Answer::End(std::string_view last) {
  Callbacks dropped;
  MutexLock lock(&mutex_);
  if (state_ != State::kStreaming) return;
  state_ = State::kDone;
  dropped = TakeCallbacks();
  if (sink_ == nullptr) return;
  if (!last.empty()) sink_->PostStreamChunk(std::string(last));
  sink_->PostStreamEnd();
}

void Answer::Abandon() {
  bool unanswered = false;
  Callbacks dropped;
  {
    MutexLock lock(&mutex_);
    unanswered = state_ == State::kOpen;
    if (state_ == State::kStreaming) {
      state_ = State::kDone;
      dropped = TakeCallbacks();
      if (sink_ != nullptr) sink_->PostStreamAbort();
    }
  }
  if (unanswered) {
    Send(ErrorResponse(MakeError(absl::StatusCode::kInternal, "NO_ANSWER", "the hub dropped this request unanswered")));
  }
}

void Answer::Written(std::size_t bytes) {
  std::function<void()> on_writable;
  {
    MutexLock lock(&mutex_);
    unsent_ -= std::min(bytes, unsent_);
    if (unsent_ == 0) on_writable.swap(callbacks_.on_writable);
  }
  if (on_writable) on_writable();
}

void Answer::Detach() {
  Callbacks callbacks;
  {
    MutexLock lock(&mutex_);
    sink_ = nullptr;
    callbacks = TakeCallbacks();
  }
  if (callbacks.on_gone) callbacks.on_gone();
}

std::unique_ptr<HttpResponder> MakeResponder(std::shared_ptr<Answer> answer) {
  return std::make_unique<AnswerResponder>(std::move(answer));
}

}  // namespace muster::hub
