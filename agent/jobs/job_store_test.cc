#include "agent/jobs/job_store.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "agent/jobs/testing/pushes.h"
#include "common/sqlite/testing/fault_vfs.h"
#include "common/status.h"
#include "common/testing/fake_clock.h"
#include "common/testing/temp_dir.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

using testing::StartsWith;

class JobStoreTest : public testing::Test {
 protected:
  JobFile::Options Options(const std::string& boot_id = "boot-1") const {
    return {.path = dir_.path() + "/jobs.db", .boot_id = boot_id, .vfs = ""};
  }
  // "ok", "ok known" or the reason.
  static std::string Answer(JobStore& store, const std::string& text) {
    std::string answer = "none";
    const bool is_taken = store.Submit(PushOf(text), [&answer](const absl::StatusOr<JobBook::Outcome>& outcome) {
      answer = !outcome.ok() ? ReasonOf(outcome.status()) : *outcome == JobBook::Outcome::kKnown ? "ok known" : "ok";
    });
    if (!is_taken) return "BUSY";
    store.Flush();
    return answer;
  }
  v1::JobReport All(JobStore& store) const { return store.Report(0, kMaxJobReportBytes, clock_.Read()); }
  double Value(JobStore& store) const { return All(store).groups(0).families(0).series(0).value(); }

  TempDir dir_{TempDir::InMemory()};
  FakeClock clock_;
};

TEST_F(JobStoreTest, GoesOnCountingAfterAReopenAndKnowsItsIds) {
  v1::JobPosition before;
  {
    JobStore store(Options(), &clock_);
    EXPECT_EQ(
        Answer(store, "push g id=1 success ttl=1d period=2d\ncounter a_total{b=\"c\"} 5\nhistogram h_s 1\nhelp h_s T"),
        "ok");
    EXPECT_EQ(Answer(store, "push g id=2 failure\ncounter a_total{b=\"c\"} 5"), "ok");
    EXPECT_EQ(Answer(store, "push g\ngauge a_total 1"), "TYPE_CLASH");
    before = *store.Position();
  }
  clock_.Advance(absl::Minutes(1));
  JobStore store(Options(), &clock_);
  store.Flush();
  EXPECT_EQ(store.Position()->store_id(), before.store_id());
  EXPECT_GE(store.Position()->version(), before.version());
  EXPECT_EQ(Answer(store, "push g id=1\ncounter a_total{b=\"c\"} 5"), "ok known");
  const v1::JobReport report = All(store);
  ASSERT_EQ(report.groups_size(), 1);
  const v1::JobGroup& group = report.groups(0);
  EXPECT_EQ(group.families(0).series(0).value(), 10);
  EXPECT_EQ(group.families(0).series(0).labels(0).value(), "c");
  EXPECT_EQ(group.families(1).help(), "T");
  EXPECT_EQ(group.families(1).series(0).bucket_counts_size(), 12);
  EXPECT_EQ(FromProto(group.push_age()), absl::Minutes(1));
  EXPECT_EQ(FromProto(group.success_age()), absl::Minutes(1));
  EXPECT_EQ(FromProto(group.time_to_live()), absl::Hours(24));
  EXPECT_EQ(FromProto(group.period()), absl::Hours(48));
  EXPECT_EQ(group.refused_pushes(), 1);
  EXPECT_EQ(Answer(store, "push g id=3\ncounter a_total{b=\"c\"} 1"), "ok");
  EXPECT_EQ(Value(store), 11);
}

TEST_F(JobStoreTest, AgesOfAnotherBootAreThoseOfTheWallClock) {
  {
    JobStore store(Options("boot-1"), &clock_);
    ASSERT_EQ(Answer(store, "push g\ncounter a_total 5"), "ok");
  }
  FakeClock after;
  after.Advance(clock_.Monotonic() - Instant());  // another origin of the monotonic clock
  after.StepWall(clock_.Now() + absl::Hours(5) - after.Now());
  for (int i = 0; i < 2; ++i) {  // also as it was written anew
    JobStore store(Options("boot-2"), &after);
    store.Flush();
    const v1::JobReport report = store.Report(0, kMaxJobReportBytes, after.Read());
    EXPECT_EQ(FromProto(report.groups(0).push_age()), absl::Hours(5 + i));
    after.Advance(absl::Hours(1));
  }
}

TEST_F(JobStoreTest, AnotherFileIsAnotherStore) {
  v1::JobPosition before;
  {
    JobStore store(Options(), &clock_);
    store.Flush();
    before = *store.Position();
  }
  std::filesystem::remove(Options().path);
  JobStore store(Options(), &clock_);
  store.Flush();
  EXPECT_NE(store.Position()->store_id(), before.store_id());
}

TEST_F(JobStoreTest, ADamagedFileIsSetAsideAndANewStoreBegins) {
  {
    JobStore store(Options(), &clock_);
    ASSERT_EQ(Answer(store, "push g\ncounter a_total 5"), "ok");
  }
  std::ofstream(Options().path, std::ios::trunc) << std::string(8192, 'x');
  JobStore store(Options(), &clock_);
  EXPECT_EQ(Answer(store, "push g\ncounter a_total 1"), "ok");
  EXPECT_EQ(Value(store), 1);
  EXPECT_TRUE(std::filesystem::exists(Options().path + ".damaged"));
}

TEST_F(JobStoreTest, ReportsWhatChangedOldestFirstInPiecesThatFit) {
  JobStore store(Options(), &clock_);
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(Answer(store, fmt::format("push g{}\ngauge a{{x=\"{}\"}} 1", i, std::string(1000, 'x'))), "ok");
  }
  ASSERT_EQ(Answer(store, "push g0\ngauge a 2"), "ok");
  std::vector<std::string> names;
  std::int64_t version = 0;
  int reports = 0;
  while (version != store.Position()->version()) {
    const v1::JobReport report = store.Report(version, 2600, clock_.Read());
    ASSERT_GT(report.version(), version);
    EXPECT_LE(report.ByteSizeLong(), 2600u);
    for (const v1::JobGroup& group : report.groups()) names.push_back(group.name());
    version = report.version();
    ++reports;
  }
  EXPECT_THAT(names, testing::ElementsAre("g1", "g2", "g3", "g4", "g0"));
  EXPECT_EQ(reports, 3);
  EXPECT_EQ(store.Report(0, 1, clock_.Read()).groups_size(), 1) << "at least one";
  EXPECT_EQ(store.Report(version, 2600, clock_.Read()).groups_size(), 0);
}

TEST_F(JobStoreTest, TellsItsListenerUntilThatIsTakenOff) {
  JobStore store(Options(), &clock_);
  std::atomic<int> calls = 0;
  store.SetListener([&calls] { ++calls; });
  ASSERT_EQ(Answer(store, "push g\ncounter a_total 5"), "ok");
  EXPECT_GE(calls, 1);
  store.SetListener(nullptr);
  const int before = calls;
  ASSERT_EQ(Answer(store, "push g\ncounter a_total 5"), "ok");
  EXPECT_EQ(calls, before);
}

TEST_F(JobStoreTest, AFileThatCannotBeMadeIsAFaultAndHeals) {
  JobFile::Options options = Options();
  options.path = dir_.path() + "/later/jobs.db";
  JobStore store(options, &clock_);
  EXPECT_EQ(Answer(store, "push g\ncounter a_total 5"), "STORE_FAILED");
  EXPECT_FALSE(store.GetStatus().fault.empty());
  EXPECT_FALSE(store.Position().has_value());
  std::filesystem::create_directory(dir_.path() + "/later");
  clock_.Advance(kJobReopenInterval);
  EXPECT_EQ(Answer(store, "push g\ncounter a_total 5"), "ok");
  EXPECT_EQ(store.GetStatus().fault, "");
}

// One push after another; each is repeated with its id until it is answered ok. Whatever call fails, and whatever of
// what was not synced survives, each counts once.
class JobStoreFaultTest : public JobStoreTest {
 protected:
  static constexpr int kPushes = 6;

  static Push Nth(int i) { return PushOf(fmt::format("push g id={}\ncounter a_total 1\nhistogram h {}", i, i)); }

  // How many were answered ok before the first that was not.
  static int PushUntilItFails(const JobFile::Options& options, FakeClock* clock) {
    JobStore store(options, clock);
    for (int i = 0; i < kPushes; ++i) {
      bool ok = false;
      if (!store.Submit(Nth(i), [&ok](const auto& outcome) { ok = outcome.ok(); })) return i;
      store.Flush();
      if (!ok) return i;
    }
    return kPushes;
  }

  // After the fault: what was answered is there, and repeating makes all of it count once.
  void CheckAndFinish(int answered, const std::string& what) {
    JobStore store(Options(), &clock_);
    store.Flush();
    const v1::JobReport report = All(store);
    const double held = report.groups().empty() ? 0 : report.groups(0).families(0).series(0).value();
    ASSERT_GE(held, answered) << what;
    ASSERT_LE(held, answered + 1) << what;
    for (int i = 0; i < kPushes; ++i) {
      const std::string answer = Answer(store, fmt::format("push g id={}\ncounter a_total 1\nhistogram h {}", i, i));
      ASSERT_EQ(answer, i < static_cast<int>(held) ? "ok known" : "ok") << what << ", push " << i;
    }
    ASSERT_EQ(Value(store), kPushes) << what;
  }
};

TEST_F(JobStoreFaultTest, CountsOnceWhateverCallIsCutOrFails) {
  std::int64_t calls = 0;
  {
    sqlite::FaultVfs vfs(dir_.path());
    ASSERT_EQ(PushUntilItFails(Options(), &clock_), kPushes);
    calls = vfs.calls();
  }
  ASSERT_GT(calls, 20);
  int points = 0;
  for (const sqlite::FaultKind kind : {sqlite::FaultKind::kPowerCut, sqlite::FaultKind::kIoError,
                                       sqlite::FaultKind::kDiskFull, sqlite::FaultKind::kShortWrite}) {
    for (std::int64_t call = 1; call <= calls; ++call) {
      for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) std::filesystem::remove(entry.path());
      const std::string what = fmt::format("kind {} at call {}", static_cast<int>(kind), call);
      sqlite::FaultVfs vfs(dir_.path());
      vfs.Arm({.kind = kind, .at_call = call, .sticky = kind != sqlite::FaultKind::kPowerCut});
      const int answered = PushUntilItFails(Options(), &clock_);
      vfs.Disarm();
      ++points;
      if (kind != sqlite::FaultKind::kPowerCut) {
        ASSERT_NO_FATAL_FAILURE(CheckAndFinish(answered, what));
        continue;
      }
      if (vfs.powered()) vfs.CutPower();
      for (const sqlite::Unsynced unsynced :
           {sqlite::Unsynced::kLost, sqlite::Unsynced::kKept, sqlite::Unsynced::kSome}) {
        vfs.RestorePower(unsynced, static_cast<std::uint64_t>(call));
        ASSERT_NO_FATAL_FAILURE(CheckAndFinish(answered, what));
      }
    }
  }
  EXPECT_GT(points, 100);
}

TEST_F(JobStoreFaultTest, ADiskThatLiesAboutSyncsIsNoticed) {
  sqlite::FaultVfs vfs(dir_.path());
  vfs.set_syncs_lie(true);
  ASSERT_EQ(PushUntilItFails(Options(), &clock_), kPushes);
  vfs.CutPower();
  vfs.RestorePower(sqlite::Unsynced::kLost, 1);
  vfs.set_syncs_lie(false);
  JobStore store(Options(), &clock_);
  store.Flush();
  EXPECT_TRUE(All(store).groups().empty());
}

TEST_F(JobStoreFaultTest, AFullDiskIsSaidAndCountsNothingAndThenItGoesOn) {
  sqlite::FaultVfs vfs(dir_.path());
  JobStore store(Options(), &clock_);
  ASSERT_EQ(Answer(store, "push g id=1\ncounter a_total 1"), "ok");
  vfs.Arm({.kind = sqlite::FaultKind::kDiskFull, .at_call = 1, .sticky = true});
  EXPECT_EQ(Answer(store, "push g id=2\ncounter a_total 1"), "DISK_FULL");
  EXPECT_THAT(store.GetStatus().fault, StartsWith("no space left"));
  EXPECT_EQ(Value(store), 1) << "the session still reads what is durable";
  vfs.Disarm();
  clock_.Advance(kJobReopenInterval);
  EXPECT_EQ(Answer(store, "push g id=2\ncounter a_total 1"), "ok");
  EXPECT_EQ(Value(store), 2);
}

}  // namespace
}  // namespace muster::agent
