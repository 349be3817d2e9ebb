// A SessionLogic whose output is recorded and whose time stands still; for its tests only.
#ifndef MUSTER_AGENT_SESSION_TESTING_SESSION_LOGIC_FIXTURE_H_
#define MUSTER_AGENT_SESSION_TESTING_SESSION_LOGIC_FIXTURE_H_

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "agent/session/farewell_policy.h"
#include "agent/session/session_logic.h"
#include "common/testing/fake_clock.h"
#include "common/time_format.h"
#include "common/version.h"

namespace muster::agent {

// Remembers what the session asked for.
class RecordedOutput : public SessionOutput {
 public:
  void Connect() override { ++connects; }
  void Send(const v1::SessionRequest& frame) override { sent.push_back(frame); }
  void HalfClose() override { ++half_closes; }
  void Disconnect() override { ++disconnects; }
  void KeepSessionCounter(std::int64_t counter) override {
    kept_counters.push_back(counter);
    frames_sent_before_keeping = sent.size();
  }
  void RelistIntervalChanged(absl::Duration interval) override { relist_intervals.push_back(interval); }
  void SetLogsOff(std::vector<std::string> keys) override { logs_off.push_back(std::move(keys)); }
  void SetMetricsEnabled(bool enabled) override { metrics_enabled.push_back(enabled); }
  void ReadRecords(const ReadRequest& request) override { reads.push_back(request); }

  int connects = 0;
  int half_closes = 0;
  int disconnects = 0;
  std::vector<v1::SessionRequest> sent;
  std::vector<std::int64_t> kept_counters;
  std::size_t frames_sent_before_keeping = 0;
  std::vector<absl::Duration> relist_intervals;
  std::vector<std::vector<std::string>> logs_off;
  std::vector<bool> metrics_enabled;
  std::vector<ReadRequest> reads;
};

inline Present PresentWith(const std::string& key, const std::string& message = "") {
  Present present;
  v1::DeploymentState& deployment = present.deployments.emplace_back();
  deployment.set_key(key);
  deployment.set_message(message);
  deployment.set_status(types::v1::DEPLOYMENT_STATUS_RUNNING);
  return present;
}

class SessionLogicTest : public testing::Test {
 protected:
  SessionLogicTest()
      : logic_(
            {.target_id = "tgt_1", .secret = Secret("mst_first"), .session_counter = 7},
            {.facts =
                 [] {
                   v1::Hello hello;
                   hello.set_boot_id("boot");
                   hello.mutable_machine()->set_hostname("box");
                   return hello;
                 },
             .use = [this] { return use_; }},
            [this] { return uniform_; }, &output_) {}

  Moment Now() const { return clock_.Read(); }
  const v1::SessionRequest& Last() const { return output_.sent.back(); }
  std::size_t SentCount() const { return output_.sent.size(); }

  void Frame(const v1::SessionResponse& frame) { logic_.OnFrame(frame, Now()); }
  void Sent() { logic_.OnSent(Now()); }
  // Lets time pass as the loop does: from deadline to deadline; every frame is taken by the transport at once.
  void Pass(absl::Duration duration) {
    const Instant end = clock_.Monotonic() + duration;
    while (logic_.NextDeadline() <= end) {
      const Instant due = logic_.NextDeadline();
      if (due > clock_.Monotonic()) clock_.Advance(due - clock_.Monotonic());
      const std::size_t before = SentCount();
      logic_.OnTimer(Now());
      if (SentCount() > before) Sent();
    }
    clock_.Advance(end - clock_.Monotonic());
  }
  void Welcome(const v1::Settings& settings = {}, std::int64_t counter = 8) {
    v1::SessionResponse frame;
    frame.mutable_welcome()->set_session_id("s1");
    frame.mutable_welcome()->set_target_name("edge-1");
    frame.mutable_welcome()->set_session_counter(counter);
    *frame.mutable_welcome()->mutable_settings() = settings;
    Frame(frame);
  }
  // Up to and including the first heartbeat, which the transport has taken.
  void StartSession() {
    logic_.Start(Now());
    Sent();
    logic_.OnPresent(PresentWith("compose/shop"), Now());
    Welcome();
    Sent();
  }
  void Ack(std::int64_t number) {
    v1::SessionResponse frame;
    frame.mutable_heartbeat_ack()->set_number(number);
    *frame.mutable_heartbeat_ack()->mutable_hub_time() = ToProto(clock_.Now());
    Frame(frame);
  }
  void SayFarewell(v1::FarewellReason reason, std::optional<absl::Duration> retry_after = std::nullopt) {
    v1::SessionResponse frame;
    frame.mutable_farewell()->set_reason(reason);
    frame.mutable_farewell()->set_message("because");
    if (retry_after) *frame.mutable_farewell()->mutable_retry_after() = ToProto(*retry_after);
    Frame(frame);
  }
  absl::Duration WaitUntilNextAttempt() const { return logic_.NextDeadline() - clock_.Monotonic(); }

  FakeClock clock_;
  double uniform_ = 0.5;
  OwnUse use_{.cpu_seconds_total = 1.5, .resident_bytes = 4096};
  RecordedOutput output_;
  SessionLogic logic_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_SESSION_TESTING_SESSION_LOGIC_FIXTURE_H_
