// The records of one simulated agent, in memory in the place of a journal: ten thousand files would measure the disk of
// the simulator. One thread.
#ifndef MUSTER_TESTS_LOAD_MEMORY_RECORDS_H_
#define MUSTER_TESTS_LOAD_MEMORY_RECORDS_H_

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "agent/records.h"
#include "common/clock.h"

namespace muster::load {

struct RecordCounts {
  std::int64_t recorded = 0;
  std::int64_t acknowledged = 0;
  std::int64_t refused = 0;
  // The hub asked for what it had acknowledged before.
  std::int64_t lost = 0;
};

class MemoryRecords : public agent::RecordSource, public agent::RecordSink {
 public:
  // `later` runs what it is given after the present call has returned. All outlive this.
  MemoryRecords(std::string epoch, const Clock* clock, RecordCounts* counts,
                std::function<void(std::function<void()>)> later)
      : epoch_(std::move(epoch)), clock_(clock), counts_(counts), later_(std::move(later)) {}

  // RecordSink
  void Append(agent::v1::Record record) override;

  // RecordSource
  agent::RecordsView View() const override;
  void Read(const agent::ReadRequest& request, std::function<void(agent::v1::RecordBatch)> done) override;
  void Acknowledge(const agent::v1::BatchAck& ack) override;
  void Resume(const std::vector<agent::v1::LanePosition>& applied) override;
  // Whoever appends tells the session.
  void SetListener(std::function<void()> /*changed*/) override {}

  bool AllAcknowledged() const { return lanes_[0].held.empty() && lanes_[1].held.empty(); }

 private:
  struct Held {
    agent::v1::Record record;
    Instant at;
  };
  struct Lane {
    std::deque<Held> held;  // behind `acked`
    std::int64_t acked = 0;
    std::int64_t last = 0;
  };

  Lane& LaneOf(agent::v1::Lane lane) { return lanes_[lane == agent::v1::LANE_LOGS ? 1 : 0]; }
  void MoveTo(Lane& lane, std::int64_t sequence);

  const std::string epoch_;
  const Clock* const clock_;
  RecordCounts* const counts_;
  const std::function<void(std::function<void()>)> later_;
  std::array<Lane, 2> lanes_;
};

}  // namespace muster::load

#endif  // MUSTER_TESTS_LOAD_MEMORY_RECORDS_H_
