#include "agent/session/replay.h"

#include <algorithm>
#include <map>
#include <utility>

#include "common/log.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

// A flood of log lines never delays a status.
constexpr v1::Lane kOrder[] = {v1::LANE_EVENTS, v1::LANE_LOGS};
constexpr Instant kNever = Instant::FromDuration(absl::InfiniteDuration());
// The pace is kept over this time: a full window may go at once.
constexpr absl::Duration kPaceSlack = absl::Milliseconds(250);
// Older than this, a batch that waited for the transport has its ages brought up to date.
constexpr absl::Duration kStaleAge = absl::Milliseconds(10);

std::int64_t LastOf(const v1::RecordBatch& batch) {
  std::int64_t next = batch.first_sequence();
  for (const v1::Record& record : batch.records())
    next = record.has_gap() ? record.gap().last_sequence() + 1 : next + 1;
  return next - 1;
}

absl::Duration RetryAfter(const v1::BatchRefusal& refusal) {
  if (!refusal.has_retry_after()) return kDefaultBatchRetry;
  return std::clamp(FromProto(refusal.retry_after()), kMinBatchRetry, kMaxBatchRetry);
}

void AddToAges(absl::Duration waited, v1::RecordBatch* batch) {
  for (v1::Record& record : *batch->mutable_records()) {
    if (record.has_age()) *record.mutable_age() = ToProto(FromProto(record.age()) + waited);
  }
}

}  // namespace

void Replay::SetLanes(const std::vector<LaneState>& lanes) {
  std::vector<Cursor> cursors;
  cursors.reserve(lanes.size());
  // Both are in the order of epochs and lanes.
  auto at = cursors_.begin();
  for (const LaneState& lane : lanes) {
    const auto known = std::find_if(at, cursors_.end(), [&](const Cursor& cursor) {
      return cursor.state.lane == lane.lane && cursor.state.epoch == lane.epoch;
    });
    Cursor& cursor = cursors.emplace_back();
    if (known != cursors_.end()) {
      cursor = std::move(*known);
      at = known + 1;
    } else {
      cursor.next = lane.acked_sequence + 1;
    }
    cursor.state = lane;
  }
  cursors_ = std::move(cursors);
}

std::vector<v1::LanePosition> Replay::Positions() const {
  std::vector<v1::LanePosition> positions;
  for (const Cursor& cursor : cursors_) {
    if (positions.size() == kMaxPositions) break;
    v1::LanePosition& position = positions.emplace_back();
    position.set_epoch(cursor.state.epoch);
    position.set_lane(cursor.state.lane);
    position.set_sequence(cursor.state.last_sequence);
    position.set_oldest_sequence(cursor.state.oldest_sequence);
  }
  return positions;
}

std::vector<v1::LanePosition> Replay::Begin(const std::vector<v1::LanePosition>& listed, const v1::Welcome& welcome) {
  controls_ = {};
  asked_.reset();
  ready_.reset();
  read_blocked_until_ = Instant();
  paced_until_ = Instant();
  batch_bytes_ = kFirstBatchBytes;
  window_ = 1;
  round_trip_ = absl::InfiniteDuration();
  for (Cursor& cursor : cursors_) {
    cursor.in_flight.clear();
    cursor.is_rewinding = cursor.is_stopped = false;
    cursor.next = cursor.state.acked_sequence + 1;
  }
  std::map<std::pair<std::string, int>, std::int64_t> told;
  for (const v1::LanePosition& position : welcome.applied()) {
    told[{position.epoch(), position.lane()}] = position.sequence();
  }
  std::vector<v1::LanePosition> applied;
  for (const v1::LanePosition& position : listed) {
    Cursor* cursor = Find(position.epoch(), position.lane());
    if (cursor == nullptr) continue;
    const auto found = told.find({position.epoch(), position.lane()});
    const std::int64_t sequence =
        std::clamp<std::int64_t>(found == told.end() ? 0 : found->second, 0, cursor->state.last_sequence);
    cursor->next = sequence + 1;
    v1::LanePosition& mine = applied.emplace_back(position);
    mine.set_sequence(sequence);
    mine.clear_oldest_sequence();
  }
  return applied;
}

Replay::Cursor* Replay::Find(const std::string& epoch, v1::Lane lane) {
  for (Cursor& cursor : cursors_) {
    if (cursor.state.lane == lane && cursor.state.epoch == epoch) return &cursor;
  }
  return nullptr;
}

int Replay::InFlightCount(v1::Lane lane) const {
  std::size_t count = 0;
  for (const Cursor& cursor : cursors_) count += cursor.state.lane == lane ? cursor.in_flight.size() : 0;
  return static_cast<int>(count);
}

const Replay::Cursor* Replay::NextOf(v1::Lane lane) const {
  if (!ControlOf(lane).is_supported) return nullptr;
  for (const Cursor& cursor : cursors_) {
    if (cursor.state.lane != lane || cursor.is_stopped) continue;
    if (cursor.is_rewinding) return nullptr;
    if (cursor.next <= cursor.state.last_sequence) return &cursor;
    // In order: the next epoch begins when this one is all acknowledged.
    if (!cursor.in_flight.empty()) return nullptr;
  }
  return nullptr;
}

Instant Replay::BlockedUntil(v1::Lane lane) const {
  return std::max(read_blocked_until_, ControlOf(lane).blocked_until);
}

void Replay::NoteRoundTrip(absl::Duration took) {
  // The shortest, but not for ever: the route may have changed.
  constexpr double kForget = 1.5;
  round_trip_ = std::min(round_trip_ * kForget, took);
}

std::optional<ReadRequest> Replay::NextRead(Moment now) {
  if (asked_.has_value() || ready_.has_value()) return std::nullopt;
  for (const v1::Lane lane : kOrder) {
    if (now.monotonic < BlockedUntil(lane) || InFlightCount(lane) >= window_) continue;
    const Cursor* cursor = NextOf(lane);
    if (cursor == nullptr) continue;
    asked_ = {.epoch = cursor->state.epoch, .lane = lane, .first_sequence = cursor->next, .max_bytes = batch_bytes_};
    return asked_;
  }
  return std::nullopt;
}

void Replay::OnRecords(v1::RecordBatch batch, Moment now) {
  const bool is_answer = asked_.has_value() && asked_->epoch == batch.epoch() && asked_->lane == batch.lane() &&
                         asked_->first_sequence == batch.first_sequence();
  if (!is_answer) return;
  asked_.reset();
  if (batch.records().empty()) {
    read_blocked_until_ = now.monotonic + kReadRetry;
    return;
  }
  // The cursor may have been set back since.
  const Cursor* cursor = Find(batch.epoch(), batch.lane());
  if (cursor == nullptr || cursor->next != batch.first_sequence()) return;
  ready_ = std::move(batch);
  ready_at_ = now.monotonic;
}

std::optional<v1::RecordBatch> Replay::NextBatch(Moment now) {
  if (!ready_.has_value() || now.monotonic + kPaceSlack < paced_until_) return std::nullopt;
  v1::RecordBatch batch = *std::exchange(ready_, std::nullopt);
  Cursor* cursor = Find(batch.epoch(), batch.lane());
  if (cursor == nullptr) return std::nullopt;
  const std::int64_t last = LastOf(batch);
  cursor->in_flight.push_back({.first = batch.first_sequence(), .last = last, .sent_at = now.monotonic});
  cursor->next = last + 1;
  const absl::Duration takes =
      absl::Seconds(1) * static_cast<std::int64_t>(batch.ByteSizeLong()) / kReplayBytesPerSecond;
  paced_until_ = std::max(paced_until_, now.monotonic) + takes;
  const absl::Duration waited = now.monotonic - ready_at_;
  if (waited > kStaleAge) AddToAges(waited, &batch);
  return batch;
}

std::optional<v1::BatchAck> Replay::OnAck(const v1::BatchAck& ack, Moment now) {
  Cursor* cursor = Find(ack.epoch(), ack.lane());
  if (cursor == nullptr || cursor->in_flight.empty()) return std::nullopt;
  v1::BatchAck known = ack;
  // Nobody acknowledges what was not sent.
  known.set_sequence(std::min(ack.sequence(), cursor->in_flight.back().last));
  bool is_news = false;
  while (!cursor->in_flight.empty() && cursor->in_flight.front().last <= known.sequence()) {
    Adapt(now.monotonic - cursor->in_flight.front().sent_at);
    cursor->in_flight.pop_front();
    is_news = true;
  }
  if (cursor->in_flight.empty()) cursor->is_rewinding = false;
  if (!is_news) return std::nullopt;
  cursor->next = std::max(cursor->next, known.sequence() + 1);
  return known;
}

void Replay::Adapt(absl::Duration ack_took) {
  const absl::Duration queued = round_trip_ == absl::InfiniteDuration() ? ack_took : ack_took - round_trip_;
  if (queued > kLongQueue) {
    batch_bytes_ = std::max(kMinBatchBytes, batch_bytes_ / 2);
    window_ = 1;
  } else if (queued < kShortQueue) {
    batch_bytes_ = std::min(kMaxBatchBytes, batch_bytes_ * 2);
    window_ = std::min(kMaxUnackedBatches, window_ + 1);
  }
}

void Replay::OnRefusal(const v1::BatchRefusal& refusal, Moment now) {
  Cursor* cursor = Find(refusal.epoch(), refusal.lane());
  if (cursor == nullptr) return;
  const auto refused = std::find_if(cursor->in_flight.begin(), cursor->in_flight.end(),
                                    [&](const InFlight& batch) { return batch.first == refusal.first_sequence(); });
  if (refused == cursor->in_flight.end()) return;
  cursor->in_flight.erase(refused);
  switch (refusal.reason()) {
    case v1::BATCH_REFUSAL_REASON_NOT_SUPPORTED:
      ControlOf(refusal.lane()).is_supported = false;
      log::Info("the hub does not take records of {} yet; they stay in the journal", v1::Lane_Name(refusal.lane()));
      break;
    case v1::BATCH_REFUSAL_REASON_OUT_OF_ORDER:
      if (refusal.expected_sequence() > cursor->state.last_sequence + 1) {
        log::Warning("the hub wants record {} of a lane that ends with {}; it is left alone until the next session",
                     refusal.expected_sequence(), cursor->state.last_sequence);
        cursor->is_stopped = true;
      }
      RewindTo(cursor, refusal.expected_sequence());
      break;
    default:  // BUSY, and what a newer hub may say
      ControlOf(refusal.lane()).blocked_until = now.monotonic + RetryAfter(refusal);
      RewindTo(cursor, std::min(cursor->next, refusal.first_sequence()));
      break;
  }
  cursor->is_rewinding = !cursor->in_flight.empty();
}

void Replay::RewindTo(Cursor* cursor, std::int64_t sequence) {
  cursor->next = std::max<std::int64_t>(1, sequence);
  const bool is_overtaken =
      ready_.has_value() && ready_->epoch() == cursor->state.epoch && ready_->lane() == cursor->state.lane;
  if (is_overtaken) ready_.reset();
}

Instant Replay::NextDeadline() const {
  if (ready_.has_value()) return paced_until_ - kPaceSlack;
  if (asked_.has_value()) return kNever;
  Instant next = kNever;
  for (const v1::Lane lane : kOrder) {
    if (NextOf(lane) != nullptr && InFlightCount(lane) < window_) next = std::min(next, BlockedUntil(lane));
  }
  return next;
}

}  // namespace muster::agent
