#include "agent/metrics/metrics_collector.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "agent/metrics/testing/fake_host.h"
#include "common/status.h"
#include "common/testing/fake_clock.h"

namespace muster::agent {
namespace {

TEST(SampleSchedule, SecondAfterFiveSecondsThenEveryThirty) {
  FakeClock clock;
  SampleSchedule schedule;
  EXPECT_EQ(schedule.due(), Instant::FromDuration(absl::InfiniteDuration())) << "off until told";
  schedule.Restart(true, clock.Monotonic());
  EXPECT_EQ(schedule.due(), clock.Monotonic());
  for (const absl::Duration wait : {kSecondSampleAfter, kSampleInterval, kSampleInterval}) {
    schedule.Sampled(clock.Monotonic());
    EXPECT_EQ(schedule.due() - clock.Monotonic(), wait);
    clock.Advance(wait);
  }
  schedule.Restart(false, clock.Monotonic());
  EXPECT_EQ(schedule.due(), Instant::FromDuration(absl::InfiniteDuration()));
  schedule.Restart(true, clock.Monotonic());
  schedule.Sampled(clock.Monotonic());
  EXPECT_EQ(schedule.due() - clock.Monotonic(), kSecondSampleAfter) << "rates begin anew";
}

// What came out of the collector, in order.
class Outcome : public RecordSink, public HostReportSink {
 public:
  void Append(v1::Record record) override {
    MutexLock lock(&mutex_);
    records_.push_back(std::move(record));
    changed_.NotifyAll();
  }
  void PublishHost(std::optional<v1::HostReport> report, Instant /*taken*/) override {
    MutexLock lock(&mutex_);
    reports_.push_back(std::move(report));
    changed_.NotifyAll();
  }
  std::optional<v1::HostReport> WaitForReport(std::size_t number) {
    MutexLock lock(&mutex_);
    while (reports_.size() < number) changed_.Wait(&mutex_);
    return reports_[number - 1];
  }
  std::vector<v1::Record> records() {
    MutexLock lock(&mutex_);
    return records_;
  }
  std::size_t reports() {
    MutexLock lock(&mutex_);
    return reports_.size();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<v1::Record> records_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::optional<v1::HostReport>> reports_ ABSL_GUARDED_BY(mutex_);
};

class StatsEngine : public HttpClient {
 public:
  absl::StatusOr<HttpResponse> Get(const HttpGet& request) override {
    if (request.target != "/containers/abc/stats?stream=false&one-shot=true")
      return HttpResponse{.code = 404, .body = ""};
    return HttpResponse{
        .code = 200,
        .body = R"({"cpu_stats":{"cpu_usage":{"total_usage":2000000000}},"memory_stats":{"usage":5000,"stats":{}}})"};
  }
  absl::StatusOr<std::unique_ptr<HttpStream>> OpenStream(const HttpGet& /*request*/) override {
    return absl::UnimplementedError("no streams");
  }
  void Cancel() override {}
};

// A filesystem that hangs until the test lets it go.
class Gate {
 public:
  absl::StatusOr<FilesystemSize> Pass() {
    MutexLock lock(&mutex_);
    ++inside_;
    changed_.NotifyAll();
    while (!open_) changed_.Wait(&mutex_);
    return FilesystemSize{.total_bytes = 10};
  }
  void WaitUntilSomebodyHangs() {
    MutexLock lock(&mutex_);
    while (inside_ == 0) changed_.Wait(&mutex_);
  }
  void Open() {
    MutexLock lock(&mutex_);
    open_ = true;
    changed_.NotifyAll();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int inside_ ABSL_GUARDED_BY(mutex_) = 0;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
};

class MetricsCollectorTest : public testing::Test {
 protected:
  std::unique_ptr<MetricsCollector> Make(FilesystemProbe::Stat stat = [](const std::string&) {
    return FilesystemSize{.total_bytes = 10};
  }) {
    return std::make_unique<MetricsCollector>(
        MetricsCollector::Parts{.host_root = "",
                                .files = std::make_unique<FakeHostFiles>(WholeHost()),
                                .stat = std::move(stat),
                                .engine = std::make_unique<StatsEngine>(),
                                .clock = &clock_,
                                .records = &outcome_,
                                .reports = &outcome_});
  }

  FakeClock clock_;
  Outcome outcome_;
};

TEST_F(MetricsCollectorTest, SamplesAtOnceWhenItIsOnIntoJournalAndReport) {
  const auto collector = Make();
  LogContainer web;
  web.id = "abc";
  web.name = "web";
  web.deployment_key = "container/web";
  web.is_running = true;
  collector->Publish({web});
  collector->PublishCensus(ContainerCensus{.states = {{"running", 1}}, .restarts = 4});
  EXPECT_EQ(outcome_.reports(), 0U) << "nothing before the first settings";
  collector->SetEnabled(true);
  const auto report = outcome_.WaitForReport(1);
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->sample().memory_total_bytes(), 1000 * 1024);
  EXPECT_EQ(report->sample().disks_size(), 2);
  EXPECT_EQ(report->sample().container_restarts(), 4);
  ASSERT_EQ(report->containers_size(), 1);
  EXPECT_EQ(report->containers(0).cpu_seconds(), 2);
  ASSERT_EQ(outcome_.records().size(), 1U);
  EXPECT_EQ(outcome_.records()[0].host_sample().SerializeAsString(), report->sample().SerializeAsString());
  EXPECT_TRUE(outcome_.records()[0].has_observed_at());
}

TEST_F(MetricsCollectorTest, OffTakesTheReportAwayAndOnBeginsAnew) {
  const auto collector = Make();
  collector->SetEnabled(true);
  ASSERT_TRUE(outcome_.WaitForReport(1).has_value());
  clock_.Advance(absl::Seconds(1));
  collector->SetEnabled(false);
  EXPECT_FALSE(outcome_.WaitForReport(2).has_value());
  clock_.Advance(absl::Hours(1));
  collector->SetEnabled(true);
  const auto report = outcome_.WaitForReport(3);
  ASSERT_TRUE(report.has_value());
  EXPECT_FALSE(report->sample().has_network_receive_bytes_per_second()) << "no rate over the time that was off";
  EXPECT_EQ(outcome_.records().size(), 2U);
}

TEST_F(MetricsCollectorTest, ContainersThatCannotBeSeenAreMissing) {
  const auto collector = Make();
  collector->PublishCensus(std::nullopt);
  collector->SetEnabled(true);
  const auto report = outcome_.WaitForReport(1);
  EXPECT_EQ(report->sample().missing(0), "containers");
}

// A sample that was under way when it was switched off is not told.
TEST_F(MetricsCollectorTest, NothingIsToldOfASampleThatEndedAfterTheSwitch) {
  const auto gate = std::make_shared<Gate>();
  const auto collector = Make([gate](const std::string&) { return gate->Pass(); });
  collector->SetEnabled(true);
  gate->WaitUntilSomebodyHangs();
  collector->SetEnabled(false);
  gate->Open();
  EXPECT_FALSE(outcome_.WaitForReport(1).has_value());
  EXPECT_TRUE(outcome_.records().empty());
}

TEST_F(MetricsCollectorTest, StopsWhileAFilesystemHangs) {
  const auto gate = std::make_shared<Gate>();
  auto collector = Make([gate](const std::string&) { return gate->Pass(); });
  collector->SetEnabled(true);
  gate->WaitUntilSomebodyHangs();
  collector.reset();
  EXPECT_TRUE(outcome_.records().empty());
  gate->Open();
}

}  // namespace
}  // namespace muster::agent
