// The newest sample of the host on its way into heartbeats.
#include <gtest/gtest.h>

#include "agent/session/session_logic.h"
#include "agent/session/testing/session_logic_fixture.h"

namespace muster::agent {
namespace {

class SessionHostTest : public SessionLogicTest {
 protected:
  static v1::Settings Enabled(bool enabled = true) {
    v1::Settings settings;
    settings.set_metrics_enabled(enabled);
    return settings;
  }
  static v1::HostReport Report(double load) {
    v1::HostReport report;
    report.mutable_sample()->set_load1(load);
    return report;
  }
  void Begin(const v1::Settings& settings = Enabled()) {
    logic_.Start(Now());
    Sent();
    logic_.OnPresent(PresentWith("compose/shop"), Now());
    Welcome(settings);
    Sent();
  }
  // The heartbeat that is due next.
  const v1::Heartbeat& Next() {
    const std::size_t before = SentCount();
    Pass(kDefaultHeartbeatInterval);
    EXPECT_EQ(SentCount(), before + 1);
    return Last().heartbeat();
  }
};

TEST_F(SessionHostTest, GoesWithTheNextHeartbeatOnceAndTellsItsAge) {
  Begin();
  EXPECT_FALSE(Last().heartbeat().has_host());
  Pass(absl::Seconds(2));
  const std::size_t before = SentCount();
  logic_.OnHostReport(Report(1.5), clock_.Monotonic() - absl::Seconds(1));
  EXPECT_EQ(SentCount(), before) << "no heartbeat is sent for it";
  Pass(absl::Seconds(3));
  ASSERT_TRUE(Last().heartbeat().has_host());
  EXPECT_EQ(Last().heartbeat().host().sample().load1(), 1.5);
  EXPECT_EQ(FromProto(Last().heartbeat().host().age()), absl::Seconds(4));
  EXPECT_FALSE(Next().has_host());
  logic_.OnHostReport(Report(2), clock_.Monotonic());
  EXPECT_EQ(Next().host().sample().load1(), 2);
}

TEST_F(SessionHostTest, FirstHeartbeatOfASessionCarriesItAgain) {
  Begin();
  logic_.OnHostReport(Report(1.5), clock_.Monotonic());
  EXPECT_TRUE(Next().has_host());
  logic_.OnLinkClosed(absl::OkStatus(), Now());
  Pass(WaitUntilNextAttempt());
  Welcome(Enabled());
  Sent();
  ASSERT_TRUE(Last().has_heartbeat());
  EXPECT_TRUE(Last().heartbeat().has_host());
  EXPECT_FALSE(Next().has_host());
}

TEST_F(SessionHostTest, OneThatCameWithoutASessionGoesWithTheFirstHeartbeat) {
  Begin();
  logic_.OnLinkClosed(absl::OkStatus(), Now());
  logic_.OnHostReport(Report(1.5), clock_.Monotonic());
  Pass(WaitUntilNextAttempt());
  Welcome(Enabled());
  EXPECT_TRUE(Last().heartbeat().has_host());
}

TEST_F(SessionHostTest, IsGoneWhenCollectionIsSwitchedOff) {
  Begin();
  EXPECT_EQ(output_.metrics_enabled, std::vector<bool>{true});
  logic_.OnHostReport(Report(1.5), clock_.Monotonic());
  v1::SessionResponse off;
  *off.mutable_settings() = Enabled(false);
  Frame(off);
  EXPECT_EQ(output_.metrics_enabled, (std::vector<bool>{true, false}));
  EXPECT_FALSE(Next().has_host());
  logic_.OnHostReport(Report(2), clock_.Monotonic());
  EXPECT_FALSE(Next().has_host()) << "it was under way";
  logic_.OnHostReport(std::nullopt, clock_.Monotonic());
  EXPECT_FALSE(Next().has_host());
  logic_.OnLinkClosed(absl::OkStatus(), Now());
  Pass(WaitUntilNextAttempt());
  Welcome(Enabled(false));
  EXPECT_FALSE(Last().heartbeat().has_host());
}

TEST_F(SessionHostTest, SettingsOfAHubThatSaysNothingAreOff) {
  Begin(v1::Settings());
  EXPECT_EQ(output_.metrics_enabled, std::vector<bool>{false});
}

}  // namespace
}  // namespace muster::agent
