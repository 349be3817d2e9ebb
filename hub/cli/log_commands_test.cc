#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "common/status.h"
#include "common/time_format.h"
#include "hub/cli/app.h"
#include "hub/cli/testing/fakes.h"

namespace muster::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const absl::Time kTime = absl::FromUnixMillis(1'795'238'661'123);

fleet::v1::LogEntry Line(int number, bool context = false) {
  fleet::v1::LogEntry entry;
  fleet::v1::LogLine* line = entry.mutable_line();
  *line->mutable_time() = ToProto(kTime + absl::Seconds(number));
  line->set_resource("web");
  line->set_stream(types::v1::LOG_STREAM_STDOUT);
  line->set_level(types::v1::LOG_LEVEL_INFO);
  line->set_text(fmt::format("line {}", number));
  line->set_number(number);
  line->set_context(context);
  return entry;
}

std::string LogTime(int number) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", kTime + absl::Seconds(number), absl::UTCTimeZone());
}
std::string Row(int number) { return fmt::format("{} web I line {}\n", LogTime(number), number); }

fleet::v1::QueryLogsResponse Page(const std::vector<fleet::v1::LogEntry>& entries, const std::string& next = "") {
  fleet::v1::QueryLogsResponse response;
  for (const auto& entry : entries) *response.add_entries() = entry;
  response.set_next_page_token(next);
  return response;
}

fleet::v1::QueryLogsResponse Stopped(fleet::v1::QueryLogsResponse page, int reached) {
  page.mutable_stop()->set_reason("TIME");
  *page.mutable_stop()->mutable_reached_time() = ToProto(kTime + absl::Seconds(reached));
  page.mutable_stop()->set_scanned_bytes(512 << 20);
  return page;
}

fleet::v1::QueryLogsRequest RequestAt(const FakeApp& app, std::size_t index) {
  fleet::v1::QueryLogsRequest request;
  EXPECT_TRUE(FromJson(app.hub.requests.at(index).body, &request).ok());
  return request;
}

// ---- what is asked

TEST(Logs, TheSelectionIsWhatTheOptionsSay) {
  fleet::v1::LogSelection all;
  all.set_deployment("web-01/shop");
  const auto with = [&all](const std::function<void(fleet::v1::LogSelection*)>& set) {
    fleet::v1::LogSelection selection = all;
    set(&selection);
    return selection;
  };
  const absl::Time two_hours_ago = absl::FromUnixSeconds(1'800'000'000 - 7200);
  const struct {
    std::vector<std::string> args;
    fleet::v1::LogSelection selection;
  } cases[] = {
      {{}, all},
      {{"--resource", "a", "--resource=b"}, with([](auto* s) {
         s->add_resources("a");
         s->add_resources("b");
       })},
      {{"--stream", "stderr"}, with([](auto* s) { s->set_stream(types::v1::LOG_STREAM_STDERR); })},
      {{"--level", "error"}, with([](auto* s) {
         s->add_levels(types::v1::LOG_LEVEL_ERROR);
         s->add_levels(types::v1::LOG_LEVEL_FATAL);
       })},
      {{"--level", "none,info"}, with([](auto* s) {
         s->add_levels(types::v1::LOG_LEVEL_UNSPECIFIED);
         s->add_levels(types::v1::LOG_LEVEL_INFO);
       })},
      {{"--revision", "r1"}, with([](auto* s) { s->set_revision("r1"); })},
      {{"--from", "-2h", "--to", "now"}, with([&](auto* s) {
         *s->mutable_from_time() = ToProto(two_hours_ago);
         *s->mutable_to_time() = ToProto(two_hours_ago + absl::Hours(2));
       })},
      {{"--filter", "a|b$"}, with([](auto* s) { s->set_regex("a|b$"); })},
      {{"--text", "-x"}, with([](auto* s) { s->set_text("-x"); })},
  };
  for (const auto& c : cases) {
    FakeApp app;
    app.hub.Answer("QueryLogs", Page({}));
    app.hub.Answer("GetLogVolume", fleet::v1::GetLogVolumeResponse());
    std::vector<std::string> args = {"logs"};
    args.insert(args.end(), c.args.begin(), c.args.end());
    args.emplace_back("web-01/shop");  // behind: no option takes it
    ASSERT_EQ(app.Run(args), 0) << app.console.err;
    EXPECT_EQ(app.LastRequest<fleet::v1::QueryLogsRequest>().selection().DebugString(), c.selection.DebugString());
    args.emplace_back("--volume");
    ASSERT_EQ(app.Run(args), 0) << app.console.err;
    EXPECT_EQ(app.LastRequest<fleet::v1::GetLogVolumeRequest>().selection().DebugString(), c.selection.DebugString());
  }
}

TEST(Logs, OptionsThatMeanNothingAreRefused) {
  const std::vector<std::vector<std::string>> cases = {
      {},
      {"d", "surplus"},
      {"d", "--level", "loud"},
      {"d", "--stream", "agent"},
      {"d", "--ansi", "rainbow"},
      {"d", "--export", "xml"},
      {"d", "--from", "soon"},
      {"d", "--tail", "-1"},
      {"d", "--tail", "0"},
      {"d", "--tail", "100001"},
      {"d", "-C", "51"},
      {"d", "--filter", "a", "--text", "b"},
      {"d", "-f", "--volume"},
      {"d", "--export", "text", "--resources"},
      {"d", "-f", "--to", "now"},
      {"d", "-f", "--reverse"},
      {"d", "-f", "-C", "1"},
      {"d", "-f", "--tail", "5", "--from", "-1h"},
      {"d", "-f", "--tail", "1001"},
      {"d", "--export", "text", "--tail", "5"},
      {"d", "--export", "text", "--ansi", "keep"},
      {"d", "--export", "text", "-o", "json"},
      {"d", "--volume", "--reverse"},
      {"d", "--resources", "--from", "-1h"},
      {"d", "--resources", "--level", "warn"},
  };
  for (std::vector<std::string> args : cases) {
    args.insert(args.begin(), "logs");
    FakeApp app;
    EXPECT_EQ(app.Run(args), 2) << ::testing::PrintToString(args);
    EXPECT_TRUE(app.hub.requests.empty()) << ::testing::PrintToString(args);
    EXPECT_THAT(app.console.err, HasSubstr("[USAGE]")) << ::testing::PrintToString(args);
    EXPECT_EQ(app.console.out, "");
  }
  FakeApp app;
  EXPECT_EQ(app.Run({"agent-logs", "t", "--resource", "web"}), 2);
}

// ---- lines

TEST(Logs, ShowsTheLast100LinesOldestFirst) {
  FakeApp app;
  app.hub.Answer("QueryLogs", Page({Line(3), Line(2), Line(1)}));
  EXPECT_EQ(app.Run({"logs", "shop"}), 0) << app.console.err;
  const auto request = RequestAt(app, 0);
  EXPECT_EQ(request.order(), fleet::v1::LOG_ORDER_NEWEST_FIRST);
  EXPECT_EQ(request.page_size(), 100);
  EXPECT_EQ(request.context_lines(), 0);
  EXPECT_EQ(app.console.out, Row(1) + Row(2) + Row(3));
  EXPECT_EQ(app.console.err, "");
}

TEST(Logs, TailGoesOverPagesAndStopsAtItsNumber) {
  FakeApp app;
  app.hub.Answer("QueryLogs", Page({Line(5), Line(4, /*context=*/true)}, "p2"));
  app.hub.Answer("QueryLogs", Page({Line(3), Line(2)}, "p3"));
  EXPECT_EQ(app.Run({"logs", "shop", "--tail", "3", "--from", "-2d"}), 0) << app.console.err;
  ASSERT_EQ(app.hub.requests.size(), 2u);
  EXPECT_EQ(RequestAt(app, 0).page_size(), 3);
  EXPECT_EQ(RequestAt(app, 1).page_size(), 2);  // context does not count
  EXPECT_EQ(RequestAt(app, 1).page_token(), "p2");
  EXPECT_TRUE(RequestAt(app, 1).selection().has_from_time());
  EXPECT_EQ(app.console.out, Row(2) + Row(3) + Row(4) + Row(5));
}

TEST(Logs, FromATimeOnShowsPageAfterPageToTheEnd) {
  FakeApp app;
  app.hub.Answer("QueryLogs", Page({Line(1), Line(2)}, "p2"));
  app.hub.Answer("QueryLogs", Page({}, "p3"));
  app.hub.Answer("QueryLogs", Page({Line(3)}));
  EXPECT_EQ(app.Run({"logs", "shop", "--from", "2h ago"}), 0) << app.console.err;
  ASSERT_EQ(app.hub.requests.size(), 3u);
  EXPECT_EQ(RequestAt(app, 2).order(), fleet::v1::LOG_ORDER_OLDEST_FIRST);
  EXPECT_EQ(RequestAt(app, 2).page_size(), 1000);
  EXPECT_EQ(RequestAt(app, 2).page_token(), "p3");
  EXPECT_EQ(app.console.out, Row(1) + Row(2) + Row(3));
}

TEST(Logs, ReverseShowsTheNewestFirst) {
  FakeApp app;
  fleet::v1::LogEntry first = Line(1);
  first.mutable_line()->set_continued(true);
  fleet::v1::LogEntry second = Line(1);
  app.hub.Answer("QueryLogs", Page({Line(2), second, first}, "p2"));
  app.hub.Answer("QueryLogs", Page({Line(0)}));
  EXPECT_EQ(app.Run({"logs", "shop", "--reverse"}), 0) << app.console.err;
  EXPECT_EQ(app.console.out, Row(2) + "+ " + Row(1) + Row(1) + Row(0));
  EXPECT_EQ(RequestAt(app, 0).page_size(), 100);
  EXPECT_EQ(RequestAt(app, 1).page_size(), 97);
  FakeApp window;
  window.hub.Answer("QueryLogs", Page({Line(2)}, "p2"));
  window.hub.Answer("QueryLogs", Page({Line(1)}));
  EXPECT_EQ(window.Run({"logs", "shop", "--reverse", "--from", "-1d"}), 0);
  EXPECT_EQ(RequestAt(window, 1).order(), fleet::v1::LOG_ORDER_NEWEST_FIRST);
  EXPECT_EQ(RequestAt(window, 1).page_size(), 1000);
  EXPECT_EQ(window.console.out, Row(2) + Row(1));
}

TEST(Logs, ContextIsAskedForAndHitsAreMarked) {
  FakeApp app;
  app.hub.Answer("QueryLogs", Page({Line(3, true), Line(2), Line(1, true)}));
  EXPECT_EQ(app.Run({"logs", "shop", "--text", "x", "-C", "1"}), 0) << app.console.err;
  EXPECT_EQ(RequestAt(app, 0).context_lines(), 1);
  EXPECT_EQ(app.console.out, "  " + Row(1) + "> " + Row(2) + "  " + Row(3));
}

TEST(Logs, OneResourceIsNotNamedInEachLine) {
  FakeApp app;
  app.hub.Answer("QueryLogs", Page({Line(1)}));
  EXPECT_EQ(app.Run({"logs", "shop", "--resource", "web"}), 0);
  EXPECT_EQ(app.console.out, LogTime(1) + " I line 1\n");
  EXPECT_EQ(app.Run({"agent-logs", "web-01"}), 0);
  EXPECT_EQ(app.console.out, LogTime(1) + " I line 1\n");
  EXPECT_EQ(app.LastRequest<fleet::v1::QueryLogsRequest>().selection().target(), "web-01");
}

TEST(Logs, JsonIsAnEntryALine) {
  FakeApp app;
  fleet::v1::LogEntry gap;
  gap.mutable_gap()->set_reason("RATE");
  app.hub.Answer("QueryLogs", Page({gap, Line(2), Line(1)}));
  EXPECT_EQ(app.Run({"logs", "shop", "-o", "json"}), 0) << app.console.err;
  EXPECT_EQ(std::count(app.console.out.begin(), app.console.out.end(), '\n'), 3);
  EXPECT_THAT(app.console.out, AllOf(StartsWith("{\"line\":{"), HasSubstr("\"text\":\"line 1\""),
                                     HasSubstr("\"number\":\"2\""), HasSubstr("{\"gap\":{"), HasSubstr("\"RATE\"")));
  EXPECT_LT(app.console.out.find("line 1"), app.console.out.find("line 2"));
  EXPECT_LT(app.console.out.find("line 2"), app.console.out.find("RATE"));
}

TEST(Logs, NoLinesIsSaidAndNoFailure) {
  FakeApp app;
  app.hub.Answer("QueryLogs", Page({}));
  EXPECT_EQ(app.Run({"logs", "shop"}), 0);
  EXPECT_EQ(app.console.out, "");
  EXPECT_EQ(app.console.err, "muster: no such lines\n");
  EXPECT_EQ(app.Run({"logs", "shop", "-o", "json"}), 0);
  EXPECT_EQ(app.console.err, "");
}

TEST(Logs, AScanThatStoppedGoesOnAndATerminalHearsHowFarItIs) {
  for (const bool terminal : {false, true}) {
    FakeApp app;
    app.console.error_is_terminal = terminal;
    app.hub.Answer("QueryLogs", Stopped(Page({}, "p2"), 1000));
    app.hub.Answer("QueryLogs", Stopped(Page({}, "p3"), 2000));
    app.hub.Answer("QueryLogs", Page({Line(1)}));
    EXPECT_EQ(app.Run({"logs", "shop", "--from", "-2d", "--text", "x"}), 0) << app.console.err;
    EXPECT_EQ(app.console.out, Row(1));
    EXPECT_EQ(app.console.err, terminal ? "\rmuster: searched up to 2026-11-21T05:41:01Z, 512.0 MiB\x1b[K"
                                          "\rmuster: searched up to 2026-11-21T05:57:41Z, 1.0 GiB\x1b[K\r\x1b[K"
                                        : "");
  }
}

// A search back through everything may take long; what it has found is not thrown away.
TEST(Logs, WhatWasFoundIsShownWhenTheSearchFails) {
  FakeApp app;
  app.hub.Answer("QueryLogs", Page({Line(2), Line(1)}, "p2"));
  app.hub.Reply("QueryLogs", 503, "application/json", R"({"code":"unavailable","message":"the hub stops"})");
  EXPECT_EQ(app.Run({"logs", "shop", "--text", "x"}), 7);
  EXPECT_EQ(app.console.out, Row(1) + Row(2));
  EXPECT_THAT(app.console.err, HasSubstr("the hub stops"));
}

TEST(Logs, PagesWithoutEndAreAnError) {
  FakeApp app;
  app.hub.Answer("QueryLogs", Page({Line(1)}, "same"));
  EXPECT_EQ(app.Run({"logs", "shop", "--from", "-2d"}), 1);
  EXPECT_THAT(app.console.err, HasSubstr("[BAD_REPLY]"));
  EXPECT_EQ(app.hub.requests.size(), 2u);
}

TEST(Logs, ColoursOfLinesPassOnATerminalOnly) {
  const struct {
    bool terminal;
    std::vector<std::string> options;
    bool text_coloured;
    bool head_coloured;
  } cases[] = {
      {false, {}, false, false},
      {true, {}, true, true},
      {true, {"--no-color"}, false, false},
      {true, {"--ansi", "strip"}, false, true},
      {false, {"--ansi", "keep"}, true, false},
      {false, {"--ansi", "auto"}, false, false},
      {true, {"--ansi", "keep", "--no-color"}, true, false},
  };
  fleet::v1::LogEntry line = Line(1);
  line.mutable_line()->set_text("\x1b[35mx\x1b[2J");
  for (const auto& c : cases) {
    FakeApp app;
    app.console.output_is_terminal = c.terminal;
    app.hub.Answer("QueryLogs", Page({line}));
    std::vector<std::string> args = {"logs", "shop"};
    args.insert(args.end(), c.options.begin(), c.options.end());
    EXPECT_EQ(app.Run(args), 0) << app.console.err;
    EXPECT_EQ(app.console.out.find("\x1b[35m") != std::string::npos, c.text_coloured) << ::testing::PrintToString(args);
    EXPECT_EQ(app.console.out.find("\x1b[32m") != std::string::npos, c.head_coloured) << ::testing::PrintToString(args);
    EXPECT_THAT(app.console.out, AllOf(HasSubstr("x\\x1b[2J"), Not(HasSubstr("\x1b[2J"))));
  }
}

// ---- volume, resources, export

TEST(Logs, VolumeSaysWhereCountingStopped) {
  FakeApp app;
  fleet::v1::GetLogVolumeResponse response;
  response.mutable_stop()->set_reason("BYTES");
  *response.mutable_stop()->mutable_reached_time() = ToProto(kTime);
  app.hub.Answer("GetLogVolume", response);
  EXPECT_EQ(app.Run({"logs", "shop", "--volume"}), 0);
  EXPECT_EQ(app.LastRequest<fleet::v1::GetLogVolumeRequest>().parts(), 20);
  EXPECT_EQ(app.console.out, "No lines in this time.\n");
  EXPECT_THAT(app.console.err, HasSubstr("stopped at a limit of the hub, at 2026-11-21T05:24:21Z"));
  EXPECT_EQ(app.Run({"logs", "shop", "--volume", "-o", "json"}), 0);
  EXPECT_EQ(app.LastRequest<fleet::v1::GetLogVolumeRequest>().parts(), 0);
  EXPECT_THAT(app.console.out, StartsWith("{\"parts\":[]"));
}

TEST(Logs, ResourcesOfADeploymentOrAnAgent) {
  FakeApp app;
  fleet::v1::ListLogResourcesResponse response;
  response.add_resources()->set_name("web");
  app.hub.Answer("ListLogResources", response);
  EXPECT_EQ(app.Run({"logs", "shop", "--resources"}), 0);
  EXPECT_EQ(app.LastRequest<fleet::v1::ListLogResourcesRequest>().deployment(), "shop");
  EXPECT_THAT(app.console.out, HasSubstr("web       ○ archived"));
  EXPECT_EQ(app.Run({"agent-logs", "web-01", "--resources"}), 0);
  EXPECT_EQ(app.LastRequest<fleet::v1::ListLogResourcesRequest>().target(), "web-01");
}

class LogExportTest : public ::testing::Test {
 protected:
  void AddStream(std::vector<fleet::v1::ExportLogsResponse> messages, const absl::Status& end) {
    app_.hub.streams.push_back([messages = std::move(messages), end](StreamHandler* handler) {
      RETURN_IF_ERROR(handler->OnHead({.status = 200, .content_type = "application/connect+json", .date = {}}));
      for (const auto& message : messages) RETURN_IF_ERROR(handler->OnBytes(EncodeEnvelope(*ToJson(message))));
      if (!end.ok()) return end;
      std::string envelope = EncodeEnvelope("{}");
      envelope[0] = 2;
      return handler->OnBytes(envelope);
    });
  }
  static fleet::v1::ExportLogsResponse Data(const std::string& bytes) {
    fleet::v1::ExportLogsResponse message;
    message.set_data(bytes);
    return message;
  }
  static fleet::v1::ExportLogsResponse Trailer(std::int64_t lines, int gaps) {
    fleet::v1::ExportLogsResponse message;
    message.mutable_trailer()->set_lines(lines);
    for (int i = 0; i < gaps; ++i) {
      fleet::v1::LogGap* gap = message.mutable_trailer()->add_gaps();
      *gap->mutable_from_time() = ToProto(kTime);
      *gap->mutable_to_time() = ToProto(kTime);
      gap->set_reason("RATE");
      gap->set_lines(5);
    }
    return message;
  }

  FakeApp app_;
};

TEST_F(LogExportTest, BytesGoOutAsTheyComeAndGapsAreNamed) {
  AddStream({Data("a\x1b[1m"), Data(std::string("b\0\n", 3)), Trailer(2, 1)}, absl::OkStatus());
  EXPECT_EQ(app_.Run({"logs", "shop", "--export", "text"}), 0) << app_.console.err;
  EXPECT_EQ(app_.console.out, std::string("a\x1b[1mb\0\n", 8));
  EXPECT_EQ(app_.console.err,
            "muster: 2 lines written; missing are:\n"
            "! 2026-11-21T05:24:21.123Z .. 05:24:21.123Z 5 lines dropped: above the rate limit (RATE)\n");
  EXPECT_EQ(app_.hub.requests[0].url, "https://hub:8080/muster.fleet.v1.FleetService/ExportLogs");
  EXPECT_THAT(app_.hub.requests[0].body, AllOf(HasSubstr("LOG_EXPORT_FORMAT_TEXT"), HasSubstr("\"shop\"")));
  AddStream({Trailer(1, 30)}, absl::OkStatus());
  EXPECT_EQ(app_.Run({"logs", "shop", "--export", "jsonl"}), 0) << app_.console.err;
  EXPECT_THAT(app_.console.err, AllOf(StartsWith("muster: 1 line written"), HasSubstr("\nand 10 more gaps\n")));
  EXPECT_THAT(app_.hub.requests[1].body, HasSubstr("LOG_EXPORT_FORMAT_JSON_LINES"));
}

TEST_F(LogExportTest, WhatIsNotCompleteIsAnError) {
  AddStream({Data("a\n")}, absl::OkStatus());
  EXPECT_EQ(app_.Run({"logs", "shop", "--export", "text"}), 1);
  EXPECT_THAT(app_.console.err, AllOf(HasSubstr("what was written is not complete"), HasSubstr("[EXPORT_INCOMPLETE]")));
  AddStream({Data("a\n")}, MakeError(absl::StatusCode::kUnavailable, "CONNECTION_BROKEN", "reset by peer"));
  EXPECT_EQ(app_.Run({"logs", "shop", "--export", "text"}), 7);
  EXPECT_THAT(app_.console.err, AllOf(HasSubstr("what was written is not complete"), HasSubstr("[CONNECTION_BROKEN]")));
  AddStream({}, MakeError(absl::StatusCode::kUnavailable, "HUB_UNREACHABLE", "refused"));
  EXPECT_EQ(app_.Run({"logs", "shop", "--export", "text"}), 7);
  EXPECT_THAT(app_.console.err, Not(HasSubstr("not complete")));
}

TEST_F(LogExportTest, IsNotForATerminal) {
  app_.console.output_is_terminal = true;
  EXPECT_EQ(app_.Run({"logs", "shop", "--export", "text"}), 2);
  EXPECT_THAT(app_.console.err, HasSubstr("> FILE"));
  EXPECT_TRUE(app_.hub.requests.empty());
}

// ---- errors

TEST(Logs, ErrorsSayWhatFailedAndWhatToDo) {
  const auto error = [](const std::string& code, const std::string& reason, const std::string& message) {
    return fmt::format(
        R"({{"code":"{}","message":"{}","details":[{{"type":"muster.fleet.v1.ErrorInfo","debug":{{"reason":"{}"}}}}]}})",
        code, message, reason);
  };
  const struct {
    std::string reply;
    int exit;
    std::string said;
  } cases[] = {
      {error("not_found", "DEPLOYMENT_NOT_FOUND", "no deployment x"), 3,
       "muster: logs of deployment x: no deployment x; see the names with `muster target list` and `muster deployment "
       "list` [DEPLOYMENT_NOT_FOUND]\n"},
      {error("unimplemented", "METHOD_NOT_FOUND", "muster.fleet.v1.FleetService has no method QueryLogs"), 1,
       "muster: logs of deployment x: muster.fleet.v1.FleetService has no method QueryLogs; the hub may be older than "
       "this command; see `muster version` [METHOD_NOT_FOUND]\n"},
      {error("resource_exhausted", "API_BUSY", "32 searches wait already; try again in a moment"), 1,
       "muster: logs of deployment x: 32 searches wait already; try again in a moment [API_BUSY]\n"},
      {error("invalid_argument", "BAD_FILTER", "the filter is not valid: no argument for repetition operator: *"), 1,
       "muster: logs of deployment x: the filter is not valid: no argument for repetition operator: *, at byte 5 of "
       "--filter [BAD_FILTER]\n"},
      {error("invalid_argument", "BAD_FILTER", "the filter is not valid: missing ): a(|b*c"), 1,
       "muster: logs of deployment x: the filter is not valid: missing ): a(|b*c [BAD_FILTER]\n"},
      {error("invalid_argument", "BAD_WINDOW", "the window ends before it begins"), 1,
       "muster: logs of deployment x: the window ends before it begins [BAD_WINDOW]\n"},
  };
  for (const auto& c : cases) {
    FakeApp app;
    app.hub.Reply("QueryLogs", 400, "application/json", c.reply);
    EXPECT_EQ(app.Run({"logs", "x", "--filter", "a(|b*c"}), c.exit);
    EXPECT_EQ(app.console.err, c.said);
    EXPECT_EQ(app.console.out, "");
  }
  FakeApp app;
  app.hub.Reply("QueryLogs", 404, "application/json", error("not_found", "TARGET_NOT_FOUND", "no target x"));
  EXPECT_EQ(app.Run({"agent-logs", "x"}), 3);
  EXPECT_THAT(app.console.err, StartsWith("muster: log of the agent of x: no target x"));
}

TEST(Logs, EndsWhenTheOutputIsGone) {
  FakeApp app;
  app.console.write_status = MakeError(absl::StatusCode::kAborted, "OUTPUT_FAILED", "write the output: broken pipe");
  app.hub.Answer("QueryLogs", Page({Line(1)}, "p2"));
  EXPECT_EQ(app.Run({"logs", "shop", "--from", "-2d"}), 1);
  EXPECT_EQ(app.hub.requests.size(), 1u);
}

TEST(Logs, HelpNamesTheWordsThereAre) {
  FakeApp app;
  EXPECT_EQ(app.Run({"logs", "--help"}), 0);
  EXPECT_THAT(app.console.out, AllOf(HasSubstr("Usage: muster logs [options] DEPLOYMENT"), HasSubstr("auto|keep|strip"),
                                     HasSubstr("none|trace|debug|info|warn|error|fatal"), HasSubstr("-f,--follow"),
                                     HasSubstr("--resource RESOURCE"), HasSubstr("--export text|jsonl")));
}

}  // namespace
}  // namespace muster::cli
