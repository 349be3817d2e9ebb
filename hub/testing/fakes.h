// Hand-written fakes around the hub's logic.
#ifndef MUSTER_HUB_TESTING_FAKES_H_
#define MUSTER_HUB_TESTING_FAKES_H_

#include <string>
#include <utility>
#include <vector>

#include "common/secret.h"
#include "hub/fleet/session_handle.h"
#include "hub/store/history_recorder.h"

namespace muster::hub {

// Keeps what it was given.
class FakeHistory : public HistorySink {
 public:
  void Append(std::vector<HistoryEvent> added) override {
    for (HistoryEvent& event : added) events.push_back(std::move(event));
  }
  void Flush() override { ++flushes; }

  // "connected", "stale" ...: the target transitions, in order.
  template <typename Event>
  std::vector<Event> Of() const {
    std::vector<Event> found;
    for (const HistoryEvent& event : events) {
      if (const Event* match = std::get_if<Event>(&event)) found.push_back(*match);
    }
    return found;
  }

  std::vector<HistoryEvent> events;
  int flushes = 0;
};

class FakeHandle : public SessionHandle {
 public:
  void End(const Refusal& refusal) override { ended.push_back(refusal); }
  void PushSettings(const agent::v1::Settings& pushed) override { settings.push_back(pushed); }

  std::vector<Refusal> ended;
  std::vector<agent::v1::Settings> settings;
};

inline StoredTarget TestTarget(const std::string& id, const std::string& name, const std::string& secret) {
  StoredTarget target;
  target.id = id;
  target.name = name;
  target.type = types::v1::TARGET_TYPE_DOCKER;
  target.created = absl::FromUnixSeconds(1'800'000'000);
  target.secret_hash = HashSecret(secret);
  target.open = {.state = types::v1::TARGET_STATE_NOT_CONNECTED, .from = target.created, .to = {}, .reason = "created"};
  return target;
}

inline agent::v1::Hello TestHello(const std::string& id, const std::string& secret, std::int64_t counter = 0) {
  agent::v1::Hello hello;
  hello.set_protocol_version(1);
  hello.set_target_id(id);
  hello.set_target_secret(secret);
  hello.set_agent_version("0.1.0");
  hello.set_session_counter(counter);
  hello.mutable_machine()->set_hostname("customer-host");
  return hello;
}

inline agent::v1::DeploymentState TestDeployment(const std::string& key, types::v1::DeploymentStatus status,
                                                 const std::string& version = "1.0") {
  agent::v1::DeploymentState state;
  state.set_key(key);
  state.set_name(key.substr(key.find('/') + 1));
  state.set_kind(types::v1::DEPLOYMENT_KIND_COMPOSE_PROJECT);
  state.set_status(status);
  state.set_application("shop");
  state.set_application_version(version);
  state.set_revision("rev-" + version);
  return state;
}

inline agent::v1::Heartbeat SnapshotBeat(std::int64_t number, std::uint64_t digest,
                                         const std::vector<agent::v1::DeploymentState>& deployments) {
  agent::v1::Heartbeat heartbeat;
  heartbeat.set_number(number);
  heartbeat.mutable_snapshot()->set_digest(digest);
  for (const agent::v1::DeploymentState& state : deployments) *heartbeat.mutable_snapshot()->add_deployments() = state;
  return heartbeat;
}

inline agent::v1::Heartbeat DigestBeat(std::int64_t number, std::uint64_t digest) {
  agent::v1::Heartbeat heartbeat;
  heartbeat.set_number(number);
  heartbeat.set_snapshot_digest(digest);
  return heartbeat;
}

inline agent::v1::Heartbeat FaultBeat(std::int64_t number, const std::string& message) {
  agent::v1::Heartbeat heartbeat;
  heartbeat.set_number(number);
  heartbeat.mutable_observer_fault()->set_message(message);
  return heartbeat;
}

}  // namespace muster::hub

#endif  // MUSTER_HUB_TESTING_FAKES_H_
