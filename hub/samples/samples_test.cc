#include "hub/samples/samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "common/status.h"
#include "common/testing/fake_clock.h"
#include "hub/samples/testing/sample_fixture.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAreArray;
using ::testing::IsEmpty;

class SamplesTest : public SampleStoreTest {
 protected:
  SamplesTest() { clock_.StepWall(At(1000) - clock_.Now()); }
  void OpenAll() {
    all_.reset();
    samples_.reset();
    auto opened = Samples::Open({.data_dir = dir_.path(),
                                 .hub = hub_.get(),
                                 .retention = {.keep_raw = absl::Hours(24),
                                               .keep = absl::Hours(240),
                                               .max_bytes = std::int64_t{1} << 30,
                                               .keep_deleted = absl::Hours(24)},
                                 .clock = &clock_,
                                 .volume = []() -> absl::StatusOr<VolumeSpace> {
                                   return VolumeSpace{.free_bytes = std::int64_t{100} << 30,
                                                      .total_bytes = std::int64_t{200} << 30};
                                 }});
    ASSERT_TRUE(opened.ok()) << opened.status();
    all_ = *std::move(opened);
  }

  FakeClock clock_;
  std::unique_ptr<Samples> all_;
};

TEST_F(SamplesTest, TurnsMoveAndForget) {
  OpenAll();
  Wait(1, 30);
  all_->Turn();
  SampleGauges gauges = all_->gauges();
  EXPECT_EQ(gauges.chunks, 2);
  EXPECT_TRUE(gauges.is_writable);
  EXPECT_EQ(gauges.limit_bytes, std::int64_t{1} << 30);
  EXPECT_EQ(Waiting(), 0);
  Wait(31, 60);
  all_->Turn();
  EXPECT_EQ(Waiting(), 30) << "the next look is a minute later";
  clock_.Advance(Samples::kPass);
  all_->Turn();
  EXPECT_EQ(Waiting(), 0);
  clock_.Advance(absl::Hours(48));
  all_->Turn();
  EXPECT_EQ(all_->gauges().chunks, 1) << "raw chunks are gone";
}

TEST_F(SamplesTest, TheThreadDoesTheSame) {
  OpenAll();
  Wait(1, 30);
  all_->Start();
  while (all_->gauges().chunks < 2) std::this_thread::yield();
  all_->Stop();
  all_->Stop();
  EXPECT_EQ(Waiting(), 0);
}

TEST_F(SampleStoreTest, ADamagedFileIsSetAsideAndHistoryStartsOver) {
  Wait(1, 30);
  Pass(1000);
  Wait(31, 40);
  Close();
  std::ofstream(path("metrics.db"), std::ios::trunc) << std::string(10'000, 'x');
  Open();
  EXPECT_TRUE(std::filesystem::exists(path("metrics.db.damaged")));
  EXPECT_EQ(samples_->chunks(), 0);
  EXPECT_THAT(Ask(Question(0, 10'000, 30)), ElementsAreArray(Numbers(31, 40)));
}

TEST_F(SampleStoreTest, AFileOfANewerHubIsRefused) {
  EXPECT_TRUE(samples_->store()
                  .writer()
                  .Run([](sqlite::Database& database) { return database.Execute("PRAGMA user_version=99"); })
                  .ok());
  samples_.reset();
  const auto opened = SampleStore::Open(path("metrics.db"), hub_.get());
  EXPECT_EQ(ReasonOf(opened.status()), "DATABASE_TOO_NEW");
}

}  // namespace
}  // namespace muster::hub
