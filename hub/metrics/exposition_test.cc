#include "hub/metrics/exposition.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "common/files.h"
#include "common/testing/temp_dir.h"
#include "common/text.h"
#include "common/time_format.h"
#include "hub/metrics/hub_metrics.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using types::v1::DeploymentStatus;

using Labels = std::map<std::string, std::string>;

struct ParsedFamily {
  std::string type;
  std::string help;
  std::vector<std::pair<Labels, double>> samples;  // of histograms: buckets, sum and count together
};
using ParsedPage = std::map<std::string, ParsedFamily>;

// Reads what WriteExposition writes, strictly: HELP and TYPE first, the family's samples behind them, no series twice.
ParsedPage Parse(const std::string& page) {
  ParsedPage families;
  std::string current;
  std::set<std::string> seen;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("# HELP ", 0) == 0) {
      current = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_EQ(families.count(current), 0u) << "twice: " << current;
      families[current].help = line.substr(line.find(' ', 7) + 1);
      continue;
    }
    if (line.rfind("# TYPE ", 0) == 0) {
      EXPECT_EQ(line.substr(7, line.find(' ', 7) - 7), current);
      families[current].type = line.substr(line.find(' ', 7) + 1);
      continue;
    }
    const std::size_t end_of_name = line.find_first_of("{ ");
    EXPECT_EQ(line.rfind(current, 0), 0u) << line;
    Labels labels;
    std::size_t at = end_of_name;
    if (line[at] == '{') {
      ++at;
      while (line[at] != '}') {
        const std::size_t equals = line.find("=\"", at);
        const std::string name = line.substr(at, equals - at);
        std::string value;
        for (at = equals + 2; line[at] != '"'; ++at) {
          if (line[at] != '\\') {
            value += line[at];
          } else {
            ++at;
            value += line[at] == 'n' ? '\n' : line[at];
          }
        }
        EXPECT_TRUE(labels.emplace(name, value).second) << "label twice: " << line;
        ++at;
        if (line[at] == ',') ++at;
      }
      ++at;
    }
    EXPECT_TRUE(seen.insert(line.substr(0, at)).second) << "series twice: " << line;
    families[current].samples.emplace_back(labels, std::strtod(line.c_str() + at, nullptr));
  }
  return families;
}

// The value of the one series of `family` that has all of `labels`.
std::optional<double> Value(const ParsedPage& page, const std::string& family, const Labels& labels = {}) {
  const auto found = page.find(family);
  if (found == page.end()) return std::nullopt;
  for (const auto& [has, value] : found->second.samples) {
    if (std::includes(has.begin(), has.end(), labels.begin(), labels.end())) return value;
  }
  return std::nullopt;
}

constexpr std::int64_t kThen = 1'800'000'000;

fleet::v1::Deployment MakeDeployment(const std::string& id, DeploymentStatus status) {
  fleet::v1::Deployment deployment;
  deployment.set_id(id);
  deployment.set_name("shop");
  deployment.set_kind(types::v1::DEPLOYMENT_KIND_COMPOSE_PROJECT);
  deployment.set_status(status);
  deployment.set_application("shop");
  deployment.set_application_version("1.2");
  deployment.set_revision("r1");
  deployment.mutable_status_time()->set_seconds(kThen);
  deployment.mutable_reported_time()->set_seconds(kThen + 30);
  auto* up = deployment.add_resources();
  up->set_state("running");
  up->set_restart_count(2);
  auto* odd = deployment.add_resources();
  odd->set_state("dancing\n");
  odd->set_restart_count(3);
  return deployment;
}

ScrapeInput SampleInput() {
  ScrapeInput input;
  input.fleet.organization = "Vendor";
  input.fleet.taken = absl::FromUnixSeconds(kThen + 60);
  TargetSnapshot entry;
  entry.target.set_id("tgt_1");
  entry.target.set_name("edge-1");
  entry.target.set_customer("Acme");
  entry.target.set_state(types::v1::TARGET_STATE_CONNECTED);
  entry.target.mutable_state_time()->set_seconds(kThen - 100);
  entry.target.mutable_last_seen_time()->set_seconds(kThen + 31);
  entry.target.mutable_last_seen_time()->set_nanos(500'000'000);
  entry.target.set_agent_version("0.1.0");
  entry.target.mutable_session()->mutable_round_trip()->set_nanos(12'000'000);
  entry.target.mutable_session()->mutable_clock_skew()->set_seconds(-2);
  entry.target.mutable_journal()->set_records(12);
  entry.target.mutable_journal()->mutable_oldest_age()->set_seconds(40);
  entry.target.mutable_journal()->mutable_newest_applied_time()->set_seconds(kThen);
  entry.target.mutable_journal()->set_gap_records(1);
  entry.target.mutable_machine()->set_cpu_cores(4);
  entry.target.mutable_machine()->set_memory_bytes(8'000'000'000);
  entry.target.mutable_machine()->set_hostname("edge-1.acme");
  entry.deployments.push_back(MakeDeployment("dep_1", types::v1::DEPLOYMENT_STATUS_HEALTHY));
  entry.deployments.push_back(MakeDeployment("dep_2", types::v1::DEPLOYMENT_STATUS_STALE));
  entry.deployments.push_back(MakeDeployment("dep_3", types::v1::DEPLOYMENT_STATUS_NO_STATUS));
  entry.deployments.back().clear_reported_time();
  input.fleet.targets.push_back(entry);
  HubMetrics counters;
  counters.ApiCall("connect", "ListTargets", absl::StatusCode::kNotFound, absl::Milliseconds(3));
  input.counters = counters.Collect();
  input.process = ProcessStats{.cpu_seconds = 1.5};
  return input;
}

TEST(Exposition, WritesTheSeedSeriesAsDistrDoes) {
  const std::string page = WriteExposition(SampleInput());
  // To the letter: existing dashboards and recording rules read these.
  EXPECT_THAT(page, HasSubstr("# TYPE distr_organizations_total gauge\ndistr_organizations_total 1\n"));
  EXPECT_THAT(
      page, HasSubstr("distr_deployment_status{organization=\"Vendor\",customerorganization=\"Acme\",deploymenttarget="
                      "\"edge-1\",deploymentid=\"dep_1\",application=\"shop\",applicationversion=\"1.2\",status="
                      "\"healthy\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("applicationversion=\"1.2\"} 1800000030\n"));
}

TEST(Exposition, StatusIsOneHotAndStaleIsAllZero) {
  const ParsedPage page = Parse(WriteExposition(SampleInput()));
  const auto row = [&](const std::string& id) {
    std::vector<double> values;
    for (const char* status : {"healthy", "running", "progressing", "error"}) {
      values.push_back(Value(page, "distr_deployment_status", {{"deploymentid", id}, {"status", status}}).value_or(-1));
    }
    return values;
  };
  EXPECT_THAT(row("dep_1"), ElementsAre(1, 0, 0, 0));
  EXPECT_THAT(row("dep_2"), ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(row("dep_3"), ElementsAre(0, 0, 0, 0));
  EXPECT_EQ(Value(page, "distr_deployment_stale", {{"deploymentid", "dep_1"}}), 0);
  EXPECT_EQ(Value(page, "distr_deployment_stale", {{"deploymentid", "dep_2"}}), 1);
  EXPECT_EQ(Value(page, "distr_deployment_stale", {{"deploymentid", "dep_3"}}), 0);
  EXPECT_EQ(Value(page, "distr_deployment_status_timestamp_seconds", {{"deploymentid", "dep_3"}}), 0);
}

TEST(Exposition, EachStatusHasItsSeries) {
  const std::map<DeploymentStatus, std::string> words = {{types::v1::DEPLOYMENT_STATUS_HEALTHY, "healthy"},
                                                         {types::v1::DEPLOYMENT_STATUS_RUNNING, "running"},
                                                         {types::v1::DEPLOYMENT_STATUS_PROGRESSING, "progressing"},
                                                         {types::v1::DEPLOYMENT_STATUS_ERROR, "error"}};
  for (const auto& [status, word] : words) {
    ScrapeInput input = SampleInput();
    input.fleet.targets[0].deployments = {MakeDeployment("dep_1", status)};
    const ParsedPage page = Parse(WriteExposition(input));
    for (const auto& [labels, value] : page.at("distr_deployment_status").samples) {
      EXPECT_EQ(value, labels.at("status") == word ? 1 : 0);
    }
  }
}

TEST(Exposition, DescribesTargets) {
  const ParsedPage page = Parse(WriteExposition(SampleInput()));
  EXPECT_EQ(Value(page, "distr_deployment_target_state", {{"state", "connected"}}), 1);
  EXPECT_EQ(Value(page, "distr_deployment_target_state", {{"state", "stale"}}), 0);
  EXPECT_EQ(Value(page, "distr_deployment_target_state", {{"state", "not_connected"}}), 0);
  EXPECT_EQ(Value(page, "distr_deployment_target_last_seen_timestamp_seconds"), kThen + 31.5);
  EXPECT_EQ(Value(page, "distr_deployment_target_round_trip_seconds"), 0.012);
  EXPECT_EQ(Value(page, "distr_deployment_target_clock_skew_seconds"), -2);
  EXPECT_EQ(Value(page, "distr_deployment_target_session_open"), 1);
  EXPECT_EQ(Value(page, "distr_deployment_target_agent_info", {{"version", "0.1.0"}}), 1);
}

TEST(Exposition, TellsHowFarAJournalIsBehind) {
  ScrapeInput input = SampleInput();
  fleet::v1::Journal& journal = *input.fleet.targets[0].target.mutable_journal();
  const auto lag = [&] { return Value(Parse(WriteExposition(input)), "distr_journal_replay_lag_seconds"); };
  EXPECT_EQ(lag(), 60) << "the age of the newest applied record";
  journal.clear_newest_applied_time();
  EXPECT_EQ(lag(), 40) << "none was applied yet";
  journal.set_records(0);
  EXPECT_EQ(lag(), 0) << "nothing waits";
  input.fleet.targets[0].target.clear_journal();
  EXPECT_EQ(lag(), std::nullopt) << "an agent without a journal";
}

TEST(Exposition, CountsContainersByKnownStates) {
  const ParsedPage page = Parse(WriteExposition(SampleInput()));
  EXPECT_EQ(Value(page, "distr_deployment_containers", {{"deploymentid", "dep_1"}, {"state", "running"}}), 1);
  EXPECT_EQ(Value(page, "distr_deployment_containers", {{"deploymentid", "dep_1"}, {"state", "other"}}), 1);
  EXPECT_EQ(Value(page, "distr_deployment_container_restarts_total", {{"deploymentid", "dep_1"}}), 5);
}

TEST(Exposition, ATargetThatNeverConnectedHasZerosAndNoMeasurements) {
  ScrapeInput input = SampleInput();
  fleet::v1::Target target;
  target.set_id("tgt_1");
  target.set_name("new");
  target.set_state(types::v1::TARGET_STATE_NOT_CONNECTED);
  input.fleet.targets = {TargetSnapshot{.target = target, .deployments = {}}};
  const ParsedPage page = Parse(WriteExposition(input));
  EXPECT_EQ(Value(page, "distr_deployment_target_last_seen_timestamp_seconds"), 0);
  EXPECT_EQ(Value(page, "distr_deployment_target_session_open"), 0);
  EXPECT_EQ(Value(page, "distr_deployment_target_round_trip_seconds"), std::nullopt);
  EXPECT_TRUE(page.at("distr_deployment_status").samples.empty());
}

TEST(Exposition, WhatIsGoneLeavesNoSeries) {
  ScrapeInput input = SampleInput();
  input.fleet.targets[0].deployments.erase(input.fleet.targets[0].deployments.begin());
  const std::string page = WriteExposition(input);
  EXPECT_THAT(page, Not(HasSubstr("dep_1")));
  EXPECT_THAT(page, HasSubstr("dep_2"));
}

TEST(Exposition, HostileNamesStayInsideTheirQuotes) {
  ScrapeInput input = SampleInput();
  const std::string hostile = std::string("a\"} 1\nevil 1 \\ \xff ") + '\0' + std::string(10'000, 'x');
  input.fleet.targets[0].deployments[0].set_application(hostile);
  input.fleet.targets[0].target.set_customer(hostile);
  const std::string text = WriteExposition(input);
  EXPECT_TRUE(IsValidUtf8(text));
  EXPECT_EQ(text.find('\0'), std::string::npos);
  const ParsedPage page = Parse(text);
  EXPECT_EQ(page.count("evil"), 0u);
  const std::string application = page.at("distr_deployment_status").samples[0].first.at("application");
  EXPECT_EQ(application.substr(0, 23), "a\"} 1\nevil 1 \\ \xEF\xBF\xBD \xEF\xBF\xBDx");
  EXPECT_LE(application.size(), kMaxLabelBytes + 2);  // NUL became three bytes after the cut
}

TEST(Exposition, NamesThatAreCutAlikeMakeNoDuplicate) {
  ScrapeInput input = SampleInput();
  const std::string name(300, 'n');
  for (const char* id : {"tgt_2", "tgt_3"}) {
    TargetSnapshot entry = input.fleet.targets[0];
    entry.target.set_id(id);
    entry.target.set_name(name + id);
    for (auto& deployment : entry.deployments) deployment.set_id(deployment.id() + id);
    input.fleet.targets.push_back(entry);
  }
  Parse(WriteExposition(input));  // fails on any series twice
}

TEST(Exposition, KnownCountersStartAtZero) {
  const ParsedPage page = Parse(WriteExposition(SampleInput()));
  EXPECT_EQ(Value(page, "distr_hub_sessions_refused_total", {{"reason", "BAD_SECRET"}}), 0);
  EXPECT_EQ(Value(page, "distr_hub_connect_requests_total", {{"result", "expired"}}), 0);
  EXPECT_EQ(Value(page, "distr_hub_heartbeats_total"), 0);
  EXPECT_EQ(Value(page, "distr_hub_log_scans_total", {{"end", "time"}}), 0);
  EXPECT_EQ(Value(page, "distr_hub_log_tails"), 0);
  EXPECT_EQ(Value(page, "distr_hub_api_requests_total",
                  {{"protocol", "connect"}, {"method", "ListTargets"}, {"code", "not_found"}}),
            1);
}

// The families of docs/metrics.md, with type and labels.
std::map<std::string, std::pair<std::string, std::set<std::string>>> Documented() {
  std::map<std::string, std::pair<std::string, std::set<std::string>>> documented;
  const auto text = ReadFile(METRICS_PAGE);
  EXPECT_TRUE(text.ok());
  const std::regex row(R"(\| `([a-z_]+)` \| (gauge|counter|histogram) \| ([^|]*)\|)");
  for (auto it = std::sregex_iterator(text->begin(), text->end(), row); it != std::sregex_iterator(); ++it) {
    std::set<std::string> labels;
    const std::string list = (*it)[3];
    const std::regex word("`([a-z_]+)`");
    for (auto l = std::sregex_iterator(list.begin(), list.end(), word); l != std::sregex_iterator(); ++l) {
      labels.insert((*l)[1]);
    }
    documented[(*it)[1]] = {(*it)[2], labels};
  }
  return documented;
}

TEST(Exposition, TellsTheLogLinesOfEveryTargetAndTheirStore) {
  ScrapeInput input = SampleInput();
  ParsedPage page = Parse(WriteExposition(input));
  EXPECT_EQ(Value(page, "distr_log_lines_total", {{"deploymenttargetid", "tgt_1"}}), 0) << "nothing came yet";
  EXPECT_EQ(Value(page, "distr_log_dropped_lines_total", {{"reason", "RATE"}}), 0);
  input.logs["tgt_1"] = {.lines = 12, .bytes = 900, .dropped = {{"JOURNAL_FULL", 7}}};
  input.logs["tgt_gone"].lines = 5;
  input.hub.logs = {.store_bytes = 4096, .limit_bytes = 8192, .is_writable = false, .tail_rows = 3, .chunks = 2};
  page = Parse(WriteExposition(input));
  EXPECT_EQ(Value(page, "distr_log_lines_total", {{"deploymenttargetid", "tgt_1"}}), 12);
  EXPECT_EQ(Value(page, "distr_log_lines_total", {{"deploymenttargetid", "tgt_gone"}}), std::nullopt);
  EXPECT_EQ(Value(page, "distr_log_dropped_lines_total", {{"reason", "JOURNAL_FULL"}}), 7);
  EXPECT_EQ(Value(page, "distr_log_dropped_lines_total", {{"reason", "RATE"}}), 0);
  EXPECT_EQ(Value(page, "distr_hub_log_store_bytes", {}), 4096);
  EXPECT_EQ(Value(page, "distr_hub_log_store_limit_bytes", {}), 8192);
  EXPECT_EQ(Value(page, "distr_hub_log_store_writable", {}), 0);
  EXPECT_EQ(Value(page, "distr_hub_log_tail_rows", {}), 3);
  EXPECT_EQ(Value(page, "distr_hub_log_chunks", {}), 2);
}

TEST(Exposition, IsWhatThePageInDocsSays) {
  ScrapeInput input = SampleInput();
  HubMetrics counters;
  counters.ApiMethod("grpc", "ListTargets");
  input.counters = counters.Collect();
  const ParsedPage page = Parse(WriteExposition(input));
  const auto documented = Documented();
  EXPECT_GT(documented.size(), 40u);
  for (const auto& [name, family] : page) {
    const auto found = documented.find(name);
    ASSERT_NE(found, documented.end()) << name << " is not in docs/metrics.md";
    EXPECT_EQ(found->second.first, family.type) << name;
    EXPECT_FALSE(family.help.empty()) << name;
    ASSERT_FALSE(family.samples.empty()) << name;
    for (const auto& [labels, value] : family.samples) {
      std::set<std::string> names;
      for (const auto& label : labels) {
        if (label.first != "le") names.insert(label.first);
      }
      EXPECT_EQ(names, found->second.second) << name;
    }
  }
  for (const auto& [name, description] : documented) EXPECT_EQ(page.count(name), 1u) << name << " is not exposed";
}

TEST(Exposition, PassesPromtoolButForTheOneAcceptedName) {
  if (std::system("command -v promtool >/dev/null") != 0) GTEST_SKIP() << "skipped: promtool is not installed";
  const TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir.path() + "/page", WriteExposition(SampleInput()), 0644).ok());
  const int outcome =
      std::system(fmt::format("promtool check metrics <{0}/page >{0}/findings 2>&1", dir.path()).c_str());
  EXPECT_TRUE(WIFEXITED(outcome));
  EXPECT_EQ(*ReadFile(dir.path() + "/findings"),
            "distr_organizations_total non-counter metrics should not have \"_total\" suffix\n");
}

TEST(Exposition, WritesAThousandTargetsWithTenThousandDeployments) {
  ScrapeInput input = SampleInput();
  const TargetSnapshot sample = input.fleet.targets[0];
  input.fleet.targets.clear();
  for (int t = 0; t < 1000; ++t) {
    TargetSnapshot entry = sample;
    entry.target.set_id(fmt::format("tgt_{}", t));
    entry.target.set_name(fmt::format("edge-{}", t));
    entry.deployments.resize(1);
    for (int d = 0; d < 10; ++d) {
      entry.deployments.push_back(MakeDeployment(fmt::format("dep_{}_{}", t, d), types::v1::DEPLOYMENT_STATUS_RUNNING));
    }
    entry.deployments.erase(entry.deployments.begin());
    input.fleet.targets.push_back(std::move(entry));
  }
  const absl::Time start = absl::Now();
  const std::string page = WriteExposition(input);
  RecordProperty("bytes", static_cast<int>(page.size()));
  RecordProperty("milliseconds", static_cast<int>(absl::ToInt64Milliseconds(absl::Now() - start)));
  EXPECT_EQ(std::count(page.begin(), page.end(), '\n') > 100'000, true);
}

TEST(ProcessStats, ReadsACommandWithParenthesesAndSpaces) {
  const auto stats = ParseProcessStats(
      {.stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 7 0 3000 1048576 25 18446744073709551615",
       .system_stat = "cpu 1\nbtime 1700000000\n",
       .limits = "Limit Soft Hard Units\nMax open files            1024                 4096                 files\n",
       .ticks_per_second = 100,
       .page_bytes = 4096});
  ASSERT_TRUE(stats.ok());
  EXPECT_EQ(stats->cpu_seconds, 2.0);
  EXPECT_EQ(stats->threads, 7);
  EXPECT_EQ(stats->virtual_bytes, 1048576);
  EXPECT_EQ(stats->resident_bytes, 25 * 4096);
  EXPECT_EQ(stats->start_time_seconds, 1700000030.0);
  EXPECT_EQ(stats->max_fds, 1024);
}

TEST(ProcessStats, RefusesAnotherFormat) {
  EXPECT_FALSE(ParseProcessStats({.stat = "", .system_stat = "", .limits = ""}).ok());
  EXPECT_FALSE(ParseProcessStats({.stat = "1 (x) S 1", .system_stat = "", .limits = ""}).ok());
}

TEST(ProcessStats, ReadsThisProcess) {
  const auto stats = ReadProcessStats();
  ASSERT_TRUE(stats.ok()) << stats.status();
  EXPECT_GT(stats->resident_bytes, 1'000'000);
  EXPECT_GE(stats->open_fds, 3);
  EXPECT_GT(stats->max_fds, stats->open_fds);
  EXPECT_GT(stats->start_time_seconds, 1.6e9);
}

}  // namespace
}  // namespace muster::hub
