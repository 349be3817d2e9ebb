#include "hub/cli/log_follow.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "common/status.h"
#include "common/time_format.h"
#include "hub/cli/testing/fakes.h"

namespace muster::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const absl::Time kTime = absl::FromUnixMillis(1'795'238'661'123);

// Lines of these numbers, a second apart each, and where to go on.
fleet::v1::TailLogsResponse Lines(const std::vector<int>& numbers, const std::string& position) {
  fleet::v1::TailLogsResponse message;
  for (const int number : numbers) {
    fleet::v1::LogLine* line = message.add_entries()->mutable_line();
    *line->mutable_time() = ToProto(kTime + absl::Seconds(number));
    line->set_resource("web");
    line->set_level(types::v1::LOG_LEVEL_INFO);
    line->set_text(fmt::format("line {}", number));
  }
  message.set_position(position);
  return message;
}

class LogFollowTest : public ::testing::Test {
 protected:
  // One stream: these messages 5 s apart, then `end`.
  void AddStream(std::vector<fleet::v1::TailLogsResponse> messages, const absl::Status& end) {
    app_.hub.streams.push_back([this, messages = std::move(messages), end](StreamHandler* handler) {
      RETURN_IF_ERROR(handler->OnHead({.status = 200, .content_type = "application/connect+json", .date = {}}));
      for (const auto& message : messages) {
        RETURN_IF_ERROR(handler->OnBytes(EncodeEnvelope(*ToJson(message))));
        app_.clock.Advance(absl::Seconds(5));
        RETURN_IF_ERROR(handler->OnTick());
      }
      if (!end.ok()) return end;
      std::string envelope = EncodeEnvelope("{}");
      envelope[0] = 2;
      return handler->OnBytes(envelope);
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
  static absl::Status BadPosition() {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_POSITION", "the position is not known");
  }
  fleet::v1::TailLogsRequest RequestAt(std::size_t index) const {
    fleet::v1::TailLogsRequest request;
    const std::string& body = app_.hub.requests.at(index).body;
    EXPECT_TRUE(FromJson(std::string_view(body).substr(5), &request).ok()) << body;
    return request;
  }

  FakeApp app_;
};

TEST_F(LogFollowTest, BeginsWithTheLast100LinesAndGoesOn) {
  AddStream({Lines({1, 2}, "p2"), Lines({}, "p2"), Lines({3}, "p3")}, absl::OkStatus());
  AddInterrupt();
  EXPECT_EQ(app_.Run({"logs", "shop", "-f", "--level", "error", "--text", "x"}), 130);
  EXPECT_EQ(app_.console.out,
            "2026-11-21T05:24:22.123Z web I line 1\n2026-11-21T05:24:23.123Z web I line 2\n"
            "2026-11-21T05:24:24.123Z web I line 3\n");
  EXPECT_EQ(app_.console.err, "");
  EXPECT_EQ(app_.hub.requests[0].url, "https://hub:8080/muster.fleet.v1.FleetService/TailLogs");
  EXPECT_EQ(RequestAt(0).last_lines(), 100);
  EXPECT_EQ(RequestAt(0).resume_position(), "");
  EXPECT_EQ(RequestAt(0).selection().deployment(), "shop");
  EXPECT_EQ(RequestAt(0).selection().text(), "x");
  EXPECT_EQ(RequestAt(0).selection().levels_size(), 2);
}

TEST_F(LogFollowTest, BeginsWhereItIsTold) {
  for (const auto& [args, last_lines, has_from] : std::vector<std::tuple<std::vector<std::string>, int, bool>>{
           {{"--tail", "0"}, 0, false}, {{"--tail", "7"}, 7, false}, {{"--from", "-1h"}, 0, true}}) {
    FakeApp app;
    app.hub.streams.push_back([&app](StreamHandler*) {
      app.interrupt.raised = true;
      return Interrupted();
    });
    std::vector<std::string> all = {"agent-logs", "web-01", "--follow"};
    all.insert(all.end(), args.begin(), args.end());
    EXPECT_EQ(app.Run(all), 130);
    fleet::v1::TailLogsRequest request;
    ASSERT_TRUE(FromJson(std::string_view(app.hub.requests.at(0).body).substr(5), &request).ok());
    EXPECT_EQ(request.last_lines(), last_lines);
    EXPECT_EQ(request.selection().has_from_time(), has_from);
    EXPECT_EQ(request.selection().target(), "web-01");
  }
}

TEST_F(LogFollowTest, GoesOnBehindTheLastLineAfterALostConnection) {
  AddStream({Lines({1}, "p1"), Lines({2}, "p2")}, Broken());
  AddStream({}, Broken());
  AddStream({Lines({3}, "p3")}, MakeError(absl::StatusCode::kDeadlineExceeded, "STREAM_IDLE", "silent"));
  AddInterrupt();
  EXPECT_EQ(app_.Run({"logs", "shop", "-f"}), 130);
  EXPECT_EQ(RequestAt(1).resume_position(), "p2");
  EXPECT_EQ(RequestAt(2).resume_position(), "p2");
  EXPECT_EQ(RequestAt(3).resume_position(), "p3");
  EXPECT_EQ(std::count(app_.console.out.begin(), app_.console.out.end(), '\n'), 3);
  EXPECT_EQ(app_.console.err, "muster: the hub is away: reset by peer; trying again\nmuster: the hub is back\n");
}

// What was not written may not be skipped: the position moves behind the lines.
TEST_F(LogFollowTest, ThePositionOfAMessageCutInTheMiddleIsNotTaken) {
  AddStream({Lines({1}, "p1")}, absl::OkStatus());
  app_.hub.streams.push_back([](StreamHandler* handler) {
    RETURN_IF_ERROR(handler->OnHead({.status = 200, .content_type = "application/connect+json", .date = {}}));
    const std::string whole = EncodeEnvelope(*ToJson(Lines({2}, "p2")));
    return handler->OnBytes(std::string_view(whole).substr(0, whole.size() - 1));
  });
  AddInterrupt();
  EXPECT_EQ(app_.Run({"logs", "shop", "-f"}), 130);
  EXPECT_EQ(RequestAt(2).resume_position(), "p1");
  EXPECT_THAT(app_.console.out, Not(HasSubstr("line 2")));
}

TEST_F(LogFollowTest, AnUnknownPositionGoesOnByTime) {
  AddStream({Lines({1, 9, 2}, "p1")}, Broken());
  AddStream({}, BadPosition());
  AddStream({Lines({9, 10}, "q1")}, Broken());
  AddInterrupt();
  EXPECT_EQ(app_.Run({"logs", "shop", "-f", "--tail", "5"}), 130);
  EXPECT_EQ(RequestAt(1).resume_position(), "p1");
  EXPECT_EQ(RequestAt(2).resume_position(), "");
  EXPECT_EQ(RequestAt(2).last_lines(), 0);
  EXPECT_EQ(FromProto(RequestAt(2).selection().from_time()), kTime + absl::Seconds(9));
  EXPECT_EQ(RequestAt(3).resume_position(), "q1");
  EXPECT_THAT(app_.console.err, HasSubstr("going on at 2026-11-21T05:24:30.123Z, of which lines may come twice\n"));
}

TEST_F(LogFollowTest, AnUnknownPositionBeforeAnyLineBeginsAnew) {
  AddStream({Lines({}, "p1")}, Broken());
  AddStream({}, BadPosition());
  AddStream({Lines({1}, "q1")}, Broken());
  AddInterrupt();
  EXPECT_EQ(app_.Run({"logs", "shop", "-f", "--tail", "5"}), 130);
  EXPECT_EQ(RequestAt(2).last_lines(), 5);
  EXPECT_FALSE(RequestAt(2).selection().has_from_time());
  EXPECT_THAT(app_.console.err, HasSubstr("beginning anew\n"));
}

TEST_F(LogFollowTest, TheFirstConnectionHasToSucceed) {
  AddStream({}, MakeError(absl::StatusCode::kResourceExhausted, "API_BUSY", "64 tails are open; close one"));
  EXPECT_EQ(app_.Run({"logs", "shop", "-f"}), 1);
  EXPECT_EQ(app_.console.err, "muster: logs of deployment shop: 64 tails are open; close one [API_BUSY]\n");
}

TEST_F(LogFollowTest, GivesUpWhenWaitingDoesNotHelp) {
  AddStream({Lines({1}, "p1")}, Broken());
  AddStream({}, MakeError(absl::StatusCode::kNotFound, "DEPLOYMENT_NOT_FOUND", "no deployment shop"));
  EXPECT_EQ(app_.Run({"logs", "shop", "-f"}), 3);
  EXPECT_THAT(app_.console.err, HasSubstr("no deployment shop"));
}

TEST_F(LogFollowTest, JsonIsAnEntryALine) {
  AddStream({Lines({1, 2}, "p2"), Lines({}, "p2")}, absl::OkStatus());
  AddInterrupt();
  EXPECT_EQ(app_.Run({"logs", "shop", "-f", "-o", "json"}), 130);
  EXPECT_EQ(std::count(app_.console.out.begin(), app_.console.out.end(), '\n'), 2);
  EXPECT_THAT(app_.console.out, HasSubstr("{\"line\":{"));
}

TEST_F(LogFollowTest, EndsWhenTheOutputIsGone) {
  app_.console.write_status = MakeError(absl::StatusCode::kAborted, "OUTPUT_FAILED", "write the output: broken pipe");
  AddStream({Lines({1}, "p1")}, absl::OkStatus());
  EXPECT_EQ(app_.Run({"logs", "shop", "-f"}), 1);
  EXPECT_EQ(app_.hub.requests.size(), 1u);
}

}  // namespace
}  // namespace muster::cli
