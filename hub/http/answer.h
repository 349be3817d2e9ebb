// One answer on its way: the state shared by the responder (any thread) and the connection (its strand). The responder
// may outlive the connection and the server; then it talks to nobody.
#ifndef MUSTER_HUB_HTTP_ANSWER_H_
#define MUSTER_HUB_HTTP_ANSWER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "common/mutex.h"
#include "hub/http/http.h"

namespace muster::hub {

// The connection, as an answer sees it. Every method returns at once and takes effect later, in order, on the
// connection's strand.
class AnswerSink {
 public:
  virtual ~AnswerSink() = default;
  virtual void PostSend(HttpResponse response) = 0;
  virtual void PostStreamStart(HttpResponse head) = 0;
  virtual void PostStreamChunk(std::string chunk) = 0;
  virtual void PostStreamEnd() = 0;
  // The stream was dropped in the middle: the client must not take it for complete.
  virtual void PostStreamAbort() = 0;
};

class Answer {
 public:
  Answer(AnswerSink* sink, std::size_t max_stream_buffer, bool gzip)
      : max_stream_buffer_(max_stream_buffer), gzip_(gzip), sink_(sink) {}

  // ---- the responder's side
  void Send(HttpResponse response);
  void StartStream(HttpResponse head, std::function<void()> on_gone);
  StreamWrite Write(std::string_view chunk);
  void OnWritable(std::function<void()> callback);
  void End(std::string_view last);
  void Abandon();

  // ---- the connection's side
  void Written(std::size_t bytes);
  // The client is gone, or the answer is complete. Afterwards the sink is not used any more.
  void Detach();

 private:
  enum class State { kOpen, kStreaming, kDone };
  // Destroyed without the lock: they may hold the last reference to somebody.
  struct Callbacks {
    std::function<void()> on_gone;
    // All that was written has gone out.
    std::function<void()> on_writable;
  };
  Callbacks TakeCallbacks() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return std::exchange(callbacks_, {}); }

  const std::size_t max_stream_buffer_;
  const bool gzip_;
  Mutex mutex_;
  AnswerSink* sink_ ABSL_GUARDED_BY(mutex_);
  State state_ ABSL_GUARDED_BY(mutex_) = State::kOpen;
  std::size_t unsent_ ABSL_GUARDED_BY(mutex_) = 0;
  Callbacks callbacks_ ABSL_GUARDED_BY(mutex_);
};

// A responder for `answer`; destroyed early it abandons the answer.
std::unique_ptr<HttpResponder> MakeResponder(std::shared_ptr<Answer> answer);

}  // namespace muster::hub

#endif  // MUSTER_HUB_HTTP_ANSWER_H_
