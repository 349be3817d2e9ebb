// A JournalStore in a folder that goes with the test, and short words for what tests say about it.
#ifndef MUSTER_AGENT_JOURNAL_TESTING_JOURNAL_FIXTURE_H_
#define MUSTER_AGENT_JOURNAL_TESTING_JOURNAL_FIXTURE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/journal/journal_store.h"
#include "common/status.h"
#include "common/testing/fake_clock.h"
#include "common/testing/temp_dir.h"
#include "common/time_format.h"

namespace muster::agent {

inline v1::Record TransitionRecord(const std::string& key, absl::Time when, std::size_t padding = 0) {
  v1::Record record;
  *record.mutable_observed_at() = ToProto(when);
  record.mutable_transition()->mutable_deployment()->set_key(key);
  record.mutable_transition()->mutable_deployment()->set_message(std::string(padding, 'x'));
  return record;
}

inline v1::Record LogRecord(const std::string& key, absl::Time when, std::size_t padding = 0) {
  v1::Record record;
  *record.mutable_observed_at() = ToProto(when);
  record.mutable_log_lines()->set_deployment_key(key);
  record.mutable_log_lines()->set_text(std::string(padding, 'x'));
  return record;
}

inline v1::Record SampleRecord(absl::Time when, std::size_t padding = 0) {
  v1::Record record;
  *record.mutable_observed_at() = ToProto(when);
  record.mutable_host_sample()->add_disks()->set_device(std::string(padding, 'x'));
  return record;
}

inline LogPosition PositionOf(const std::string& container, std::int64_t count = 1) {
  return {.container = container,
          .stream = LogStream::kStderr,
          .time_ns = 1'800'000'000'123'456'789,
          .count = count,
          .size = 77,
          .open = std::string("\0\xE2\x82", 3),
          .clock_us = -5,
          .boot_id = "boot-1"};
}

inline std::string KeyOf(const v1::Record& record) {
  if (record.has_transition()) return record.transition().deployment().key();
  if (record.has_log_lines()) return record.log_lines().deployment_key();
  if (record.has_host_sample()) return "sample";
  if (!record.has_gap()) return "?";
  return v1::GapReason_Name(record.gap().reason()).substr(11) + " " + std::to_string(record.gap().first_sequence()) +
         "-" + std::to_string(record.gap().last_sequence());
}

class JournalStoreTest : public testing::Test {
 protected:
  static constexpr char kFirstEpoch[] = "11111111111111111111111111111111";
  static constexpr char kSecondEpoch[] = "22222222222222222222222222222222";

  JournalStoreTest() {
    options_.path = dir_.path() + "/journal.db";
    options_.target_id = "tgt_1";
    options_.boot_id = "boot-1";
    options_.epoch = kFirstEpoch;
    options_.capacity_bytes = kMinJournalBytes;
  }

  void Open(JournalStore::Condition condition = JournalStore::Condition::kUnknown) {
    store_.reset();
    auto opened = JournalStore::Open(options_, clock_.Now(), condition);
    ASSERT_TRUE(opened.ok()) << MessageOf(opened.status());
    store_ = *std::move(opened);
  }
  // As another run of the agent.
  void OpenAs(const std::string& epoch) {
    options_.epoch = epoch;
    numbers_.clear();
    Open();
  }

  Entry Numbered(const v1::Record& record) {
    Entry entry = MakeEntry(record, clock_.Read());
    entry.first_sequence = ++numbers_[entry.lane];
    return entry;
  }
  absl::Status TryAppend(const v1::Record& record) {
    Entry entry = Numbered(record);
    const absl::Status appended = store_->Append({entry});
    if (!appended.ok()) --numbers_[entry.lane];
    return appended;
  }
  void Append(const v1::Record& record) {
    const absl::Status appended = TryAppend(record);
    ASSERT_TRUE(appended.ok()) << MessageOf(appended);
  }
  void AppendTransition(const std::string& key, std::size_t padding = 0) {
    Append(TransitionRecord(key, clock_.Now(), padding));
  }
  void AppendLog(const std::string& key, std::size_t padding = 0) { Append(LogRecord(key, clock_.Now(), padding)); }

  v1::RecordBatch Read(const std::string& epoch, v1::Lane lane, std::int64_t first,
                       std::size_t max_bytes = kMaxBatchBytes) {
    const auto batch = store_->Read({.epoch = epoch, .lane = lane, .first_sequence = first, .max_bytes = max_bytes},
                                    clock_.Monotonic());
    EXPECT_TRUE(batch.ok()) << MessageOf(batch.status());
    return batch.ok() ? *batch : v1::RecordBatch();
  }
  // Everything from `first` on, as the hub would get it; fails on numbers that are skipped or told twice.
  std::vector<v1::Record> ReadAll(const std::string& epoch, v1::Lane lane, std::int64_t first = 1) {
    std::vector<v1::Record> records;
    while (true) {
      const v1::RecordBatch batch = Read(epoch, lane, first);
      EXPECT_EQ(batch.first_sequence(), first);
      if (batch.records().empty()) return records;
      for (const v1::Record& record : batch.records()) {
        if (record.has_gap()) {
          EXPECT_EQ(record.gap().first_sequence(), first);
          EXPECT_GE(record.gap().last_sequence(), first);
        }
        first = record.has_gap() ? record.gap().last_sequence() + 1 : first + 1;
        records.push_back(record);
      }
    }
  }
  std::vector<std::string> Keys(const std::string& epoch, v1::Lane lane, std::int64_t first = 1) {
    std::vector<std::string> keys;
    for (const v1::Record& record : ReadAll(epoch, lane, first)) keys.push_back(KeyOf(record));
    return keys;
  }
  void Ack(const std::string& epoch, v1::Lane lane, std::int64_t sequence,
           const std::vector<std::int64_t>& refused = {}) {
    v1::BatchAck ack;
    ack.set_epoch(epoch);
    ack.set_lane(lane);
    ack.set_sequence(sequence);
    for (const std::int64_t number : refused) {
      ack.add_refused()->set_sequence(number);
      ack.mutable_refused()->rbegin()->set_reason("bad");
    }
    const absl::Status acked = store_->Acknowledge(ack);
    ASSERT_TRUE(acked.ok()) << MessageOf(acked);
  }
  v1::JournalDepth Depth() { return store_->Depth(clock_.Monotonic()).value_or(v1::JournalDepth()); }
  LaneState Lane(const std::string& epoch, v1::Lane lane) {
    for (const LaneState& state : store_->Lanes()) {
      if (state.epoch == epoch && state.lane == lane) return state;
    }
    return {};
  }

  TempDir dir_{TempDir::InMemory()};
  FakeClock clock_;
  JournalStore::Options options_;
  std::map<v1::Lane, std::int64_t> numbers_;
  std::unique_ptr<JournalStore> store_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOURNAL_TESTING_JOURNAL_FIXTURE_H_
