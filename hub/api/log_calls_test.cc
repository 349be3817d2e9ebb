#include "hub/api/log_calls.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hub/api/testing/log_calls_fixture.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LogCallsTest : public LogCallsFixture {
 protected:
  // What each of the five calls says; "" when it answers.
  std::vector<std::string> AskAll(const fleet::v1::LogSelection& selection, const Caller& caller) {
    QueryLogsRequest query;
    GetLogVolumeRequest volume;
    ListLogResourcesRequest resources;
    TailLogsRequest tail;
    ExportLogsRequest file;
    *query.mutable_selection() = *volume.mutable_selection() = *tail.mutable_selection() = *file.mutable_selection() =
        selection;
    *volume.mutable_selection()->mutable_from_time() = ToProto(At(0));
    *volume.mutable_selection()->mutable_to_time() = ToProto(At(1000));
    if (selection.has_deployment()) resources.set_deployment(selection.deployment());
    if (selection.has_target()) resources.set_target(selection.target());
    file.set_format(LOG_EXPORT_FORMAT_TEXT);
    const auto reason = [](const absl::Status& status) { return status.ok() ? "" : ReasonOf(status); };
    std::vector<std::string> said = {
        reason(Call<QueryLogsResponse>("QueryLogs", query, caller).status()),
        reason(Call<GetLogVolumeResponse>("GetLogVolume", volume, caller).status()),
        reason(Call<ListLogResourcesResponse>("ListLogResources", resources, caller).status())};
    const auto tailed = Open<TailLogsResponse>("TailLogs", tail, caller);
    said.push_back(EndOf(tailed));
    tailed->GoAway();
    said.push_back(EndOf(Open<ExportLogsResponse>("ExportLogs", file, caller)));
    if (said.back() == "OK") said.back() = "";
    return said;
  }
  static std::vector<std::string> Five(const std::string& reason) { return std::vector<std::string>(5, reason); }
  std::string QueryReason(const QueryLogsRequest& request) {
    const auto answer = Call<QueryLogsResponse>("QueryLogs", request);
    return answer.ok() ? "" : ReasonOf(answer.status());
  }
};

TEST_F(LogCallsTest, EveryCallerFindsItsOwnOnly) {
  log_reader_.Add(LineAt(1, "of the agent", ""), "");
  fleet::v1::LogSelection archived, by_name, target, foreign, nothing;
  archived.set_deployment("dep_1");
  by_name.set_deployment("one/shop");
  target.set_target("one");
  foreign.set_deployment("dep_2");
  const struct {
    std::string what;
    fleet::v1::LogSelection selection;
    Caller caller;
    std::string reason;
  } cases[] = {
      {"viewer", archived, CallerOf(ROLE_VIEWER), ""},
      {"operator", archived, CallerOf(ROLE_OPERATOR), ""},
      {"admin", archived, CallerOf(ROLE_ADMIN), ""},
      {"metrics", archived, CallerOf(ROLE_METRICS), "ROLE_TOO_LOW"},
      {"no role", archived, CallerOf(ROLE_UNSPECIFIED), "ROLE_TOO_LOW"},
      {"its customer's, archived", archived, CallerOf(ROLE_VIEWER, "ACME"), ""},
      {"by name, of a deleted target", by_name, CallerOf(ROLE_VIEWER, "ACME"), ""},
      {"a deleted target's agent", target, CallerOf(ROLE_VIEWER, "ACME"), ""},
      {"another customer's deployment", foreign, CallerOf(ROLE_ADMIN, "ACME"), "DEPLOYMENT_NOT_FOUND"},
      {"another customer's target", target, CallerOf(ROLE_ADMIN, "Globex"), "TARGET_NOT_FOUND"},
      {"another's name", by_name, CallerOf(ROLE_ADMIN, "Globex"), "DEPLOYMENT_NOT_FOUND"},
      {"no subject", nothing, CallerOf(ROLE_ADMIN), "SUBJECT_MISSING"},
  };
  for (const auto& c : cases) EXPECT_EQ(AskAll(c.selection, c.caller), Five(c.reason)) << c.what;
}

TEST_F(LogCallsTest, AHubWithoutLogsSaysSo) {
  FleetHandlers without({.fleet = fleet_.get(),
                         .admin = admin_.get(),
                         .tokens = tokens_.get(),
                         .store = store_.get(),
                         .clock = &clock_,
                         .started = clock_.Now(),
                         .public_url = "",
                         .connect_command = nullptr});
  fleet::v1::LogSelection selection;
  selection.set_deployment("dep_1");
  std::vector<std::string> reasons;
  for (const UnaryMethod& method : without.unary()) {
    if (method.name != "QueryLogs" && method.name != "GetLogVolume" && method.name != "ListLogResources") continue;
    const std::unique_ptr<Message> request(method.request_prototype->New());
    method.handle(CallerOf(ROLE_VIEWER), *request, [&](const absl::Status& status, const auto&) {
      EXPECT_TRUE(absl::IsUnavailable(status)) << method.name;
      reasons.push_back(ReasonOf(status));
    });
  }
  const auto tail = std::make_shared<FakeStreamOf<TailLogsResponse>>();
  const auto file = std::make_shared<FakeStreamOf<ExportLogsResponse>>();
  without.streams()[1].start(CallerOf(ROLE_VIEWER), TailLogsRequest(), tail);
  without.streams()[2].start(CallerOf(ROLE_VIEWER), ExportLogsRequest(), file);
  reasons.push_back(EndOf(tail));
  reasons.push_back(EndOf(file));
  EXPECT_EQ(reasons, Five("LOGS_UNAVAILABLE"));
  without.Tick();
  without.Stop();
}

TEST_F(LogCallsTest, BadSelectionsAreRefused) {
  const struct {
    std::string what;
    std::function<void(fleet::v1::LogSelection*)> change;
    std::string reason;
  } cases[] = {
      {"expression", [](auto* s) { s->set_regex("a(b"); }, "BAD_FILTER"},
      {"long text", [](auto* s) { s->set_text(std::string(513, 'a')); }, "BAD_FILTER"},
      {"not UTF-8", [](auto* s) { s->set_text("\xFF"); }, "BAD_FILTER"},
      {"empty expression", [](auto* s) { s->set_regex(""); }, ""},
      {"stream", [](auto* s) { s->set_stream(static_cast<types::v1::LogStream>(9)); }, "BAD_SELECTION"},
      {"level", [](auto* s) { s->add_levels(static_cast<types::v1::LogLevel>(7)); }, "BAD_SELECTION"},
      {"time", [](auto* s) { s->mutable_from_time()->set_nanos(-1); }, "BAD_TIME"},
      {"window",
       [this](auto* s) {
         *s->mutable_from_time() = ToProto(At(5));
         *s->mutable_to_time() = ToProto(At(5));
       },
       "BAD_WINDOW"},
      {"a thousand resources",
       [](auto* s) {
         for (int i = 0; i < 1000; ++i) s->add_resources(fmt::format("r{}", i));
       },
       ""},
      {"one more",
       [](auto* s) {
         for (int i = 0; i < 1001; ++i) s->add_resources(fmt::format("r{}", i));
       },
       "TOO_MANY_RESOURCES"},
  };
  for (const auto& c : cases) {
    QueryLogsRequest query = QueryOf("dep_1");
    c.change(query.mutable_selection());
    EXPECT_EQ(QueryReason(query), c.reason) << c.what;
    ExportLogsRequest file;
    *file.mutable_selection() = query.selection();
    file.set_format(LOG_EXPORT_FORMAT_TEXT);
    EXPECT_EQ(EndOf(Open<ExportLogsResponse>("ExportLogs", file, viewer_)), c.reason.empty() ? "OK" : c.reason);
  }
  QueryLogsRequest query = QueryOf("dep_1");
  query.mutable_selection()->set_regex("a(b");
  EXPECT_THAT(MessageOf(Call<QueryLogsResponse>("QueryLogs", query).status()), HasSubstr("missing )"));
}

TEST_F(LogCallsTest, BadRequestsAreRefused) {
  const struct {
    std::function<void(QueryLogsRequest*)> change;
    std::string reason;
  } cases[] = {
      {[](auto* r) { r->set_page_size(-1); }, "BAD_PAGE"},
      {[](auto* r) { r->set_page_size(1'000'000); }, ""},
      {[](auto* r) { r->set_page_token("3"); }, "BAD_PAGE_TOKEN"},
      {[](auto* r) { r->set_context_lines(-1); }, "BAD_LIMIT"},
      {[](auto* r) { r->set_context_lines(50); }, ""},
      {[](auto* r) { r->set_context_lines(51); }, "BAD_LIMIT"},
      {[](auto* r) { r->set_max_scan_bytes(-1); }, "BAD_LIMIT"},
      {[](auto* r) { r->set_order(static_cast<fleet::v1::LogOrder>(3)); }, "BAD_ORDER"},
  };
  int i = 0;
  for (const auto& c : cases) {
    QueryLogsRequest query = QueryOf("dep_1");
    c.change(&query);
    EXPECT_EQ(QueryReason(query), c.reason) << ++i;
  }
  GetLogVolumeRequest volume;
  volume.mutable_selection()->set_deployment("dep_1");
  for (const int parts : {-1, 501}) {
    volume.set_parts(parts);
    EXPECT_EQ(ReasonOf(Call<GetLogVolumeResponse>("GetLogVolume", volume).status()), "BAD_LIMIT");
  }
  for (const int lines : {-1, 1001}) EXPECT_EQ(EndOf(Tail(TailOf(lines))), "BAD_LIMIT");
  TailLogsRequest ending = TailOf(5);
  *ending.mutable_selection()->mutable_to_time() = ToProto(At(5));
  EXPECT_EQ(EndOf(Tail(ending)), "BAD_WINDOW");
  ExportLogsRequest file;
  file.mutable_selection()->set_deployment("dep_1");
  EXPECT_EQ(EndOf(Open<ExportLogsResponse>("ExportLogs", file, viewer_)), "BAD_FORMAT");
}

TEST_F(LogCallsTest, ASelectionArrivesAsItWasMeant) {
  QueryLogsRequest query = QueryOf("one/shop");
  fleet::v1::LogSelection& selection = *query.mutable_selection();
  for (const char* resource : {"b", "a", "b"}) selection.add_resources(resource);
  selection.set_stream(types::v1::LOG_STREAM_STDERR);
  selection.add_levels(types::v1::LOG_LEVEL_UNSPECIFIED);
  selection.add_levels(types::v1::LOG_LEVEL_FATAL);
  selection.set_revision("r7");
  *selection.mutable_from_time() = ToProto(At(1) + absl::Nanoseconds(1));
  *selection.mutable_to_time() = ToProto(At(2));
  query.set_order(LOG_ORDER_NEWEST_FIRST);
  query.set_context_lines(3);
  query.set_max_scan_bytes(1000);
  ASSERT_EQ(QueryReason(query), "");
  const LogSelection asked = log_reader_.last_selection();
  EXPECT_EQ(asked.target_id, "tgt_1");
  EXPECT_EQ(asked.deployment_id, "dep_1");
  EXPECT_THAT(asked.resources, ElementsAre("a", "b"));
  EXPECT_EQ(asked.stream, LogStream::kStderr);
  EXPECT_THAT(asked.levels, ElementsAre(LogLevel::kNone, LogLevel::kFatal));
  EXPECT_EQ(asked.revision, "r7");
  EXPECT_EQ(asked.from_us, TimeUs(1) + 1) << "a line of the microsecond before is earlier";
  EXPECT_EQ(asked.to_us, TimeUs(2));
  EXPECT_EQ(asked.filter, nullptr);
  EXPECT_EQ(log_reader_.last_page().order, LogOrder::kNewestFirst);
  EXPECT_EQ(log_reader_.last_page().context_lines, 3);
  EXPECT_EQ(log_reader_.last_page().limits.max_bytes, 1000);
  EXPECT_EQ(log_reader_.last_page().lines, 200U);
  QueryLogsRequest agent;
  agent.mutable_selection()->set_target("one");
  agent.set_page_size(5000);
  agent.set_max_scan_bytes(std::int64_t{1} << 50);
  ASSERT_EQ(QueryReason(agent), "");
  EXPECT_EQ(log_reader_.last_selection().deployment_id, "");
  EXPECT_EQ(log_reader_.last_page().lines, 1000U);
  EXPECT_EQ(log_reader_.last_page().limits.max_bytes, ScanLimits().max_bytes);
}

TEST_F(LogCallsTest, LinesAndGapsAreToldWhole) {
  FoundLine line = LineAt(7, "disk \x1B[31mfull");
  line.shift_us = 2'000'000;
  line.kind = {.stream = LogStream::kStderr, .level = LogLevel::kError, .is_continued = true};
  line.is_context = true;
  log_reader_.Add(line);
  log_reader_.Add(FoundGap{
      .from_us = TimeUs(3), .to_us = TimeUs(4), .lines = 5, .records = 6, .reason = "RATE", .resource = "web-1"});
  const auto page = Call<QueryLogsResponse>("QueryLogs", QueryOf("dep_1"));
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->entries_size(), 2);
  const fleet::v1::LogGap& gap = page->entries(0).gap();
  EXPECT_EQ(FromProto(gap.from_time()), At(3));
  EXPECT_EQ(FromProto(gap.to_time()), At(4));
  EXPECT_EQ(gap.lines(), 5);
  EXPECT_EQ(gap.records(), 6);
  EXPECT_EQ(gap.reason(), "RATE");
  EXPECT_EQ(gap.resource(), "web-1");
  const fleet::v1::LogLine& told = page->entries(1).line();
  EXPECT_EQ(FromProto(told.time()), At(7));
  EXPECT_EQ(FromProto(told.host_time()), At(5));
  EXPECT_EQ(told.resource(), "web-1");
  EXPECT_EQ(told.revision(), "r1");
  EXPECT_EQ(told.stream(), types::v1::LOG_STREAM_STDERR);
  EXPECT_EQ(told.level(), types::v1::LOG_LEVEL_ERROR);
  EXPECT_EQ(told.text(), "disk \x1B[31mfull");
  EXPECT_TRUE(told.continued());
  EXPECT_TRUE(told.context());
  EXPECT_EQ(told.number(), 1);
  EXPECT_EQ(page->next_page_token(), "");
  EXPECT_FALSE(page->has_stop());
}

TEST_F(LogCallsTest, PagesJoinedAreAllThereIs) {
  AddLines(20);
  for (const auto order : {LOG_ORDER_UNSPECIFIED, LOG_ORDER_OLDEST_FIRST, LOG_ORDER_NEWEST_FIRST}) {
    for (const int size : {1, 3, 7, 19, 20, 21}) {
      for (const std::size_t stop_after : {0U, 2U}) {
        log_reader_.stop_after = stop_after;
        std::vector<std::string> texts;
        QueryLogsRequest query = QueryOf("dep_1");
        query.set_order(order);
        query.set_page_size(size);
        do {
          const auto page = Call<QueryLogsResponse>("QueryLogs", query);
          ASSERT_TRUE(page.ok()) << page.status();
          EXPECT_LE(page->entries_size(), size);
          for (const std::string& text : TextsOf(*page)) texts.push_back(text);
          query.set_page_token(page->next_page_token());
        } while (!query.page_token().empty());
        std::vector<std::string> all = Numbers(1, 20);
        if (order == LOG_ORDER_NEWEST_FIRST) std::reverse(all.begin(), all.end());
        EXPECT_EQ(texts, all) << size << ' ' << stop_after;
      }
    }
  }
}

TEST_F(LogCallsTest, ATokenIsOfItsSelectionAndOrder) {
  AddLines(10);
  QueryLogsRequest query = QueryOf("dep_1");
  for (const char* resource : {"web-1", "web-2"}) query.mutable_selection()->add_resources(resource);
  query.mutable_selection()->set_text("1");
  query.set_page_size(1);
  query.set_page_token(Call<QueryLogsResponse>("QueryLogs", query)->next_page_token());
  ASSERT_FALSE(query.page_token().empty());
  const struct {
    std::string what;
    std::function<void(QueryLogsRequest*)> change;
    std::string reason;
  } cases[] = {
      {"the same", [](auto*) {}, ""},
      {"by name", [](auto* r) { r->mutable_selection()->set_deployment("one/shop"); }, ""},
      {"resources in another order, one of them twice",
       [](auto* r) {
         r->mutable_selection()->clear_resources();
         for (const char* resource : {"web-2", "web-1", "web-2"}) r->mutable_selection()->add_resources(resource);
       },
       ""},
      {"another page size", [](auto* r) { r->set_page_size(5); }, ""},
      {"another deployment", [](auto* r) { r->mutable_selection()->set_deployment("dep_2"); }, "BAD_PAGE_TOKEN"},
      {"its target", [](auto* r) { r->mutable_selection()->set_target("tgt_1"); }, "BAD_PAGE_TOKEN"},
      {"a resource less", [](auto* r) { r->mutable_selection()->mutable_resources()->RemoveLast(); }, "BAD_PAGE_TOKEN"},
      {"another text", [](auto* r) { r->mutable_selection()->set_text("2"); }, "BAD_PAGE_TOKEN"},
      {"an expression", [](auto* r) { r->mutable_selection()->set_regex("1"); }, "BAD_PAGE_TOKEN"},
      {"a level", [](auto* r) { r->mutable_selection()->add_levels(types::v1::LOG_LEVEL_INFO); }, "BAD_PAGE_TOKEN"},
      {"a stream", [](auto* r) { r->mutable_selection()->set_stream(types::v1::LOG_STREAM_STDOUT); }, "BAD_PAGE_TOKEN"},
      {"a revision", [](auto* r) { r->mutable_selection()->set_revision("r1"); }, "BAD_PAGE_TOKEN"},
      {"a window", [this](auto* r) { *r->mutable_selection()->mutable_from_time() = ToProto(At(0)); },
       "BAD_PAGE_TOKEN"},
      {"the other order", [](auto* r) { r->set_order(LOG_ORDER_NEWEST_FIRST); }, "BAD_PAGE_TOKEN"},
      {"the same order by name", [](auto* r) { r->set_order(LOG_ORDER_OLDEST_FIRST); }, ""},
  };
  for (const auto& c : cases) {
    QueryLogsRequest changed = query;
    c.change(&changed);
    EXPECT_EQ(QueryReason(changed), c.reason) << c.what;
  }
}

TEST_F(LogCallsTest, ALimitIsToldWithHowFarItCame) {
  AddLines(10);
  log_reader_.stop_after = 4;
  const auto page = Call<QueryLogsResponse>("QueryLogs", QueryOf("dep_1"));
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->stop().reason(), "TIME");
  EXPECT_EQ(FromProto(page->stop().reached_time()), At(3));
  EXPECT_EQ(page->stop().scanned_lines(), 4);
  EXPECT_NE(page->next_page_token(), "");
  EXPECT_THAT(scan_ends_, ElementsAre("time"));
}

TEST_F(LogCallsTest, CountsScansByTheirEnd) {
  AddLines(3);
  QueryLogsRequest query = QueryOf("dep_1");
  EXPECT_EQ(QueryReason(query), "");
  query.set_page_size(1);
  EXPECT_EQ(QueryReason(query), "");
  log_reader_.failure = MakeError(absl::StatusCode::kUnavailable, "STORE_BUSY", "not now");
  EXPECT_EQ(QueryReason(query), "STORE_BUSY");
  EXPECT_THAT(scan_ends_, ElementsAre("all", "page", "error"));
}

TEST_F(LogCallsTest, VolumeAndResourcesAreOfTheSubject) {
  AddLines(10);
  log_reader_.Add(LineAt(0, "another's"), "dep_2", "tgt_2");
  GetLogVolumeRequest request;
  request.mutable_selection()->set_deployment("dep_1");
  *request.mutable_selection()->mutable_from_time() = ToProto(At(0));
  *request.mutable_selection()->mutable_to_time() = ToProto(At(120));
  const auto volume = Call<GetLogVolumeResponse>("GetLogVolume", request);
  ASSERT_TRUE(volume.ok()) << volume.status();
  EXPECT_EQ(FromProto(volume->from_time()), At(0));
  EXPECT_EQ(FromProto(volume->part_duration()), absl::Seconds(2));
  ASSERT_EQ(volume->parts_size(), 60);
  EXPECT_THAT(volume->parts(4).lines(), ElementsAre(2, 0, 0, 0, 0, 0, 0));
  EXPECT_THAT(volume->parts(5).lines(), ElementsAre(0, 0, 0, 0, 0, 0, 0));
  ListLogResourcesRequest list;
  list.set_deployment("dep_1");
  const auto resources = Call<ListLogResourcesResponse>("ListLogResources", list);
  ASSERT_TRUE(resources.ok()) << resources.status();
  ASSERT_EQ(resources->resources_size(), 1);
  EXPECT_EQ(resources->resources(0).name(), "web-1");
  EXPECT_TRUE(resources->resources(0).active());
  EXPECT_EQ(resources->resources(0).lines(), 10);
  EXPECT_EQ(FromProto(resources->resources(0).to_time()), At(9));
  EXPECT_THAT(resources->resources(0).revisions(), ElementsAre("r1"));
}

// The thread for scans waits in a question until it is let go.
class FullPoolTest : public LogCallsTest {
 protected:
  FullPoolTest() {
    log_reader_.OnCall([this] {
      if (!std::exchange(entered_, true)) {
        began_.set_value();
        release_.get_future().wait();
      }
    });
  }
  void AskWithoutWaiting() {
    Method("QueryLogs")
        .handle(CallerOf(ROLE_VIEWER), QueryOf("dep_1"), [this](const absl::Status& status, const auto&) {
          MutexLock lock(&mutex_);
          ++ends_[status.ok() ? "OK" : ReasonOf(status)];
        });
  }
  std::map<std::string, int> ends() {
    MutexLock lock(&mutex_);
    return ends_;
  }

  bool entered_ = false;
  std::promise<void> began_;
  std::promise<void> release_;
  Mutex mutex_;
  std::map<std::string, int> ends_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(FullPoolTest, WhatCannotWaitIsRefused) {
  AskWithoutWaiting();
  began_.get_future().wait();
  for (std::size_t i = 0; i < kMaxWaitingScans; ++i) AskWithoutWaiting();
  EXPECT_THAT(ends(), IsEmpty());
  AskWithoutWaiting();
  EXPECT_EQ(ends(), (std::map<std::string, int>{{"API_BUSY", 1}}));
  // Streams are few; they do not take the places of questions, and are not refused one.
  const auto tail = std::make_shared<FakeStreamOf<TailLogsResponse>>();
  handlers_->streams()[1].start(viewer_, TailOf(0), tail);
  EXPECT_EQ(EndOf(tail), "");
  release_.set_value();
  FinishScans();
  EXPECT_EQ(ends(), (std::map<std::string, int>{{"API_BUSY", 1}, {"OK", 33}}));
  EXPECT_EQ(tail->written.size(), 1U);
}

TEST_F(FullPoolTest, AHubThatStopsDoesNotScanForThoseWhoWait) {
  AskWithoutWaiting();
  began_.get_future().wait();
  AskWithoutWaiting();
  handlers_->Stop();
  release_.set_value();
  FinishScans();
  EXPECT_EQ(ends(), (std::map<std::string, int>{{"OK", 1}, {"HUB_STOPPING", 1}}));
  EXPECT_EQ(log_reader_.calls(), 1);
}

}  // namespace
}  // namespace muster::hub
