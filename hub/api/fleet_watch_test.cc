// WatchFleet: who is told what, and when a watch ends.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hub/api/testing/fleet_handlers_fixture.h"

namespace muster::hub {
namespace {

using ::testing::HasSubstr;

class WatchTest : public FleetHandlersTest {
 protected:
  // The grace after the start ends with an update of its own: not in these tests.
  WatchTest() { clock_.Advance(absl::Minutes(2)); }
};

TEST_F(WatchTest, TellsAtOnceAndAfterEveryChange) {
  const auto stream = Watch(RealCaller("viewer", ROLE_VIEWER));
  ASSERT_EQ(stream->written.size(), 1U);
  EXPECT_EQ(stream->written[0].status().target_statuses_size(), 0);
  handlers_->Tick();
  EXPECT_EQ(stream->written.size(), 1U) << "nothing has changed";
  Create("one");
  handlers_->Tick();
  handlers_->Tick();
  ASSERT_EQ(stream->written.size(), 2U);
  EXPECT_EQ(stream->written[1].status().target_statuses(0).target().name(), "one");
}

TEST_F(WatchTest, EndsWithItsToken) {
  const Caller viewer = RealCaller("viewer", ROLE_VIEWER);
  const auto stream = Watch(viewer);
  const auto other = Watch(RealCaller("other", ROLE_VIEWER));
  ASSERT_TRUE(tokens_->Revoke("viewer", CallerOf(ROLE_ADMIN)).ok());
  handlers_->Tick();
  ASSERT_TRUE(stream->ended);
  EXPECT_EQ(ReasonOf(*stream->ended), "TOKEN_REVOKED");
  EXPECT_FALSE(other->ended);
  Create("one");
  handlers_->Tick();
  EXPECT_EQ(stream->written.size(), 1U);
  EXPECT_EQ(other->written.size(), 2U);
}

// A watch whose token was revoked was kept, and ended anew every second, until the hub stopped.
TEST_F(WatchTest, EndedAndGoneWatchesAreLetGo) {
  auto ended = Watch(RealCaller("ended", ROLE_VIEWER));
  auto gone = Watch(RealCaller("gone", ROLE_VIEWER));
  ASSERT_EQ(ended.use_count(), 2);
  ASSERT_TRUE(tokens_->Revoke("ended", CallerOf(ROLE_ADMIN)).ok());
  gone->gone = true;
  handlers_->Tick();
  EXPECT_EQ(ended.use_count(), 1);
  EXPECT_EQ(gone.use_count(), 1);
}

// The news that a slow reader did not take was not told again until the next change.
TEST_F(WatchTest, SlowReaderIsToldLater) {
  const auto stream = Watch(RealCaller("viewer", ROLE_VIEWER));
  stream->taking = false;
  Create("one");
  handlers_->Tick();
  stream->taking = true;
  handlers_->Tick();
  ASSERT_EQ(stream->written.size(), 2U);
  EXPECT_EQ(stream->written[1].status().target_statuses_size(), 1);
}

// The change that one watcher saw counted as told to all, also to those whose picture was older.
TEST_F(WatchTest, EachWatcherHasItsOwnNews) {
  Create("one");
  handlers_->Tick();
  const auto early = Watch(RealCaller("early", ROLE_VIEWER));
  Create("two");
  const auto late = Watch(RealCaller("late", ROLE_VIEWER));
  handlers_->Tick();
  EXPECT_EQ(early->written.size(), 2U);
  EXPECT_EQ(late->written.size(), 1U);
}

TEST_F(WatchTest, TellsThatHistoryCannotBeStored) {
  const auto stream = Watch(RealCaller("viewer", ROLE_VIEWER));
  ASSERT_FALSE(store_->writer().Run([](sqlite::Database&) { return absl::DataLossError("fsync failed"); }).ok());
  handlers_->Tick();
  ASSERT_EQ(stream->written.size(), 2U);
  EXPECT_THAT(stream->written[1].status().store_fault(), HasSubstr("fsync failed"));
}

TEST_F(WatchTest, StopEndsAllAndRefusesNewOnes) {
  const Caller viewer = RealCaller("viewer", ROLE_VIEWER);
  const auto before = Watch(viewer);
  handlers_->Stop();
  const auto after = Watch(viewer);
  for (const auto& stream : {before, after}) {
    ASSERT_TRUE(stream->ended);
    EXPECT_EQ(ReasonOf(*stream->ended), "HUB_STOPPING");
  }
}

TEST_F(WatchTest, CustomersSeeTheirOwnChangesOnly) {
  const auto acme = Watch(RealCaller("acme", ROLE_VIEWER, "ACME"));
  const auto vendor = Watch(RealCaller("vendor", ROLE_VIEWER));
  Create("globex-host", "Globex");
  Create("acme-host", "ACME");
  handlers_->Tick();
  ASSERT_EQ(acme->written.size(), 2U);
  ASSERT_EQ(acme->written[1].status().target_statuses_size(), 1);
  EXPECT_EQ(acme->written[1].status().target_statuses(0).target().name(), "acme-host");
  EXPECT_EQ(vendor->written[1].status().target_statuses_size(), 2);
}

}  // namespace
}  // namespace muster::hub
