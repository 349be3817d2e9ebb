// Every crash point of the agent's journal: a workload that opens, appends (lines with the positions of containers),
// acknowledges, makes room, sets aside, checkpoints and opens anew meets a fault at each call that changes a file, and
// then must hold what it promised.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "agent/journal/entry_queue.h"
#include "agent/journal/journal_store.h"
#include "common/clock.h"
#include "common/status.h"
#include "tests/fault/points/sweep.h"

namespace muster::fault {
namespace {

using agent::JournalStore;
namespace v1 = agent::v1;

constexpr const char* kFirstRun = "11111111111111111111111111111111";
constexpr const char* kSecondRun = "22222222222222222222222222222222";
constexpr const char* kNextRun = "33333333333333333333333333333333";
// Smaller than an agent accepts, to keep the runs short; some 25 of the logs fill it.
constexpr std::int64_t kCapacityBytes = 256 * 1024;
constexpr std::size_t kLogBytes = 8 * 1024;
constexpr int kLogs = 30;
// A disk that fails for good is repaired after so many attempts.
constexpr int kAttempts = 3;

Moment At(int second) {
  return {Instant::FromDuration(absl::Seconds(1000 + second)), absl::FromUnixSeconds(1'800'000'000 + second)};
}

class JournalWorkload {
 public:
  JournalWorkload(sqlite::FaultVfs* vfs, const std::string& directory) : vfs_(vfs), path_(directory + "/journal.db") {}

  void Run() {
    BeginRun(kFirstRun);
    for (int i = 0; i < 6; ++i) AppendGroup(3, 1, 100);
    Acknowledge(v1::LANE_EVENTS, 10, {4, 5});
    Acknowledge(v1::LANE_LOGS, 2, {});
    for (int i = 0; i < kLogs; ++i) AppendGroup(i % 4 == 0 ? 1 : 0, 1, kLogBytes);
    // A hub that was restored from a backup.
    Resume({{v1::LANE_EVENTS, 6}, {v1::LANE_LOGS, 1}});
    BeginRun(kSecondRun);
    for (int i = 0; i < 4; ++i) AppendGroup(2, 1, 100);
    Do([](JournalStore& store) { return store.CheckpointIfDue(); });
    Acknowledge(v1::LANE_EVENTS, 8, {});
    store_.reset();
  }

  std::string Check() {
    if (!unrecovered_.empty()) return unrecovered_;
    if (const std::string wrong = CheckStore(); !wrong.empty()) return wrong;
    if (std::filesystem::exists(path_ + ".damaged")) return "a sound file was set aside as damaged";
    return {};
  }

 private:
  struct LanePromise {
    std::vector<std::string> texts;  // of all that were handed in, by sequence - 1
    std::int64_t durable = 0;
    // The hub may have these: 0..first before, second after an ack whose outcome is not known.
    std::int64_t acked_at_least = 0;
    std::int64_t acked_at_most = 0;
    std::int64_t ever_acked = 0;
  };
  using LaneName = std::pair<std::string, v1::Lane>;
  // Changes that were asked for behind a log line.
  struct Asked {
    LaneName lane;
    std::int64_t behind = 0;
    agent::LogChanges changes;
  };

  JournalStore::Options Options(const std::string& epoch) const {
    return {.path = path_,
            .target_id = "tgt_1",
            .boot_id = "boot",
            .epoch = epoch,
            .capacity_bytes = kCapacityBytes,
            .vfs = {}};
  }

  void BeginRun(const char* epoch) {
    store_.reset();
    epoch_ = epoch;
    queue_ = std::make_unique<agent::EntryQueue>();
    Do([](JournalStore&) { return absl::OkStatus(); });
  }

  // Like the journal's own thread: what failed is tried again on a store that is opened anew. False: the power is gone.
  bool Do(const std::function<absl::Status(JournalStore&)>& step) {
    for (int attempt = 0; vfs_->powered(); ++attempt) {
      absl::Status status;
      if (store_ == nullptr) {
        auto opened = JournalStore::Open(Options(epoch_), At(second_).wall);
        status = opened.status();
        if (opened.ok()) store_ = *std::move(opened);
      }
      if (status.ok()) status = step(*store_);
      if (status.ok()) return true;
      store_.reset();
      if (attempt == kAttempts) vfs_->Disarm();
      if (attempt == 2 * kAttempts) {
        unrecovered_ = "on a repaired disk: " + status.ToString();
        return false;
      }
    }
    return false;
  }

  void AppendGroup(int events, int logs, std::size_t log_bytes) {
    for (int i = 0; i < events; ++i) queue_->Append(agent::MakeEntry(Transition(), At(++second_)));
    for (int i = 0; i < logs; ++i) {
      queue_->Append(agent::MakeEntry(Log(log_bytes), At(++second_)));
      ChangeBehindLine();
    }
    const agent::EntryBatch batch = queue_->Take(agent::kMaxAppendBytes);
    queue_->Committed();
    if (!Do([&batch](JournalStore& store) { return store.Append(batch.entries, batch.changes); })) return;
    for (auto& [name, lane] : promised_) lane.durable = static_cast<std::int64_t>(lane.texts.size());
  }

  // The position of one of three containers; now and then another one is forgotten, or there are other settings.
  void ChangeBehindLine() {
    const int line = ++lines_;
    const auto container = [](int number) { return "container-" + std::to_string(number % 3); };
    Change({.positions = {{container(line), agent::LogPosition{.container = container(line),
                                                               .time_ns = line,
                                                               .count = line,
                                                               .size = 1,
                                                               .open = {},
                                                               .clock_us = 0,
                                                               .boot_id = "boot"}}}});
    if (line % 5 == 0) Change({.positions = {{container(line + 1), std::nullopt}}});
    if (line % 7 != 0) return;
    Change({.settings =
                agent::LogChanges::Settings{.off_keys = {"off-" + std::to_string(line)}, .first = At(second_).wall}});
  }

  void Change(agent::LogChanges changes) {
    const auto behind = static_cast<std::int64_t>(promised_[{epoch_, v1::LANE_LOGS}].texts.size());
    asked_.push_back({.lane = {epoch_, v1::LANE_LOGS}, .behind = behind, .changes = changes});
    queue_->Change(std::move(changes));
  }

  v1::Record Transition() {
    v1::Record record;
    record.mutable_observed_at()->set_seconds(absl::ToUnixSeconds(At(second_).wall));
    v1::DeploymentState& state = *record.mutable_transition()->mutable_deployment();
    state.set_key("compose/shop");
    state.set_message(NextText(v1::LANE_EVENTS, 20));
    return record;
  }

  v1::Record Log(std::size_t bytes) {
    v1::Record record;
    record.mutable_log_lines()->set_text(NextText(v1::LANE_LOGS, bytes));
    return record;
  }

  std::string NextText(v1::Lane lane, std::size_t bytes) {
    std::vector<std::string>& texts = promised_[{epoch_, lane}].texts;
    std::string text = fmt::format("{} {} {} ", epoch_, static_cast<int>(lane), texts.size() + 1);
    text.resize(std::max(text.size(), bytes), 'x');
    texts.push_back(text);
    return text;
  }

  void Acknowledge(v1::Lane lane, std::int64_t sequence, const std::set<std::int64_t>& refused) {
    v1::BatchAck ack;
    ack.set_epoch(epoch_);
    ack.set_lane(lane);
    ack.set_sequence(sequence);
    for (const std::int64_t number : refused) ack.add_refused()->set_sequence(number);
    if (!vfs_->powered()) return;
    LanePromise& promise = promised_[{epoch_, lane}];
    promise.acked_at_most = promise.ever_acked = sequence;
    if (lane == v1::LANE_EVENTS) poisoned_at_most_ += refused.size();
    if (!Do([&ack](JournalStore& store) { return store.Acknowledge(ack); })) return;
    promise.acked_at_least = sequence;
    if (lane == v1::LANE_EVENTS) poisoned_at_least_ += refused.size();
  }

  void Resume(const std::map<v1::Lane, std::int64_t>& positions) {
    std::vector<v1::LanePosition> applied;
    for (const auto& [lane, sequence] : positions) {
      applied.emplace_back().set_epoch(epoch_);
      applied.back().set_lane(lane);
      applied.back().set_sequence(sequence);
      LanePromise& promise = promised_[{epoch_, lane}];
      promise.acked_at_least = std::min(promise.acked_at_least, sequence);
    }
    if (!Do([&applied](JournalStore& store) { return store.Resume(applied); })) return;
    for (const auto& [lane, sequence] : positions) {
      LanePromise& promise = promised_[{epoch_, lane}];
      promise.acked_at_least = promise.acked_at_most = sequence;
    }
  }

  std::string CheckStore() {
    auto store = JournalStore::Open(Options(kNextRun), At(second_).wall);
    if (!store.ok()) return "cannot be opened: " + store.status().ToString();
    std::map<LaneName, agent::LaneState> lanes;
    for (const agent::LaneState& lane : (*store)->Lanes()) lanes[{lane.epoch, lane.lane}] = lane;
    std::int64_t dropped = 0;
    for (const auto& [name, promise] : promised_) {
      const std::string wrong = CheckLane(**store, name, promise, lanes[name], &dropped);
      if (!wrong.empty()) return fmt::format("{} {}: {}", name.first, static_cast<int>(name.second), wrong);
    }
    if (const std::string wrong = CheckPositions(**store, lanes); !wrong.empty()) return wrong;
    const auto depth = (*store)->Depth(At(second_).monotonic);
    if (!depth.ok()) return depth.status().ToString();
    if (depth->dropped_total() != dropped) {
      return fmt::format("{} counted as dropped, {} are missing", depth->dropped_total(), dropped);
    }
    const auto poisoned = static_cast<std::size_t>(depth->poisoned_total());
    if (poisoned < poisoned_at_least_ || poisoned > poisoned_at_most_) {
      return fmt::format("{} counted as refused, not {}", poisoned, poisoned_at_least_);
    }
    return {};
  }

  // The file has what was asked for behind each line that it has, or that a gap stands for, and nothing else.
  std::string CheckPositions(JournalStore& store, std::map<LaneName, agent::LaneState>& lanes) const {
    agent::LogChanges changes;
    for (const Asked& asked : asked_) {
      if (lanes[asked.lane].last_sequence >= asked.behind) changes.Add(asked.changes);
    }
    const auto memory = store.ReadLogMemory();
    if (!memory.ok()) return memory.status().ToString();
    std::vector<agent::LogPosition> positions;
    for (const auto& [container, position] : changes.positions) {
      if (position.has_value()) positions.push_back(*position);
    }
    const auto describe = [](const std::vector<agent::LogPosition>& list) {
      std::string text;
      for (const agent::LogPosition& position : list) text += fmt::format(" {}:{}", position.container, position.count);
      return text;
    };
    if (memory->positions != positions) {
      return fmt::format("positions{}, not those of the lines:{}", describe(memory->positions), describe(positions));
    }
    const agent::LogChanges::Settings settings = changes.settings.value_or(agent::LogChanges::Settings());
    if (memory->off_keys != settings.off_keys) return "settings of other lines";
    const bool has_settings = changes.settings.has_value();
    if (memory->first_settings != (has_settings ? std::optional(settings.first) : std::nullopt))
      return "first settings";
    return memory->lost_since.has_value() ? "a sound file says that positions are lost" : "";
  }

  static std::string CheckLane(JournalStore& store, const LaneName& name, const LanePromise& promise,
                               const agent::LaneState& lane, std::int64_t* dropped) {
    const bool gone = lane.last_sequence == 0;
    if (gone && promise.acked_at_most < promise.durable) return "the lane is lost";
    if (gone) return {};
    if (lane.last_sequence < promise.durable) {
      return fmt::format("ends at {}, {} were committed", lane.last_sequence, promise.durable);
    }
    if (lane.acked_sequence < promise.acked_at_least || lane.acked_sequence > promise.acked_at_most) {
      return fmt::format("acknowledged up to {}", lane.acked_sequence);
    }
    bool record_seen = false;
    for (std::int64_t next = lane.oldest_sequence; next <= lane.last_sequence;) {
      const auto batch =
          store.Read({.epoch = name.first, .lane = name.second, .first_sequence = next}, At(0).monotonic);
      if (!batch.ok()) return batch.status().ToString();
      if (batch->records().empty() || batch->first_sequence() != next)
        return fmt::format("nothing to read at {}", next);
      for (const v1::Record& record : batch->records()) {
        if (record.has_gap()) {
          // Room is made by the oldest log lines, and nothing else; what was refused or acknowledged may be gone, too.
          const bool answered = record.gap().last_sequence() <= promise.ever_acked;
          if (!answered && (name.second != v1::LANE_LOGS || record_seen)) return fmt::format("a gap at {}", next);
          if (record.gap().first_sequence() != next) return fmt::format("a gap out of place at {}", next);
          // What a restored hub asked for again and was not kept, it had once: that is not dropped.
          const std::int64_t first_lost = std::max(next, lane.acked_sequence + 1);
          if (record.gap().reason() != agent::v1::GAP_REASON_NOT_KEPT) {
            *dropped += std::max<std::int64_t>(0, record.gap().last_sequence() - first_lost + 1);
          }
          next = record.gap().last_sequence() + 1;
          continue;
        }
        const std::string& text =
            name.second == v1::LANE_LOGS ? record.log_lines().text() : record.transition().deployment().message();
        if (text != promise.texts.at(static_cast<std::size_t>(next - 1)))
          return fmt::format("another record at {}", next);
        record_seen = record_seen || next > promise.ever_acked;
        ++next;
      }
    }
    return {};
  }

  sqlite::FaultVfs* const vfs_;
  const std::string path_;
  std::string epoch_;
  std::unique_ptr<agent::EntryQueue> queue_;
  std::unique_ptr<JournalStore> store_;
  int second_ = 0;
  int lines_ = 0;
  std::vector<Asked> asked_;
  std::map<LaneName, LanePromise> promised_;
  std::size_t poisoned_at_least_ = 0;
  std::size_t poisoned_at_most_ = 0;
  std::string unrecovered_;
};

void SweepJournal(sqlite::FaultKind kind, bool sticky) {
  const std::int64_t points = Sweep<JournalWorkload>(kind, sticky);
  TriedPoints().journal += points;
  EXPECT_GT(points, 300) << "too few calls to prove anything";
}

TEST(JournalPoints, PowerCut) { SweepJournal(sqlite::FaultKind::kPowerCut, false); }
TEST(JournalPoints, FailedCall) { SweepJournal(sqlite::FaultKind::kIoError, false); }
TEST(JournalPoints, FailingDisk) { SweepJournal(sqlite::FaultKind::kIoError, true); }
TEST(JournalPoints, FullDiskOnce) { SweepJournal(sqlite::FaultKind::kDiskFull, false); }
TEST(JournalPoints, FullDisk) { SweepJournal(sqlite::FaultKind::kDiskFull, true); }
TEST(JournalPoints, ShortWrite) { SweepJournal(sqlite::FaultKind::kShortWrite, false); }

// The same check must notice a disk that does not do what it confirms.
TEST(JournalPoints, CheckNoticesADiskThatLies) { EXPECT_GT(CountNoticedLies<JournalWorkload>(10), 10); }

}  // namespace
}  // namespace muster::fault
