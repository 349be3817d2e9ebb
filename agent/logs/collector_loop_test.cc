#include "agent/logs/collector_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/logs/testing/loop_fixture.h"

namespace muster::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class CollectorLoopTest : public LoopTest {};

// ---- beginning

TEST_F(CollectorLoopTest, NothingIsCollectedBeforeTheFirstSettings) {
  journal_.memory().first_settings.reset();
  Add("old", absl::Hours(1));
  Write("old", "before");
  StartAgent();
  EXPECT_THAT(Texts("old"), IsEmpty());
  EXPECT_THAT(engine_.requests(), IsEmpty());

  loop_->SetLogsOff({"compose/other"});
  Add("young");
  Add("off", absl::ZeroDuration(), "compose/other");
  Write("young", "first");
  Write("off", "not this");
  loop_->SetContainers(containers_);
  EXPECT_THAT(Texts("old"), ElementsAre("before")) << "its last 1000 lines";
  EXPECT_THAT(Texts("young"), ElementsAre("first"));
  EXPECT_THAT(Texts("off"), IsEmpty());
  EXPECT_EQ(Requests("/containers/old/logs?follow=1&stdout=1&stderr=1&timestamps=1&tail=1000"), 1U);
  EXPECT_THAT(journal_.memory().off_keys, ElementsAre("compose/other"));
  EXPECT_TRUE(journal_.memory().first_settings.has_value());
}

TEST_F(CollectorLoopTest, NothingIsAskedBeforeTheJournalIsOpen) {
  journal_.set_open(false);
  Add("web");
  Write("web", "a");
  StartAgent();
  EXPECT_THAT(Texts("web"), IsEmpty());
  journal_.set_open(true);
  EXPECT_THAT(Texts("web"), ElementsAre("a"));
}

TEST_F(CollectorLoopTest, AnOlderContainerGivesItsLastThousandLines) {
  Add("web", absl::Hours(2));
  for (int i = 0; i < 1500; ++i) Write("web", std::to_string(i));
  StartAgent();
  const std::vector<std::string> texts = Texts("web");
  ASSERT_THAT(texts, SizeIs(1000));
  EXPECT_EQ(texts.front(), "500");
}

// ---- switching

TEST_F(CollectorLoopTest, ASwitchTakesEffectWithinASecondAndLeavesAMarker) {
  Add("web");
  Add("db", absl::ZeroDuration(), "compose/db");
  Write("web", "a");
  StartAgent();
  EXPECT_THAT(Texts("web"), ElementsAre("a"));
  EXPECT_EQ(engine_.open_streams(), 2U);

  Write("web", "b");
  Pass(absl::Milliseconds(10));
  loop_->SetLogsOff({"compose/shop"});
  Pass(absl::Seconds(1));
  EXPECT_EQ(engine_.open_streams(), 1U) << "within a second";
  Write("web", "while it is off");
  EXPECT_THAT(Texts("web"), ElementsAre("a", "b")) << "what was read is sent";
  EXPECT_FALSE(journal_.positions().contains("web"));
  EXPECT_THAT(journal_.memory().off_keys, ElementsAre("compose/shop"));

  clock_.Advance(absl::Minutes(5));
  loop_->SetLogsOff({});
  Pass(absl::Seconds(1));
  Write("web", "c");
  EXPECT_THAT(Texts("web"), ElementsAre("a", "b", "<OFF 0>", "c"));
  EXPECT_THAT(journal_.memory().off_keys, IsEmpty());
  Write("db", "d");
  EXPECT_THAT(Texts("db"), ElementsAre("d")) << "the other never stopped";
}

TEST_F(CollectorLoopTest, ASwitchMarkerTellsFromWhenUntilWhen) {
  Add("web");
  StartAgent();
  Pass(absl::Seconds(1));
  loop_->SetLogsOff({"compose/shop"});
  const absl::Time off = clock_.Now();
  Pass(absl::Minutes(1));
  loop_->SetLogsOff({});
  const absl::Time on = clock_.Now();
  Pass(absl::Seconds(1));
  journal_.Commit();
  ASSERT_THAT(journal_.records(), SizeIs(1));
  const v1::LogLines& lines = journal_.records()[0].log_lines();
  EXPECT_EQ(lines.text(), fmt::format("OFF 0 {}\n", absl::ToUnixMicros(on)));
  EXPECT_EQ(FromProto(lines.base_time()), off);
  EXPECT_EQ(lines.deployment_key(), "compose/shop");
  EXPECT_EQ(lines.revision(), "1");
}

TEST_F(CollectorLoopTest, WhatIsOffStaysOffWithoutAHub) {
  Add("web");
  journal_.memory().off_keys = {"compose/shop"};
  Write("web", "a");
  StartAgent();
  EXPECT_THAT(Texts("web"), IsEmpty());
  EXPECT_THAT(engine_.requests(), IsEmpty());
}

TEST_F(CollectorLoopTest, SwitchedOnBeforeContainersAreKnownIsNotFromTheFirstLine) {
  Add("web");
  journal_.memory().off_keys = {"compose/shop"};
  Write("web", "while it was off");
  const std::vector<LogContainer> containers = std::exchange(containers_, {});
  StartAgent(/*collects_containers=*/true, /*knows_containers=*/false);
  clock_.Advance(absl::Seconds(5));
  loop_->SetLogsOff({});
  Pass(absl::Seconds(1));
  journal_.Commit();
  EXPECT_THAT(journal_.memory().off_keys, ElementsAre("compose/shop")) << "until it is known where to begin";
  loop_->SetContainers(containers);
  Pass(absl::Seconds(1));
  clock_.Advance(absl::Seconds(1));
  Write("web", "a");
  EXPECT_THAT(Texts("web"), ElementsAre("<OFF 0>", "a"));
  EXPECT_THAT(journal_.memory().off_keys, IsEmpty());
}

TEST_F(CollectorLoopTest, AClockThatIsSetBackBehindTheSwitchHidesNothing) {
  Add("web");
  StartAgent();
  loop_->SetLogsOff({"compose/shop"});
  Pass(absl::Seconds(1));
  loop_->SetLogsOff({});
  Pass(absl::Seconds(1));
  clock_.StepWall(-absl::Hours(1));
  Pass(absl::Seconds(1));
  Write("web", "a");
  EXPECT_THAT(Texts("web"), ElementsAre("<OFF 0>", "a"));
}

// A kill right after the switch must not collect what was off.
TEST_F(CollectorLoopTest, TheJournalLearnsOfOnBehindTheMarker) {
  Add("web");
  StartAgent();
  loop_->SetLogsOff({"compose/shop"});
  Pass(absl::Seconds(1));
  Write("web", "while it is off");
  clock_.Advance(absl::Seconds(5));
  journal_.Commit();
  loop_->SetLogsOff({});
  Pass(absl::Seconds(1));
  ASSERT_EQ(journal_.waiting(), 2U);
  journal_.Commit(1);
  EXPECT_TRUE(journal_.positions().contains("web"));
  EXPECT_THAT(journal_.memory().off_keys, ElementsAre("compose/shop"));
}

TEST_F(CollectorLoopTest, ForbiddenOnTheHostNoContainerIsRead) {
  Add("web");
  Write("web", "a");
  StartAgent(/*collects_containers=*/false);
  own_log_.next.lines = {{.time = clock_.Now(), .level = LogLevel::kInfo, .text = "hello"}};
  loop_->SetLogsOff({"compose/shop"});
  EXPECT_THAT(Texts("web"), IsEmpty());
  EXPECT_THAT(Texts("muster-agent"), ElementsAre("hello"));
  EXPECT_THAT(engine_.requests(), IsEmpty());
  EXPECT_THAT(journal_.memory().off_keys, ElementsAre("compose/shop")) << "for the day it is allowed";
}

// ---- following

TEST_F(CollectorLoopTest, IdleItWakesForTheSilentCheckAlone) {
  Add("web");
  Write("web", "a");
  StartAgent();
  EXPECT_THAT(Texts("web"), ElementsAre("a"));
  engine_.requests().clear();
  const std::int64_t waits = engine_.waits();
  Pass(absl::Hours(1));
  // After 1, 3, 7, 15, 25, 35 ... minutes.
  EXPECT_THAT(engine_.requests(), SizeIs(8));
  EXPECT_EQ(Requests("follow=0"), 8U);
  EXPECT_EQ(Requests("tail=1"), 8U);
  EXPECT_EQ(Requests("since="), 8U);
  // For each: to ask, to read, to see the end.
  EXPECT_LE(engine_.waits() - waits, 4 * 8);
  EXPECT_EQ(engine_.open_streams(), 1U);
}

TEST_F(CollectorLoopTest, AHangingStreamIsFoundByTheSilentCheck) {
  Add("web");
  Write("web", "a");
  StartAgent();
  EXPECT_THAT(Texts("web"), ElementsAre("a"));
  engine_.Hang("web");
  Write("web", "b");
  EXPECT_THAT(Texts("web"), ElementsAre("a"));
  Pass(absl::Seconds(60));
  EXPECT_THAT(Texts("web"), ElementsAre("a", "b"));
}

TEST_F(CollectorLoopTest, AContainerThatStopsIsReadToItsEndAndAgainWhenItStarts) {
  Add("web");
  StartAgent();
  Write("web", "a");
  engine_.Stop("web");
  EXPECT_THAT(Texts("web"), ElementsAre("a"));
  containers_[0].is_running = false;
  loop_->SetContainers(containers_);
  Pass(absl::Hours(2));
  EXPECT_EQ(engine_.open_streams(), 0U);
  const std::int64_t waits = engine_.waits();
  Pass(absl::Hours(2));
  EXPECT_LE(engine_.waits() - waits, 14) << "a stopped container is not asked for ever";

  engine_.Start("web");
  containers_[0].is_running = true;
  loop_->SetContainers(containers_);
  Write("web", "b");
  EXPECT_THAT(Texts("web"), ElementsAre("a", "b"));
}

// The list may miss a container that runs for a moment.
TEST_F(CollectorLoopTest, AStartThatNobodySawIsFoundByTheSilentCheck) {
  Add("web");
  StartAgent();
  engine_.Stop("web");
  containers_[0].is_running = false;
  loop_->SetContainers(containers_);
  Pass(absl::Seconds(5));
  engine_.Start("web");
  Write("web", "a");
  engine_.Stop("web");
  Pass(absl::Minutes(2));
  EXPECT_THAT(Texts("web"), ElementsAre("a"));
}

TEST_F(CollectorLoopTest, OfARemovedContainerWhatIsStillSentIsTaken) {
  Add("web");
  StartAgent();
  Pass(absl::Seconds(1));
  Write("web", "a");
  engine_.Remove("web");
  loop_->SetContainers({});
  EXPECT_THAT(Texts("web"), ElementsAre("a"));
  EXPECT_EQ(engine_.open_streams(), 0U);
  EXPECT_TRUE(journal_.positions().contains("web")) << "the journal's own bound forgets it";
}

TEST_F(CollectorLoopTest, ANewRevisionIsToldFromItsFirstLineOn) {
  Add("web");
  StartAgent();
  Write("web", "a");
  Pass(absl::Milliseconds(50));
  containers_[0].revision = "2";
  loop_->SetContainers(containers_);
  Write("web", "b");
  EXPECT_THAT(Texts("web"), ElementsAre("a", "b"));
  ASSERT_THAT(journal_.records(), SizeIs(2));
  EXPECT_EQ(journal_.records()[0].log_lines().revision(), "1");
  EXPECT_EQ(journal_.records()[1].log_lines().revision(), "2");
}

// ---- the engine's errors

TEST_F(CollectorLoopTest, WhatCannotBeReadIsLeftAloneUntilItStartsAnew) {
  for (const int code : {404, 409, 501}) {
    containers_.clear();
    engine_.requests().clear();
    const std::string id = fmt::format("c{}", code);
    Add(id);
    engine_.Answer(id, code);
    StartAgent();
    Pass(absl::Hours(1));
    EXPECT_THAT(engine_.requests(), SizeIs(1)) << code;

    engine_.Answer(id, 200);
    containers_[0].is_running = false;
    loop_->SetContainers(containers_);
    Pass(absl::Seconds(1));
    containers_[0].is_running = true;
    loop_->SetContainers(containers_);
    Write(id, "a");
    EXPECT_THAT(Texts(id), ElementsAre("a")) << code;
  }
}

TEST_F(CollectorLoopTest, AnEngineThatIsDownIsAskedLessAndLess) {
  Add("web");
  engine_.Answer("web", 500);
  StartAgent();
  Pass(absl::Minutes(30));
  // 0.5, 1, 2 ... 30 s, and 30 s from then on.
  EXPECT_GT(engine_.requests().size(), 55U);
  EXPECT_LT(engine_.requests().size(), 75U);
  engine_.Answer("web", 200);
  Write("web", "a");
  Pass(absl::Minutes(1));
  EXPECT_THAT(Texts("web"), ElementsAre("a"));
}

TEST_F(CollectorLoopTest, ThreeStreamsInARowThatAreNoneAreEnough) {
  const std::string kError = std::string("\3\0\0\0\0\0\0\x10", 8) + "Error grabbing l";
  for (const std::string& garbage : {std::string("garbage that is no log stream"), kError}) {
    containers_.clear();
    engine_.requests().clear();
    const std::string id = fmt::format("c{}", garbage.size());
    Add(id);
    engine_.Garble(id, garbage);
    StartAgent();
    Pass(absl::Hours(1));
    EXPECT_THAT(engine_.requests(), SizeIs(3));
    engine_.Garble(id, "");
    containers_[0].is_running = false;
    loop_->SetContainers(containers_);
    Pass(absl::Seconds(1));
    containers_[0].is_running = true;
    loop_->SetContainers(containers_);
    Write(id, "a");
    EXPECT_THAT(Texts(id), ElementsAre("a"));
  }
}

// ---- the agent's own log

TEST_F(CollectorLoopTest, TheAgentsOwnLogIsCollectedAlwaysAndMasked) {
  journal_.memory().first_settings.reset();
  StartAgent();
  own_log_.next = {
      .lines = {{.time = clock_.Now(), .level = LogLevel::kInfo, .text = "hello\nline"},
                {.time = clock_.Now() + absl::Milliseconds(1), .level = LogLevel::kError, .text = "token=hunter2 \xFF"},
                {.time = clock_.Now(), .text = std::string(20'000, 'x')}},
      .dropped = 7,
      .dropped_from = clock_.Now(),
      .dropped_to = clock_.Now() + absl::Seconds(1)};
  const absl::Time now = clock_.Now();
  const std::vector<std::string> texts = Texts("muster-agent");
  ASSERT_THAT(texts, SizeIs(4));
  EXPECT_EQ(texts[0], "hello\\nline");
  EXPECT_EQ(texts[1], "token=*** \uFFFD");
  EXPECT_LE(texts[2].size(), 16'384U);
  EXPECT_EQ(texts[3], "<RATE 7>");
  const v1::LogLines& lines = journal_.records()[0].log_lines();
  EXPECT_EQ(lines.deployment_key(), "");
  EXPECT_EQ(*KindOf(lines.kinds()[1]), (LineKind{.stream = LogStream::kAgent, .level = LogLevel::kError}));
  EXPECT_EQ(FromProto(lines.base_time()), now);
}

}  // namespace
}  // namespace muster::agent
