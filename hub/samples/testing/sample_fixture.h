// A hub.db and a metrics.db in a folder of their own, and what tests put in and ask.
#ifndef MUSTER_HUB_SAMPLES_TESTING_SAMPLE_FIXTURE_H_
#define MUSTER_HUB_SAMPLES_TESTING_SAMPLE_FIXTURE_H_

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/testing/temp_dir.h"
#include "hub/samples/sample_mover.h"
#include "hub/samples/sample_store.h"
#include "hub/store/host_sample.h"
#include "hub/store/testing/writes_fixture.h"
#include "hub/store/writes.h"

namespace muster::hub {

class SampleStoreTest : public ::testing::Test {
 protected:
  // A multiple of 6 h since 1970.
  static constexpr std::int64_t kBase = 1'800'014'400;

  SampleStoreTest() {
    Open();
    EXPECT_TRUE(hub_->writer()
                    .Run([](sqlite::Database& database) { return InsertTarget(database, NewTarget("tgt_1", "one")); })
                    .ok());
  }

  static absl::Time At(std::int64_t second) { return absl::FromUnixSeconds(kBase + second); }
  std::string path(const std::string& name) const { return dir_.path() + "/" + name; }

  void Close() {
    samples_.reset();
    hub_.reset();
  }
  void Open() {
    Close();
    auto hub = Store::Open(path("hub.db"));
    ASSERT_TRUE(hub.ok()) << hub.status();
    hub_ = *std::move(hub);
    auto samples = SampleStore::Open(path("metrics.db"), hub_.get(), observer_);
    ASSERT_TRUE(samples.ok()) << samples.status();
    samples_ = *std::move(samples);
  }
  // Copies of both files, which are closed meanwhile.
  void Save(const std::string& name) {
    Close();
    for (const char* file : {"hub.db", "metrics.db"}) {
      std::filesystem::copy_file(path(file), path(name + file), std::filesystem::copy_options::overwrite_existing);
    }
    Open();
  }
  void Restore(const std::string& name, const std::string& file) {
    Close();
    for (const char* suffix : {"-wal", "-shm"}) std::filesystem::remove(path(file + suffix));
    std::filesystem::copy_file(path(name + file), path(file), std::filesystem::copy_options::overwrite_existing);
    Open();
  }

  // Sample `sequence` was made at second 30 * sequence and has that number as load1.
  void Wait(std::int64_t first, std::int64_t last, const std::string& epoch = "e1", const std::string& id = "tgt_1",
            std::int64_t shift = 0) {
    EXPECT_TRUE(
        hub_->writer()
            .Run([&](sqlite::Database& database) -> absl::Status {
              for (std::int64_t i = first; i <= last; ++i) {
                agent::v1::HostSample sample;
                sample.set_load1(static_cast<double>(i));
                RETURN_IF_ERROR(StoreSample(
                    database, {.target_id = id, .at = At(30 * i + shift), .epoch = epoch, .sequence = i}, sample));
              }
              return absl::OkStatus();
            })
            .ok());
  }
  absl::Status TryPass(std::int64_t second) {
    SampleMover mover(samples_.get());
    return mover.Pass(At(second), [] { return true; });
  }
  void Pass(std::int64_t second) { EXPECT_EQ(TryPass(second), absl::OkStatus()); }

  static std::int64_t Number(Store& store, sqlite::Sql sql) {
    std::int64_t number = 0;
    EXPECT_TRUE(store
                    .Read([&](sqlite::Database& database) -> absl::Status {
                      ASSIGN_OR_RETURN(auto s, database.Prepare(sql));
                      RETURN_IF_ERROR(s.Step().status());
                      number = s.Int64(0);
                      return absl::OkStatus();
                    })
                    .ok());
    return number;
  }
  std::int64_t Waiting() { return Number(*hub_, "SELECT count(*) FROM host_samples"); }
  std::int64_t RawChunks() { return Number(samples_->store(), "SELECT count(*) FROM raw_chunks"); }
  std::int64_t RollupChunks() { return Number(samples_->store(), "SELECT count(*) FROM rollup_chunks"); }

  SampleQuery Question(std::int64_t from, std::int64_t to, std::int64_t step) {
    return {.target_id = "tgt_1", .metrics = {}, .from = At(from), .to = At(to), .step = absl::Seconds(step)};
  }
  // "second value" of load1.
  std::vector<std::string> Ask(const SampleQuery& query) {
    const auto answer = samples_->Query(query);
    EXPECT_TRUE(answer.ok()) << answer.status();
    std::vector<std::string> points;
    if (!answer.ok()) return points;
    for (const SampleSeries& series : answer->series) {
      for (const SamplePoint& point : series.points) {
        points.push_back(fmt::format("{} {}", absl::ToUnixSeconds(point.time) - kBase, point.value));
      }
    }
    return points;
  }
  // All that is there, once each: "30 1", "60 2" ...
  static std::vector<std::string> Numbers(std::int64_t first, std::int64_t last) {
    std::vector<std::string> points;
    for (std::int64_t i = first; i <= last; ++i) points.push_back(fmt::format("{} {}", 30 * i, i));
    return points;
  }
  // How many samples the rollups of metrics.db and what waits have, by all there is.
  std::int64_t CountByRollups();

  TempDir dir_;
  SampleObserver observer_;
  std::unique_ptr<Store> hub_;
  std::unique_ptr<SampleStore> samples_;
};

inline std::int64_t SampleStoreTest::CountByRollups() {
  std::int64_t count = 0;
  EXPECT_TRUE(samples_->store()
                  .Read([&](sqlite::Database& database) -> absl::Status {
                    ASSIGN_OR_RETURN(const auto target, FindMetricTarget(database, "tgt_1"));
                    if (!target) return absl::OkStatus();
                    ZstdCodec codec;
                    return VisitRollupChunks(database, target->number, 0, absl::ToUnixMicros(At(1'000'000'000)),
                                             [&](std::int64_t, const std::string& data) -> absl::Status {
                                               ASSIGN_OR_RETURN(const Rollups rollups, DecodeRollups(data, &codec));
                                               for (const auto& [key, pieces] : rollups.series()) {
                                                 for (const auto& [piece, rollup] : pieces) count += rollup.count;
                                               }
                                               return absl::OkStatus();
                                             });
                  })
                  .ok());
  return count;
}

}  // namespace muster::hub

#endif  // MUSTER_HUB_SAMPLES_TESTING_SAMPLE_FIXTURE_H_
