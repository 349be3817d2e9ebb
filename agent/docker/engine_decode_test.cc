#include "agent/docker/engine_decode.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>

#include "agent/deployments/names.h"
#include "agent/present.h"
#include "common/status.h"
#include "common/text.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

// As Docker 20.10.24 answers, shortened.
constexpr char kInspect[] = R"({"Id":"3b0349714842df05","Created":"2026-11-21T06:05:08.945471194Z","Path":"sleep",
"State":{"Status":"running","Running":true,"Paused":false,"Restarting":false,"OOMKilled":false,"Dead":false,"Pid":10294,
"ExitCode":0,"Error":"","StartedAt":"2026-11-21T06:05:09.095770095Z","FinishedAt":"0001-01-01T00:00:00Z",
"Health":{"Status":"unhealthy","FailingStreak":2,"Log":[
{"Start":"2026-11-21T06:05:09Z","End":"2026-11-21T06:05:09.5Z","ExitCode":0,"Output":"fine"},
{"Start":"2026-11-21T06:05:10Z","End":"2026-11-21T06:05:10.5Z","ExitCode":1,"Output":"refused"},
{"Start":"2026-11-21T06:05:11Z","End":"2026-11-21T06:05:11.5Z","ExitCode":1,"Output":"\n  curl: (7) refused\nmore\n"}]}},
"Image":"sha256:eb1dbea2","Name":"/shop_web_1","RestartCount":4,
"HostConfig":{"Binds":["/b:/b","/a:/a"],"LogConfig":{"Type":"local","Config":{}},"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":5},"AutoRemove":true,
"Memory":8388608,"ConsoleSize":[0,0]},
"Config":{"Hostname":"3b0349714842","Env":["B=2","A=1"],"Cmd":["sleep","1000"],"Tty":true,"Image":"shop/web:1.2","Labels":{
"com.docker.compose.project":"shop","com.docker.compose.service":"web","com.docker.compose.oneoff":"False",
"com.docker.compose.config-hash":"abc","muster.application":"Shop","muster.version":"1.2.3",
"org.opencontainers.image.title":"Web","org.opencontainers.image.version":"9"}}})";

std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

absl::Time T(std::string_view text) { return *ParseRfc3339(text); }

TEST(DecodeInspect, ReadsWhatTheEngineSays) {
  const auto c = DecodeInspect(kInspect);
  ASSERT_TRUE(c.ok()) << c.status();
  EXPECT_EQ(c->id, "3b0349714842df05");
  EXPECT_EQ(c->name, "shop_web_1");
  EXPECT_EQ(c->image, "shop/web:1.2");
  EXPECT_EQ(c->image_id, "sha256:eb1dbea2");
  EXPECT_EQ(c->state, ContainerState::kRunning);
  EXPECT_EQ(c->state_word, "running");
  EXPECT_EQ(c->health, ContainerHealth::kUnhealthy);
  EXPECT_EQ(c->health_output, "curl: (7) refused");
  EXPECT_EQ(c->health_since, T("2026-11-21T06:05:10.5Z")) << "the first failing check of the row";
  EXPECT_EQ(c->policy, RestartPolicy::kOnFailure);
  EXPECT_EQ(c->restart_count, 4);
  EXPECT_TRUE(c->auto_remove);
  EXPECT_TRUE(c->has_tty);
  EXPECT_EQ(c->log_driver, "local");
  EXPECT_EQ(c->created, T("2026-11-21T06:05:08.945471194Z"));
  EXPECT_EQ(c->started, T("2026-11-21T06:05:09.095770095Z"));
  EXPECT_EQ(c->finished, absl::InfinitePast());
  EXPECT_EQ(c->labels.compose_project, "shop");
  EXPECT_EQ(c->labels.compose_service, "web");
  EXPECT_FALSE(c->labels.compose_oneoff);
  EXPECT_EQ(c->labels.compose_config_hash, "abc");
  EXPECT_EQ(c->labels.muster_application, "Shop");
  EXPECT_EQ(c->labels.muster_version, "1.2.3");
  EXPECT_EQ(c->labels.oci_title, "Web");
  EXPECT_EQ(c->labels.oci_version, "9");
  EXPECT_FALSE(c->partial);
}

TEST(DecodeInspect, HealthChecksBeforeTheLastStartDoNotCount) {
  const auto c = DecodeInspect(Replaced(kInspect, "2026-11-21T06:05:09.095770095Z", "2026-11-21T06:05:11Z"));
  ASSERT_TRUE(c.ok());
  EXPECT_EQ(c->health_since, T("2026-11-21T06:05:11.5Z"));
}

TEST(DecodeInspect, ConfigurationHashChangesWithConfigurationOnly) {
  const std::string hash = DecodeInspect(kInspect)->config_hash;
  EXPECT_FALSE(hash.empty());
  const auto same = [&](std::string_view from, std::string_view to) {
    return DecodeInspect(Replaced(kInspect, from, to))->config_hash == hash;
  };
  EXPECT_TRUE(same("2026-11-21T06:05:08.945471194Z", "2026-11-22T06:05:08Z"));
  EXPECT_TRUE(same(R"("RestartCount":4)", R"("RestartCount":5)"));
  EXPECT_TRUE(same(R"(["B=2","A=1"])", R"(["A=1","B=2"])")) << "order of the environment";
  EXPECT_TRUE(same(R"(["/b:/b","/a:/a"])", R"(["/a:/a","/b:/b"])"));
  EXPECT_TRUE(same(R"("ConsoleSize":[0,0])", R"("ConsoleSize":[25,80])")) << "the terminal it was started from";
  EXPECT_TRUE(same(R"("Memory":8388608)", R"("Memory":8388608,"CpuShares":0,"CapAdd":null,"Init":false)"))
      << "defaults";
  EXPECT_TRUE(same(R"("Hostname":"3b0349714842")", R"("Hostname":"")")) << "made from the id";
  EXPECT_FALSE(same(R"("Hostname":"3b0349714842")", R"("Hostname":"web1")"));
  EXPECT_FALSE(same(R"("A=1")", R"("A=2")"));
  EXPECT_FALSE(same(R"(["sleep","1000"])", R"(["1000","sleep"])"));
  EXPECT_FALSE(same(R"("Memory":8388608)", R"("Memory":8388609)"));
  EXPECT_FALSE(same(R"("on-failure")", R"("always")"));
  EXPECT_FALSE(same(R"("muster.version":"1.2.3")", R"("muster.version":"1.2.4")"));
}

TEST(DecodeInspect, MissingAndWronglyTypedFieldsHaveDefaults) {
  const auto c =
      DecodeInspect(R"({"Id":"ab","Name":5,"State":"up","Config":[],"HostConfig":null,"RestartCount":"many"})");
  ASSERT_TRUE(c.ok());
  EXPECT_EQ(c->name, "ab");
  EXPECT_EQ(c->state, ContainerState::kUnknown);
  EXPECT_EQ(c->restart_count, 0);
  EXPECT_FALSE(c->has_tty);
  EXPECT_EQ(c->log_driver, "");
  const auto huge = DecodeInspect(
      R"({"Id":"ab","RestartCount":-7,"Config":{"Tty":"yes"},"HostConfig":{"LogConfig":[]},"State":{"ExitCode":99999999999999999999,
      "StartedAt":"yesterday","Health":{"Status":"unhealthy","Log":[7,{"End":{}}]}}})");
  ASSERT_TRUE(huge.ok());
  EXPECT_FALSE(huge->has_tty);
  EXPECT_EQ(huge->restart_count, 0);
  EXPECT_EQ(huge->started, absl::InfinitePast());
}

TEST(DecodeInspect, RefusesWhatIsNotAnInspection) {
  for (const std::string body : {"", "null", "[]", "{}", R"({"Id":""})", R"({"Id":"../../x"})", R"({"Id":7})", "{",
                                 "\xff", R"({"Id":"ab"} trailing)"}) {
    const auto c = DecodeInspect(body);
    ASSERT_FALSE(c.ok()) << body;
    EXPECT_EQ(ReasonOf(c.status()), "BAD_JSON") << body;
  }
  EXPECT_FALSE(DecodeInspect(std::string(1'000'000, '[')).ok()) << "deep nesting must not end in deep recursion";
  EXPECT_FALSE(DecodeInspect(fmt::format(R"({{"Id":"a{}"}})", std::string(200, 'b'))).ok());
}

TEST(DecodeInspect, HostileTextsAreCleanedAndCut) {
  const std::string long_name(10'000, 'p');
  const std::string body = fmt::format(
      R"({{"Id":"ab","Name":"/{}","Config":{{"Image":"{}","Labels":{{"com.docker.compose.project":"a\"b\n{}",)"
      R"("com.docker.compose.service":"{}x","muster.version":"{}"}}}}}})",
      "\xff\xfe", long_name, "\xC3", long_name, long_name);
  const auto c = DecodeInspect(body);
  ASSERT_TRUE(c.ok()) << c.status();
  EXPECT_EQ(c->name, "\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(c->labels.compose_project, "a\"b\n\xEF\xBF\xBD");
  EXPECT_LE(c->image.size(), kMaxNameBytes);
  EXPECT_LE(c->labels.muster_version.size(), kMaxNameBytes);
  EXPECT_LE(c->labels.compose_service.size(), kMaxIdentityBytes);
  const auto other = DecodeInspect(Replaced(body, "px\"", "py\""));
  EXPECT_NE(c->labels.compose_service, other->labels.compose_service) << "long names stay different";
}

TEST(DecodeList, ReadsRows) {
  const auto list = DecodeList(R"json([
    {"Id":"a1","Names":["/other/alias","/loop"],"Image":"bb:1.0","ImageID":"sha256:1","Created":1795241109,"Labels":{},
     "State":"restarting","Status":"Restarting (3) Less than a second ago"},
    {"Id":"a2","Names":["/t1"],"Labels":null,"State":"running","Status":"Up 2 seconds (unhealthy)"},
    {"Id":"a3","Names":["/t2"],"State":"running","Status":"Up 2 seconds (healthy)"},
    {"Id":"a4","Names":["/t3"],"State":"running","Status":"Up 2 seconds (health: starting)"},
    {"Id":"a5","Names":null,"State":"exited","Status":"Exited (137) 3 days ago"},
    {"Id":"bad id"}, 7, null])json");
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->containers.size(), 5u);
  const auto& rows = list->containers;
  EXPECT_EQ(rows[0].name, "loop");
  EXPECT_EQ(rows[0].state, ContainerState::kRestarting);
  EXPECT_EQ(rows[0].exit_code, 3);
  EXPECT_EQ(rows[0].created, absl::FromUnixSeconds(1795241109));
  EXPECT_TRUE(rows[0].partial);
  EXPECT_EQ(rows[1].health, ContainerHealth::kUnhealthy);
  EXPECT_EQ(rows[2].health, ContainerHealth::kHealthy);
  EXPECT_EQ(rows[3].health, ContainerHealth::kStarting);
  EXPECT_EQ(rows[4].name, "a5");
  EXPECT_EQ(rows[4].exit_code, 137);
}

TEST(DecodeList, StopsAtTheLimitAndCounts) {
  std::string body = "[";
  for (std::size_t i = 0; i < kMaxContainers + 7; ++i) body += fmt::format(R"({}{{"Id":"a{}"}})", i == 0 ? "" : ",", i);
  const auto list = DecodeList(body + "]");
  ASSERT_TRUE(list.ok());
  EXPECT_EQ(list->containers.size(), kMaxContainers);
  EXPECT_EQ(list->omitted, 7);
  EXPECT_FALSE(DecodeList("{}").ok());
  EXPECT_FALSE(DecodeList(body).ok()) << "cut off";
}

TEST(DecodeEvent, TellsWhatHappenedToWhom) {
  const auto die = DecodeEvent(
      R"({"status":"die","id":"f48a","from":"bb:1.0","Type":"container","Action":"die","Actor":{"ID":"f48a","Attributes":)"
      R"({"exitCode":"3","image":"bb:1.0","name":"loop"}},"scope":"local","time":1795241109,"timeNano":1795241109254150765})");
  ASSERT_TRUE(die.ok()) << die.status();
  EXPECT_EQ(die->action, EventAction::kDie);
  EXPECT_EQ(die->container_id, "f48a");
  EXPECT_EQ(die->exit_code, 3);
  EXPECT_EQ(die->time, absl::FromUnixNanos(1795241109254150765));
}

TEST(DecodeEvent, MapsActions) {
  const std::pair<const char*, EventAction> cases[] = {
      {"create", EventAction::kCreate},
      {"start", EventAction::kStart},
      {"die", EventAction::kDie},
      {"oom", EventAction::kOom},
      {"kill", EventAction::kKill},
      {"destroy", EventAction::kDestroy},
      {"restart", EventAction::kChange},
      {"pause", EventAction::kChange},
      {"unpause", EventAction::kChange},
      {"rename", EventAction::kChange},
      {"update", EventAction::kChange},
      {"health_status: unhealthy", EventAction::kChange},
      {"health_status: healthy", EventAction::kChange},
      {"exec_create: /bin/sh -c true", EventAction::kOther},
      {"exec_die", EventAction::kOther},
      {"attach", EventAction::kOther},
      {"stop", EventAction::kOther},
      {"of the future", EventAction::kOther},
  };
  for (const auto& [word, action] : cases) {
    const auto modern = DecodeEvent(fmt::format(R"({{"Type":"container","Action":"{}","Actor":{{"ID":"a"}}}})", word));
    ASSERT_TRUE(modern.ok()) << word;
    EXPECT_EQ(modern->action, action) << word;
    const auto old = DecodeEvent(fmt::format(R"({{"Type":"container","status":"{}","id":"a"}})", word));
    ASSERT_TRUE(old.ok()) << word;
    EXPECT_EQ(old->action, action) << word;
  }
  EXPECT_EQ(DecodeEvent(R"({"Type":"network","Action":"destroy","Actor":{"ID":"a"}})")->action, EventAction::kOther);
}

TEST(DecodeEvent, RefusesWhatCannotBeUsed) {
  EXPECT_FALSE(DecodeEvent("{\"Type\":").ok());
  EXPECT_FALSE(DecodeEvent("[]").ok());
  EXPECT_FALSE(DecodeEvent(R"({"Type":"container","Action":"die","Actor":{"ID":"a/../b"}})").ok());
  EXPECT_FALSE(DecodeEvent(R"({"Type":"container","Action":"die"})").ok());
}

TEST(DecodeStats, ReadsUseAsDockerShowsIt) {
  struct Case {
    const char* body;
    double cpu_seconds;
    std::int64_t memory;
    std::int64_t limit;
  };
  const Case cases[] = {
      // Control groups of version 2, then 1.
      {R"({"cpu_stats":{"cpu_usage":{"total_usage":2500000000}},"memory_stats":{"usage":5000,"limit":9000,"stats":{"inactive_file":1000}}})",
       2.5, 4000, 9000},
      {R"({"cpu_stats":{"cpu_usage":{"total_usage":1}},"memory_stats":{"usage":5000,"stats":{"inactive_file":1,"total_inactive_file":2000}}})",
       1e-9, 3000, 0},
      {R"({"cpu_stats":{"cpu_usage":{"total_usage":0}},"memory_stats":{"usage":5000,"stats":{"inactive_file":5001}}})",
       0, 5000, 0},
      {R"({"cpu_stats":{"cpu_usage":{"total_usage":-7}},"memory_stats":{"usage":-1,"limit":18446744073709551615}})", 0,
       0, std::numeric_limits<std::int64_t>::max()},
  };
  for (const Case& one : cases) {
    const auto stats = DecodeStats(one.body);
    ASSERT_TRUE(stats.ok()) << one.body;
    EXPECT_DOUBLE_EQ(stats->cpu_seconds, one.cpu_seconds) << one.body;
    EXPECT_EQ(stats->memory_bytes, one.memory) << one.body;
    EXPECT_EQ(stats->memory_limit_bytes, one.limit) << one.body;
  }
}

// What engines answer for a container that has just ended.
TEST(DecodeStats, RefusesWhatTellsNoUse) {
  for (const char* body : {"", "[]", "{}", R"({"cpu_stats":{"cpu_usage":{"total_usage":5}},"memory_stats":{}})",
                           R"({"memory_stats":{"usage":5}})",
                           R"({"cpu_stats":{"cpu_usage":{"total_usage":"5"}},"memory_stats":{"usage":5}})"}) {
    EXPECT_EQ(ReasonOf(DecodeStats(body).status()), "BAD_JSON") << body;
  }
}

TEST(DecodeVersion, NamesTheEngine) {
  EXPECT_EQ(DecodeVersion(R"({"Version":"20.10.24","Components":[{"Name":"Engine"}]})")->name, "docker");
  EXPECT_EQ(DecodeVersion(R"({"Version":"20.10.24"})")->version, "20.10.24");
  EXPECT_EQ(DecodeVersion(R"({"Version":"4.3.1","Components":[{"Name":"Podman Engine"}]})")->name, "podman");
  EXPECT_FALSE(DecodeVersion("{}").ok());
}

}  // namespace
}  // namespace muster::agent
