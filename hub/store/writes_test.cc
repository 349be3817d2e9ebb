#include "hub/store/writes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/status.h"
#include "hub/store/reads.h"
#include "hub/store/testing/writes_fixture.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using types::v1::DEPLOYMENT_STATUS_ERROR;
using types::v1::DEPLOYMENT_STATUS_HEALTHY;
using types::v1::DEPLOYMENT_STATUS_RUNNING;
using types::v1::TARGET_STATE_CONNECTED;
using types::v1::TARGET_STATE_NOT_CONNECTED;
using types::v1::TARGET_STATE_STALE;

// ---- targets

TEST_F(WritesTest, InsertedTargetIsReadBackWhole) {
  StoredTarget target = NewTarget("tgt_2", "two \"quoted\" \xE2\x82\xAC", "ACME");
  target.metrics_enabled = false;
  ASSERT_TRUE(InsertTarget(*database_, target).ok());
  const auto targets = LoadTargets(*database_);
  ASSERT_TRUE(targets.ok()) << targets.status();
  ASSERT_EQ(targets->size(), 2U);
  const StoredTarget& loaded = (*targets)[1];
  EXPECT_EQ(loaded.name, target.name);
  EXPECT_EQ(loaded.type, target.type);
  EXPECT_EQ(loaded.customer, "ACME");
  EXPECT_EQ(loaded.created, kTestEpoch);
  EXPECT_EQ(loaded.secret_hash, target.secret_hash);
  EXPECT_EQ(loaded.secret_generation, 1);
  EXPECT_FALSE(loaded.metrics_enabled);
  EXPECT_FALSE(loaded.deleted);
  EXPECT_FALSE(loaded.last_seen);
  EXPECT_EQ(loaded.open.state, TARGET_STATE_NOT_CONNECTED);
  EXPECT_EQ(loaded.open.reason, "created");
  EXPECT_THAT(loaded.retired_secrets, IsEmpty());
  EXPECT_THAT(loaded.deployments, IsEmpty());
}

TEST_F(WritesTest, TargetNamesAreUniqueAmongTheLiving) {
  EXPECT_EQ(ReasonOf(InsertTarget(*database_, NewTarget("tgt_2", "one"))), "TARGET_EXISTS");
  ASSERT_TRUE(InsertTarget(*database_, NewTarget("tgt_2", "two")).ok());
  EXPECT_EQ(ReasonOf(UpdateTarget(*database_, "tgt_2", "one", {}).status()), "TARGET_EXISTS");
  ASSERT_TRUE(MarkTargetDeleted(*database_, "tgt_1", At(1)).ok());
  EXPECT_TRUE(InsertTarget(*database_, NewTarget("tgt_3", "one")).ok());
}

TEST_F(WritesTest, UpdateChangesOnlyWhatIsNamed) {
  auto now = UpdateTarget(*database_, "tgt_1", {}, false);
  ASSERT_TRUE(now.ok()) << now.status();
  EXPECT_EQ(now->name, "one");
  EXPECT_FALSE(now->metrics_enabled);
  now = UpdateTarget(*database_, "tgt_1", "uno", {});
  ASSERT_TRUE(now.ok()) << now.status();
  EXPECT_EQ(now->name, "uno");
  EXPECT_FALSE(now->metrics_enabled);
  EXPECT_EQ(Load().name, "uno");
  EXPECT_FALSE(Load().metrics_enabled);
}

TEST_F(WritesTest, DeletedTargetIsFoundByNobody) {
  ASSERT_TRUE(MarkTargetDeleted(*database_, "tgt_1", At(1)).ok());
  EXPECT_TRUE(Load().deleted);
  EXPECT_EQ(ReasonOf(MarkTargetDeleted(*database_, "tgt_1", At(2))), "TARGET_NOT_FOUND");
  EXPECT_EQ(ReasonOf(UpdateTarget(*database_, "tgt_1", "x", {}).status()), "TARGET_NOT_FOUND");
  EXPECT_EQ(ReasonOf(RotateSecret(*database_, "tgt_1", HashSecret("x"), At(2)).status()), "TARGET_NOT_FOUND");
}

// A hub killed between the deletion's commit and the history that follows it showed the target connected for ever.
TEST_F(WritesTest, DeletionClosesTheHistoryInItsOwnTransaction) {
  ASSERT_TRUE(Transit(TARGET_STATE_CONNECTED, At(10)).ok());
  const auto shop = NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_RUNNING, At(11));
  ASSERT_TRUE(RecordDeploymentTransition(*database_, shop).ok());
  ASSERT_TRUE(BeginSilence(*database_, "tgt_1", {.from = At(15), .reason = "silent"}).ok());
  ASSERT_TRUE(MarkTargetDeleted(*database_, "tgt_1", At(20)).ok());
  EXPECT_THAT(TargetHistory(), ElementsAre("0-10 1 created", "10-20 2 "));
  EXPECT_THAT(DeploymentHistory(), ElementsAre("11 5", "20 0"));
  EXPECT_THAT(Silences(), ElementsAre("15-20 silent"));
  ASSERT_TRUE(CloseTargetHistory(*database_, "tgt_1", At(30)).ok());
  EXPECT_THAT(DeploymentHistory(), ElementsAre("11 5", "20 0")) << "it ends once";
}

TEST_F(WritesTest, WhatWasOnItsWayWhenTheTargetWasDeletedOpensNothing) {
  ASSERT_TRUE(MarkTargetDeleted(*database_, "tgt_1", At(20)).ok());
  ASSERT_TRUE(Transit(TARGET_STATE_CONNECTED, At(19)).ok());
  const auto shop = NewTransition("tgt_1", "shop", DEPLOYMENT_STATUS_RUNNING, At(19));
  ASSERT_TRUE(RecordDeploymentTransition(*database_, shop).ok());
  ASSERT_TRUE(BeginSilence(*database_, "tgt_1", {.from = At(19), .reason = ""}).ok());
  ASSERT_TRUE(CloseTargetHistory(*database_, "tgt_1", At(21)).ok());
  EXPECT_THAT(TargetHistory(), ElementsAre("0-20 1 created"));
  EXPECT_THAT(DeploymentHistory(), IsEmpty());
  EXPECT_THAT(Silences(), IsEmpty());
}

// ---- secrets and sessions

TEST_F(WritesTest, RotationRetiresTheSecretAndStartsTheCountersAnew) {
  ASSERT_TRUE(Transit(TARGET_STATE_CONNECTED, At(5)).ok());
  ASSERT_TRUE(RecordSessionOpening(*database_, {.target_id = "tgt_1",
                                                .secret_generation = 1,
                                                .session_counter = 7,
                                                .identity_warning = "a copy",
                                                .agent_version = "0.1.0",
                                                .machine = {},
                                                .epochs = {},
                                                .at = At(5)})
                  .ok());
  ASSERT_TRUE(ConfirmSessionCounter(*database_, "tgt_1", 7).ok());
  EXPECT_EQ(Load().confirmed_counter, 7);

  const auto generation = RotateSecret(*database_, "tgt_1", HashSecret("new"), At(9));
  ASSERT_TRUE(generation.ok()) << generation.status();
  EXPECT_EQ(*generation, 2);
  const StoredTarget target = Load();
  EXPECT_EQ(target.secret_generation, 2);
  EXPECT_EQ(target.secret_hash, HashSecret("new"));
  EXPECT_THAT(target.retired_secrets, ElementsAre(HashSecret("secret of tgt_1")));
  EXPECT_EQ(target.session_counter, 0);
  EXPECT_EQ(target.confirmed_counter, 0);
  EXPECT_EQ(target.identity_warning, "");
}

// The state followed in a later transaction: a hub killed in between came back with a connected target.
TEST_F(WritesTest, RotationAloneMakesTheTargetNotConnected) {
  ASSERT_TRUE(Transit(TARGET_STATE_CONNECTED, At(5)).ok());
  ASSERT_TRUE(RotateSecret(*database_, "tgt_1", HashSecret("new"), At(9)).ok());
  EXPECT_EQ(Load().open.state, TARGET_STATE_NOT_CONNECTED);
  EXPECT_THAT(TargetHistory(), ElementsAre("0-5 1 created", "5-9 2 ", "9-... 1 the target secret was rotated"));
}

TEST_F(WritesTest, RotationKeepsSixteenRetiredSecrets) {
  for (int i = 1; i <= 20; ++i) {
    ASSERT_TRUE(RotateSecret(*database_, "tgt_1", HashSecret("secret " + std::to_string(i)), At(i)).ok());
  }
  const StoredTarget target = Load();
  ASSERT_EQ(target.retired_secrets.size(), static_cast<std::size_t>(kKeptRetiredSecrets));
  EXPECT_EQ(target.retired_secrets.front(), HashSecret("secret 19")) << "newest first";
  EXPECT_EQ(target.retired_secrets.back(), HashSecret("secret 4"));
}

TEST_F(WritesTest, SessionOpeningIsKept) {
  SessionOpening opening{.target_id = "tgt_1",
                         .secret_generation = 1,
                         .session_counter = 3,
                         .identity_warning = "two machines",
                         .agent_version = "0.2.0",
                         .machine = {},
                         .epochs = {},
                         .at = At(30)};
  opening.machine.set_hostname("host-1");
  ASSERT_TRUE(RecordSessionOpening(*database_, opening).ok());
  const StoredTarget target = Load();
  EXPECT_EQ(target.session_counter, 3);
  EXPECT_EQ(target.identity_warning, "two machines");
  EXPECT_EQ(target.agent_version, "0.2.0");
  EXPECT_EQ(target.machine.hostname(), "host-1");
  EXPECT_EQ(target.last_seen, At(30));
}

// Two sessions at once may be stored in either order; the counter must not go back.
TEST_F(WritesTest, SessionCounterOnlyGrows) {
  for (const int counter : {5, 4}) {
    ASSERT_TRUE(OpenSession(1, counter, At(1)).ok());
  }
  EXPECT_EQ(Load().session_counter, 5);
  ASSERT_TRUE(ConfirmSessionCounter(*database_, "tgt_1", 5).ok());
  ASSERT_TRUE(ConfirmSessionCounter(*database_, "tgt_1", 4).ok());
  EXPECT_EQ(Load().confirmed_counter, 5);
}

// An agent that was saying Hello while its secret was rotated voided the connect code that had just been printed.
TEST_F(WritesTest, SessionOpeningOfARotatedSecretLeavesTheNewConnectCodeGood) {
  const SecretHash code = HashSecret("new code");
  ASSERT_TRUE(RotateSecret(*database_, "tgt_1", HashSecret("new"), At(10)).ok());
  ASSERT_TRUE(InsertConnectCode(*database_, code, "tgt_1", At(10), At(1000)).ok());
  ASSERT_TRUE(OpenSession(1, 57, At(10)).ok());
  EXPECT_EQ(FindConnectCode(*database_, code, At(11)).value_or("refused"), "tgt_1");
  EXPECT_EQ(Load().session_counter, 0);
}

// Its first heartbeat, written after the rotation, made every later session look like a copied machine.
TEST_F(WritesTest, ConfirmationFromBeforeARotationIsForgotten) {
  ASSERT_TRUE(OpenSession(1, 57, At(1)).ok());
  ASSERT_TRUE(RotateSecret(*database_, "tgt_1", HashSecret("new"), At(10)).ok());
  ASSERT_TRUE(ConfirmSessionCounter(*database_, "tgt_1", 57).ok());
  EXPECT_EQ(Load().confirmed_counter, 0);
}

// ---- connect codes

TEST_F(WritesTest, ConnectCodesAreToldApart) {
  const SecretHash first = HashSecret("first");
  const SecretHash second = HashSecret("second");
  EXPECT_EQ(ReasonOf(FindConnectCode(*database_, first, At(0)).status()), "CONNECT_CODE_UNKNOWN");
  ASSERT_TRUE(InsertConnectCode(*database_, first, "tgt_1", At(0), At(100)).ok());
  EXPECT_EQ(FindConnectCode(*database_, first, At(99)).value_or("refused"), "tgt_1");
  EXPECT_EQ(FindConnectCode(*database_, first, At(99)).value_or("refused"), "tgt_1") << "looking does not use it";
  EXPECT_EQ(ReasonOf(FindConnectCode(*database_, first, At(100)).status()), "CONNECT_CODE_EXPIRED");
  ASSERT_TRUE(InsertConnectCode(*database_, second, "tgt_1", At(1), At(101)).ok());
  EXPECT_EQ(ReasonOf(FindConnectCode(*database_, first, At(2)).status()), "CONNECT_CODE_USED") << "replaced";
  ASSERT_TRUE(OpenSession(1, 1, At(3)).ok());
  EXPECT_EQ(ReasonOf(FindConnectCode(*database_, second, At(4)).status()), "CONNECT_CODE_USED") << "a session began";
}

TEST_F(WritesTest, ConnectCodeOfADeletedTargetIsVoid) {
  const SecretHash code = HashSecret("code");
  ASSERT_TRUE(InsertConnectCode(*database_, code, "tgt_1", At(0), At(100)).ok());
  ASSERT_TRUE(MarkTargetDeleted(*database_, "tgt_1", At(1)).ok());
  EXPECT_EQ(ReasonOf(FindConnectCode(*database_, code, At(2)).status()), "CONNECT_CODE_USED");
}

// A script that reconnects in a loop left a row behind every time.
TEST_F(WritesTest, ConnectCodesDoNotGrowWithoutBound) {
  for (int i = 0; i < 100; ++i) {
    // The wall clock goes backwards here: the newest code has the earliest end and must stay all the same.
    const absl::Time now = At(-i);
    ASSERT_TRUE(InsertConnectCode(*database_, HashSecret(std::to_string(i)), "tgt_1", now, now + absl::Hours(24)).ok());
    ASSERT_EQ(FindConnectCode(*database_, HashSecret(std::to_string(i)), now).value_or("refused"), "tgt_1") << i;
  }
  EXPECT_EQ(database_.Number("SELECT count(*) FROM connect_codes"), kKeptConnectCodes);
}

// ---- the hub itself

TEST_F(WritesTest, MetaKeepsItsFirstValue) {
  EXPECT_EQ(EnsureMeta(*database_, "organization", "vendor").value(), "vendor");
  EXPECT_EQ(EnsureMeta(*database_, "organization", "other").value(), "vendor");
}

TEST_F(WritesTest, RunsTellWhenTheHubWasAlive) {
  ASSERT_TRUE(BeginRun(*database_, At(0)).ok());
  ASSERT_TRUE(TouchRun(*database_, At(0), At(5)).ok());
  ASSERT_TRUE(TouchRun(*database_, At(0), At(3)).ok()) << "the clock was set back";
  EXPECT_EQ(database_.Number("SELECT alive_us FROM hub_runs"), absl::ToUnixMicros(At(5)));
  EXPECT_EQ(database_.Number("SELECT count(*) FROM hub_runs WHERE stopped_us IS NULL"), 1);
  ASSERT_TRUE(EndRun(*database_, At(0), At(9)).ok());
  EXPECT_EQ(database_.Number("SELECT stopped_us FROM hub_runs"), absl::ToUnixMicros(At(9)));
}

TEST_F(WritesTest, TokensAreReadBackAndRevoked) {
  const StoredToken token{.id = "tok_1",
                          .name = "ci",
                          .hash = HashSecret("t"),
                          .role = fleet::v1::ROLE_OPERATOR,
                          .customer = "ACME",
                          .created = At(0),
                          .expires = At(100),
                          .revoked = {}};
  ASSERT_TRUE(InsertToken(*database_, token).ok());
  StoredToken same_name = token;
  same_name.id = "tok_2";
  same_name.hash = HashSecret("u");
  EXPECT_EQ(ReasonOf(InsertToken(*database_, same_name)), "TOKEN_EXISTS");
  ASSERT_TRUE(MarkTokenRevoked(*database_, "tok_1", At(5)).ok());
  ASSERT_TRUE(MarkTokenRevoked(*database_, "tok_1", At(9)).ok());
  EXPECT_TRUE(InsertToken(*database_, same_name).ok()) << "a revoked token's name is free again";
  const auto tokens = LoadTokens(*database_);
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  ASSERT_EQ(tokens->size(), 2U);
  EXPECT_EQ((*tokens)[0].hash, token.hash);
  EXPECT_EQ((*tokens)[0].role, fleet::v1::ROLE_OPERATOR);
  EXPECT_EQ((*tokens)[0].customer, "ACME");
  EXPECT_EQ((*tokens)[0].expires, At(100));
  EXPECT_EQ((*tokens)[0].revoked, At(5)) << "the first time counts";
}

}  // namespace
}  // namespace muster::hub
