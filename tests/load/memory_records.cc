#include "tests/load/memory_records.h"

#include <algorithm>

#include "common/time_format.h"

namespace muster::load {

using agent::v1::LANE_EVENTS;
using agent::v1::LANE_LOGS;

void MemoryRecords::Append(agent::v1::Record record) {
  Lane& lane = LaneOf(record.has_log_lines() ? LANE_LOGS : LANE_EVENTS);
  ++lane.last;
  ++counts_->recorded;
  lane.held.push_back({.record = std::move(record), .at = clock_->Monotonic()});
}

agent::RecordsView MemoryRecords::View() const {
  agent::RecordsView view;
  view.is_open = true;
  view.epoch = epoch_;
  for (const auto& [name, lane] : {std::pair{LANE_EVENTS, &lanes_[0]}, std::pair{LANE_LOGS, &lanes_[1]}}) {
    if (lane->last == 0) continue;
    view.lanes.push_back({.epoch = epoch_,
                          .lane = name,
                          .oldest_sequence = lane->held.empty() ? 0 : lane->acked + 1,
                          .last_sequence = lane->last,
                          .acked_sequence = lane->acked});
    view.depth.set_records(view.depth.records() + static_cast<std::int64_t>(lane->held.size()));
  }
  return view;
}

void MemoryRecords::Read(const agent::ReadRequest& request, std::function<void(agent::v1::RecordBatch)> done) {
  const Lane& lane = LaneOf(request.lane);
  agent::v1::RecordBatch batch;
  batch.set_epoch(request.epoch);
  batch.set_lane(request.lane);
  batch.set_first_sequence(request.first_sequence);
  const Instant now = clock_->Monotonic();
  std::size_t bytes = 0;
  // What was acknowledged is not held any more; nobody asks for it unless the hub lost it (Resume).
  for (std::int64_t i = request.first_sequence - lane.acked - 1;
       i >= 0 && i < static_cast<std::int64_t>(lane.held.size()); ++i) {
    const Held& held = lane.held[static_cast<std::size_t>(i)];
    bytes += held.record.ByteSizeLong() + 16;
    if (bytes > request.max_bytes && batch.records_size() > 0) break;
    agent::v1::Record* record = batch.add_records();
    *record = held.record;
    *record->mutable_age() = ToProto(now - held.at);
  }
  later_([done = std::move(done), batch = std::move(batch)] { done(batch); });
}

void MemoryRecords::Acknowledge(const agent::v1::BatchAck& ack) {
  if (ack.epoch() != epoch_) return;
  counts_->refused += ack.refused_size();
  MoveTo(LaneOf(ack.lane()), ack.sequence());
}

void MemoryRecords::Resume(const std::vector<agent::v1::LanePosition>& applied) {
  for (const agent::v1::LanePosition& position : applied) {
    if (position.epoch() != epoch_) continue;
    Lane& lane = LaneOf(position.lane());
    // It acknowledged more than it has now.
    counts_->lost += std::max<std::int64_t>(0, lane.acked - position.sequence());
    MoveTo(lane, position.sequence());
  }
}

void MemoryRecords::MoveTo(Lane& lane, std::int64_t sequence) {
  while (lane.acked < std::min(sequence, lane.last)) {
    lane.held.pop_front();
    ++lane.acked;
    ++counts_->acknowledged;
  }
}

}  // namespace muster::load
