// A StreamGroup that a test drives by hand: it sees what was asked for and says what comes back.
#ifndef MUSTER_AGENT_KUBERNETES_TESTING_HAND_STREAMS_H_
#define MUSTER_AGENT_KUBERNETES_TESTING_HAND_STREAMS_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/http/stream_group.h"

namespace muster::agent {

class HandStreams : public StreamGroup {
 public:
  Id Open(const HttpGet& request) override {
    open_[++last_id_] = request.target;
    return last_id_;
  }
  void Close(Id id) override { open_.erase(id); }
  void Pause(Id /*id*/) override {}
  void Resume(Id /*id*/) override {}
  void Wait(absl::Duration wait, absl::FunctionRef<void(const Event&)> visit) override {
    last_wait_ = wait;
    for (const Pending& pending : std::exchange(pending_, {})) {
      if (!open_.contains(pending.event.id)) continue;
      Event event = pending.event;
      event.bytes = pending.bytes;
      if (event.is_end) open_.erase(event.id);
      visit(event);
    }
  }
  void Wake() override {}

  // The open request whose target begins with this; nullopt: none.
  std::optional<Id> Find(std::string_view target) const {
    for (const auto& [id, open] : open_) {
      if (std::string_view(open).starts_with(target)) return id;
    }
    return std::nullopt;
  }
  std::string Target(Id id) const { return open_.at(id); }
  const std::map<Id, std::string>& open() const { return open_; }
  absl::Duration last_wait() const { return last_wait_; }

  // Given by the next Wait.
  void Headers(Id id) {
    pending_.push_back({.event = {.id = id, .bytes = {}, .is_open = true, .status = {}}, .bytes = {}});
  }
  void Bytes(Id id, std::string bytes) {
    pending_.push_back({.event = {.id = id, .bytes = {}, .status = {}}, .bytes = std::move(bytes)});
  }
  void End(Id id, absl::Status status = absl::OkStatus(), int http_code = 0,
           std::optional<absl::Duration> retry_after = std::nullopt) {
    pending_.push_back({.event = {.id = id,
                                  .bytes = {},
                                  .is_end = true,
                                  .status = std::move(status),
                                  .http_code = http_code,
                                  .retry_after = retry_after},
                        .bytes = {}});
  }
  void Answer(Id id, const std::string& body) {
    Headers(id);
    Bytes(id, body);
    End(id);
  }

 private:
  struct Pending {
    Event event;
    std::string bytes;
  };
  std::map<Id, std::string> open_;
  std::vector<Pending> pending_;
  Id last_id_ = 0;
  absl::Duration last_wait_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_TESTING_HAND_STREAMS_H_
