#include "hub/logs/logs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "common/testing/fake_clock.h"
#include "hub/logs/testing/damage.h"
#include "hub/logs/testing/log_store_fixture.h"

namespace muster::hub {
namespace {

constexpr std::int64_t kMiB = 1024 * 1024;

TEST(Ballast, IsGivenBackWhenTheDiskIsFullAndMadeAgainWhenThereIsEnough) {
  const TempDir dir;
  const std::string path = dir.path() + "/logs.ballast";
  Ballast ballast(path);
  const auto keep = [&](bool is_full, std::int64_t free_mib) {
    EXPECT_TRUE(ballast.Keep(is_full, {.free_bytes = free_mib * kMiB, .total_bytes = 100'000 * kMiB}).ok());
    return std::filesystem::exists(path);
  };
  EXPECT_FALSE(keep(false, 1024 + 63)) << "with it less than 1 GiB would be free";
  EXPECT_TRUE(keep(false, 1024 + 64));
  EXPECT_EQ(std::filesystem::file_size(path), static_cast<std::uintmax_t>(Ballast::kBytes));
  EXPECT_TRUE(keep(false, 0)) << "nobody was refused yet";
  EXPECT_FALSE(keep(true, 0));
  EXPECT_FALSE(keep(true, 0));
  EXPECT_FALSE(keep(true, 5000));
  EXPECT_FALSE(keep(false, 1024)) << "what it gave is no reason to take it again";
  EXPECT_TRUE(keep(false, 5000));
  std::ofstream(path, std::ios::trunc) << "cut short";
  EXPECT_TRUE(keep(false, 5000));
  EXPECT_EQ(std::filesystem::file_size(path), static_cast<std::uintmax_t>(Ballast::kBytes));
}

TEST(Ballast, SaysWhyItCannotBeMade) {
  Ballast ballast("/nonexistent/logs.ballast");
  const absl::Status kept = ballast.Keep(false, {.free_bytes = 5000 * kMiB, .total_bytes = 5000 * kMiB});
  EXPECT_NE(MessageOf(kept).find("/nonexistent/logs.ballast"), std::string::npos) << kept;
  EXPECT_TRUE(ballast.Keep(true, {}).ok());
}

TEST(VolumeOf, ReadsTheFileSystem) {
  const auto space = VolumeOf("/")();
  ASSERT_TRUE(space.ok()) << space.status();
  EXPECT_GT(space->total_bytes, 0);
  EXPECT_LE(space->free_bytes, space->total_bytes);
  EXPECT_FALSE(VolumeOf("/nonexistent")().ok());
}

// The store of the fixture is the one that Logs owns.
class LogsTest : public ::testing::Test {
 protected:
  LogsTest() {
    origin_.target_id = "tgt_1";
    origin_.arrived = clock_.Now();
    Logs::Options options{.data_dir = dir_.path(), .clock = &clock_, .volume = [this] { return volume_; }};
    options.retention = {.keep = absl::Hours(24), .max_bytes = 64 * kMiB, .deleted_targets = nullptr};
    options.store.pacing = {};
    auto opened = Logs::Open(std::move(options));
    EXPECT_TRUE(opened.ok()) << opened.status();
    logs_ = *std::move(opened);
  }
  absl::Status Apply(const agent::v1::RecordBatch& batch) {
    std::promise<absl::Status> answer;
    logs_->store()->Apply(
        origin_, batch, [] { return absl::OkStatus(); },
        [&](const absl::Status& stored, const BatchOutcome&) { answer.set_value(stored); });
    return answer.get_future().get();
  }
  absl::Status LimitPages(std::int64_t pages) {
    return logs_->store()->store().writer().Run([&](sqlite::Database& database) { return database.LimitPages(pages); });
  }
  bool HasBallast() const { return std::filesystem::exists(dir_.path() + "/logs.ballast"); }

  TempDir dir_;
  FakeClock clock_;
  absl::StatusOr<VolumeSpace> volume_ = VolumeSpace{.free_bytes = 50'000 * kMiB, .total_bytes = 100'000 * kMiB};
  BatchOrigin origin_;
  std::unique_ptr<Logs> logs_;
};

TEST_F(LogsTest, ATurnMergesForgetsAndKeepsRoom) {
  ASSERT_TRUE(Apply(LogBatch(1, NumberedLines(1, 3))).ok());
  logs_->Turn();
  EXPECT_TRUE(HasBallast());
  EXPECT_EQ(logs_->gauges().tail_rows, 1u);
  EXPECT_EQ(logs_->gauges().limit_bytes, 64 * kMiB);
  EXPECT_GT(logs_->gauges().store_bytes, 0);
  EXPECT_TRUE(logs_->gauges().is_writable);
  clock_.Advance(absl::Minutes(10));
  logs_->Turn();
  EXPECT_EQ(logs_->gauges().tail_rows, 0u);
  EXPECT_EQ(logs_->gauges().chunks, 1);
  clock_.Advance(absl::Hours(24));
  logs_->Turn();
  EXPECT_EQ(logs_->gauges().chunks, 0);
}

TEST_F(LogsTest, AFullDiskCostsTheBallastAndWhatIsForgottenMakesRoom) {
  ASSERT_TRUE(Apply(LogBatch(1, NumberedLines(1, 3))).ok());
  logs_->Turn();
  ASSERT_TRUE(HasBallast());
  ASSERT_TRUE(LimitPages(1).ok());
  std::mt19937 random(1);
  const std::vector<agent::v1::Record> records(20, LinesRecord(1, {NoiseLine(random, 16'000)}));
  EXPECT_EQ(ReasonOf(Apply(LogBatch(4, records))), "DISK_FULL");
  EXPECT_FALSE(logs_->gauges().is_writable);
  volume_ = VolumeSpace{.free_bytes = 0, .total_bytes = 100'000 * kMiB};
  logs_->Turn();
  EXPECT_FALSE(HasBallast());
  volume_ = VolumeSpace{.free_bytes = 50'000 * kMiB, .total_bytes = 100'000 * kMiB};
  logs_->Turn();
  EXPECT_TRUE(logs_->gauges().is_writable) << "also while no agent tries";
  ASSERT_TRUE(Apply(LogBatch(4, records)).ok());
  logs_->Turn();
  EXPECT_TRUE(HasBallast());
}

TEST_F(LogsTest, TheMergerBacksOff) {
  ASSERT_TRUE(Apply(LogBatch(1, NumberedLines(1, 3))).ok());
  logs_->Turn();
  clock_.Advance(absl::Minutes(10));
  ForbidMerges(logs_->store()->store(), true);
  logs_->Turn();
  ForbidMerges(logs_->store()->store(), false);
  logs_->Turn();
  EXPECT_EQ(logs_->gauges().tail_rows, 1u);
  clock_.Advance(absl::Seconds(1));
  logs_->Turn();
  EXPECT_EQ(logs_->gauges().tail_rows, 0u);
}

TEST_F(LogsTest, AgeCountsWhenNobodyKnowsWhatTheVolumeHas) {
  ASSERT_TRUE(Apply(LogBatch(1, NumberedLines(1, 3))).ok());
  volume_ = absl::UnavailableError("statvfs");
  clock_.Advance(absl::Hours(24));
  logs_->Turn();
  logs_->Turn();
  EXPECT_EQ(logs_->gauges().chunks, 0);
  EXPECT_FALSE(HasBallast());
}

TEST_F(LogsTest, StopsAndThenStoresNothing) {
  logs_->Start();
  ASSERT_TRUE(Apply(LogBatch(1, NumberedLines(1, 3))).ok());
  logs_->Stop();
  logs_->Stop();
  EXPECT_EQ(ReasonOf(Apply(LogBatch(4, NumberedLines(4, 1)))), "HUB_STOPPING");
}

}  // namespace
}  // namespace muster::hub
