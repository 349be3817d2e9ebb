// A log store in a folder that goes with the test, batches of lines as an agent sends them, and what was stored of
// them.
#ifndef MUSTER_HUB_LOGS_TESTING_LOG_STORE_FIXTURE_H_
#define MUSTER_HUB_LOGS_TESTING_LOG_STORE_FIXTURE_H_

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <future>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "common/status.h"
#include "common/testing/temp_dir.h"
#include "common/time_format.h"
#include "hub/logs/chunk_reader.h"
#include "hub/logs/log_store.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::hub {

// The tests' zero.
inline const absl::Time kLogEpoch = absl::FromUnixSeconds(1'800'000'000);
inline absl::Time LogAt(double second) { return kLogEpoch + absl::Seconds(second); }

// Lines of stdout, a second apart, the first at `second` by the host's clock.
inline agent::v1::Record LinesRecord(double second, const std::vector<std::string>& texts,
                                     const std::string& resource = "web-1", const std::string& key = "compose/shop") {
  agent::v1::Record record;
  *record.mutable_observed_at() = ToProto(LogAt(second + static_cast<double>(texts.size()) - 1));
  agent::v1::LogLines& lines = *record.mutable_log_lines();
  lines.set_deployment_key(key);
  lines.set_resource(resource);
  lines.set_revision("r1");
  *lines.mutable_base_time() = ToProto(LogAt(second));
  for (const std::string& text : texts) {
    if (!lines.text().empty()) lines.add_time_delta_us(1'000'000);
    *lines.mutable_text() += text + "\n";
    *lines.mutable_kinds() += '\x01';
  }
  return record;
}

// Records 1, 2, 3 ... each of one line that is its number.
inline std::vector<agent::v1::Record> NumberedLines(std::int64_t first, int count) {
  std::vector<agent::v1::Record> records;
  for (std::int64_t i = first; i < first + count; ++i) {
    records.push_back(LinesRecord(static_cast<double>(i), {std::to_string(i)}));
  }
  return records;
}

inline agent::v1::Record LogGap(std::int64_t first, std::int64_t last, std::int64_t lines) {
  agent::v1::Record record;
  agent::v1::GapRecord& gap = *record.mutable_gap();
  gap.set_first_sequence(first);
  gap.set_last_sequence(last);
  gap.set_reason(agent::v1::GAP_REASON_JOURNAL_FULL);
  gap.set_lines(lines);
  return record;
}

inline agent::v1::RecordBatch LogBatch(std::int64_t first, const std::vector<agent::v1::Record>& records,
                                       const std::string& epoch = "e1") {
  agent::v1::RecordBatch batch;
  batch.set_epoch(epoch);
  batch.set_lane(agent::v1::LANE_LOGS);
  batch.set_first_sequence(first);
  for (const agent::v1::Record& record : records) *batch.add_records() = record;
  return batch;
}

class LogStoreTest : public ::testing::Test {
 protected:
  LogStoreTest() {
    origin_.target_id = "tgt_1";
    origin_.arrived = LogAt(1000);
    // Nobody waits for a test.
    options_.pacing = {};
    Open();
  }
  std::string path() const { return dir_.path() + "/logs.db"; }
  void Open() {
    logs_.reset();
    auto opened = LogStore::Open(path(), options_);
    ASSERT_TRUE(opened.ok()) << MessageOf(opened.status());
    logs_ = *std::move(opened);
  }

  struct Answer {
    absl::Status stored;
    BatchOutcome outcome;
  };
  Answer TryApply(const agent::v1::RecordBatch& batch, const absl::Status& may_store = absl::OkStatus()) {
    EXPECT_EQ(FindBatchDefect(batch), "");
    std::promise<Answer> answer;
    logs_->Apply(
        origin_, batch, [&] { return may_store; },
        [&](const absl::Status& stored, const BatchOutcome& outcome) {
          answer.set_value({stored, outcome});
        });
    return answer.get_future().get();
  }
  BatchOutcome Apply(const agent::v1::RecordBatch& batch) {
    const Answer answer = TryApply(batch);
    EXPECT_TRUE(answer.stored.ok()) << answer.stored;
    return answer.outcome;
  }

  // "number second resource text" of each line in the order of their numbers, by the hub's clock.
  std::vector<std::string> Lines() {
    std::map<std::int64_t, std::string> lines;
    ReadRows([&](sqlite::Statement& row) {
      ZstdCodec codec;
      ChunkReader reader(&codec);
      ASSERT_TRUE(reader.ReadHead(row.Text(1), row.Int64(0)).ok());
      std::string buffer;
      const std::string stored = row.Text(2);
      const auto text = reader.ReadText(stored, &buffer);
      ASSERT_TRUE(text.ok()) << text.status();
      std::istringstream texts{std::string(*text)};
      std::string line;
      std::size_t i = 0;
      for (const LineRun& run : reader.lines().runs) {
        for (std::int64_t number = run.first_line; number < EndOf(run); ++number, ++i) {
          const double second = static_cast<double>(reader.lines().times_us[i] - absl::ToUnixMicros(kLogEpoch)) / 1e6;
          std::getline(texts, line);
          lines[number] = fmt::format("{} {} {} {}", number, second, row.Text(3), line);
        }
      }
    });
    std::vector<std::string> in_order;
    in_order.reserve(lines.size());
    for (auto& [number, line] : lines) in_order.push_back(std::move(line));
    return in_order;
  }
  // Columns: source, head, text, resource.
  template <typename Take>
  void ReadRows(Take take) {
    const absl::Status read = logs_->store().Read([&](sqlite::Database& database) -> absl::Status {
      ASSIGN_OR_RETURN(auto s, database.Prepare("SELECT source, head, text, resource FROM (SELECT first_line AS line,"
                                                " source, head, text FROM log_tail UNION ALL SELECT first_line, source,"
                                                " head, text FROM log_chunk_data) JOIN log_sources ON id=source"
                                                " ORDER BY line"));
      while (true) {
        ASSIGN_OR_RETURN(const bool row, s.Step());
        if (!row) return absl::OkStatus();
        take(s);
      }
    });
    EXPECT_TRUE(read.ok()) << read;
  }
  std::int64_t Number(sqlite::Sql sql) {
    std::int64_t number = -1;
    EXPECT_TRUE(logs_->store()
                    .Read([&](sqlite::Database& database) -> absl::Status {
                      ASSIGN_OR_RETURN(auto s, database.Prepare(sql));
                      RETURN_IF_ERROR(s.Step().status());
                      number = s.Int64(0);
                      return absl::OkStatus();
                    })
                    .ok());
    return number;
  }

  TempDir dir_{TempDir::InMemory()};
  LogStore::Options options_;
  BatchOrigin origin_;
  std::unique_ptr<LogStore> logs_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_TESTING_LOG_STORE_FIXTURE_H_
