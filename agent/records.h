// What the agent recorded for the hub, handed from the journal to the session (docs/delivery.md).
#ifndef MUSTER_AGENT_RECORDS_H_
#define MUSTER_AGENT_RECORDS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "muster/agent/v1/agent.pb.h"

namespace muster::agent {

// Of one RecordBatch. Sixteen make the 1 MiB that a frame may have.
inline constexpr std::size_t kMaxBatchBytes = 64 * 1024;
// Of one serialized record, so that every record fits into a batch.
inline constexpr std::size_t kMaxRecordBytes = 60 * 1024;

// One lane of one run of the agent, as far as it is committed.
struct LaneState {
  std::string epoch;
  v1::Lane lane = v1::LANE_UNSPECIFIED;
  std::int64_t oldest_sequence = 0;  // still held; 0: nothing is
  std::int64_t last_sequence = 0;
  std::int64_t acked_sequence = 0;
};

struct RecordsView {
  // The journal's file has been read; before, only this run's epoch is known.
  bool is_open = false;
  std::string epoch;  // of this run
  // Oldest epoch first, events before logs.
  std::vector<LaneState> lanes;
  v1::JournalDepth depth;
};

struct ReadRequest {
  std::string epoch;
  v1::Lane lane = v1::LANE_UNSPECIFIED;
  std::int64_t first_sequence = 1;
  std::size_t max_bytes = kMaxBatchBytes;
};

// Thread-safe. No call waits for the disk.
class RecordSource {
 public:
  virtual ~RecordSource() = default;
  virtual RecordsView View() const = 0;
  // `done` is called once, from another thread, with the records from first_sequence on, their ages filled in. The
  // batch has no records when there is nothing to read, or it cannot be read now. What is not held any more is a gap
  // record.
  virtual void Read(const ReadRequest& request, std::function<void(v1::RecordBatch)> done) = 0;
  // The hub has everything up to the sequence; refused records are put aside.
  virtual void Acknowledge(const v1::BatchAck& ack) = 0;
  // What the hub has according to its Welcome: may be less than it once acknowledged.
  virtual void Resume(const std::vector<v1::LanePosition>& applied) = 0;
  // Called from another thread whenever View() may have changed. Set once, before the first session; null ends it, and
  // no call is under way when it returns.
  virtual void SetListener(std::function<void()> changed) = 0;
};

// Takes what happened, in order. Thread-safe; returns at once.
class RecordSink {
 public:
  virtual ~RecordSink() = default;
  // `record.observed_at` says when it happened.
  virtual void Append(v1::Record record) = 0;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_RECORDS_H_
