// A stream whose messages a test looks at.
#ifndef MUSTER_HUB_API_TESTING_FAKE_STREAM_H_
#define MUSTER_HUB_API_TESTING_FAKE_STREAM_H_

#include <cstddef>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "hub/api/connect_rpc.h"

namespace muster::hub {

// A client of a stream. Who looks at it sees to it that nobody writes meanwhile.
template <typename Response>
class FakeStreamOf : public StreamSink {
 public:
  bool Write(const google::protobuf::Message& message) override {
    if (!taking || gone || ended || unsent >= room) return false;
    written.push_back(static_cast<const Response&>(message));
    if (!reading) ++unsent;
    return true;
  }
  void OnWritable(std::function<void()> callback) override {
    if (gone || ended) return;
    if (unsent == 0 && taking) return callback();
    on_writable = std::move(callback);
  }
  void Finish(const absl::Status& status) override {
    if (!ended) ended = status;
  }
  void OnCancelled(std::function<void()> callback) override { on_cancelled = std::move(callback); }
  bool cancelled() const override { return gone; }

  // All that was taken has gone out.
  void Drain() {
    unsent = 0;
    if (const auto callback = std::exchange(on_writable, nullptr)) callback();
  }
  void GoAway() {
    gone = true;
    if (const auto callback = std::exchange(on_cancelled, nullptr)) callback();
  }

  bool taking = true;
  bool gone = false;
  // False: what is taken stays unsent until Drain, and no more than `room` messages are taken.
  bool reading = true;
  std::size_t room = 2;
  std::size_t unsent = 0;
  std::vector<Response> written;
  std::optional<absl::Status> ended;
  std::function<void()> on_writable;
  std::function<void()> on_cancelled;
};
}  // namespace muster::hub

#endif  // MUSTER_HUB_API_TESTING_FAKE_STREAM_H_
