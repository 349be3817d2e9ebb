#include "hub/logs/log_writes.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "hub/logs/testing/log_store_fixture.h"

namespace muster::hub {
namespace {

using agent::v1::LogLines;
using agent::v1::Record;
using agent::v1::RecordBatch;
using ::testing::ElementsAre;
using ::testing::SizeIs;

TEST_F(LogStoreTest, PositionDecidesWhatIsStored) {
  struct Step {
    RecordBatch batch;
    std::int64_t position;
    std::int64_t applied;
    std::optional<std::int64_t> expected;
  };
  const struct {
    const char* name;
    std::vector<Step> steps;
    std::int64_t lines;
  } cases[] = {
      {"in order", {{LogBatch(1, NumberedLines(1, 3)), 3, 3, {}}, {LogBatch(4, NumberedLines(4, 2)), 5, 2, {}}}, 5},
      {"duplicate", {{LogBatch(1, NumberedLines(1, 3)), 3, 3, {}}, {LogBatch(1, NumberedLines(1, 3)), 3, 0, {}}}, 3},
      {"overlap", {{LogBatch(1, NumberedLines(1, 3)), 3, 3, {}}, {LogBatch(2, NumberedLines(2, 4)), 5, 2, {}}}, 5},
      {"hole", {{LogBatch(1, NumberedLines(1, 3)), 3, 3, {}}, {LogBatch(5, NumberedLines(5, 3)), 3, 0, 4}}, 3},
      {"gap", {{LogBatch(1, {LogGap(1, 7, 70), LinesRecord(8, {"8"})}), 8, 1, {}}}, 1},
      {"gap over what is there",
       {{LogBatch(1, NumberedLines(1, 3)), 3, 3, {}},
        {LogBatch(2, {LogGap(2, 9, 0), LinesRecord(10, {"10"})}), 10, 1, {}}},
       4},
  };
  int number = 0;
  for (const auto& c : cases) {
    origin_.target_id = "tgt_" + std::to_string(++number);
    const std::int64_t before = Number("SELECT next_line FROM log_meta");
    for (const Step& step : c.steps) {
      const BatchOutcome outcome = Apply(step.batch);
      EXPECT_EQ(outcome.position, step.position) << c.name;
      EXPECT_EQ(outcome.applied, step.applied) << c.name;
      EXPECT_EQ(outcome.expected, step.expected) << c.name;
    }
    EXPECT_EQ(Number("SELECT next_line FROM log_meta") - before, c.lines) << c.name;
  }
}

TEST_F(LogStoreTest, NumbersCountOverAllSourcesAndEachHasItsRow) {
  Apply(LogBatch(1, {LinesRecord(1, {"a", "b"}, "web-1"), LinesRecord(2, {"c"}, "db-1"), LinesRecord(3, {"d"}, "web-1"),
                     LinesRecord(9, {"e"}, "muster-agent", "")}));
  EXPECT_THAT(Lines(), ElementsAre("1 1 web-1 a", "2 2 web-1 b", "3 2 db-1 c", "4 3 web-1 d", "5 9 muster-agent e"));
  EXPECT_EQ(Number("SELECT count(*) FROM log_tail"), 3);
  EXPECT_EQ(Number("SELECT count(*) FROM log_sources WHERE deployment_id=''"), 1);
  EXPECT_EQ(logs_->tail().totals(), (TailIndex::Totals{.rows = 3, .bytes = 10}));
}

TEST_F(LogStoreTest, SourcesAreMadeOnce) {
  Apply(LogBatch(1, NumberedLines(1, 2)));
  Apply(LogBatch(3, NumberedLines(3, 2)));
  EXPECT_EQ(Number("SELECT count(*) FROM log_sources"), 1);
  Record newer = LinesRecord(9, {"x"});
  newer.mutable_log_lines()->set_revision("r2");
  Apply(LogBatch(5, {newer}));
  EXPECT_EQ(Number("SELECT count(*) FROM log_sources"), 2);
  EXPECT_EQ(Number("SELECT first_line FROM log_sources WHERE revision='r2'"), 5);
}

TEST_F(LogStoreTest, MoreThanAChunkHoldsBecomesSeveralRows) {
  std::vector<Record> records;
  for (int i = 0; i < 9; ++i) records.push_back(LinesRecord(1, std::vector<std::string>(kMaxRecordLines, "x")));
  origin_.arrived = LogAt(10'000);
  EXPECT_EQ(Apply(LogBatch(1, records)).applied, 9);
  EXPECT_THAT(Lines(), SizeIs(9 * kMaxRecordLines));
  EXPECT_EQ(Number("SELECT count(*) FROM log_tail"), 2);
}

TEST_F(LogStoreTest, LinesThatCanNeverBeStoredAreRefusedAndHoldUpNothing) {
  const auto with = [](auto change) {
    Record record = LinesRecord(1, {"good", "too"});
    change(*record.mutable_log_lines());
    return record;
  };
  const struct {
    const char* name;
    Record record;
  } cases[] = {
      {"no resource", with([](LogLines& l) { l.clear_resource(); })},
      {"long resource", with([](LogLines& l) { l.set_resource(std::string(256, 'x')); })},
      {"long revision", with([](LogLines& l) { l.set_revision(std::string(256, 'x')); })},
      {"no lines", with([](LogLines& l) {
         l.clear_kinds();
         l.clear_text();
       })},
      {"a kind too few", with([](LogLines& l) { l.set_kinds("\x01"); })},
      {"no stream", with([](LogLines& l) { l.set_kinds(std::string("\x01\x04", 2)); })},
      {"unknown bits", with([](LogLines& l) { l.set_kinds("\x01\x81"); })},
      {"a time too many", with([](LogLines& l) { l.add_time_delta_us(1); })},
      {"no time", with([](LogLines& l) { l.clear_base_time(); })},
      {"before 1970", with([](LogLines& l) { l.set_time_delta_us(0, std::int64_t{-1} << 60); })},
      {"times that overflow",
       with([](LogLines& l) { l.set_time_delta_us(0, std::numeric_limits<std::int64_t>::max()); })},
      {"no newline at the end", with([](LogLines& l) { l.set_text("good\ntoo"); })},
      {"a newline too many", with([](LogLines& l) { l.set_text("go\nod\ntoo\n"); })},
      {"no UTF-8", with([](LogLines& l) { l.set_text("good\n\xFF\n"); })},
      {"a long line", with([](LogLines& l) { l.set_text("good\n" + std::string(16'385, 'x') + "\n"); })},
      {"no lines at all",
       [] {
         Record record = LinesRecord(1, {"x"});
         record.mutable_presence();
         return record;
       }()},
  };
  std::int64_t sequence = 1;
  for (const auto& c : cases) {
    const BatchOutcome outcome = Apply(LogBatch(sequence, {c.record, LinesRecord(2, {c.name})}));
    ASSERT_EQ(outcome.refused.size(), 1u) << c.name;
    EXPECT_EQ(outcome.refused[0].sequence(), sequence) << c.name;
    EXPECT_NE(outcome.refused[0].reason(), "") << c.name;
    EXPECT_EQ(outcome.applied, 1) << c.name;
    sequence += 2;
  }
  EXPECT_THAT(Lines(), SizeIs(std::size(cases)));
  EXPECT_EQ(Apply(LogBatch(1, {cases[0].record})).refused.size(), 1u) << "told again when it comes again";
}

TEST_F(LogStoreTest, GapsKeepTheirLines) {
  Record gap = LogGap(1, 40, 1204);
  *gap.mutable_gap()->mutable_from() = ToProto(LogAt(5));
  *gap.mutable_gap()->mutable_to() = ToProto(LogAt(6));
  EXPECT_EQ(Apply(LogBatch(1, {gap})).gaps, 1);
  EXPECT_EQ(Number("SELECT lines FROM log_gaps"), 1204);
  EXPECT_EQ(Number("SELECT last_sequence FROM log_gaps"), 40);
  EXPECT_EQ(Number("SELECT to_us-from_us FROM log_gaps"), 1'000'000);
}

// ---- times

Record Aged(double observed, double age) {
  Record record = LinesRecord(observed, {"x"});
  *record.mutable_age() = ToProto(absl::Seconds(age));
  return record;
}

TEST(ShiftOf, IsTheSkewUnlessTheRecordWasMadeUnderAnotherSettingOfTheClock) {
  // All arrive at 1000; the agent's clock is `skew` ahead.
  const struct {
    const char* name;
    Record record;
    double skew;
    double shift;
  } cases[] = {
      {"clocks agree", Aged(990, 10), 0, 0},
      {"no age", LinesRecord(5, {"x"}), 3, -3},
      {"the way takes a while", Aged(990, 1), 0, 0},
      {"longer than a way takes", Aged(980, 1), 0, 19},
      {"ahead", Aged(1050, 10), 60, -60},
      {"made before the clock was put forward", Aged(490, 10), 0, 500},
      {"made before the clock was put back", Aged(5000, 10), 0, -4010},
      {"a little early", Aged(991.5, 10), 0, 0},
      {"an age below zero", Aged(1000, -5), 0, 0},
  };
  for (const auto& c : cases) {
    BatchOrigin origin;
    origin.arrived = LogAt(1000);
    origin.skew = absl::Seconds(c.skew);
    EXPECT_EQ(ShiftOf(c.record, origin), absl::Seconds(c.shift)) << c.name;
  }
}

TEST_F(LogStoreTest, TheShiftIsKeptUntilItIsWrongByMoreThanTwoSeconds) {
  auto apply = [&, sequence = 0](double skew) mutable {
    origin_.skew = absl::Seconds(skew);
    ++sequence;
    Apply(LogBatch(sequence, {LinesRecord(100 + sequence, {"x"})}));
  };
  apply(1.9);
  apply(-1.9);
  apply(30);
  apply(31.5);
  Open();
  apply(32.5);
  EXPECT_THAT(Lines(), ElementsAre("1 101 web-1 x", "2 102 web-1 x", "3 73 web-1 x", "4 74 web-1 x", "5 72.5 web-1 x"));
}

TEST_F(LogStoreTest, NoLineIsLaterThanItsArrivalAndAllOfARecordMoveAlike) {
  origin_.arrived = LogAt(100);
  Apply(LogBatch(1, {LinesRecord(99.5, {"a", "b", "c"})}));
  EXPECT_THAT(Lines(), ElementsAre("1 98 web-1 a", "2 99 web-1 b", "3 100 web-1 c"));
}

}  // namespace
}  // namespace muster::hub
