// What engines, agents and clocks do to a log, by chance: each line is recorded exactly once and in order, or a marker
// stands in its place, and no marker stands where nothing was lost (docs/logs.md, "Why exactly once").
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "agent/logs/collector_loop.h"
#include "agent/logs/testing/fake_engine.h"
#include "agent/logs/testing/fake_log_journal.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

constexpr int kHistories = 10'000;
constexpr std::int64_t kMilli = 1'000'000;

class NoLog : public OwnLogSource {
 public:
  OwnLog Take() override { return {}; }
};

// A message as it was written, and what became of it.
struct Written {
  LogStream stream = LogStream::kStdout;
  std::int64_t time_us = 0;
  std::string text;
  bool is_continued = false;
  // Lost by the engine before it could be read, without a trace.
  bool may_be_lost = false;
};

struct Recorded {
  LineKind kind;
  std::int64_t time_us = 0;
  std::string text;
};

std::vector<Recorded> LinesOf(const std::vector<v1::Record>& records, const std::string& resource) {
  std::vector<Recorded> all;
  for (const v1::Record& record : records) {
    const v1::LogLines& lines = record.log_lines();
    if (lines.resource() != resource) continue;
    std::int64_t time_us = absl::ToUnixMicros(FromProto(lines.base_time()));
    std::string_view text = lines.text();
    for (std::size_t i = 0; i < lines.kinds().size(); ++i) {
      if (i > 0) time_us += lines.time_delta_us(static_cast<int>(i) - 1);
      const std::size_t end = text.find('\n');
      all.push_back({*KindOf(lines.kinds()[i]), time_us, std::string(text.substr(0, end))});
      text.remove_prefix(end + 1);
    }
    EXPECT_TRUE(text.empty());
  }
  return all;
}

class History {
 public:
  History(std::uint32_t seed, const Masker* masker)
      : random_(seed),
        engine_(seed % 2 == 0 ? FakeEngine::Version::k20 : FakeEngine::Version::k23, &clock_, seed),
        masker_(masker),
        may_lose_end_(Chance(4)) {}

  void Run() {
    journal_.memory().first_settings = clock_.Now() - absl::Hours(1);
    for (int i = 0; i < 1 + Under(2); ++i) AddContainer();
    StartAgent();
    const int steps = 20 + Under(40);
    for (int i = 0; i < steps; ++i) {
      Step();
      if (loop_ == nullptr) {
        clock_.Advance(absl::Milliseconds(Under(2000)));
        if (Chance(3)) StartAgent();
      } else {
        Pass(Chance(30) ? absl::Seconds(Under(700)) : absl::Milliseconds(Chance(2) ? Under(50) : Under(3000)));
        if (Chance(3)) journal_.Commit(static_cast<std::size_t>(Under(4)));
      }
    }
    Settle();
    loop_.reset();
    for (const auto& [id, written] : written_) Check(id, written);
  }

 private:
  int Under(int limit) { return static_cast<int>(random_() % static_cast<unsigned>(limit)); }
  bool Chance(int one_in) { return Under(one_in) == 0; }
  std::string AnyContainer() {
    return containers_[static_cast<std::size_t>(Under(static_cast<int>(containers_.size())))].id;
  }
  LogContainer& Container(const std::string& id) {
    return *std::find_if(containers_.begin(), containers_.end(), [&](const LogContainer& c) { return c.id == id; });
  }

  void AddContainer() {
    const std::string id = fmt::format("c{}", containers_.size());
    containers_.push_back({.id = id,
                           .name = id,
                           .deployment_key = "compose/shop",
                           .revision = "1",
                           .has_tty = Chance(3),
                           .log_driver = "json-file",
                           .created = clock_.Now(),
                           .is_running = true});
    engine_.Add(id, containers_.back().has_tty);
  }

  void StartAgent() {
    loop_ = std::make_unique<CollectorLoop>(
        CollectorOptions{.collects_containers = true,
                         .boot_id = "boot-1",
                         .uniform = [this] { return static_cast<double>(random_() % 1000) / 1000; }},
        &clock_, engine_.Connect(), masker_, &journal_, &no_log_);
    loop_->SetContainers(containers_);
  }

  void KillAgent() {
    journal_.Commit(static_cast<std::size_t>(Under(8)));
    journal_.Kill();
    loop_.reset();
  }

  void StopAgent() {
    loop_->Finish();
    journal_.Commit();
    loop_.reset();
  }

  void Pass(absl::Duration time) {
    const Instant until = clock_.Monotonic() + time;
    engine_.WaitUntil(until);
    do {
      loop_->Turn();
    } while (clock_.Monotonic() < until);
    // What has come is taken.
    for (int i = Under(4); i > 0; --i) loop_->Turn();
  }

  void Step() {
    const std::string id = AnyContainer();
    switch (Under(20)) {
      case 0:
        return Rotate(id, static_cast<std::size_t>(Under(12)));
      case 1:
        return Chance(3) ? Rotate(id, 0) : engine_.Cut(id);
      case 2:
        return Chance(2) ? engine_.Hang(id) : Repeat(id, static_cast<std::size_t>(Under(12)));
      case 3:
        return StepClock();
      case 4:
        return loop_ == nullptr ? StartAgent() : Chance(4) ? StopAgent() : KillAgent();
      case 5:
        return Toggle(id);
      case 6:
        return engine_.CutAll();
      case 7:
        return journal_.set_full(Chance(2));
      case 8:
        return may_lose_end_ ? LoseEnd(id) : journal_.Commit();
      default:
        return Write(id);
    }
  }

  // What no agent can know of is left out: that the end and what is older were lost, too.
  void Rotate(const std::string& id, std::size_t keep) {
    if (has_lost_end_.contains(id)) {
      if (!Container(id).is_running) return;
      Write(id);
      Settle();
      has_lost_end_.erase(id);
    }
    engine_.Rotate(id, keep);
  }

  // And that the clock was set back within what is given twice, and pieces of a line that goes on.
  void Repeat(const std::string& id, std::size_t count) {
    const auto& log = engine_.log(id);
    count = std::min(count, log.size());
    std::map<LogStream, const FakeEngine::Message*> last;
    for (const FakeEngine::Message& message : log) last[message.stream] = &message;
    for (auto it = log.end() - static_cast<std::ptrdiff_t>(count); it != log.end(); ++it) {
      if (it->time_ns > last[it->stream]->time_ns || !last[it->stream]->has_newline) return;
    }
    engine_.Repeat(id, static_cast<std::int64_t>(count));
  }

  // And that the clock was set back and forward again since the last record.
  void StepClock() {
    if (may_lose_end_) return;
    const absl::Duration step = absl::Milliseconds(Under(200'000) - 100'000);
    if (step > absl::ZeroDuration() && was_set_back_) Settle();
    was_set_back_ = step < absl::ZeroDuration();
    clock_.StepWall(step);
    if (loop_ != nullptr) Pass(absl::ZeroDuration());
  }

  // Long enough for the silent check to find what a stream did not give.
  void Settle() {
    journal_.set_full(false);
    if (loop_ == nullptr) StartAgent();
    Pass(absl::Minutes(25));
    journal_.Commit();
  }

  void Toggle(const std::string& id) {
    LogContainer& container = Container(id);
    container.is_running = !container.is_running;
    container.is_running ? engine_.Start(id) : engine_.Stop(id);
    if (loop_ != nullptr) loop_->SetContainers(containers_);
  }

  void Write(const std::string& id) {
    const LogContainer& container = Container(id);
    if (!container.is_running) return;
    std::int64_t time_ns = absl::ToUnixNanos(clock_.Now()) + Under(1000);
    std::int64_t last_stderr = 0;
    for (int i = 1 + Under(6); i > 0; --i) {
      if (Chance(2)) time_ns += Under(2000);
      const LogStream stream = container.has_tty || Chance(2) ? LogStream::kStdout : LogStream::kStderr;
      // stderr is stamped before it waits for the other's write.
      std::int64_t stamp = time_ns;
      if (stream == LogStream::kStderr) {
        if (Chance(4)) stamp = std::max(stamp - Under(500'000), last_stderr);
        last_stderr = stamp;
      }
      const int pieces = Chance(40) ? 2 + Under(3) : 1;
      for (int piece = 1; piece <= pieces; ++piece) WriteMessage(id, stream, stamp, piece == pieces);
    }
    // What comes next was written later, whatever was said before.
    clock_.Advance(absl::Milliseconds(1));
  }

  void WriteMessage(const std::string& id, LogStream stream, std::int64_t time_ns, bool ends_line) {
    std::vector<Written>& written = written_[id];
    std::string text = fmt::format("#{} {}", written.size(), Chance(8) ? "" : "a line");
    if (!ends_line) text.resize(kMaxMessageTextBytes, static_cast<char>('a' + Under(26)));
    written.push_back({.stream = stream, .time_us = time_ns / 1000, .text = text, .is_continued = !ends_line});
    engine_.Write(id, {.stream = stream, .time_ns = time_ns, .text = std::move(text), .has_newline = ends_line});
  }

  // A power cut: the engine's last messages are gone, all of them later than what is left, which reaches far back.
  void LoseEnd(const std::string& id) {
    const auto& log = engine_.log(id);
    const std::size_t count = static_cast<std::size_t>(Under(5)) + 1;
    if (log.size() <= count) return;
    std::int64_t first_lost = std::numeric_limits<std::int64_t>::max();
    std::int64_t last_left = 0;
    bool is_open = false;
    for (std::size_t i = 0; i < log.size(); ++i) {
      const bool is_lost = i >= log.size() - count;
      if (is_lost) first_lost = std::min(first_lost, log[i].time_ns);
      if (!is_lost) last_left = std::max(last_left, log[i].time_ns);
      if (i == log.size() - count - 1) is_open = !log[i].has_newline;
    }
    if (is_open || first_lost - last_left < kMilli / 2 || log.front().time_ns > first_lost - 1001 * kMilli) return;
    if (loop_ != nullptr) KillAgent();
    engine_.CutAll();
    std::vector<Written>& written = written_[id];
    const auto end = static_cast<std::size_t>(engine_.end(id));
    // Numbers of the engine's messages are those of `written` but for what was lost before.
    std::size_t at = 0;
    std::int64_t there = 0;
    for (; at < written.size() && there < static_cast<std::int64_t>(end - count); ++at)
      there += !written[at].may_be_lost;
    for (; at < written.size(); ++at) written[at].may_be_lost = true;
    engine_.LoseEnd(id, count);
    has_lost_end_.insert(id);
    clock_.Advance(absl::Seconds(3));
  }

  void Check(const std::string& id, const std::vector<Written>& written) {
    // The engine has rotated away what comes before this.
    std::size_t first_there = 0;
    for (std::int64_t dropped = engine_.dropped(id); dropped > 0; ++first_there)
      dropped -= !written[first_there].may_be_lost;
    std::size_t next = 0;
    bool has_marker = false;
    const auto expect_missing = [&](std::size_t until) {
      for (; next < until; ++next) {
        if (written[next].may_be_lost) continue;
        EXPECT_LT(next, first_there) << id << ": lost although the engine has it: " << written[next].text.substr(0, 40);
        // What was rotated away before the first line was taken is behind no line.
        EXPECT_TRUE(has_marker || !has_taken_) << id << ": lost without a marker: " << written[next].text.substr(0, 40);
      }
    };
    has_taken_ = false;
    for (const Recorded& line : LinesOf(journal_.records(), id)) {
      if (line.kind.is_marker) {
        EXPECT_TRUE(line.text.starts_with("ROTATED 0 ")) << line.text;
        const bool was_gone = has_taken_ && (next - 1 < first_there || written[next - 1].may_be_lost);
        EXPECT_TRUE(was_gone) << id << ": a marker, but the engine has line " << next - 1;
        has_marker = true;
        continue;
      }
      const std::size_t number = static_cast<std::size_t>(std::stoul(line.text.substr(1)));
      ASSERT_LT(number, written.size());
      ASSERT_GE(number, next) << id << ": twice, or out of order";
      expect_missing(number);
      const Written& expected = written[number];
      EXPECT_EQ(line.text, expected.text);
      EXPECT_EQ(line.time_us, expected.time_us) << line.text;
      EXPECT_EQ(line.kind.is_continued, expected.is_continued) << line.text;
      EXPECT_EQ(line.kind.stream, expected.stream) << line.text;
      next = number + 1;
      has_marker = false;
      has_taken_ = true;
    }
    has_marker = true;
    expect_missing(written.size());
  }

  std::mt19937 random_;
  FakeClock clock_;
  FakeEngine engine_;
  const Masker* const masker_;
  // The clock is not set where the engine's log loses its end: then times tell what is new.
  const bool may_lose_end_;
  FakeLogJournal journal_;
  NoLog no_log_;
  std::vector<LogContainer> containers_;
  std::map<std::string, std::vector<Written>> written_;
  std::unique_ptr<CollectorLoop> loop_;
  bool was_set_back_ = false;
  std::set<std::string> has_lost_end_;
  bool has_taken_ = false;
};

class CollectorHistoryTest : public testing::TestWithParam<int> {};

// In parts, so that a failure is found again soon.
TEST_P(CollectorHistoryTest, EachLineOnceOrAMarker) {
  const Masker masker = *Masker::Create({});
  for (int i = 0; i < kHistories / 10; ++i) {
    const auto seed = static_cast<std::uint32_t>(GetParam() * (kHistories / 10) + i);
    SCOPED_TRACE(fmt::format("seed {}", seed));
    History(seed, &masker).Run();
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Parts, CollectorHistoryTest, testing::Range(0, 10));

}  // namespace
}  // namespace muster::agent
