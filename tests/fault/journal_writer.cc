// muster-fault-journal-writer DIRECTORY: for power cuts of the agent's journal. Opens the real journal, tells what the
// run before left and whether it is what was written, then appends as fast as the disk takes it and tells what is
// durable, until somebody cuts the power. On stdout, a line each, written at once:
//
//   found EPOCH LANE FIRST LAST    of every epoch that was there, in order, without holes
//   damaged TEXT                   something that was there is not what was written
//   durable EPOCH LANE SEQUENCE    committed: it must be found after any cut
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <map>
#include <string>
#include <thread>

#include "agent/journal/journal.h"
#include "common/clock.h"

namespace muster::fault {
namespace {

using agent::Journal;
namespace v1 = agent::v1;

// Small, so that making room and moving the log into the file happen all the time.
constexpr std::int64_t kCapacityBytes = agent::kMinJournalBytes;
constexpr std::int64_t kMaxAhead = 200;
constexpr std::size_t kTextBytes = 200;

void Say(const std::string& line) {
  if (write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) _exit(1);
}

std::string TextOf(const std::string& epoch, v1::Lane lane, std::int64_t sequence) {
  std::string text = fmt::format("{} {} {} ", epoch, static_cast<int>(lane), sequence);
  text.resize(kTextBytes, 'x');
  return text;
}

v1::Record RecordOf(const std::string& epoch, v1::Lane lane, std::int64_t sequence) {
  v1::Record record;
  if (lane == v1::LANE_EVENTS) {
    record.mutable_transition()->mutable_deployment()->set_message(TextOf(epoch, lane, sequence));
  } else {
    record.mutable_log_lines()->set_text(TextOf(epoch, lane, sequence));
  }
  return record;
}

v1::RecordBatch ReadNow(Journal& journal, const agent::ReadRequest& request) {
  std::promise<v1::RecordBatch> answer;
  journal.Read(request, [&answer](v1::RecordBatch batch) { answer.set_value(std::move(batch)); });
  return answer.get_future().get();
}

// Tells the lane, and acknowledges it: the next run needs its room.
void TellLane(Journal& journal, const agent::LaneState& lane) {
  std::int64_t next = std::max(lane.oldest_sequence, lane.acked_sequence + 1);
  Say(fmt::format("found {} {} {} {}\n", lane.epoch, static_cast<int>(lane.lane), next, lane.last_sequence));
  while (next <= lane.last_sequence) {
    const v1::RecordBatch batch = ReadNow(journal, {.epoch = lane.epoch, .lane = lane.lane, .first_sequence = next});
    if (batch.records().empty()) return Say(fmt::format("damaged nothing to read at {} {}\n", lane.epoch, next));
    for (const v1::Record& record : batch.records()) {
      if (record.has_gap()) {
        // What was given up to make room is not lost: it is named.
        if (record.gap().reason() != v1::GAP_REASON_JOURNAL_FULL) Say(fmt::format("damaged gap at {}\n", next));
        next = record.gap().last_sequence() + 1;
        continue;
      }
      const std::string& text =
          lane.lane == v1::LANE_EVENTS ? record.transition().deployment().message() : record.log_lines().text();
      if (text != TextOf(lane.epoch, lane.lane, next)) Say(fmt::format("damaged record {} {}\n", lane.epoch, next));
      ++next;
    }
  }
  v1::BatchAck ack;
  ack.set_epoch(lane.epoch);
  ack.set_lane(lane.lane);
  ack.set_sequence(lane.last_sequence);
  journal.Acknowledge(ack);
}

class Durable {
 public:
  explicit Durable(Journal* journal) : journal_(journal) {
    journal_->SetListener([this] { Note(); });
  }

  void WaitUntilBehindIsLess(v1::Lane lane, std::int64_t appended) {
    MutexLock lock(&mutex_);
    while (appended - last_[lane] >= kMaxAhead) changed_.Wait(&mutex_);
  }

 private:
  void Note() {
    const agent::RecordsView view = journal_->View();
    MutexLock lock(&mutex_);
    for (const agent::LaneState& lane : view.lanes) {
      if (lane.epoch != view.epoch || lane.last_sequence <= last_[lane.lane]) continue;
      last_[lane.lane] = lane.last_sequence;
      Say(fmt::format("durable {} {} {}\n", lane.epoch, static_cast<int>(lane.lane), lane.last_sequence));
    }
    changed_.NotifyAll();
  }

  Journal* const journal_;
  Mutex mutex_;
  CondVar changed_;
  std::map<v1::Lane, std::int64_t> last_ ABSL_GUARDED_BY(mutex_);
};

void Write(const std::string& directory) {
  const std::string epoch = agent::NewEpoch();
  Journal journal({.path = directory + "/journal.db",
                   .target_id = "tgt_1",
                   .boot_id = "boot",
                   .epoch = epoch,
                   .capacity_bytes = kCapacityBytes,
                   .vfs = {}},
                  Clock::System());
  journal.WaitUntilOpen(absl::Seconds(10));
  if (std::filesystem::exists(directory + "/journal.db.damaged")) Say("damaged the file was set aside\n");
  for (const agent::LaneState& lane : journal.View().lanes) TellLane(journal, lane);
  Durable durable(&journal);
  Say("writing\n");
  for (std::int64_t sequence = 1;; ++sequence) {
    for (const v1::Lane lane : {v1::LANE_EVENTS, v1::LANE_LOGS}) {
      durable.WaitUntilBehindIsLess(lane, sequence);
      journal.Append(RecordOf(epoch, lane, sequence));
    }
  }
}

}  // namespace
}  // namespace muster::fault

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  muster::fault::Write(argv[1]);
}
