// Kubernetes: a log's path shows whichever run of a container is there (docs/kubernetes.md, "Logs").
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "agent/logs/collector_loop.h"
#include "agent/logs/testing/loop_fixture.h"

namespace muster::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr char kPath[] = "/api/v1/namespaces/shop/pods/web-0/log?container=web";
constexpr char kPrevious[] = "/api/v1/namespaces/shop/pods/web-0/log?container=web&previous=true";
constexpr char kName[] = "web/web-0/web";
// More than it takes until a list that is new counts as such.
const absl::Duration kListed = kRunSeen + absl::Seconds(1);

class CollectorRunsTest : public LoopTest {
 protected:
  CollectorRunsTest() {
    for (const char* run : {"run-0", "run-1", "run-2"}) {
      engine_.Add(run, false);
      created_[run] = clock_.Now();
    }
  }

  // The next run begins. What the paths show is so at once; the observer sees it when it looks.
  void Runs(const std::string& present, const std::string& previous = "") {
    if (!previous.empty()) engine_.Stop(previous);
    engine_.Show(kPath, present);
    engine_.Show(kPrevious, previous);
  }
  // The observer looks.
  void See(const std::string& present, const std::string& previous = "") {
    containers_.clear();
    if (!previous.empty()) containers_.push_back(Run(previous, kPrevious, false));
    containers_.push_back(Run(present, kPath, true));
    if (loop_ != nullptr) loop_->SetContainers(containers_);
  }
  LogContainer Run(const std::string& id, const std::string& path, bool is_running) {
    return {.id = id,
            .name = kName,
            .deployment_key = "deployment/shop/web",
            .revision = "1",
            .has_tty = true,
            .log_driver = "kubernetes",
            .created = created_[id],
            .is_running = is_running,
            .log_path = path};
  }
  std::vector<std::string> Told() { return Texts(kName); }

  std::map<std::string, absl::Time> created_;
};

TEST_F(CollectorRunsTest, EachRunIsToldOnceWhenTheObserverSeesTheNextOne) {
  Runs("run-0");
  See("run-0");
  Write("run-0", "a");
  StartAgent();
  EXPECT_THAT(Told(), ElementsAre("a"));
  Write("run-0", "b");
  Runs("run-1", "run-0");
  Write("run-1", "c");
  Pass(absl::Seconds(5));
  See("run-1", "run-0");
  Pass(absl::Minutes(3));
  EXPECT_THAT(Told(), UnorderedElementsAre("a", "b", "c"));
}

TEST_F(CollectorRunsTest, AnObserverThatCannotLookForLongDoesNotMakeTheNextRunsLinesThoseOfTheOneBefore) {
  Runs("run-0");
  See("run-0");
  Write("run-0", "a");
  StartAgent();
  EXPECT_THAT(Told(), ElementsAre("a"));
  engine_.CutAll();
  Write("run-0", "b");
  Runs("run-1", "run-0");
  Write("run-1", "c");
  Pass(absl::Minutes(3));
  EXPECT_THAT(Told(), ElementsAre("a")) << "whose lines are there is not known";
  See("run-1", "run-0");
  EXPECT_THAT(Told(), UnorderedElementsAre("a", "b", "c"));
  Pass(absl::Minutes(3));
  EXPECT_THAT(Told(), UnorderedElementsAre("a", "b", "c"));
}

TEST_F(CollectorRunsTest, ALogThatWasRotatedIsToldOnceTheObserverSaysThatItIsThatRuns) {
  Runs("run-0");
  See("run-0");
  Write("run-0", "a");
  StartAgent();
  EXPECT_THAT(Told(), ElementsAre("a"));
  engine_.CutAll();
  clock_.Advance(absl::Seconds(2));
  Write("run-0", "b");
  Write("run-0", "c");
  engine_.Rotate("run-0", 1);
  Pass(kListed);
  EXPECT_THAT(Told(), ElementsAre("a"));
  See("run-0");
  EXPECT_THAT(Told(), ElementsAre("a", "<ROTATED 0>", "c"));
}

TEST_F(CollectorRunsTest, LinesOfTheNextRunThatWereTakenForARunWithoutAnyAreNotToldAgainAsItsOwn) {
  See("run-0");
  Write("run-0", "of run 0");
  Runs("run-1", "run-0");
  Write("run-1", "a");
  Write("run-1", "b");
  StartAgent();
  EXPECT_THAT(Told(), ElementsAre("a", "b"));
  See("run-1", "run-0");
  Write("run-1", "c");
  EXPECT_THAT(Told(), UnorderedElementsAre("a", "b", "c", "of run 0"));
  Write("run-1", "d");
  Pass(absl::Minutes(3));
  EXPECT_THAT(Told(), UnorderedElementsAre("a", "b", "c", "of run 0", "d"));
  EXPECT_EQ(engine_.open_streams(), 1u) << "nobody follows it for the other run any more";
}

TEST_F(CollectorRunsTest, AStreamThatSaidNothingDoesNotTellTheNextRunsLinesForTheRunBefore) {
  See("run-0");
  Runs("run-1", "run-0");
  StartAgent();
  EXPECT_THAT(Told(), IsEmpty());
  See("run-1", "run-0");
  Write("run-1", "a");
  Pass(absl::Minutes(3));
  EXPECT_THAT(Told(), ElementsAre("a"));
}

TEST_F(CollectorRunsTest, WhatWasTakenForAnotherRunIsKnownToAnAgentThatIsStartedAnew) {
  See("run-0");
  Write("run-0", "of run 0");
  Runs("run-1", "run-0");
  Write("run-1", "a");
  StartAgent();
  EXPECT_THAT(Told(), ElementsAre("a"));
  KillAgent();
  See("run-1", "run-0");
  StartAgent();
  EXPECT_THAT(Told(), UnorderedElementsAre("a", "of run 0"));
  KillAgent();
  StartAgent();
  Write("run-1", "b");
  Pass(absl::Minutes(3));
  EXPECT_THAT(Told(), UnorderedElementsAre("a", "of run 0", "b")) << "nothing was written between the two";
}

TEST_F(CollectorRunsTest, ARunThatIsNamedNoMoreLeavesItsPlaceToTheOneItWasOf) {
  See("run-0");
  Runs("run-2", "run-1");
  Write("run-1", "of run 1");
  Write("run-2", "a");
  StartAgent();
  EXPECT_THAT(Told(), ElementsAre("a"));
  See("run-2", "run-1");
  Write("run-2", "b");
  Pass(absl::Minutes(3));
  EXPECT_THAT(Told(), UnorderedElementsAre("a", "b", "of run 1"));
}

TEST_F(CollectorRunsTest, MoreLinesThanAreLookedThroughAtOnceAreNoneToBeToldTwice) {
  See("run-0");
  Runs("run-1", "run-0");
  Write("run-1", "a");
  StartAgent();
  EXPECT_THAT(Told(), ElementsAre("a"));
  engine_.CutAll();
  for (int i = 0; i < kFindTail + 1; ++i) Write("run-1", "b");
  See("run-1", "run-0");
  EXPECT_THAT(Told(), SizeIs(kFindTail + 2));
}

TEST_F(CollectorRunsTest, AJournalWithoutRoomKeepsThePlaceOfTheRunThatItIsOf) {
  See("run-0");
  Write("run-0", "of run 0");
  Runs("run-1", "run-0");
  Write("run-1", "a");
  journal_.set_full(true);
  StartAgent();
  Pass(absl::Seconds(1));
  See("run-1", "run-0");
  Pass(absl::Seconds(1));
  journal_.set_full(false);
  EXPECT_THAT(Told(), UnorderedElementsAre("a", "of run 0"));
  KillAgent();
  StartAgent();
  Pass(absl::Minutes(3));
  EXPECT_THAT(Told(), UnorderedElementsAre("a", "of run 0"));
}

// Runs come and go, the observer looks late, connections are lost, the agent is killed: no line is told twice, and all
// of the two runs that can be read are told.
TEST_F(CollectorRunsTest, InAnyOrderOfEventsEachLineIsToldOnce) {
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    FakeEngine engine(FakeEngine::Version::k20, &clock_, seed);
    FakeLogJournal journal;
    journal.memory().first_settings = clock_.Now() - absl::Hours(1);
    std::unique_ptr<CollectorLoop> loop;
    std::vector<LogContainer> listed;
    std::vector<std::vector<std::string>> written;
    const auto id = [](std::size_t run) { return fmt::format("run-{}", run); };
    const auto start = [&] {
      loop.reset();
      loop = std::make_unique<CollectorLoop>(CollectorOptions{.boot_id = "boot-1", .uniform = [] { return 0.5; }},
                                             &clock_, engine.Connect(), &masker_, &journal, &own_log_);
      loop->SetContainers(listed);
    };
    const auto begin_run = [&] {
      const std::size_t run = written.size();
      written.emplace_back();
      engine.Add(id(run), false);
      created_[id(run)] = clock_.Now();
      engine.Show(kPath, id(run));
      if (run == 0) return;
      engine.Stop(id(run - 1));
      engine.Show(kPrevious, id(run - 1));
    };
    const auto see = [&] {
      listed.clear();
      if (written.size() > 1) listed.push_back(Run(id(written.size() - 2), kPrevious, false));
      listed.push_back(Run(id(written.size() - 1), kPath, true));
      loop->SetContainers(listed);
    };
    const auto pass = [&](absl::Duration time) {
      const Instant until = clock_.Monotonic() + time;
      engine.WaitUntil(until);
      do {
        loop->Turn();
      } while (clock_.Monotonic() < until);
    };
    begin_run();
    start();
    bool is_seen = false;
    for (int i = 0; i < 60; ++i) {
      switch (random() % 8) {
        case 0:
          // One run may come unseen.
          if (!is_seen) break;
          begin_run();
          is_seen = false;
          break;
        case 1:
          see();
          pass(absl::Milliseconds(10));
          is_seen = true;
          break;
        case 2:
          engine.CutAll();
          break;
        case 3:
          // An agent that is started anew knows only the runs that are listed, and what was committed of them.
          if (!is_seen) break;
          journal.Commit();
          start();
          break;
        case 4:
          pass(absl::Seconds(random() % 30));
          break;
        default:
          clock_.Advance(absl::Nanoseconds(random() % 2));
          written.back().push_back(fmt::format("{} of {}", written.back().size(), written.size() - 1));
          engine.Write(id(written.size() - 1), {.stream = LogStream::kStdout,
                                                .time_ns = absl::ToUnixNanos(clock_.Now()),
                                                .text = written.back().back()});
          pass(absl::Milliseconds(random() % 400));
      }
      if (random() % 3 == 0) journal.Commit();
    }
    for (int i = 0; i < 3; ++i) {
      see();
      pass(absl::Minutes(1));
    }
    journal.Commit();
    std::map<std::string, int> told;
    for (const std::string& line : TextsOf(journal.records(), kName)) ++told[line];
    for (std::size_t run = 0; run < written.size(); ++run) {
      const bool must_be = run + 2 >= written.size();
      for (const std::string& line : written[run]) {
        EXPECT_LE(told[line], 1) << line << ", seed " << seed;
        EXPECT_GE(told[line], must_be ? 1 : 0) << line << ", seed " << seed;
      }
    }
  }
}

}  // namespace
}  // namespace muster::agent
