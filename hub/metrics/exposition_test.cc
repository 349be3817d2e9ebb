#include "hub/metrics/exposition.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "common/files.h"
#include "common/testing/temp_dir.h"
#include "common/text.h"
#include "common/time_format.h"
#include "hub/metrics/fleet_families.h"
#include "hub/metrics/hub_metrics.h"
#include "hub/metrics/row_families.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
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

std::string TextPage(const ScrapeInput& input, PageFormat format = PageFormat::kText) {
  std::string page;
  PageWriter writer(format, [&](std::string_view block) { page += block; });
  WriteExposition(input, writer);
  writer.Finish();
  return page;
}

constexpr char kPlace[] = R"(organization="Vendor",customerorganization="Acme",deploymenttarget="edge-1")";

// With one deployment for each id.
void AddTarget(const std::string& id, const std::vector<std::string>& deployments, ExposedFleet* fleet) {
  auto shown = std::make_shared<ShownTarget>();
  std::vector<std::pair<std::size_t, std::size_t>> places;
  const auto add = [&](const std::string& text) {
    places.emplace_back(shown->text.size(), text.size());
    shown->text += text;
  };
  add(fmt::format(R"({},deploymenttargetid="{}")", kPlace, id));
  for (const std::string& deployment : deployments) {
    add(fmt::format(R"({},deploymentid="{}",application="shop",applicationversion="1.2")", kPlace, deployment));
  }
  const auto view = [&](std::size_t i) {
    return std::string_view(shown->text).substr(places[i].first, places[i].second);
  };
  TargetLine& line = shown->target;
  line.labels = view(0);
  line.place = line.labels.substr(0, std::string_view(kPlace).size());
  line.id = line.labels.substr(line.labels.size() - 1 - id.size(), id.size());
  line.agent = R"(version="0.1.0")";
  line.machine = R"(hostname="edge-1.acme",os="",kernel="",architecture="",runtime="")";
  line.cpu_cores = 4;
  line.memory = 8e9;
  for (std::size_t i = 0; i < deployments.size(); ++i) {
    DeploymentLine deployment{.labels = view(1 + i),
                              .info = R"(deployment="shop",kind="compose_project",revision="r1")",
                              .status = types::v1::DEPLOYMENT_STATUS_HEALTHY,
                              .since = kThen,
                              .restarts = 5};
    deployment.containers[kRunningContainers] = 1;
    deployment.containers[ContainerStateOf("dancing\n")] = 1;
    shown->deployments.push_back(deployment);
  }
  fleet->targets.push_back({.labels = {},
                            .facts = nullptr,
                            .state = types::v1::TARGET_STATE_CONNECTED,
                            .has_session = true,
                            .has_journal = true,
                            .state_since = kThen - 100,
                            .last_seen = kThen + 31.5,
                            .reported = kThen + 30,
                            .round_trip = 0.012,
                            .clock_skew = -2,
                            .journal = {.records = 12, .oldest_age = 40, .newest_applied = kThen, .gap_records = 1}});
  fleet->shown.push_back(std::move(shown));
  fleet->live_hosts.push_back(nullptr);
}

// Of the newest target.
void AddHost(ExposedFleet* fleet) {
  auto host = std::make_shared<LiveHost>();
  HostScalars& scalars = host->numbers.scalars;
  scalars = {.taken = kThen + 40, .boot = kThen - 9000, .cpu_usage = 0.25, .load1 = 1, .load5 = 2, .load15 = 3};
  scalars.memory_total = 8e9;
  scalars.memory_used = 2e9;
  scalars.swap_total = 1e9;
  scalars.container_restarts = 6;
  scalars.missing = 1;
  scalars.containers[kRunningContainers] = 3;
  scalars.containers[ContainerStateOf("exited")] = 2;
  host->numbers.filesystems = {{.size = 100, .used = 60, .available = 35, .files = 1000, .files_free = 900},
                               {.is_stuck = true}};
  host->numbers.network = {{.in = 11, .out = 12}};
  host->numbers.disks = {{.in = 21, .out = 22}};
  host->numbers.use = {{.cpu_seconds = 1.5, .memory = 1e6, .memory_limit = 2e6}, {.cpu_seconds = 2, .memory = 3e6}};
  auto shown = std::make_shared<ShownTarget>(*fleet->shown.back());
  // Views into the text of the one it replaces.
  static std::vector<std::shared_ptr<const ShownTarget>> kept;
  kept.push_back(fleet->shown.back());
  shown->filesystems = {R"(device="/dev/sda1",mountpoint="/",fstype="ext4")",
                        R"(device="nas:/x",mountpoint="/mnt",fstype="nfs4")"};
  shown->network = {R"(device="eth0")"};
  shown->disks = {R"(device="sda")"};
  shown->containers = {{.deployment = 0, .use = 0, .label = R"(container="web")"},
                       {.deployment = 0, .use = 1, .label = R"(container="db")"}};
  fleet->shown.back() = std::move(shown);
  fleet->live_hosts.back() = std::move(host);
}

ScrapeInput SampleInput() {
  ScrapeInput input;
  ExposedFleet& fleet = input.fleet;
  fleet.taken = absl::FromUnixSeconds(kThen + 60);
  AddTarget("tgt_1", {"dep_1", "dep_2", "dep_3"}, &fleet);
  AddHost(&fleet);
  SpreadRows(&fleet);
  fleet.deployments[1].status = types::v1::DEPLOYMENT_STATUS_STALE;
  fleet.deployments[2].status = types::v1::DEPLOYMENT_STATUS_NO_STATUS;
  fleet.deployments[2].reported = 0;
  HubMetrics counters;
  counters.ApiCall("connect", "ListTargets", absl::StatusCode::kNotFound, absl::Milliseconds(3));
  input.counters = counters.Collect();
  input.process = ProcessStats{.cpu_seconds = 1.5};
  return input;
}

TEST(Exposition, WritesTheSeedSeriesAsDistrDoes) {
  const std::string page = TextPage(SampleInput());
  // To the letter: existing dashboards and recording rules read these.
  EXPECT_THAT(page, HasSubstr("# TYPE distr_organizations_total gauge\ndistr_organizations_total 1\n"));
  EXPECT_THAT(
      page, HasSubstr("distr_deployment_status{organization=\"Vendor\",customerorganization=\"Acme\",deploymenttarget="
                      "\"edge-1\",deploymentid=\"dep_1\",application=\"shop\",applicationversion=\"1.2\",status="
                      "\"healthy\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("applicationversion=\"1.2\"} 1800000030\n"));
}

TEST(Exposition, StatusIsOneHotAndStaleIsAllZero) {
  const ParsedPage page = Parse(TextPage(SampleInput()));
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
  EXPECT_EQ(Value(page, "distr_deployment_status_since_timestamp_seconds", {{"deploymentid", "dep_1"}}), kThen);
}

TEST(Exposition, EachStatusHasItsSeries) {
  const std::map<DeploymentStatus, std::string> words = {{types::v1::DEPLOYMENT_STATUS_HEALTHY, "healthy"},
                                                         {types::v1::DEPLOYMENT_STATUS_RUNNING, "running"},
                                                         {types::v1::DEPLOYMENT_STATUS_PROGRESSING, "progressing"},
                                                         {types::v1::DEPLOYMENT_STATUS_ERROR, "error"}};
  for (const auto& [status, word] : words) {
    ScrapeInput input = SampleInput();
    input.fleet.deployments.resize(1);
    input.fleet.deployments[0].status = status;
    const ParsedPage page = Parse(TextPage(input));
    for (const auto& [labels, value] : page.at("distr_deployment_status").samples) {
      EXPECT_EQ(value, labels.at("status") == word ? 1 : 0);
    }
  }
}

TEST(Exposition, DescribesTargets) {
  const ParsedPage page = Parse(TextPage(SampleInput()));
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
  ExposedJournal& journal = input.fleet.targets[0].journal;
  const auto lag = [&] { return Value(Parse(TextPage(input)), "distr_journal_replay_lag_seconds"); };
  EXPECT_EQ(lag(), 60) << "the age of the newest applied record";
  journal.newest_applied = kAbsent;
  EXPECT_EQ(lag(), 40) << "none was applied yet";
  journal.records = 0;
  EXPECT_EQ(lag(), 0) << "nothing waits";
  input.fleet.targets[0].has_journal = false;
  EXPECT_EQ(lag(), std::nullopt) << "an agent without a journal";
}

TEST(Exposition, CountsContainersByKnownStates) {
  const ParsedPage page = Parse(TextPage(SampleInput()));
  EXPECT_EQ(Value(page, "distr_deployment_containers", {{"deploymentid", "dep_1"}, {"state", "running"}}), 1);
  EXPECT_EQ(Value(page, "distr_deployment_containers", {{"deploymentid", "dep_1"}, {"state", "other"}}), 1);
  EXPECT_EQ(Value(page, "distr_deployment_container_restarts_total", {{"deploymentid", "dep_1"}}), 5);
}

TEST(Exposition, ATargetWithoutMeasurementsHasNoneOfThem) {
  ScrapeInput input = SampleInput();
  ExposedTarget& target = input.fleet.targets[0];
  target.round_trip = kAbsent;
  const TargetLine unknown;
  target.facts = &unknown;
  const ParsedPage page = Parse(TextPage(input));
  for (const char* family : {"distr_deployment_target_round_trip_seconds", "distr_deployment_target_agent_info",
                             "distr_deployment_target_machine_info", "distr_deployment_target_cpu_cores",
                             "distr_deployment_target_memory_bytes"}) {
    EXPECT_TRUE(page.at(family).samples.empty()) << family;
  }
}

TEST(Exposition, NamesThatAreCutAlikeMakeNoDuplicate) {
  ScrapeInput input = SampleInput();
  TargetLine cut = *input.fleet.targets[0].facts;
  cut.is_cut = true;
  std::vector<std::string> labels;
  for (const char* id : {"tgt_1", "tgt_2", "tgt_3"}) {
    labels.push_back(fmt::format(R"({},deploymenttargetid="{}")", kPlace, id));
  }
  input.fleet.targets.resize(3, input.fleet.targets[0]);
  for (std::size_t i = 0; i < 3; ++i) {
    input.fleet.targets[i].labels = labels[i];
    input.fleet.targets[i].facts = &cut;
  }
  Parse(TextPage(input));  // fails on any series twice
}

TEST(Exposition, ShowsHostsAndContainers) {
  const ParsedPage page = Parse(TextPage(SampleInput()));
  const Labels root = {{"mountpoint", "/"}, {"fstype", "ext4"}, {"deploymenttargetid", "tgt_1"}};
  const Labels stuck = {{"mountpoint", "/mnt"}};
  EXPECT_EQ(Value(page, "distr_host_cpu_usage_ratio"), 0.25);
  EXPECT_EQ(Value(page, "distr_host_filesystem_size_bytes", root), 100);
  EXPECT_EQ(Value(page, "distr_host_filesystem_available_bytes", root), 35);
  EXPECT_EQ(Value(page, "distr_host_filesystem_size_bytes", stuck), std::nullopt) << "nobody knows it now";
  EXPECT_EQ(Value(page, "distr_host_filesystem_stuck", stuck), 1);
  EXPECT_EQ(Value(page, "distr_host_filesystem_stuck", root), 0);
  EXPECT_EQ(Value(page, "distr_host_network_transmit_bytes_total", {{"device", "eth0"}}), 12);
  EXPECT_EQ(Value(page, "distr_host_disk_read_bytes_total", {{"device", "sda"}}), 21);
  EXPECT_EQ(Value(page, "distr_host_containers", {{"state", "exited"}}), 2);
  EXPECT_EQ(Value(page, "distr_host_containers", {{"state", "dead"}}), std::nullopt);
  const Labels web = {{"deploymentid", "dep_1"}, {"container", "web"}};
  EXPECT_EQ(Value(page, "distr_deployment_container_cpu_seconds_total", web), 1.5);
  EXPECT_EQ(Value(page, "distr_deployment_container_memory_limit_bytes", web), 2e6);
  EXPECT_EQ(Value(page, "distr_deployment_container_memory_limit_bytes", {{"container", "db"}}), std::nullopt);
}

TEST(Exposition, LeavesOutGroupsAndPutsPartsIntoTheirs) {
  ScrapeInput input = SampleInput();
  input.parts.push_back({.group = PageGroup::kJobs, .write = [](PageWriter& page) {
                           page.Family("backup_bytes_total", FamilyType::kCounter, "Pushed.");
                           page.Sample({}, 1);
                         }});
  EXPECT_EQ(Parse(TextPage(input)).count("backup_bytes_total"), 1u);
  input.groups = PageGroups().With(PageGroup::kHost);
  for (const auto& [name, family] : Parse(TextPage(input))) EXPECT_EQ(name.rfind("distr_host_", 0), 0u) << name;
  input.groups = PageGroups().With(PageGroup::kJobs);
  EXPECT_EQ(Parse(TextPage(input)).size(), 1u);
  input.groups = PageGroups::All().Without(input.groups);
  EXPECT_EQ(Parse(TextPage(input)).count("backup_bytes_total"), 0u);
}

TEST(Exposition, OpenMetricsHasTheSameSeries) {
  const ScrapeInput input = SampleInput();
  const std::string open = TextPage(input, PageFormat::kOpenMetrics);
  EXPECT_THAT(open, ::testing::EndsWith("\n# EOF\n"));
  EXPECT_THAT(open, HasSubstr("# TYPE distr_journal_gap_records counter\n"));
  EXPECT_THAT(open, HasSubstr("# UNIT distr_host_memory_total_bytes bytes\n"));
  EXPECT_THAT(open, HasSubstr("\ndistr_hub_store_commit_seconds_bucket{le=\"1.0\"} 0\n"));
  const auto series = [](const std::string& page) {
    std::multiset<std::string> lines;
    std::istringstream in(page);
    for (std::string line; std::getline(in, line);) {
      if (line[0] != '#') lines.insert(std::regex_replace(line, std::regex(R"re(le="(\d+)\.0")re"), "le=\"$1\""));
    }
    return lines;
  };
  EXPECT_EQ(series(open), series(TextPage(input)));
}

TEST(Exposition, KnownCountersStartAtZero) {
  const ParsedPage page = Parse(TextPage(SampleInput()));
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
  const std::regex row(R"(\| `([a-z_0-9]+)` \| (gauge|counter|histogram) \| ([^|]*)\|)");
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
  ParsedPage page = Parse(TextPage(input));
  EXPECT_EQ(Value(page, "distr_log_lines_total", {{"deploymenttargetid", "tgt_1"}}), 0) << "nothing came yet";
  EXPECT_EQ(Value(page, "distr_log_dropped_lines_total", {{"reason", "RATE"}}), 0);
  LogCountsByTarget logs;
  logs["tgt_0"].lines = 4;
  logs["tgt_1"] = {.lines = 12, .bytes = 900, .dropped = {{"JOURNAL_FULL", 7}, {"RATE", 3}}};
  logs["tgt_gone"].lines = 5;
  AddLogCounts(logs, &input.fleet);
  input.hub.logs = {.store_bytes = 4096, .limit_bytes = 8192, .is_writable = false, .tail_rows = 3, .chunks = 2};
  page = Parse(TextPage(input));
  EXPECT_EQ(Value(page, "distr_log_lines_total", {{"deploymenttargetid", "tgt_1"}}), 12);
  EXPECT_EQ(Value(page, "distr_log_lines_total", {{"deploymenttargetid", "tgt_gone"}}), std::nullopt);
  EXPECT_EQ(Value(page, "distr_log_dropped_lines_total", {{"reason", "JOURNAL_FULL"}}), 7);
  EXPECT_EQ(Value(page, "distr_log_dropped_lines_total", {{"reason", "RATE"}}), 3);
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
  const ParsedPage page = Parse(TextPage(input));
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
  for (const auto& [name, description] : documented) {
    // Those of jobs come from the registry of jobs.
    if (name.rfind("distr_job_", 0) == 0) continue;
    EXPECT_EQ(page.count(name), 1u) << name << " is not exposed";
  }
}

TEST(Exposition, PassesPromtoolButForTheOneAcceptedName) {
  if (std::system("command -v promtool >/dev/null") != 0) GTEST_SKIP() << "skipped: promtool is not installed";
  const TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir.path() + "/page", TextPage(SampleInput()), 0644).ok());
  const int outcome =
      std::system(fmt::format("promtool check metrics <{0}/page >{0}/findings 2>&1", dir.path()).c_str());
  EXPECT_TRUE(WIFEXITED(outcome));
  EXPECT_EQ(*ReadFile(dir.path() + "/findings"),
            "distr_organizations_total non-counter metrics should not have \"_total\" suffix\n");
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
