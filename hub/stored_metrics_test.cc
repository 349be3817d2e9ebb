#include "hub/stored_metrics.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/files.h"
#include "common/status.h"
#include "common/testing/fake_clock.h"
#include "common/testing/must.h"
#include "common/testing/temp_dir.h"
#include "hub/http/testing/raw_client.h"
#include "hub/store/store.h"
#include "hub/store/writes.h"
#include "hub/testing/fakes.h"

namespace muster::hub {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// A hub's folder, written by the hub's own store.
class StoredMetricsTest : public testing::Test {
 protected:
  StoredMetricsTest() : started_(clock_.Now()) {
    store_ = *Store::Open(dir_.path() + "/hub.db");
    Write([&](sqlite::Database& database) -> absl::Status {
      RETURN_IF_ERROR(EnsureMeta(database, "organization", "Vendor").status());
      RETURN_IF_ERROR(BeginRun(database, started_));
      StoredTarget target = TestTarget("tgt_1", "edge-1", "mst_one");
      target.customer = "Acme";
      RETURN_IF_ERROR(InsertTarget(database, target));
      RETURN_IF_ERROR(RecordTargetTransition(database, {.target_id = "tgt_1",
                                                        .state = types::v1::TARGET_STATE_CONNECTED,
                                                        .at = clock_.Now() + absl::Seconds(1),
                                                        .reason = "",
                                                        .last_seen = clock_.Now()}));
      StoredToken token;
      token.id = "tok_1";
      token.name = "metrics";
      token.hash = HashSecret("mtk_good");
      token.role = fleet::v1::ROLE_METRICS;
      token.created = clock_.Now();
      return InsertToken(database, token);
    });
    AddDeployment();
  }
  void Write(Writer::Operation operation) { ASSERT_TRUE(store_->writer().Run(std::move(operation)).ok()); }
  void AddDeployment() {
    StoredDeployment deployment;
    deployment.id = "dep_1";
    deployment.created = deployment.revision_since = clock_.Now() + absl::Seconds(2);
    deployment.report = TestDeployment("compose/shop", types::v1::DEPLOYMENT_STATUS_HEALTHY);
    deployment.open = {.status = types::v1::DEPLOYMENT_STATUS_HEALTHY,
                       .from = deployment.created,
                       .to = {},
                       .message = "",
                       .application_version = "1.0",
                       .revision = "rev-1.0"};
    DeploymentTransition transition{.target_id = "tgt_1", .deployment = deployment};
    transition.change = RecordedChange{.at = deployment.created,
                                       .name = {},
                                       .fact = {.status = types::v1::DEPLOYMENT_STATUS_HEALTHY,
                                                .message = "",
                                                .application_version = "1.0",
                                                .revision = "rev-1.0"}};
    Write([&](sqlite::Database& database) { return RecordDeploymentTransition(database, transition); });
  }
  void Touch() {
    Write([&](sqlite::Database& database) { return TouchRun(database, started_, clock_.Now()); });
  }
  void Serve(const std::map<std::string, std::string>& environment = {}) {
    RawConfig raw;
    raw.data_dir = dir_.path();
    auto config = FinalizeStoredMetrics(raw, [&](const std::string& name) -> std::optional<std::string> {
      const auto found = environment.find(name);
      return found == environment.end() ? std::nullopt : std::optional(found->second);
    });
    ASSERT_TRUE(config.ok()) << config.status();
    config->metrics.address = {.host = "127.0.0.1", .port = 0};
    auto served = StoredMetrics::Start(*std::move(config), &clock_);
    ASSERT_TRUE(served.ok()) << served.status();
    served_ = *std::move(served);
  }
  std::string Get(const std::string& target, const std::string& headers = "") {
    RawClient client(served_->address().port);
    client.Send(fmt::format("GET {} HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\n{}\r\n", target, headers));
    return client.ReadAll();
  }

  TempDir dir_;
  FakeClock clock_;
  const absl::Time started_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<StoredMetrics> served_;
};

TEST_F(StoredMetricsTest, ShowsWhatARunningHubHasWritten) {
  Serve();
  const std::string page = Get("/metrics");
  EXPECT_THAT(page, HasSubstr("\ndistr_hub_up 1\n"));
  EXPECT_THAT(page, HasSubstr("\ndistr_organizations 1\n"));
  EXPECT_THAT(page, HasSubstr("deploymenttargetid=\"tgt_1\",state=\"connected\"} 1\n"));
  EXPECT_THAT(
      page,
      HasSubstr("deploymentid=\"dep_1\",application=\"shop\",applicationversion=\"1.0\",status=\"healthy\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("process_open_fds"));
}

TEST_F(StoredMetricsTest, WhatLivesInTheHubsMemoryIsAbsent) {
  Serve();
  const std::string page = Get("/metrics");
  for (const char* family : {"session_open", "round_trip", "distr_journal_", "distr_log_", "distr_host_",
                             "distr_hub_sessions", "distr_hub_heartbeats"}) {
    EXPECT_THAT(page, Not(HasSubstr(family)));
  }
  EXPECT_THAT(Get("/metrics?collect[]=hub"), Not(HasSubstr("distr_hub_sessions")));
}

TEST_F(StoredMetricsTest, AHubThatSaysNothingIsDownAndEverythingAsOfThen) {
  clock_.Advance(absl::Seconds(5));
  Touch();
  Serve();
  EXPECT_THAT(Get("/metrics"), HasSubstr("\ndistr_hub_up 1\n"));
  clock_.Advance(kHubUpWithin);
  const std::string page = Get("/metrics");
  EXPECT_THAT(page, HasSubstr("\ndistr_hub_up 0\n"));
  EXPECT_THAT(page, HasSubstr("\ndistr_hub_alive_timestamp_seconds 1800000005\n"));
  EXPECT_THAT(page, HasSubstr("state=\"connected\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("state=\"stale\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("status=\"healthy\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("distr_deployment_stale{organization=\"Vendor\",customerorganization=\"Acme\","));
  EXPECT_THAT(page, HasSubstr("applicationversion=\"1.0\"} 1\n"));
  Touch();
  EXPECT_THAT(Get("/metrics"), HasSubstr("\ndistr_hub_up 1\n"));
}

TEST_F(StoredMetricsTest, AStoppedHubIsDownAtOnce) {
  Write([&](sqlite::Database& database) { return EndRun(database, started_, clock_.Now()); });
  store_.reset();
  Serve();
  EXPECT_THAT(Get("/metrics"), HasSubstr("\ndistr_hub_up 0\n"));
}

TEST_F(StoredMetricsTest, WhatTheHubCommitsIsInTheNextPage) {
  Serve();
  EXPECT_THAT(Get("/metrics"), HasSubstr("tgt_1"));
  Write([&](sqlite::Database& database) {
    return MarkTargetDeleted(database, "tgt_1", clock_.Now() + absl::Seconds(3));
  });
  EXPECT_THAT(Get("/metrics"), Not(HasSubstr("tgt_1")));
}

TEST_F(StoredMetricsTest, NothingIsWrittenNorLocked) {
  store_.reset();  // it would write itself
  const std::string before = *ReadFile(dir_.path() + "/hub.db");
  Serve();
  EXPECT_THAT(Get("/metrics"), StartsWith("HTTP/1.1 200"));
  EXPECT_TRUE(*ReadFile(dir_.path() + "/hub.db") == before);
  EXPECT_FALSE(ReadFile(dir_.path() + "/lock").ok()) << "the lock of the data folder is the hub's";
  EXPECT_TRUE(Store::Open(dir_.path() + "/hub.db").ok()) << "a hub may start beside it";
}

TEST_F(StoredMetricsTest, AsksForTheTokenOrAHubsToken) {
  Serve({{"METRICS_BEARER_TOKEN", "s3cret"}});
  EXPECT_THAT(Get("/metrics"), StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(Get("/metrics", "Authorization: Bearer mtk_bad\r\n"), StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(Get("/metrics", "Authorization: Bearer s3cret\r\n"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Get("/metrics", "Authorization: Bearer mtk_good\r\n"), StartsWith("HTTP/1.1 200"));
  Write([&](sqlite::Database& database) { return MarkTokenRevoked(database, "tok_1", clock_.Now()); });
  EXPECT_THAT(Get("/metrics", "Authorization: Bearer mtk_good\r\n"), StartsWith("HTTP/1.1 401"));
}

TEST_F(StoredMetricsTest, OtherPagesAnswerAsFarAsFilesDo) {
  Serve();
  EXPECT_THAT(Get("/sd/targets"), HasSubstr("\"__param_id\":\"tgt_1\""));
  EXPECT_THAT(Get("/metrics/target?id=tgt_1"), StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(Get("/metrics/target?id=nobody"), StartsWith("HTTP/1.1 404"));
}

TEST(ReadStoredHub, SaysWhatItCannotRead) {
  const TempDir dir;
  const FakeClock clock;
  EXPECT_EQ(ReasonOf(ReadStoredHub(dir.path(), {}, clock.Read()).status()), "NO_DATABASE");
  {
    auto database = *sqlite::Database::Open(dir.path() + "/hub.db", sqlite::OpenMode::kWriter);
    ASSERT_TRUE(MigrateTo(*database, kSchemaVersion - 1).ok());
  }
  EXPECT_EQ(ReasonOf(ReadStoredHub(dir.path(), {}, clock.Read()).status()), "DATABASE_TOO_OLD");
}

}  // namespace
}  // namespace muster::hub
