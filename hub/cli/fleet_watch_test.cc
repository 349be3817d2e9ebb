#include "hub/cli/fleet_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "common/status.h"
#include "common/time_format.h"
#include "hub/cli/testing/fakes.h"

namespace muster::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

fleet::v1::WatchFleetResponse Fleet(absl::Time now, types::v1::TargetState state, types::v1::DeploymentStatus status) {
  fleet::v1::WatchFleetResponse response;
  fleet::v1::FleetStatus* fleet = response.mutable_status();
  *fleet->mutable_hub_time() = ToProto(now);
  fleet->set_organization("Acme");
  auto* count = fleet->add_targets();
  count->set_state(state);
  count->set_count(1);
  auto* entry = fleet->add_target_statuses();
  entry->mutable_target()->set_id("tgt_1");
  entry->mutable_target()->set_name("web-01");
  entry->mutable_target()->set_state(state);
  entry->mutable_target()->mutable_session()->set_id("ses_1");
  *entry->mutable_target()->mutable_state_time() = ToProto(now - absl::Seconds(10));
  auto* shop = entry->add_deployments();
  shop->set_id("dep_1");
  shop->set_name("shop");
  shop->set_status(status);
  shop->set_message(status == types::v1::DEPLOYMENT_STATUS_ERROR ? "web exited with 1" : "");
  return response;
}

constexpr auto kConnected = types::v1::TARGET_STATE_CONNECTED;
constexpr auto kHealthy = types::v1::DEPLOYMENT_STATUS_HEALTHY;
constexpr auto kError = types::v1::DEPLOYMENT_STATUS_ERROR;

class FleetWatchTest : public ::testing::Test {
 protected:
  // One stream: these messages 5 s apart, then `end`.
  void AddStream(std::vector<fleet::v1::WatchFleetResponse> messages, absl::Status end) {
    app_.hub.streams.push_back([this, messages = std::move(messages), end](StreamHandler* handler) {
      RETURN_IF_ERROR(handler->OnHead({.status = 200, .content_type = "application/connect+json", .date = {}}));
      for (const auto& message : messages) {
        RETURN_IF_ERROR(handler->OnBytes(EncodeEnvelope(*ToJson(message))));
        app_.clock.Advance(absl::Seconds(5));
        RETURN_IF_ERROR(handler->OnTick());
      }
      if (end.ok()) {
        std::string envelope = EncodeEnvelope("{}");
        envelope[0] = 2;
        return handler->OnBytes(envelope);
      }
      return end;
    });
  }
  void AddInterrupt() {
    app_.hub.streams.push_back([this](StreamHandler*) {
      app_.interrupt.raised = true;
      return Interrupted();
    });
  }
  static absl::Status Broken() {
    return MakeError(absl::StatusCode::kUnavailable, "CONNECTION_BROKEN", "reset by peer; x");
  }

  FakeApp app_;
};

TEST_F(FleetWatchTest, PrintsALineForEachChangeInAPipe) {
  const absl::Time now = app_.clock.Now();
  AddStream({Fleet(now, kConnected, kHealthy), Fleet(now + absl::Seconds(5), kConnected, kHealthy),
             Fleet(now + absl::Seconds(9), kConnected, kError)},
            Broken());
  AddStream({Fleet(now + absl::Seconds(20), kConnected, kError)}, Broken());
  AddInterrupt();
  EXPECT_EQ(app_.Run({"status", "--watch"}), 130);
  EXPECT_EQ(app_.console.out,
            "2027-01-15T08:00:00Z  web-01  ● connected\n"
            "2027-01-15T08:00:00Z  web-01/shop  ● healthy\n"
            "2027-01-15T08:00:09Z  web-01/shop  ✖ error (was ● healthy)  web exited with 1\n");
  EXPECT_THAT(app_.console.err,
              HasSubstr("muster: the hub is away: reset by peer; trying again\nmuster: the hub is back\n"));
}

TEST_F(FleetWatchTest, JsonIsOneDocumentALine) {
  const absl::Time now = app_.clock.Now();
  AddStream({Fleet(now, kConnected, kHealthy), Fleet(now, kConnected, kError)}, absl::OkStatus());
  AddInterrupt();
  EXPECT_EQ(app_.Run({"status", "--watch", "-o", "json"}), 130);
  EXPECT_EQ(std::count(app_.console.out.begin(), app_.console.out.end(), '\n'), 2);
  EXPECT_THAT(app_.console.out, HasSubstr("{\"status\":{"));
}

TEST_F(FleetWatchTest, DrawsInPlaceOnATerminalAndTicks) {
  app_.console.output_is_terminal = true;
  AddStream({Fleet(app_.clock.Now(), kConnected, kHealthy)}, Broken());
  AddInterrupt();
  EXPECT_EQ(app_.Run({"status", "--watch", "--no-color"}), 130);
  const std::string& out = app_.console.out;
  EXPECT_EQ(out.substr(0, out.find('\n')), "Acme  2027-01-15T08:00:00Z\x1b[K");
  // Drawn again five seconds later, over the seven lines of the first drawing.
  EXPECT_THAT(out, HasSubstr("\x1b[J\r\x1b[7A"
                             "Acme  2027-01-15T08:00:05Z\x1b[K\n"));
  EXPECT_THAT(out, HasSubstr("● connected  15s"));
  EXPECT_THAT(out, HasSubstr("✖ hub away for 0s: reset by peer; trying again\x1b[K\n"));
  EXPECT_THAT(out, Not(HasSubstr("\x1b[2J")));
}

TEST_F(FleetWatchTest, NeverDrawsMoreLinesThanTheScreenHas) {
  app_.console.output_is_terminal = true;
  app_.console.size.rows = 5;
  AddStream({Fleet(app_.clock.Now(), kConnected, kHealthy)}, absl::OkStatus());
  AddInterrupt();
  EXPECT_EQ(app_.Run({"status", "--watch"}), 130);
  EXPECT_THAT(app_.console.out, HasSubstr("and 4 more lines"));
  EXPECT_THAT(app_.console.out, HasSubstr("\x1b[4A"));
}

TEST_F(FleetWatchTest, ReopensASilentStreamWithoutAWord) {
  const absl::Time now = app_.clock.Now();
  AddStream({Fleet(now, kConnected, kHealthy)},
            MakeError(absl::StatusCode::kDeadlineExceeded, "STREAM_IDLE", "silent"));
  AddStream({Fleet(now, kConnected, kHealthy)}, absl::OkStatus());
  AddInterrupt();
  EXPECT_EQ(app_.Run({"status", "--watch"}), 130);
  EXPECT_THAT(app_.console.err, Not(HasSubstr("away")));
}

TEST_F(FleetWatchTest, TheFirstConnectionHasToSucceed) {
  AddStream({}, Broken());
  EXPECT_EQ(app_.Run({"status", "--watch"}), 7);
  EXPECT_THAT(app_.console.err, HasSubstr("[CONNECTION_BROKEN]"));
}

TEST_F(FleetWatchTest, GivesUpWhenWaitingDoesNotHelp) {
  AddStream({Fleet(app_.clock.Now(), kConnected, kHealthy)}, Broken());
  app_.hub.streams.push_back([](StreamHandler* handler) {
    RETURN_IF_ERROR(handler->OnHead({.status = 401, .content_type = "application/json", .date = {}}));
    return handler->OnBytes(R"({"code":"unauthenticated","message":"the token was revoked"})");
  });
  EXPECT_EQ(app_.Run({"status", "--watch"}), 4);
  EXPECT_THAT(app_.console.err, HasSubstr("watch the fleet: the token was revoked"));
}

TEST_F(FleetWatchTest, AStreamCutInTheMiddleIsNoOrderlyEnd) {
  app_.hub.streams.push_back([](StreamHandler* handler) {
    RETURN_IF_ERROR(handler->OnHead({.status = 200, .content_type = "application/connect+json", .date = {}}));
    return handler->OnBytes(std::string_view("\x00\x00\x00\x00\x20{\"sta", 10));
  });
  EXPECT_EQ(app_.Run({"status", "--watch"}), 7);
  EXPECT_THAT(app_.console.err, HasSubstr("[STREAM_CUT]"));
}

TEST_F(FleetWatchTest, TheErrorAtTheEndOfTheStreamCounts) {
  app_.hub.streams.push_back([](StreamHandler* handler) {
    RETURN_IF_ERROR(handler->OnHead({.status = 200, .content_type = "application/connect+json", .date = {}}));
    std::string end = EncodeEnvelope(R"({"error":{"code":"permission_denied","message":"not for you"}})");
    end[0] = 2;
    return handler->OnBytes(end);
  });
  EXPECT_EQ(app_.Run({"status", "--watch"}), 4);
  EXPECT_THAT(app_.console.err, HasSubstr("not for you"));
}

TEST_F(FleetWatchTest, EndsWhenTheOutputIsGone) {
  app_.console.write_status = MakeError(absl::StatusCode::kAborted, "OUTPUT_FAILED", "write the output: broken pipe");
  AddStream({Fleet(app_.clock.Now(), kConnected, kHealthy)}, absl::OkStatus());
  EXPECT_EQ(app_.Run({"status", "--watch"}), 1);
}

TEST(FleetChanges, ATargetThatLeavesTheListOfTheWorstIsNotGone) {
  FleetChanges changes;
  fleet::v1::WatchFleetResponse first = Fleet(absl::UnixEpoch(), kConnected, kHealthy);
  EXPECT_EQ(changes.Next(first.status()).size(), 2u);
  fleet::v1::FleetStatus others = first.status();
  others.mutable_targets(0)->set_count(2);
  others.mutable_target_statuses(0)->mutable_target()->set_id("tgt_2");
  others.mutable_target_statuses(0)->mutable_deployments(0)->set_id("dep_2");
  EXPECT_EQ(changes.Next(others).size(), 2u);  // two new ones, none gone
  fleet::v1::FleetStatus empty = others;
  empty.clear_targets();
  empty.clear_target_statuses();
  EXPECT_EQ(changes.Next(empty).size(), 4u);  // now all four are gone
}

}  // namespace
}  // namespace muster::cli
