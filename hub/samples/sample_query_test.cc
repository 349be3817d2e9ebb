#include "hub/samples/sample_query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/status.h"
#include "hub/samples/testing/sample_fixture.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using SampleQueryTest = SampleStoreTest;

TEST_F(SampleQueryTest, AStepIsTheAverageMinimumOrMaximumOfItsSamples) {
  // 1 to 60 are in metrics.db, 61 to 70 wait: 300 s are 10 samples.
  Wait(1, 60);
  Pass(1900);
  Wait(61, 70);
  const struct {
    const char* name;
    std::int64_t from;
    std::int64_t to;
    std::int64_t step;
    SampleAggregation aggregation;
    std::vector<std::string> points;
    std::int64_t step_told;
    std::int64_t resolution;
  } cases[] = {
      {"raw", 0, 120, 30, SampleAggregation::kAverage, {"30 1", "60 2", "90 3"}, 30, 30},
      {"raw, in the middle of a step", 45, 75, 30, SampleAggregation::kAverage, {"30 1", "60 2"}, 30, 30},
      {"raw, two in a step", 60, 180, 60, SampleAggregation::kAverage, {"60 2.5", "120 4.5"}, 60, 30},
      {"minimum", 60, 180, 60, SampleAggregation::kMinimum, {"60 2", "120 4"}, 60, 30},
      {"maximum", 60, 180, 60, SampleAggregation::kMaximum, {"60 3", "120 5"}, 60, 30},
      {"over the border of what waits",
       1770,
       1860,
       30,
       SampleAggregation::kAverage,
       {"1770 59", "1800 60", "1830 61"},
       30,
       30},
      {"rollups", 0, 900, 300, SampleAggregation::kAverage, {"0 5", "300 14.5", "600 24.5"}, 300, 300},
      {"minimum of rollups", 300, 600, 300, SampleAggregation::kMinimum, {"300 10"}, 300, 300},
      {"maximum of rollups", 300, 600, 300, SampleAggregation::kMaximum, {"300 19"}, 300, 300},
      {"rollups and what waits in one step", 1800, 2100, 300, SampleAggregation::kAverage, {"1800 64.5"}, 300, 300},
      {"a step that is no multiple of 5 minutes",
       0,
       1200,
       400,
       SampleAggregation::kAverage,
       {"0 10", "600 29.5"},
       600,
       300},
      {"a step without samples", 10'000, 20'000, 300, SampleAggregation::kAverage, {}, 300, 300},
      {"a day", 0, 86'400, 86'400, SampleAggregation::kMaximum, {"-43200 70"}, 86'400, 300},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    SampleQuery query = Question(c.from, c.to, c.step);
    query.aggregation = c.aggregation;
    EXPECT_THAT(Ask(query), ElementsAreArray(c.points));
    const auto answer = samples_->Query(query);
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer->step, absl::Seconds(c.step_told));
    EXPECT_EQ(answer->resolution, absl::Seconds(c.resolution));
    EXPECT_EQ(answer->newest, At(2100)) << "whatever the window";
  }
}

TEST_F(SampleQueryTest, RollupsAnswerWhereRawSamplesAreGone) {
  Wait(1, 60);
  Pass(10'000);
  EXPECT_TRUE(samples_->store()
                  .writer()
                  .Run([](sqlite::Database& database) {
                    return database.Execute(
                        "UPDATE metric_meta SET raw_pruned_us=(SELECT min(last_us) FROM raw_chunks);"
                        " DELETE FROM raw_chunks WHERE last_us=(SELECT min(last_us) FROM raw_chunks)");
                  })
                  .ok());
  // The first 30 samples, up to second 900, are gone.
  EXPECT_THAT(Ask(Question(930, 1020, 30)), ElementsAre("930 31", "960 32", "990 33"));
  EXPECT_THAT(Ask(Question(600, 1200, 30)), ElementsAre("600 24.5", "900 34.5"));
}

TEST_F(SampleQueryTest, SeriesAreInTheirOrderAndOnlyThoseThatWereAsked) {
  EXPECT_TRUE(hub_->writer()
                  .Run([](sqlite::Database& database) {
                    agent::v1::HostSample sample;
                    sample.set_cpu_usage_ratio(0.5);
                    sample.set_load1(2);
                    for (const char* device : {"sdb", "sda"}) {
                      sample.add_disks()->set_device(device);
                      sample.mutable_disks()->rbegin()->set_total_bytes(10);
                    }
                    return StoreSample(database, {.target_id = "tgt_1", .at = At(30), .epoch = "e1", .sequence = 1},
                                       sample);
                  })
                  .ok());
  const auto names = [&](std::vector<std::string> metrics) {
    SampleQuery query = Question(0, 60, 30);
    query.metrics = std::move(metrics);
    std::vector<std::string> told;
    const auto answer = samples_->Query(query);
    EXPECT_TRUE(answer.ok());
    for (const SampleSeries& series : answer->series) {
      told.push_back(fmt::format("{}|{}|{}", series.metric, series.instance, series.unit));
    }
    return told;
  };
  for (int moved = 0; moved < 2; ++moved) {
    EXPECT_THAT(names({}),
                ElementsAre("cpu_usage||ratio", "load1||", "filesystem_total|sda|bytes", "filesystem_total|sdb|bytes",
                            "filesystem_used|sda|bytes", "filesystem_used|sdb|bytes", "filesystem_available|sda|bytes",
                            "filesystem_available|sdb|bytes"));
    EXPECT_THAT(names({"load1", "cpu_usage"}), ElementsAre("cpu_usage||ratio", "load1||"));
    EXPECT_THAT(names({"load5"}), IsEmpty());
    Pass(10'000);
  }
  SampleQuery query = Question(0, 60, 30);
  query.metrics = {"load1", "cpu"};
  const auto unknown = samples_->Query(query);
  EXPECT_EQ(ReasonOf(unknown.status()), "UNKNOWN_METRIC");
  EXPECT_THAT(MessageOf(unknown.status()), HasSubstr("\"cpu\"; there are cpu_usage, cpu_cores"));
}

TEST_F(SampleQueryTest, AnswersAreBounded) {
  EXPECT_TRUE(samples_->Query(Question(0, 30 * kMaxSeriesPoints, 30)).ok());
  EXPECT_EQ(ReasonOf(samples_->Query(Question(0, 30 * (kMaxSeriesPoints + 2), 30)).status()), "TOO_MANY_POINTS");
}

TEST_F(SampleQueryTest, TheBoundIsThatOfAllSeriesTogether) {
  EXPECT_EQ(Question(0, 60, 30).max_points, 500'000U);
  EXPECT_TRUE(hub_->writer()
                  .Run([](sqlite::Database& database) -> absl::Status {
                    agent::v1::HostSample sample;
                    sample.set_load1(1);
                    sample.set_load5(5);
                    for (int i = 1; i <= 60; ++i) {
                      RETURN_IF_ERROR(StoreSample(
                          database, {.target_id = "tgt_1", .at = At(30 * i), .epoch = "e1", .sequence = i}, sample));
                    }
                    return absl::OkStatus();
                  })
                  .ok());
  const auto ask = [&](std::int64_t step, std::size_t max_points, std::vector<std::string> metrics) {
    SampleQuery query = Question(0, 3600, step);
    query.max_points = max_points;
    query.metrics = std::move(metrics);
    return samples_->Query(query).status();
  };
  // As rows that wait, then as chunks and their rollups: samples 1 to 60 lie in 7 pieces of 5 minutes.
  for (const char* where : {"hub.db", "metrics.db"}) {
    SCOPED_TRACE(where);
    EXPECT_TRUE(ask(30, 120, {}).ok());
    EXPECT_EQ(ReasonOf(ask(30, 119, {})), "TOO_MANY_POINTS");
    EXPECT_THAT(MessageOf(ask(30, 119, {})), HasSubstr("the answer would have more than 119 points; name some metrics, "
                                                       "or ask for a longer step"));
    EXPECT_TRUE(ask(30, 60, {"load1"}).ok()) << "what was not asked for does not count";
    EXPECT_TRUE(ask(300, 14, {}).ok());
    EXPECT_EQ(ReasonOf(ask(300, 13, {})), "TOO_MANY_POINTS");
    Pass(10'000);
  }
}

TEST_F(SampleQueryTest, NothingIsReadBehindTheBound) {
  Wait(1, 60);
  Pass(1900);
  Wait(61, 70);
  // Whoever reads on after what waits meets this.
  EXPECT_TRUE(samples_->store()
                  .writer()
                  .Run([](sqlite::Database& database) { return database.Execute("DROP TABLE raw_chunks"); })
                  .ok());
  SampleQuery query = Question(0, 3600, 30);
  EXPECT_EQ(ReasonOf(samples_->Query(query).status()), "DATABASE_ERROR");
  query.max_points = 9;
  EXPECT_EQ(ReasonOf(samples_->Query(query).status()), "TOO_MANY_POINTS");
}

TEST_F(SampleQueryTest, ADamagedChunkIsMissingAndTheRestIsTold) {
  Wait(1, 60);
  Pass(10'000);
  EXPECT_TRUE(samples_->store()
                  .writer()
                  .Run([](sqlite::Database& database) {
                    return database.Execute("UPDATE raw_chunks SET data=X'00' WHERE id=1");
                  })
                  .ok());
  EXPECT_THAT(Ask(Question(0, 10'000, 30)), ElementsAreArray(Numbers(31, 60)));
}

TEST_F(SampleQueryTest, AnUnknownTargetHasNothing) {
  SampleQuery query = Question(0, 100, 30);
  query.target_id = "tgt_none";
  const auto answer = samples_->Query(query);
  ASSERT_TRUE(answer.ok());
  EXPECT_THAT(answer->series, IsEmpty());
  EXPECT_FALSE(answer->newest.has_value());
  EXPECT_FALSE(samples_->Newest("tgt_none")->has_value());
}

TEST_F(SampleQueryTest, TheNewestSampleIsFoundWhereverItIs) {
  const auto newest = [&] {
    const auto found = samples_->Newest("tgt_1");
    EXPECT_TRUE(found.ok() && found->has_value());
    return fmt::format("{} {}", absl::ToUnixSeconds((*found)->time) - kBase, (*found)->sample.load1());
  };
  Wait(1, 40);
  EXPECT_EQ(newest(), "1200 40");
  Pass(10'000);
  EXPECT_EQ(newest(), "1200 40") << "in a raw chunk";
  Wait(5, 5, "e0");
  EXPECT_EQ(newest(), "1200 40") << "a late one is not newer";
  Pass(20'000);
  EXPECT_TRUE(samples_->store()
                  .writer()
                  .Run([](sqlite::Database& database) { return database.Execute("DELETE FROM raw_chunks"); })
                  .ok());
  EXPECT_EQ(newest(), "1200 40") << "the average of its 5 minutes";
}

}  // namespace
}  // namespace muster::hub
