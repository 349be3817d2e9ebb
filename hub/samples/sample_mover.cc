#include "hub/samples/sample_mover.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "common/log.h"
#include "common/status.h"

namespace muster::hub {
namespace {

constexpr std::int64_t kAlways = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kForever = std::numeric_limits<std::int64_t>::max();

// How many of the oldest go now; 0: none is due.
std::int64_t DueOf(const WaitingCount& waiting, absl::Time now) {
  const std::int64_t most = std::min(waiting.samples, SampleMover::kMaxMoveSamples);
  if (most >= SampleMover::kChunkSamples) return most / SampleMover::kChunkSamples * SampleMover::kChunkSamples;
  const bool is_old = waiting.oldest_us && absl::FromUnixMicros(*waiting.oldest_us) < now - SampleMover::kMaxWait;
  return is_old ? most : 0;
}

}  // namespace

absl::Status SampleMover::Pass(absl::Time now, absl::FunctionRef<bool()> go_on) {
  moves_.clear();
  gathered_ = 0;
  std::int64_t waiting = 0;
  absl::Status status;
  for (std::string id;;) {
    WaitingCount count;
    RETURN_IF_ERROR(store_->hub().Read([&](sqlite::Database& hub) -> absl::Status {
      ASSIGN_OR_RETURN(id, NextWaitingTarget(hub, id));
      ASSIGN_OR_RETURN(count, CountWaiting(hub, id));
      return absl::OkStatus();
    }));
    if (id.empty()) break;
    if (status.ok()) {
      const absl::StatusOr<bool> goes_on = MoveTarget(id, now, go_on);
      if (goes_on.ok() && !*goes_on) return absl::OkStatus();
      status = goes_on.status();
      if (!status.ok()) moves_.clear();
    }
    waiting += count.samples;
    if (!status.ok() && !go_on()) return status;
  }
  if (status.ok()) status = Flush(now);
  waiting_ = waiting;
  if (status.ok() || waiting_ <= max_waiting_) return status;
  const absl::Status forgotten = ForgetWaiting();
  if (!forgotten.ok()) log::Warning("samples of hosts that wait cannot be forgotten: {}", MessageOf(forgotten));
  return status;
}

absl::StatusOr<bool> SampleMover::MoveTarget(const std::string& target_id, absl::Time now,
                                             absl::FunctionRef<bool()> go_on) {
  while (true) {
    WaitingCount waiting;
    RETURN_IF_ERROR(store_->hub().Read([&](sqlite::Database& hub) -> absl::Status {
      ASSIGN_OR_RETURN(waiting, CountWaiting(hub, target_id));
      return absl::OkStatus();
    }));
    const std::int64_t due = DueOf(waiting, now);
    if (due == 0) return true;
    if (gathered_ > 0 && gathered_ + due > kMaxMoveSamples) {
      RETURN_IF_ERROR(Flush(now));
      if (!go_on()) return false;
    }
    ASSIGN_OR_RETURN(SampleMove move, MakeMove(target_id, due));
    gathered_ += due;
    moves_.push_back(std::move(move));
    // The next look at this target must not find them again.
    if (waiting.samples - due < kChunkSamples) return true;
    RETURN_IF_ERROR(Flush(now));
    if (!go_on()) return false;
  }
}

absl::Status SampleMover::Flush(absl::Time now) {
  if (moves_.empty()) return absl::OkStatus();
  const std::vector<SampleMove> moves = std::exchange(moves_, {});
  gathered_ = 0;
  return store_->Move(moves, now);
}

absl::StatusOr<SampleMove> SampleMover::MakeMove(const std::string& target_id, std::int64_t take) {
  SampleMove move;
  move.target_id = target_id;
  RETURN_IF_ERROR(store_->hub().Read([&](sqlite::Database& hub) {
    return VisitWaiting(hub, target_id, kAlways, kForever, take, [&](WaitingSample row) {
      move.rows.push_back(std::move(row));
      return absl::OkStatus();
    });
  }));
  std::map<std::int64_t, Rollups> added;
  RETURN_IF_ERROR(AddRaw(&move, &added));
  RETURN_IF_ERROR(AddRollups(&move, added));
  return move;
}

// The samples of an epoch are in the order of their numbers: none is earlier than the one before it.
absl::Status SampleMover::AddRaw(SampleMove* move, std::map<std::int64_t, Rollups>* added) {
  SamplePositions known;
  RETURN_IF_ERROR(store_->store().Read([&](sqlite::Database& metrics) -> absl::Status {
    ASSIGN_OR_RETURN(known, ReadSamplePositions(metrics, move->target_id));
    return absl::OkStatus();
  }));
  RawSamples chunk;
  const auto finish = [&] {
    if (chunk.times_us.empty()) return;
    move->raw.push_back({.first_us = chunk.times_us.front(),
                         .last_us = chunk.times_us.back(),
                         .samples = static_cast<std::int64_t>(chunk.times_us.size()),
                         .values = chunk.CountValues(),
                         .data = EncodeRaw(chunk, &codec_)});
    move->newest_us = chunk.times_us.back();
    move->samples += static_cast<std::int64_t>(chunk.times_us.size());
    chunk = RawSamples();
  };
  for (const WaitingSample& row : move->rows) {
    const auto position = known.find(row.epoch);
    if (position != known.end() && row.sequence <= position->second) continue;
    std::int64_t& reached = move->positions.try_emplace(row.epoch, row.sequence).first->second;
    reached = std::max(reached, row.sequence);
    agent::v1::HostSample sample;
    if (!sample.ParseFromString(row.sample)) {
      log::Warning("a sample of {} in hub.db is damaged; it is left out", move->target_id);
      continue;
    }
    const std::vector<SeriesValue> values = ValuesOf(sample);
    chunk.Add(row.at_us, values);
    const std::int64_t begin = RollupChunkBegin(row.at_us);
    for (const SeriesValue& value : values) {
      Rollup one;
      one.Add(value.value);
      (*added)[begin].Add(value.key, static_cast<int>((row.at_us - begin) / kPieceUs), one);
    }
    if (static_cast<std::int64_t>(chunk.times_us.size()) == kChunkSamples) finish();
  }
  finish();
  return absl::OkStatus();
}

absl::Status SampleMover::AddRollups(SampleMove* move, const std::map<std::int64_t, Rollups>& added) {
  return store_->store().Read([&](sqlite::Database& metrics) -> absl::Status {
    ASSIGN_OR_RETURN(const std::optional<MetricTarget> target, FindMetricTarget(metrics, move->target_id));
    for (const auto& [begin, more] : added) {
      Rollups whole;
      std::optional<std::string> stored;
      if (target) {
        ASSIGN_OR_RETURN(stored, ReadRollupChunk(metrics, target->number, begin));
      }
      if (stored) {
        absl::StatusOr<Rollups> decoded = DecodeRollups(*stored, &codec_);
        if (decoded.ok()) {
          whole = *std::move(decoded);
        } else {
          log::Warning("6 hours of metrics of {} are damaged and begin anew: {}", move->target_id,
                       MessageOf(decoded.status()));
        }
      }
      for (const auto& [key, pieces] : more.series()) {
        for (const auto& [piece, rollup] : pieces) whole.Add(key, piece, rollup);
      }
      move->rollups.push_back(
          {.begin_us = begin, .values = whole.CountValues(), .data = EncodeRollups(whole, &codec_)});
    }
    return absl::OkStatus();
  });
}

absl::Status SampleMover::ForgetWaiting() {
  std::vector<std::pair<std::string, std::int64_t>> targets;
  RETURN_IF_ERROR(store_->hub().Read([&](sqlite::Database& hub) -> absl::Status {
    for (std::string id;;) {
      ASSIGN_OR_RETURN(id, NextWaitingTarget(hub, id));
      if (id.empty()) return absl::OkStatus();
      ASSIGN_OR_RETURN(const WaitingCount count, CountWaiting(hub, id));
      targets.emplace_back(id, count.samples);
    }
  }));
  const std::int64_t share = max_waiting_ / std::max<std::int64_t>(static_cast<std::int64_t>(targets.size()), 1);
  std::int64_t waiting = 0;
  for (const auto& [id, samples] : targets) {
    if (samples > share) RETURN_IF_ERROR(ForgetWaiting(id, samples - share));
    waiting += std::min(samples, share);
  }
  waiting_ = waiting;
  return absl::OkStatus();
}

absl::Status SampleMover::ForgetWaiting(const std::string& target_id, std::int64_t surplus) {
  log::Warning("metrics.db takes nothing and too many samples wait: the {} oldest of {} are forgotten", surplus,
               target_id);
  while (surplus > 0) {
    std::vector<WaitingSample> rows;
    std::int64_t values = 0;
    RETURN_IF_ERROR(store_->hub().Read([&](sqlite::Database& hub) {
      return VisitWaiting(hub, target_id, kAlways, kForever, std::min(surplus, kMaxDeleted), [&](WaitingSample row) {
        agent::v1::HostSample sample;
        if (sample.ParseFromString(row.sample)) values += static_cast<std::int64_t>(ValuesOf(sample).size());
        row.sample.clear();
        rows.push_back(std::move(row));
        return absl::OkStatus();
      });
    }));
    if (rows.empty()) return absl::OkStatus();
    RETURN_IF_ERROR(
        store_->hub().writer().Run([&](sqlite::Database& hub) { return DeleteWaiting(hub, target_id, rows); }));
    store_->observer().pruned("waiting", values);
    surplus -= static_cast<std::int64_t>(rows.size());
  }
  return absl::OkStatus();
}

}  // namespace muster::hub
