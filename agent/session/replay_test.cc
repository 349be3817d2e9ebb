#include "agent/session/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/testing/fake_clock.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

using testing::ElementsAre;

constexpr v1::Lane kEvents = v1::LANE_EVENTS;
constexpr v1::Lane kLogs = v1::LANE_LOGS;
constexpr Instant kNever = Instant::FromDuration(absl::InfiniteDuration());

LaneState LaneOf(const std::string& epoch, v1::Lane lane, std::int64_t last, std::int64_t acked = 0) {
  return {.epoch = epoch, .lane = lane, .oldest_sequence = 1, .last_sequence = last, .acked_sequence = acked};
}

// A journal of records of 100 bytes, ten in a batch unless said otherwise.
class ReplayTest : public testing::Test {
 protected:
  void Begin(std::vector<LaneState> lanes, const v1::Welcome& welcome = {}) {
    replay_.SetLanes(lanes);
    applied_ = replay_.Begin(replay_.Positions(), welcome);
  }
  static v1::Welcome WelcomeWith(const std::string& epoch, v1::Lane lane, std::int64_t sequence) {
    v1::Welcome welcome;
    v1::LanePosition& position = *welcome.add_applied();
    position.set_epoch(epoch);
    position.set_lane(lane);
    position.set_sequence(sequence);
    return welcome;
  }
  static v1::RecordBatch BatchOf(const ReadRequest& request, int records) {
    v1::RecordBatch batch;
    batch.set_epoch(request.epoch);
    batch.set_lane(request.lane);
    batch.set_first_sequence(request.first_sequence);
    for (int i = 0; i < records; ++i) {
      *batch.add_records()->mutable_age() = ToProto(absl::Seconds(10));
      batch.mutable_records()->rbegin()->mutable_host_sample()->add_disks()->set_device(std::string(80, 'x'));
    }
    return batch;
  }
  static std::string Describe(const v1::RecordBatch& batch) {
    return batch.epoch() + (batch.lane() == kLogs ? "/logs/" : "/events/") + std::to_string(batch.first_sequence()) +
           "+" + std::to_string(batch.records_size());
  }
  // Reads and sends until the replay has enough; what was sent.
  std::vector<std::string> Pump(int records_per_batch = 10, int last = 1'000'000) {
    std::vector<std::string> sent;
    for (int i = 0; i < 1000; ++i) {
      if (const auto request = replay_.NextRead(clock_.Read())) {
        const auto left = static_cast<int>(last - request->first_sequence + 1);
        replay_.OnRecords(BatchOf(*request, std::min(records_per_batch, left)), clock_.Read());
      }
      const auto batch = replay_.NextBatch(clock_.Read());
      if (!batch.has_value()) return sent;
      sent.push_back(Describe(*batch));
    }
    ADD_FAILURE() << "never has enough";
    return sent;
  }
  std::optional<v1::BatchAck> Ack(const std::string& epoch, v1::Lane lane, std::int64_t sequence) {
    v1::BatchAck ack;
    ack.set_epoch(epoch);
    ack.set_lane(lane);
    ack.set_sequence(sequence);
    return replay_.OnAck(ack, clock_.Read());
  }
  void Refuse(const std::string& epoch, v1::Lane lane, std::int64_t first, v1::BatchRefusalReason reason,
              std::int64_t expected = 0, std::optional<absl::Duration> retry_after = std::nullopt) {
    v1::BatchRefusal refusal;
    refusal.set_epoch(epoch);
    refusal.set_lane(lane);
    refusal.set_first_sequence(first);
    refusal.set_reason(reason);
    refusal.set_expected_sequence(expected);
    if (retry_after) *refusal.mutable_retry_after() = ToProto(*retry_after);
    replay_.OnRefusal(refusal, clock_.Read());
  }
  FakeClock clock_;
  Replay replay_;
  std::vector<v1::LanePosition> applied_;
};

TEST_F(ReplayTest, WithNothingInTheJournalThereIsNothingToDo) {
  Begin({});
  EXPECT_THAT(Pump(), ElementsAre());
  EXPECT_EQ(replay_.NextDeadline(), kNever);
}

TEST_F(ReplayTest, SendsOneBatchThenMoreAsAcksComeQuickly) {
  Begin({LaneOf("e", kEvents, 1000)});
  EXPECT_THAT(Pump(), ElementsAre("e/events/1+10"));
  EXPECT_EQ(replay_.NextDeadline(), kNever) << "the hub's answer has to come first";
  ASSERT_TRUE(Ack("e", kEvents, 10).has_value());
  EXPECT_THAT(Pump(), ElementsAre("e/events/11+10", "e/events/21+10"));
  Ack("e", kEvents, 20);
  Ack("e", kEvents, 30);
  EXPECT_THAT(Pump(), testing::SizeIs(kMaxUnackedBatches));
  Ack("e", kEvents, 70);
  EXPECT_THAT(Pump(), testing::SizeIs(kMaxUnackedBatches)) << "never more";
}

TEST_F(ReplayTest, ASlowLineGetsSmallBatchesOneAtATime) {
  Begin({LaneOf("e", kEvents, 1000)});
  std::vector<std::size_t> sizes;
  for (int i = 0; i < 4; ++i) {
    const auto request = replay_.NextRead(clock_.Read());
    ASSERT_TRUE(request.has_value());
    sizes.push_back(request->max_bytes);
    replay_.OnRecords(BatchOf(*request, 10), clock_.Read());
    ASSERT_TRUE(replay_.NextBatch(clock_.Read()).has_value());
    clock_.Advance(kLongQueue + absl::Milliseconds(1));
    Ack("e", kEvents, 10 * (i + 1));
  }
  EXPECT_THAT(sizes, ElementsAre(kFirstBatchBytes, kFirstBatchBytes / 2, kMinBatchBytes, kMinBatchBytes));
  EXPECT_THAT(Pump(), testing::SizeIs(1));
}

TEST_F(ReplayTest, ALongLineIsNoSlowOne) {
  Begin({LaneOf("e", kEvents, 1000)});
  replay_.NoteRoundTrip(absl::Seconds(2));
  replay_.NoteRoundTrip(absl::Seconds(3));
  std::vector<std::size_t> sizes;
  for (int i = 0; i < 3; ++i) {
    const auto request = replay_.NextRead(clock_.Read());
    ASSERT_TRUE(request.has_value());
    sizes.push_back(request->max_bytes);
    replay_.OnRecords(BatchOf(*request, 10), clock_.Read());
    ASSERT_TRUE(replay_.NextBatch(clock_.Read()).has_value());
    clock_.Advance(absl::Seconds(2) + kShortQueue - absl::Milliseconds(1));
    Ack("e", kEvents, 10 * (i + 1));
  }
  EXPECT_THAT(sizes, ElementsAre(kFirstBatchBytes, 2 * kFirstBatchBytes, kMaxBatchBytes));
}

// The route has changed: its acks take two seconds from now on.
TEST_F(ReplayTest, ALineThatBecomesLongIsSlowForAWhileOnly) {
  Begin({LaneOf("e", kEvents, 100'000)});
  replay_.NoteRoundTrip(absl::Milliseconds(20));
  auto ack_after_two_seconds = [&, sequence = 0]() mutable -> std::size_t {
    const auto request = replay_.NextRead(clock_.Read());
    if (!request.has_value()) return 0;
    replay_.OnRecords(BatchOf(*request, 10), clock_.Read());
    EXPECT_TRUE(replay_.NextBatch(clock_.Read()).has_value());
    clock_.Advance(absl::Seconds(2));
    Ack("e", kEvents, sequence += 10);
    return request->max_bytes;
  };
  EXPECT_EQ(ack_after_two_seconds(), kFirstBatchBytes);
  EXPECT_EQ(ack_after_two_seconds(), kFirstBatchBytes / 2);
  for (int heartbeat = 0; heartbeat < 12; ++heartbeat) replay_.NoteRoundTrip(absl::Seconds(2));
  for (int i = 0; i < 5; ++i) ack_after_two_seconds();
  EXPECT_EQ(ack_after_two_seconds(), kMaxBatchBytes);
}

TEST_F(ReplayTest, EventsGoBeforeLogsAndOlderEpochsFirst) {
  Begin({LaneOf("old", kEvents, 10), LaneOf("old", kLogs, 10), LaneOf("new", kEvents, 10)});
  EXPECT_THAT(Pump(), ElementsAre("old/events/1+10", "old/logs/1+10"));
  Ack("old", kEvents, 10);
  EXPECT_THAT(Pump(), ElementsAre("new/events/1+10"));
  Ack("new", kEvents, 10);
  replay_.SetLanes({LaneOf("old", kEvents, 10, 10), LaneOf("old", kLogs, 10), LaneOf("new", kEvents, 20, 10)});
  EXPECT_THAT(Pump(), ElementsAre("new/events/11+10"));
}

TEST_F(ReplayTest, LogsThatNobodyAcknowledgesDoNotHoldUpEvents) {
  Begin({LaneOf("e", kLogs, 1000)});
  EXPECT_THAT(Pump(), ElementsAre("e/logs/1+10"));
  replay_.SetLanes({LaneOf("e", kEvents, 20), LaneOf("e", kLogs, 1000)});
  EXPECT_EQ(replay_.NextDeadline(), Instant());
  EXPECT_THAT(Pump(), ElementsAre("e/events/1+10"));
  Ack("e", kEvents, 10);
  EXPECT_THAT(Pump(), ElementsAre("e/events/11+10", "e/logs/11+10")) << "each lane has a window of its own";
}

TEST_F(ReplayTest, TheNextEpochBeginsWhenTheOneBeforeIsAcknowledged) {
  Begin({LaneOf("old", kEvents, 20), LaneOf("new", kEvents, 10)});
  EXPECT_THAT(Pump(), ElementsAre("old/events/1+10"));
  Ack("old", kEvents, 10);
  EXPECT_THAT(Pump(), ElementsAre("old/events/11+10")) << "although there is room for two";
  Ack("old", kEvents, 20);
  EXPECT_THAT(Pump(), ElementsAre("new/events/1+10"));
}

TEST_F(ReplayTest, GoesOnBehindWhatWelcomeSays) {
  struct Case {
    const char* name;
    std::int64_t acked;
    std::int64_t applied;
    std::vector<std::string> sent;
    std::int64_t told_to_journal;
  };
  for (const Case& c : std::vector<Case>{{"as acknowledged", 5, 5, {"e/events/6+10"}, 5},
                                         {"an ack was lost", 5, 20, {"e/events/21+10"}, 20},
                                         {"the hub was restored", 20, 5, {"e/events/6+10"}, 5},
                                         {"the hub has never heard of it", 20, 0, {"e/events/1+10"}, 0},
                                         {"the hub has all", 5, 50, {}, 50},
                                         {"more than there is", 5, 99, {}, 50},
                                         {"a number that cannot be", 5, -7, {"e/events/1+10"}, 0}}) {
    SCOPED_TRACE(c.name);
    Begin({LaneOf("e", kEvents, 50, c.acked)}, WelcomeWith("e", kEvents, c.applied));
    EXPECT_EQ(Pump(), c.sent);
    ASSERT_EQ(applied_.size(), 1u);
    EXPECT_EQ(applied_[0].sequence(), c.told_to_journal);
  }
}

TEST_F(ReplayTest, ALaneThatHelloDidNotListGoesOnBehindItsLastAck) {
  replay_.SetLanes({});
  EXPECT_TRUE(replay_.Begin({}, v1::Welcome()).empty());
  replay_.SetLanes({LaneOf("e", kEvents, 50, 20)});
  EXPECT_THAT(Pump(), ElementsAre("e/events/21+10"));
}

TEST_F(ReplayTest, ANewSessionBeginsAnew) {
  Begin({LaneOf("e", kEvents, 1000)});
  EXPECT_THAT(Pump(), ElementsAre("e/events/1+10"));
  Begin({LaneOf("e", kEvents, 1000)});
  EXPECT_FALSE(Ack("e", kEvents, 10).has_value()) << "of the session before";
  EXPECT_THAT(Pump(), ElementsAre("e/events/1+10"));
}

TEST_F(ReplayTest, AnAnswerToAReadOfTheSessionBeforeIsDropped) {
  Begin({LaneOf("e", kEvents, 1000)});
  const auto request = replay_.NextRead(clock_.Read());
  ASSERT_TRUE(request.has_value());
  Begin({LaneOf("e", kEvents, 1000)});
  replay_.OnRecords(BatchOf(*request, 10), clock_.Read());
  EXPECT_FALSE(replay_.NextBatch(clock_.Read()).has_value());
}

TEST_F(ReplayTest, AJournalThatCannotBeReadIsLeftAloneForAMoment) {
  Begin({LaneOf("e", kEvents, 1000)});
  replay_.OnRecords(BatchOf(*replay_.NextRead(clock_.Read()), 0), clock_.Read());
  EXPECT_FALSE(replay_.NextRead(clock_.Read()).has_value());
  EXPECT_EQ(replay_.NextDeadline(), clock_.Monotonic() + kReadRetry);
  clock_.Advance(kReadRetry);
  EXPECT_THAT(Pump(), ElementsAre("e/events/1+10"));
}

TEST_F(ReplayTest, KeepsToItsPace) {
  Begin({LaneOf("e", kEvents, 10'000'000)});
  std::size_t bytes = 0;
  const Instant start = clock_.Monotonic();
  while (clock_.Monotonic() - start < absl::Seconds(10)) {
    if (const auto request = replay_.NextRead(clock_.Read())) {
      replay_.OnRecords(BatchOf(*request, 600), clock_.Read());
    }
    if (const auto batch = replay_.NextBatch(clock_.Read())) {
      bytes += batch->ByteSizeLong();
      Ack("e", kEvents, batch->first_sequence() + 599);
    } else {
      const Instant next = replay_.NextDeadline();
      ASSERT_GT(next, clock_.Monotonic()) << "a busy loop";
      ASSERT_NE(next, kNever);
      clock_.Advance(next - clock_.Monotonic());
    }
  }
  EXPECT_GT(bytes, 10u * kReplayBytesPerSecond * 9 / 10);
  EXPECT_LT(bytes, 11u * kReplayBytesPerSecond);
}

TEST_F(ReplayTest, AgesGrowWhileABatchWaitsForTheTransport) {
  Begin({LaneOf("e", kEvents, 10)});
  replay_.OnRecords(BatchOf(*replay_.NextRead(clock_.Read()), 10), clock_.Read());
  clock_.Advance(absl::Seconds(7));
  const auto batch = replay_.NextBatch(clock_.Read());
  EXPECT_EQ(FromProto(batch->records(0).age()), absl::Seconds(17));
}

TEST_F(ReplayTest, GapRecordsTakeAllTheirNumbers) {
  Begin({LaneOf("e", kEvents, 120)});
  v1::RecordBatch batch = BatchOf(*replay_.NextRead(clock_.Read()), 2);
  v1::GapRecord& gap = *batch.add_records()->mutable_gap();
  gap.set_first_sequence(3);
  gap.set_last_sequence(100);
  replay_.OnRecords(batch, clock_.Read());
  ASSERT_TRUE(replay_.NextBatch(clock_.Read()).has_value());
  EXPECT_EQ(Ack("e", kEvents, 100)->sequence(), 100);
  EXPECT_THAT(Pump(10, 120), ElementsAre("e/events/101+10", "e/events/111+10"));
}

TEST_F(ReplayTest, NobodyAcknowledgesWhatWasNotSent) {
  Begin({LaneOf("e", kEvents, 1000)});
  EXPECT_FALSE(Ack("e", kEvents, 10).has_value());
  Pump();
  EXPECT_FALSE(Ack("e", kLogs, 10).has_value());
  EXPECT_FALSE(Ack("other", kEvents, 10).has_value());
  EXPECT_EQ(Ack("e", kEvents, 1000)->sequence(), 10);
  EXPECT_THAT(Pump(), testing::Contains("e/events/11+10"));
}

TEST_F(ReplayTest, ABusyHubGetsTheSameBatchAgainAfterItsTime) {
  Begin({LaneOf("e", kEvents, 1000), LaneOf("e", kLogs, 1000)});
  Pump();
  Refuse("e", kEvents, 1, v1::BATCH_REFUSAL_REASON_BUSY, 0, absl::Seconds(3));
  EXPECT_THAT(Pump(), testing::IsEmpty());
  Ack("e", kLogs, 10);
  EXPECT_THAT(Pump(), ElementsAre("e/logs/11+10", "e/logs/21+10")) << "the other lane goes on";
  clock_.Advance(absl::Seconds(3));
  Ack("e", kLogs, 30);
  EXPECT_THAT(Pump(), testing::Contains("e/events/1+10"));
}

TEST_F(ReplayTest, RetryAfterIsClamped) {
  struct Case {
    std::optional<absl::Duration> asked;
    absl::Duration expected;
  };
  for (const Case& c : std::vector<Case>{{std::nullopt, kDefaultBatchRetry},
                                         {-absl::Seconds(5), kMinBatchRetry},
                                         {absl::Hours(1000), kMaxBatchRetry},
                                         {absl::Seconds(20), absl::Seconds(20)}}) {
    Begin({LaneOf("e", kEvents, 1000)});
    Pump();
    Refuse("e", kEvents, 1, v1::BATCH_REFUSAL_REASON_BUSY, 0, c.asked);
    EXPECT_THAT(Pump(), ElementsAre());
    EXPECT_EQ(replay_.NextDeadline(), clock_.Monotonic() + c.expected);
  }
}

TEST_F(ReplayTest, AfterARefusalTheOthersInFlightAreAnsweredFirst) {
  Begin({LaneOf("e", kEvents, 1000)});
  Pump();
  Ack("e", kEvents, 10);
  EXPECT_THAT(Pump(), ElementsAre("e/events/11+10", "e/events/21+10"));
  Refuse("e", kEvents, 11, v1::BATCH_REFUSAL_REASON_BUSY, 0, absl::Seconds(1));
  clock_.Advance(absl::Seconds(5));
  EXPECT_THAT(Pump(), ElementsAre()) << "the second is still under way";
  EXPECT_EQ(replay_.NextDeadline(), kNever);
  Refuse("e", kEvents, 21, v1::BATCH_REFUSAL_REASON_OUT_OF_ORDER, 11);
  EXPECT_THAT(Pump(), ElementsAre("e/events/11+10", "e/events/21+10"));
}

TEST_F(ReplayTest, OutOfOrderGoesOnWhereTheHubWants) {
  Begin({LaneOf("e", kEvents, 1000, 500)}, WelcomeWith("e", kEvents, 500));
  EXPECT_THAT(Pump(), ElementsAre("e/events/501+10"));
  Refuse("e", kEvents, 501, v1::BATCH_REFUSAL_REASON_OUT_OF_ORDER, 41);
  EXPECT_THAT(Pump(), ElementsAre("e/events/41+10"));
  Refuse("e", kEvents, 41, v1::BATCH_REFUSAL_REASON_OUT_OF_ORDER, -3);
  EXPECT_THAT(Pump(), ElementsAre("e/events/1+10"));
}

TEST_F(ReplayTest, AHubThatWantsWhatNeverWasIsLeftAloneForTheSession) {
  Begin({LaneOf("e", kEvents, 100)});
  Pump();
  Refuse("e", kEvents, 1, v1::BATCH_REFUSAL_REASON_OUT_OF_ORDER, 5000);
  replay_.SetLanes({LaneOf("e", kEvents, 200)});
  EXPECT_THAT(Pump(), ElementsAre());
  EXPECT_EQ(replay_.NextDeadline(), kNever);
  Begin({LaneOf("e", kEvents, 200)});
  EXPECT_THAT(Pump(), ElementsAre("e/events/1+10"));
}

TEST_F(ReplayTest, ALaneThatIsNotSupportedIsLeftAloneForTheSession) {
  Begin({LaneOf("old", kLogs, 10), LaneOf("new", kEvents, 10), LaneOf("new", kLogs, 10)});
  EXPECT_THAT(Pump(), ElementsAre("new/events/1+10", "old/logs/1+10"));
  Ack("new", kEvents, 10);
  Refuse("old", kLogs, 1, v1::BATCH_REFUSAL_REASON_NOT_SUPPORTED);
  EXPECT_THAT(Pump(), ElementsAre());
  EXPECT_EQ(replay_.NextDeadline(), kNever);
  replay_.SetLanes({LaneOf("old", kLogs, 10), LaneOf("new", kEvents, 20, 10), LaneOf("new", kLogs, 10)});
  EXPECT_THAT(Pump(), ElementsAre("new/events/11+10"));
}

TEST_F(ReplayTest, ARefusalOfWhatWasNotSentMeansNothing) {
  Begin({LaneOf("e", kEvents, 1000)});
  Pump();
  Refuse("e", kEvents, 500, v1::BATCH_REFUSAL_REASON_NOT_SUPPORTED);
  Refuse("other", kLogs, 1, v1::BATCH_REFUSAL_REASON_NOT_SUPPORTED);
  Ack("e", kEvents, 10);
  EXPECT_THAT(Pump(), testing::SizeIs(2));
}

TEST_F(ReplayTest, ABatchThatARefusalOvertookIsNotSent) {
  Begin({LaneOf("e", kEvents, 1000)});
  Pump();
  Ack("e", kEvents, 10);
  Pump();
  Ack("e", kEvents, 20);
  const auto request = replay_.NextRead(clock_.Read());
  ASSERT_TRUE(request.has_value());
  replay_.OnRecords(BatchOf(*request, 10), clock_.Read());
  Refuse("e", kEvents, 21, v1::BATCH_REFUSAL_REASON_BUSY, 0, absl::Seconds(1));
  EXPECT_FALSE(replay_.NextBatch(clock_.Read()).has_value());
  clock_.Advance(absl::Seconds(1));
  EXPECT_THAT(Pump(), testing::Contains("e/events/21+10"));
}

TEST_F(ReplayTest, ListsWhatTheJournalHolds) {
  replay_.SetLanes({{.epoch = "e", .lane = kLogs, .oldest_sequence = 5, .last_sequence = 9, .acked_sequence = 7}});
  const auto positions = replay_.Positions();
  ASSERT_EQ(positions.size(), 1u);
  EXPECT_EQ(positions[0].epoch(), "e");
  EXPECT_EQ(positions[0].lane(), kLogs);
  EXPECT_EQ(positions[0].sequence(), 9);
  EXPECT_EQ(positions[0].oldest_sequence(), 5);
}

}  // namespace
}  // namespace muster::agent
