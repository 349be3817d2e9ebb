// Live tails and exports over a real store, while lines come, chunks are merged, and clients are slow, go and come
// back.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>
#include <set>
#include <sstream>

#include "hub/api/log_calls.h"
#include "hub/api/log_export.h"
#include "hub/api/log_tail.h"
#include "hub/api/testing/fake_stream.h"
#include "hub/logs/testing/log_scan_fixture.h"

namespace muster::hub {
namespace {

// Counts what a scanner is asked.
class CountingReader : public LogReader {
 public:
  explicit CountingReader(LogReader* reader) : reader_(reader) {}
  absl::StatusOr<LogPage> ReadPage(const LogSelection& selection, const LogPageRequest& request) override {
    ++calls;
    return reader_->ReadPage(selection, request);
  }
  absl::StatusOr<LogVolume> ReadVolume(const LogSelection& selection, int parts, const ScanLimits& limits) override {
    return reader_->ReadVolume(selection, parts, limits);
  }
  absl::StatusOr<std::vector<LogResourceInfo>> ListResources(std::string_view target,
                                                             std::string_view deployment) override {
    return reader_->ListResources(target, deployment);
  }
  absl::StatusOr<std::int64_t> LastNumber() override {
    ++calls;
    return reader_->LastNumber();
  }
  absl::StatusOr<LogFollow> ReadBehind(const LogSelection& selection, std::int64_t after, std::int64_t up_to,
                                       std::size_t max_lines) override {
    ++calls;
    return reader_->ReadBehind(selection, after, up_to, max_lines);
  }
  absl::StatusOr<std::string> LogEpoch() override { return reader_->LogEpoch(); }

  std::atomic<int> calls{0};

 private:
  LogReader* const reader_;
};

class LogStreamsTest : public LogScanTest {
 protected:
  using TailClient = std::shared_ptr<FakeStreamOf<fleet::v1::TailLogsResponse>>;
  using ExportClient = std::shared_ptr<FakeStreamOf<fleet::v1::ExportLogsResponse>>;

  ~LogStreamsTest() override { scans_.Stop(); }

  std::shared_ptr<const LogQuestion> Question(const fleet::v1::LogSelection& request = {}) {
    auto question = ReadQuestion(request, {.target_id = selection_.target_id,
                                           .deployment_id = selection_.deployment_id,
                                           .created = LogAt(0),
                                           .ended = {}});
    EXPECT_TRUE(question.ok()) << question.status();
    return *std::move(question);
  }
  std::shared_ptr<LineStream> Tail(const TailClient& client, const LogTail::Beginning& beginning) {
    const auto stream =
        std::make_shared<LogTail>(&means_, Question(), Caller{.token_id = "t", .token_name = "t"}, client, beginning);
    stream->Start();
    Settle();
    return stream;
  }
  void Settle() {
    for (int before = -1; before != reader_.calls;) {
      before = reader_.calls;
      for (int i = 0; i < 2; ++i) {
        std::promise<void> reached;
        scans_.Submit([&] { reached.set_value(); });
        reached.get_future().wait();
      }
    }
  }
  void StoreSome() {
    std::vector<std::vector<ModelLine>> records;
    for (std::size_t i = random_() % 3 + 1; i > 0; --i)
      records.push_back(RandomLines(static_cast<double>(random_() % 200)));
    StoreLines(records);
  }
  // Lines by number, gaps by their beginning.
  void Count(const fleet::v1::TailLogsResponse& message) {
    for (const fleet::v1::LogEntry& entry : message.entries()) {
      if (entry.has_line()) {
        ++lines_[entry.line().number()];
        texts_[entry.line().number()] = entry.line().text();
      } else {
        ++gaps_[absl::ToUnixMicros(FromProto(entry.gap().from_time()))];
      }
    }
  }

  CountingReader reader_{&scanner()};
  WorkerPool scans_{1, kMaxWaitingScans};
  const LogMeans means_{.reader = &reader_, .scans = &scans_, .clock = &clock_};
  std::map<std::int64_t, int> lines_;
  std::map<std::int64_t, std::string> texts_;
  std::map<std::int64_t, int> gaps_;
};

TEST_F(LogStreamsTest, ATailSendsEachLineAndEachMarkerOnce) {
  for (std::uint32_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Seed(seed);
    const std::size_t begin = model_.size();
    StoreSome();
    const auto began = static_cast<std::int64_t>(begin);
    LogTail::Beginning beginning{.stored = true};
    auto client = std::make_shared<FakeStreamOf<fleet::v1::TailLogsResponse>>();
    auto stream = Tail(client, beginning);
    std::size_t looked_at = 0;
    const auto look = [&] {
      for (; looked_at < client->written.size(); ++looked_at) {
        Count(client->written[looked_at]);
        const auto position = ParsePosition(client->written[looked_at].position());
        ASSERT_TRUE(position.ok()) << position.status();
        beginning.resume = *position;
      }
    };
    for (int step = 0; step < 25; ++step) {
      switch (random_() % 6) {
        case 0:
          client->reading = !client->reading;
          break;
        case 1:
          client->Drain();
          break;
        case 2:
          AnyUpkeep(false);
          break;
        case 3:
          look();
          client->GoAway();
          client = std::make_shared<FakeStreamOf<fleet::v1::TailLogsResponse>>();
          client->room = 1 + random_() % 3;
          looked_at = 0;
          stream = Tail(client, beginning);
          break;
        default:
          StoreSome();
          stream->Wake();
      }
      Settle();
    }
    client->reading = true;
    client->Drain();
    Settle();
    stream->Wake();
    Settle();
    look();
    EXPECT_FALSE(client->ended) << *client->ended;
    client->GoAway();
    std::map<std::int64_t, int> markers;
    for (const ModelLine& line : model_) {
      if (line.kind.is_marker) {
        ++markers[line.place.time_us];
      } else {
        EXPECT_EQ(lines_[line.place.number], 1) << Show(line);
        EXPECT_EQ(texts_[line.place.number], line.text);
      }
    }
    EXPECT_EQ(gaps_, markers) << began;
    // The next seed's tail begins with all of these again.
    lines_.clear();
    gaps_.clear();
  }
}

TEST_F(LogStreamsTest, TheLastLinesAreThoseOfTheLastPage) {
  Seed(7);
  for (int i = 0; i < 10; ++i) {
    StoreSome();
    AnyUpkeep(false);
  }
  const std::vector<std::string> all = ShowLines(AllPages(selection_, {.lines = 7}));
  for (const std::size_t count : {1U, 5U, 50U, 1000U}) {
    const auto client = std::make_shared<FakeStreamOf<fleet::v1::TailLogsResponse>>();
    const auto stream = Tail(client, {.last_lines = count});
    std::vector<std::int64_t> numbers;
    for (const auto& message : client->written) {
      for (const auto& entry : message.entries()) {
        if (entry.has_line()) numbers.push_back(entry.line().number());
      }
    }
    const std::size_t wanted = std::min(count, all.size());
    ASSERT_EQ(numbers.size(), wanted);
    for (std::size_t i = 0; i < wanted; ++i) {
      EXPECT_THAT(all[all.size() - wanted + i], ::testing::StartsWith(fmt::format("{} ", numbers[i])));
    }
    client->GoAway();
  }
}

TEST_F(LogStreamsTest, ARestoredStoreDoesNotKnowThePosition) {
  StoreTexts(0, {"a", "b"});
  const auto client = std::make_shared<FakeStreamOf<fleet::v1::TailLogsResponse>>();
  Tail(client, {.stored = true});
  const auto position = ParsePosition(client->written.back().position());
  client->GoAway();
  const auto resumed = [&] {
    const auto again = std::make_shared<FakeStreamOf<fleet::v1::TailLogsResponse>>();
    Tail(again, {.resume = *position});
    std::string end = again->ended ? ReasonOf(*again->ended) : "";
    again->GoAway();
    return end;
  };
  EXPECT_EQ(resumed(), "");
  Execute("UPDATE log_meta SET log_epoch='another'");
  EXPECT_EQ(resumed(), "BAD_POSITION");
}

TEST_F(LogStreamsTest, AnExportIsWhatPagesShow) {
  Seed(8);
  for (int i = 0; i < 20; ++i) {
    StoreSome();
    AnyUpkeep(true);
  }
  for (const bool is_slow : {false, true}) {
    const auto client = std::make_shared<FakeStreamOf<fleet::v1::ExportLogsResponse>>();
    client->reading = !is_slow;
    client->room = 1;
    const auto stream = std::make_shared<LogExport>(&means_, Question(), Caller{.token_id = "t", .token_name = "t"},
                                                    client, fleet::v1::LOG_EXPORT_FORMAT_TEXT);
    stream->Start();
    Settle();
    for (int i = 0; i < 100 && !client->ended; ++i) {
      client->Drain();
      Settle();
      if (is_slow) AnyUpkeep(false);
    }
    ASSERT_TRUE(client->ended);
    EXPECT_TRUE(client->ended->ok()) << *client->ended;
    std::vector<std::string> texts;
    for (const auto& message : client->written) {
      std::istringstream data(message.data());
      for (std::string line; std::getline(data, line);) texts.push_back(line);
    }
    std::vector<std::string> wanted;
    std::int64_t gaps = 0;
    for (const FoundEntry& entry : AllPages(selection_, {.lines = 9})) {
      const auto* line = std::get_if<FoundLine>(&entry);
      if (line == nullptr) {
        ++gaps;
      } else {
        wanted.push_back(fmt::format("{} {} {}", FormatRfc3339(absl::FromUnixMicros(line->place.time_us)),
                                     line->resource, line->text));
      }
    }
    EXPECT_EQ(texts, wanted);
    ASSERT_TRUE(client->written.back().has_trailer());
    EXPECT_EQ(client->written.back().trailer().lines(), static_cast<std::int64_t>(wanted.size()));
    EXPECT_EQ(client->written.back().trailer().gaps_size(), gaps);
  }
}

}  // namespace
}  // namespace muster::hub
