#include "agent/journal/recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "common/testing/fake_clock.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

v1::DeploymentState State(const std::string& key, types::v1::DeploymentStatus status, absl::Time status_time) {
  v1::DeploymentState state;
  state.set_key(key);
  state.set_status(status);
  state.set_revision("r1");
  *state.mutable_status_time() = ToProto(status_time);
  state.add_resources()->set_id("c1");
  return state;
}

class ChangeBookTest : public testing::Test {
 protected:
  std::vector<v1::Record> Update(std::vector<v1::DeploymentState> deployments) {
    present_ = Present();
    present_.deployments = std::move(deployments);
    return book_.Update(clock_.Now(), &present_);
  }
  v1::DeploymentState Running(const std::string& key) {
    return State(key, types::v1::DEPLOYMENT_STATUS_RUNNING, start_);
  }
  absl::Time ChangeTime(int index = 0) const {
    return FromProto(present_.deployments[static_cast<std::size_t>(index)].change_time());
  }

  FakeClock clock_;
  const absl::Time start_ = clock_.Now() - absl::Minutes(5);
  ChangeBook book_;
  Present present_;
};

TEST_F(ChangeBookTest, TheFirstPictureIsAChangeOfEverythingSinceItsStatusTime) {
  const auto records = Update({Running("a"), Running("b")});
  ASSERT_THAT(records, SizeIs(2));
  EXPECT_EQ(records[0].transition().deployment().key(), "a");
  EXPECT_EQ(FromProto(records[0].observed_at()), start_);
  EXPECT_EQ(FromProto(records[0].transition().deployment().change_time()), start_);
  EXPECT_TRUE(records[0].transition().deployment().resources().empty()) << "history does not keep them";
  EXPECT_EQ(ChangeTime(0), start_);
  EXPECT_EQ(present_.deployments[0].resources_size(), 1) << "the present does";
}

TEST_F(ChangeBookTest, WhatIsNoChangeKeepsItsTime) {
  Update({Running("a")});
  clock_.Advance(absl::Seconds(5));
  v1::DeploymentState same = Running("a");
  same.set_message("other words");
  same.clear_resources();
  EXPECT_THAT(Update({same}), IsEmpty());
  EXPECT_EQ(ChangeTime(), start_);
}

TEST_F(ChangeBookTest, StatusTakesItsOwnTimeEverythingElseTheMoment) {
  struct Case {
    const char* name;
    std::function<void(v1::DeploymentState*)> change;
    absl::Duration after_now;
  };
  const std::vector<Case> cases = {
      {"status",
       [&](v1::DeploymentState* s) {
         s->set_status(types::v1::DEPLOYMENT_STATUS_ERROR);
         *s->mutable_status_time() = ToProto(clock_.Now() - absl::Seconds(2));
       },
       -absl::Seconds(2)},
      {"status in the future",
       [&](v1::DeploymentState* s) {
         s->set_status(types::v1::DEPLOYMENT_STATUS_ERROR);
         *s->mutable_status_time() = ToProto(clock_.Now() + absl::Hours(2));
       },
       absl::ZeroDuration()},
      {"version", [](v1::DeploymentState* s) { s->set_application_version("2"); }, absl::ZeroDuration()},
      {"revision", [](v1::DeploymentState* s) { s->set_revision("r2"); }, absl::ZeroDuration()},
      {"gone", [](v1::DeploymentState* s) { s->set_gone(true); }, absl::ZeroDuration()},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    book_ = ChangeBook();
    Update({Running("a")});
    clock_.Advance(absl::Seconds(10));
    v1::DeploymentState changed = Running("a");
    c.change(&changed);
    const auto records = Update({changed});
    ASSERT_THAT(records, SizeIs(1));
    EXPECT_FALSE(records[0].transition().removed());
    EXPECT_EQ(ChangeTime(), clock_.Now() + c.after_now);
    EXPECT_EQ(FromProto(records[0].observed_at()), ChangeTime());
  }
}

TEST_F(ChangeBookTest, ChangeTimesRiseWhateverTheClockDoes) {
  Update({Running("a")});
  absl::Time last = ChangeTime();
  std::vector<v1::DeploymentState> states = {State("a", types::v1::DEPLOYMENT_STATUS_ERROR, start_),
                                             State("a", types::v1::DEPLOYMENT_STATUS_RUNNING, start_ - absl::Hours(1)),
                                             State("a", types::v1::DEPLOYMENT_STATUS_HEALTHY, absl::UnixEpoch())};
  for (const v1::DeploymentState& state : states) {
    clock_.StepWall(-absl::Hours(10));
    EXPECT_THAT(Update({state}), SizeIs(1));
    EXPECT_EQ(ChangeTime(), last + absl::Microseconds(1));
    last = ChangeTime();
  }
}

TEST_F(ChangeBookTest, WhatIsListedNoMoreIsRemovedUnlessSomethingIsOmitted) {
  Update({Running("a"), Running("b")});
  clock_.Advance(absl::Seconds(1));
  Present incomplete;
  incomplete.deployments = {Running("b")};
  incomplete.omitted = 1;
  EXPECT_THAT(book_.Update(clock_.Now(), &incomplete), IsEmpty());
  const auto records = Update({Running("b")});
  ASSERT_THAT(records, SizeIs(1));
  EXPECT_TRUE(records[0].transition().removed());
  EXPECT_EQ(records[0].transition().deployment().key(), "a");
  EXPECT_EQ(FromProto(records[0].observed_at()), clock_.Now());
  EXPECT_THAT(Update({Running("b")}), IsEmpty()) << "once";
}

TEST_F(ChangeBookTest, WhatComesBackIsAChangeAndLaterThanItsRemoval) {
  Update({Running("a")});
  Update({});
  const absl::Time removed = clock_.Now();
  EXPECT_THAT(Update({Running("a")}), SizeIs(1));
  EXPECT_GT(ChangeTime(), removed) << "although its status_time is older";
}

TEST_F(ChangeBookTest, AFaultChangesNothingAndIsNoRemoval) {
  Update({Running("a")});
  Present blind;
  blind.fault.emplace().set_message("no socket");
  EXPECT_THAT(book_.Update(clock_.Now(), &blind), IsEmpty());
  EXPECT_THAT(Update({Running("a")}), IsEmpty());
}

TEST_F(ChangeBookTest, MemoryOfRemovedOnesIsBounded) {
  for (int i = 0; i < 2000; ++i) {
    clock_.Advance(absl::Seconds(1));
    Update({Running("k" + std::to_string(i))});
  }
  EXPECT_THAT(Update({}), SizeIs(1));
}

class FakeRecords : public RecordSink {
 public:
  void Append(v1::Record record) override { records.push_back(std::move(record)); }
  std::vector<v1::Record> records;
};
class FakePresents : public PresentSink {
 public:
  void Publish(Present present) override { presents.push_back(std::move(present)); }
  std::vector<Present> presents;
};

TEST(RecorderTest, RecordsChangesAndHandsThePictureOn) {
  FakeClock clock;
  FakeRecords records;
  FakePresents presents;
  Recorder recorder(&clock, &records, &presents);
  Present present;
  present.deployments = {State("a", types::v1::DEPLOYMENT_STATUS_RUNNING, clock.Now())};
  recorder.Publish(present);
  recorder.Publish(present);
  EXPECT_THAT(records.records, SizeIs(1));
  ASSERT_THAT(presents.presents, SizeIs(2));
  EXPECT_TRUE(presents.presents[1].deployments[0].has_change_time());
}

TEST(RecorderTest, KnowsWhetherTheRuntimeCouldBeSeenAllTheTime) {
  FakeClock clock;
  FakeRecords records;
  FakePresents presents;
  Recorder recorder(&clock, &records, &presents);
  EXPECT_FALSE(recorder.TakeObserved()) << "nothing was seen yet";
  recorder.Publish(Present());
  EXPECT_FALSE(recorder.TakeObserved()) << "not from the beginning";
  EXPECT_TRUE(recorder.TakeObserved());
  Present blind;
  blind.fault.emplace();
  recorder.Publish(blind);
  recorder.Publish(Present());
  EXPECT_FALSE(recorder.TakeObserved()) << "a moment of blindness counts";
  EXPECT_TRUE(recorder.TakeObserved());
  recorder.Publish(blind);
  EXPECT_FALSE(recorder.TakeObserved());
  EXPECT_FALSE(recorder.TakeObserved()) << "as long as it lasts";
}

}  // namespace
}  // namespace muster::agent
