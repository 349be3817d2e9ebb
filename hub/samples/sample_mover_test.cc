#include "hub/samples/sample_mover.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "common/sqlite/testing/fault_vfs.h"
#include "common/status.h"
#include "hub/samples/testing/sample_fixture.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAreArray;

using SampleMoverTest = SampleStoreTest;

TEST_F(SampleMoverTest, MovesWhatIsEnoughOrOld) {
  const struct {
    const char* name;
    std::int64_t samples;
    // Of the pass, in seconds after the first sample.
    std::int64_t later;
    std::int64_t left;
    std::int64_t raw_chunks;
  } cases[] = {
      {"too few", 29, 29 * 30, 29, 0},
      {"enough", 30, 30 * 30, 0, 1},
      {"more", 45, 45 * 30 - 600, 15, 1},
      {"few and not old enough", 2, 20 * 60, 2, 0},
      {"few and old", 2, 20 * 60 + 1, 0, 1},
      {"a day", 2880, 86'400, 0, 96},
      {"a day and some", 2885, 2885 * 30, 5, 96},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    Close();
    std::filesystem::remove(path("metrics.db"));
    Open();
    EXPECT_TRUE(hub_->writer()
                    .Run([](sqlite::Database& database) { return database.Execute("DELETE FROM host_samples"); })
                    .ok());
    Wait(1, c.samples);
    Pass(30 + c.later);
    EXPECT_EQ(Waiting(), c.left);
    EXPECT_EQ(RawChunks(), c.raw_chunks);
    EXPECT_EQ(samples_->chunks(), RawChunks() + RollupChunks());
    EXPECT_THAT(Ask(Question(0, 30 * (c.samples + 1), 30)), ElementsAreArray(Numbers(1, c.samples)));
  }
}

TEST_F(SampleMoverTest, LateSamplesTakeTheirPlace) {
  Wait(1, 60);
  Pass(2000);
  // Another run of the agent tells of the same hour between them.
  Wait(1, 60, "e0", "tgt_1", 15);
  Pass(5000);
  EXPECT_EQ(CountByRollups(), 120);
  EXPECT_EQ(RollupChunks(), 1);
  EXPECT_THAT(Ask(Question(300, 600, 300)), ::testing::ElementsAre("300 14.5")) << "10 to 19, twice";
}

TEST_F(SampleMoverTest, ADamagedSampleIsLeftOut) {
  Wait(1, 30);
  EXPECT_TRUE(hub_->writer()
                  .Run([](sqlite::Database& database) {
                    return database.Execute("UPDATE host_samples SET sample=X'FFFF' WHERE sequence=7");
                  })
                  .ok());
  Pass(1000);
  EXPECT_EQ(Waiting(), 0);
  EXPECT_EQ(CountByRollups(), 29);
}

TEST_F(SampleMoverTest, ADamagedRollupBeginsAnew) {
  Wait(1, 30);
  Pass(1000);
  EXPECT_TRUE(
      samples_->store()
          .writer()
          .Run([](sqlite::Database& database) { return database.Execute("UPDATE rollup_chunks SET data=X'0102'"); })
          .ok());
  Wait(31, 60);
  Pass(2000);
  EXPECT_EQ(CountByRollups(), 30);
  EXPECT_THAT(Ask(Question(0, 2000, 30)), ElementsAreArray(Numbers(1, 60))) << "raw samples are as they were";
}

// ---- crash points and files of another moment

TEST_F(SampleMoverTest, NothingIsTwiceWhateverWasRestored) {
  // Each begins with samples 1 to 60 moved, then 61 to 90 wait; "old" is from before that, "new" from then.
  const struct {
    const char* name;
    std::function<void()> happen;
    // Of what is left in the end, when all has been moved.
    std::int64_t first;
    std::int64_t samples;
  } cases[] = {
      {"nothing", [] {}, 1, 90},
      {"killed between the commit and the deletion",
       [this] {
         Pass(10'000);
         Restore("new", "hub.db");
       },
       1, 90},
      {"hub.db from before, and the agent sends again",
       [this] {
         Pass(10'000);
         Restore("old", "hub.db");
         Wait(61, 90);
       },
       1, 90},
      {"hub.db from before, and the agent sends again at a corrected time",
       [this] {
         Pass(10'000);
         Restore("old", "hub.db");
         Wait(61, 90, "e1", "tgt_1", 3);
       },
       1, 90},
      {"metrics.db from before the move", [this] { Restore("old", "metrics.db"); }, 1, 90},
      {"metrics.db from before the last move, which is lost",
       [this] {
         Pass(10'000);
         Restore("old", "metrics.db");
       },
       1, 60},
      {"metrics.db lost",
       [this] {
         Close();
         std::filesystem::remove(path("metrics.db"));
         Open();
       },
       61, 30},
      {"both from before, and the agent sends again",
       [this] {
         Pass(10'000);
         Restore("old", "hub.db");
         Restore("old", "metrics.db");
         Wait(61, 90);
       },
       1, 90},
  };
  Wait(1, 60);
  Pass(2000);
  Save("old");
  Wait(61, 90);
  Save("new");
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    Restore("new", "hub.db");
    Restore("new", "metrics.db");
    c.happen();
    // Before the rest is moved, and afterwards.
    EXPECT_THAT(Ask(Question(0, 10'000, 30)), ElementsAreArray(Numbers(c.first, c.first + c.samples - 1)));
    Pass(10'000);
    Pass(10'060);
    EXPECT_EQ(Waiting(), 0);
    EXPECT_EQ(CountByRollups(), c.samples);
    EXPECT_THAT(Ask(Question(0, 10'000, 30)), ElementsAreArray(Numbers(c.first, c.first + c.samples - 1)));
  }
}

TEST_F(SampleMoverTest, APowerCutAtAnyWriteLosesNothingAndDoublesNothing) {
  for (std::int64_t call = 1;; ++call) {
    SCOPED_TRACE(call);
    Close();
    for (const char* file : {"hub.db", "metrics.db"}) {
      for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path(file) + suffix);
    }
    sqlite::FaultVfs disk(dir_.path());
    Open();
    ASSERT_TRUE(hub_->writer()
                    .Run([](sqlite::Database& database) { return InsertTarget(database, NewTarget("tgt_1", "one")); })
                    .ok());
    Wait(1, 60);
    disk.Arm({.kind = sqlite::FaultKind::kPowerCut, .at_call = call, .sticky = true});
    (void)TryPass(10'000);
    Close();
    const bool struck = disk.struck();
    if (struck) {
      disk.CutPower();
      disk.RestorePower(call % 2 == 0 ? sqlite::Unsynced::kLost : sqlite::Unsynced::kSome, 1);
    }
    disk.Disarm();
    Open();
    EXPECT_THAT(Ask(Question(0, 10'000, 30)), ElementsAreArray(Numbers(1, 60)));
    Pass(10'000);
    EXPECT_EQ(Waiting(), 0);
    EXPECT_EQ(CountByRollups(), 60);
    EXPECT_THAT(Ask(Question(0, 10'000, 30)), ElementsAreArray(Numbers(1, 60)));
    Close();
    if (!struck) break;
    ASSERT_LT(call, 1000);
  }
}

TEST_F(SampleMoverTest, WhatMetricsDbDoesNotTakeWaitsWithinBounds) {
  std::string reasons;
  observer_.pruned = [&](std::string_view reason, std::int64_t values) {
    reasons += fmt::format("{} {};", reason, values);
  };
  Open();
  Wait(1, 100);
  // Its file is at its bound, and the page for chunks full; hub.db has room.
  EXPECT_TRUE(samples_->store()
                  .writer()
                  .Run([](sqlite::Database& database) -> absl::Status {
                    RETURN_IF_ERROR(database.Execute("INSERT INTO raw_chunks VALUES(1, -1, 0, 0, 0, zeroblob(3950))"));
                    return database.LimitPages(1);
                  })
                  .ok());
  SampleMover roomy(samples_.get(), 100);
  EXPECT_EQ(ReasonOf(roomy.Pass(At(10'000), [] { return true; })), "DISK_FULL");
  EXPECT_EQ(ReasonOf(samples_->Fault()), "DISK_FULL");
  EXPECT_EQ(Waiting(), 100) << "nothing is lost";
  EXPECT_EQ(roomy.waiting(), 100);
  SampleMover small(samples_.get(), 40);
  EXPECT_EQ(ReasonOf(small.Pass(At(10'000), [] { return true; })), "DISK_FULL");
  EXPECT_EQ(Waiting(), 40);
  EXPECT_EQ(small.waiting(), 40);
  EXPECT_EQ(reasons, "waiting 60;");
  EXPECT_THAT(Ask(Question(0, 10'000, 30)), ElementsAreArray(Numbers(61, 100))) << "the newest stay";
  EXPECT_TRUE(
      samples_->store().writer().Run([](sqlite::Database& database) { return database.LimitPages(1'000'000); }).ok());
  Pass(10'000);
  Pass(10'060);
  EXPECT_EQ(samples_->Fault(), absl::OkStatus());
  EXPECT_EQ(Waiting(), 0);
}

}  // namespace
}  // namespace muster::hub
