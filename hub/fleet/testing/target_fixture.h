// One target with a clock that stands still and the events that it wrote. For tests.
#ifndef MUSTER_HUB_FLEET_TESTING_TARGET_FIXTURE_H_
#define MUSTER_HUB_FLEET_TESTING_TARGET_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/testing/fake_clock.h"
#include "hub/fleet/target.h"
#include "hub/testing/fakes.h"

namespace muster::hub {

class TargetTest : public testing::Test {
 protected:
  TargetTest()
      : listening_{.since = clock_.Monotonic(), .deaf_from = clock_.Now()},
        target_(TestTarget("tgt_1", "host-1", "mst_one")) {}

  std::shared_ptr<FakeHandle> Connect(std::int64_t number, std::int64_t counter = 0) {
    const SessionOpening opening = target_.PrepareOpening(TestHello("tgt_1", "mst_one", counter), clock_.Now());
    auto handle = std::make_shared<FakeHandle>();
    target_.OpenSession({.number = number,
                         .counter = opening.session_counter,
                         .id = "ses",
                         .peer = "10.0.0.7:4711",
                         .handle = handle,
                         .start = clock_.Now(),
                         .hello_skew = absl::Seconds(7)},
                        opening, clock_.Read(), events_);
    return handle;
  }
  std::optional<Refusal> Beat(const agent::v1::Heartbeat& heartbeat, std::int64_t session = 1) {
    return target_.Heartbeat(session, heartbeat, clock_.Read(), events_);
  }
  void Tick() { target_.Tick(clock_.Read(), listening_, events_); }
  static agent::v1::DeploymentState Gone(const std::string& key) {
    auto state = TestDeployment(key, types::v1::DEPLOYMENT_STATUS_ERROR);
    state.set_gone(true);
    return state;
  }
  types::v1::DeploymentStatus StatusOf(const std::string& name) const {
    for (const fleet::v1::Deployment& deployment : target_.Snapshot().deployments) {
      if (deployment.name() == name) return deployment.status();
    }
    return types::v1::DEPLOYMENT_STATUS_UNSPECIFIED;
  }
  template <typename Event>
  std::vector<Event> Of() const {
    FakeHistory history;
    history.events = events_;
    return history.Of<Event>();
  }

  FakeClock clock_;
  Listening listening_;
  Target target_;
  HistoryEvents events_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_FLEET_TESTING_TARGET_FIXTURE_H_
