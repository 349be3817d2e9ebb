#include "hub/fleet/target_admin.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "common/status.h"
#include "common/testing/fake_clock.h"
#include "common/testing/temp_dir.h"
#include "hub/store/reads.h"
#include "hub/testing/fakes.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using types::v1::TARGET_TYPE_DOCKER;

TEST(CheckName, TakesNamesPeopleUseAndRefusesTheRest) {
  const struct {
    std::string name;
    bool good;
  } cases[] = {
      {"shop", true},
      {"Shop 2 (Berlin)", true},
      {"K\xC3\xB6ln", true},
      {std::string(128, 'x'), true},
      {"", false},
      {std::string(129, 'x'), false},
      {" shop", false},
      {"shop ", false},
      {"a/b", false},
      {"a\nb", false},
      {"a\x7F", false},
      {"\xFF", false},
      {"\xE2\x80\xAE"
       "desrever",
       false},
      {std::string("a\0b", 3), false},
  };
  for (const auto& c : cases) EXPECT_EQ(CheckName("a name", c.name).ok(), c.good) << c.name;
  EXPECT_EQ(ReasonOf(CheckName("a name", "")), "BAD_NAME");
}

class TargetAdminTest : public ::testing::Test {
 protected:
  TargetAdminTest() {
    auto opened = Store::Open(dir_.path() + "/hub.db");
    EXPECT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
    history_ = std::make_unique<HistoryRecorder>(&store_->writer());
    fleet_ = std::make_unique<Fleet>("vendor", std::vector<StoredTarget>{}, history_.get(), clock_.Read());
    admin_ = std::make_unique<TargetAdmin>(store_.get(), fleet_.get(), &clock_);
  }
  ~TargetAdminTest() override { store_->writer().Stop(); }

  TargetAdmin::Credentials Create(const std::string& name) {
    auto created = admin_->CreateTarget(name, TARGET_TYPE_DOCKER, "", "root");
    EXPECT_TRUE(created.ok()) << created.status();
    return *std::move(created);
  }
  // Opens a session as an agent does; empty, or the reason of the refusal.
  std::string Connect(const std::string& id, const Secret& secret) {
    auto admitted = fleet_->Admit(TestHello(id, secret.Reveal()), clock_.Now());
    if (const auto* refusal = std::get_if<Refusal>(&admitted)) return FarewellReason_Name(refusal->reason);
    const auto& admission = std::get<Fleet::Admission>(admitted);
    EXPECT_TRUE(
        store_->writer()
            .Run([&](sqlite::Database& database) { return RecordSessionOpening(database, admission.opening).status(); })
            .ok());
    auto opened = fleet_->OpenSession(admission, "ses_1", "192.0.2.1:1", handle_, clock_.Read());
    if (const auto* refusal = std::get_if<Refusal>(&opened)) return FarewellReason_Name(refusal->reason);
    key_ = std::get<Fleet::SessionKey>(opened);
    return "";
  }
  void Report(std::int64_t number, const std::vector<agent::v1::DeploymentState>& deployments) {
    EXPECT_FALSE(fleet_->Heartbeat(key_, SnapshotBeat(number, number, deployments), clock_.Read()));
    history_->Drain();
  }
  StoredTarget Stored() {
    StoredTarget found;
    const absl::Status read = store_->Read([&](sqlite::Database& database) -> absl::Status {
      ASSIGN_OR_RETURN(const auto targets, LoadTargets(database));
      EXPECT_EQ(targets.size(), 1U);
      found = targets.front();
      return absl::OkStatus();
    });
    EXPECT_TRUE(read.ok()) << read;
    return found;
  }
  std::vector<std::string> AuditActions() {
    std::vector<std::string> actions;
    const absl::Status read = store_->Read([&](sqlite::Database& database) -> absl::Status {
      ASSIGN_OR_RETURN(const auto records, ReadAudit(database, 1'000'000, 100));
      for (const AuditRecord& record : records) actions.insert(actions.begin(), record.actor + " " + record.action);
      return absl::OkStatus();
    });
    EXPECT_TRUE(read.ok()) << read;
    return actions;
  }

  TempDir dir_;
  FakeClock clock_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<HistoryRecorder> history_;
  std::unique_ptr<Fleet> fleet_;
  std::unique_ptr<TargetAdmin> admin_;
  std::shared_ptr<FakeHandle> handle_ = std::make_shared<FakeHandle>();
  Fleet::SessionKey key_;
};

TEST_F(TargetAdminTest, CreatedTargetMayConnect) {
  const auto created = Create("one");
  EXPECT_EQ(created.connect_expires, clock_.Now() + kConnectCodeLifetime);
  EXPECT_EQ(Connect(created.target_id, created.secret), "");
  EXPECT_EQ(Connect(created.target_id, Secret("mst_wrong")), "FAREWELL_REASON_BAD_SECRET");
}

TEST_F(TargetAdminTest, RefusesBadTargets) {
  Create("one");
  const auto reason = [&](const std::string& name, types::v1::TargetType type, const std::string& customer) {
    return ReasonOf(admin_->CreateTarget(name, type, customer, "root").status());
  };
  EXPECT_EQ(reason("one", TARGET_TYPE_DOCKER, ""), "TARGET_EXISTS");
  EXPECT_EQ(reason("", TARGET_TYPE_DOCKER, ""), "BAD_NAME");
  EXPECT_EQ(reason("two", TARGET_TYPE_DOCKER, "a\nb"), "BAD_NAME");
  EXPECT_EQ(reason("two", types::v1::TARGET_TYPE_UNSPECIFIED, ""), "BAD_TYPE");
  EXPECT_EQ(reason("two", static_cast<types::v1::TargetType>(77), ""), "BAD_TYPE");
  EXPECT_EQ(fleet_->Snapshot(clock_.Now()).targets.size(), 1U);
}

// A target named like another one's id was found in its place.
TEST_F(TargetAdminTest, NameCannotBeAnotherTargetsId) {
  const auto created = Create("one");
  EXPECT_EQ(ReasonOf(admin_->CreateTarget(created.target_id, TARGET_TYPE_DOCKER, "", "root").status()), "BAD_NAME");
  EXPECT_EQ(ReasonOf(admin_->UpdateTarget(created.target_id, "tgt_x", {}, "root")), "BAD_NAME");
}

TEST_F(TargetAdminTest, ReconnectEndsTheSessionAndRefusesTheOldSecret) {
  const auto created = Create("one");
  ASSERT_EQ(Connect(created.target_id, created.secret), "");
  const auto renewed = admin_->Reconnect(created.target_id, "root");
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  ASSERT_EQ(handle_->ended.size(), 1U) << "before the call returns";
  EXPECT_EQ(handle_->ended[0].reason, agent::v1::FAREWELL_REASON_SECRET_ROTATED);
  EXPECT_EQ(Connect(created.target_id, created.secret), "FAREWELL_REASON_SECRET_ROTATED");
  EXPECT_EQ(Connect(created.target_id, renewed->secret), "");
  EXPECT_EQ(Stored().secret_generation, 2);
}

TEST_F(TargetAdminTest, ConnectCodeMintsFreshSecretsUntilTheFirstSession) {
  const auto created = Create("one");
  const std::string& code = created.connect_code.Reveal();
  EXPECT_EQ(admin_->TargetOf(code).value_or("refused"), created.target_id);
  const auto first = admin_->Redeem(code);
  const auto second = admin_->Redeem(code);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(Connect(created.target_id, first->secret), "FAREWELL_REASON_SECRET_ROTATED") << "the last fetch wins";
  EXPECT_EQ(Connect(created.target_id, second->secret), "");
  EXPECT_EQ(ReasonOf(admin_->Redeem(code).status()), "CONNECT_CODE_USED");
  EXPECT_EQ(ReasonOf(admin_->TargetOf(code).status()), "CONNECT_CODE_USED");
  EXPECT_EQ(ReasonOf(admin_->Redeem("mcc_guessed").status()), "CONNECT_CODE_UNKNOWN");
  EXPECT_EQ(Stored().secret_hash, HashSecret(second->secret.Reveal()));
}

TEST_F(TargetAdminTest, ConnectCodeEndsAfterADay) {
  const auto created = Create("one");
  clock_.Advance(kConnectCodeLifetime);
  EXPECT_EQ(ReasonOf(admin_->Redeem(created.connect_code.Reveal()).status()), "CONNECT_CODE_EXPIRED");
}

TEST_F(TargetAdminTest, DeletedTargetIsToldSo) {
  const auto created = Create("one");
  ASSERT_EQ(Connect(created.target_id, created.secret), "");
  ASSERT_TRUE(admin_->DeleteTarget(created.target_id, "root").ok());
  ASSERT_EQ(handle_->ended.size(), 1U);
  EXPECT_EQ(handle_->ended[0].reason, agent::v1::FAREWELL_REASON_TARGET_DELETED);
  EXPECT_EQ(Connect(created.target_id, created.secret), "FAREWELL_REASON_TARGET_DELETED");
  EXPECT_EQ(ReasonOf(admin_->DeleteTarget(created.target_id, "root")), "TARGET_NOT_FOUND");
  EXPECT_EQ(ReasonOf(admin_->Reconnect(created.target_id, "root").status()), "TARGET_NOT_FOUND");
  EXPECT_EQ(ReasonOf(admin_->UpdateTarget(created.target_id, "two", {}, "root")), "TARGET_NOT_FOUND");
}

TEST_F(TargetAdminTest, EveryChangeIsAudited) {
  const auto created = Create("one");
  ASSERT_TRUE(admin_->UpdateTarget(created.target_id, "uno", false, "ops").ok());
  ASSERT_TRUE(admin_->Redeem(created.connect_code.Reveal()).ok());
  ASSERT_TRUE(admin_->Reconnect(created.target_id, "ops").ok());
  ASSERT_FALSE(admin_->Redeem("mcc_guessed").ok());
  ASSERT_TRUE(admin_->DeleteTarget(created.target_id, "root").ok());
  EXPECT_THAT(AuditActions(), ElementsAre("root target.create", "ops target.update", "connect code target.redeem",
                                          "ops target.reconnect", "root target.delete"));
}

// Two partial updates at once: one took the other's change back, and memory and store could differ until a restart.
TEST_F(TargetAdminTest, UpdatesAtOnceLoseNothingAndLeaveMemoryAsTheStore) {
  const auto created = Create("one");
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 25; ++i) {
        const bool named = thread % 2 == 0;
        const absl::Status updated = admin_->UpdateTarget(
            created.target_id, named ? std::optional(fmt::format("name {} {}", thread, i)) : std::nullopt,
            named ? std::nullopt : std::optional(i % 2 == 1), "root");
        EXPECT_TRUE(updated.ok()) << updated;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto live = fleet_->FindTarget(created.target_id, "");
  ASSERT_TRUE(live.ok()) << live.status();
  const StoredTarget stored = Stored();
  EXPECT_EQ(live->target.name(), stored.name);
  EXPECT_EQ(live->target.metrics_enabled(), stored.metrics_enabled);
  EXPECT_TRUE(stored.name.ends_with(" 24")) << stored.name;
}

TEST_F(TargetAdminTest, ChoicesForADeploymentAreKeptAndPushed) {
  const auto created = Create("one");
  ASSERT_EQ(Connect(created.target_id, created.secret), "");
  Report(1, {TestDeployment("compose/shop", types::v1::DEPLOYMENT_STATUS_RUNNING)});
  const auto found = fleet_->FindDeployment("one/shop", "");
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_TRUE(admin_->UpdateDeployment(*found, false, {}, {}, "root").ok());
  ASSERT_TRUE(admin_->UpdateDeployment(*found, {}, "The Shop", {}, "root").ok());
  auto changed = fleet_->FindDeployment("one/shop", "");
  EXPECT_FALSE(changed->logs_enabled());
  EXPECT_EQ(changed->application(), "The Shop");
  ASSERT_FALSE(handle_->settings.empty());
  EXPECT_THAT(handle_->settings.back().logs_disabled_keys(), ElementsAre("compose/shop"));
  EXPECT_EQ(Stored().deployments.at(0).choices.application, "The Shop");
  EXPECT_FALSE(Stored().deployments.at(0).choices.logs_enabled);
  ASSERT_TRUE(admin_->UpdateDeployment(*found, {}, "", {}, "root").ok());
  EXPECT_EQ(fleet_->FindDeployment("one/shop", "")->application(), "shop") << "empty: back to the labels";
  EXPECT_EQ(ReasonOf(admin_->UpdateDeployment(*found, {}, "a\nb", {}, "root")), "BAD_NAME");
}

TEST_F(TargetAdminTest, DeploymentIsDeletedOnlyWhenItIsGone) {
  const auto created = Create("one");
  ASSERT_EQ(Connect(created.target_id, created.secret), "");
  Report(1, {TestDeployment("compose/shop", types::v1::DEPLOYMENT_STATUS_RUNNING)});
  const auto shop = fleet_->FindDeployment("one/shop", "");
  EXPECT_EQ(ReasonOf(admin_->DeleteDeployment(*shop, "root")), "DEPLOYMENT_IN_USE");
  auto gone = TestDeployment("compose/shop", types::v1::DEPLOYMENT_STATUS_ERROR);
  gone.set_gone(true);
  Report(2, {gone});
  ASSERT_TRUE(admin_->DeleteDeployment(*shop, "root").ok());
  EXPECT_EQ(ReasonOf(fleet_->FindDeployment("one/shop", "").status()), "DEPLOYMENT_NOT_FOUND");
  EXPECT_TRUE(Stored().deployments.empty());
  EXPECT_EQ(ReasonOf(admin_->UpdateDeployment(*shop, false, {}, {}, "root")), "DEPLOYMENT_NOT_STORED");
}

TEST_F(TargetAdminTest, NothingReachesTheFleetThatWasNotStored) {
  const auto created = Create("one");
  store_->writer().Stop();
  EXPECT_FALSE(admin_->CreateTarget("two", TARGET_TYPE_DOCKER, "", "root").ok());
  EXPECT_FALSE(admin_->UpdateTarget(created.target_id, "uno", {}, "root").ok());
  EXPECT_FALSE(admin_->Reconnect(created.target_id, "root").ok());
  EXPECT_FALSE(admin_->DeleteTarget(created.target_id, "root").ok());
  const FleetSnapshot fleet = fleet_->Snapshot(clock_.Now());
  ASSERT_EQ(fleet.targets.size(), 1U);
  EXPECT_EQ(fleet.targets[0].target.name(), "one");
  const auto admitted = fleet_->Admit(TestHello(created.target_id, created.secret.Reveal()), clock_.Now());
  EXPECT_TRUE(std::holds_alternative<Fleet::Admission>(admitted));
}

}  // namespace
}  // namespace muster::hub
