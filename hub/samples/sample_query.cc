#include "hub/samples/sample_query.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "common/log.h"
#include "common/status.h"
#include "hub/logs/zstd_codec.h"
#include "hub/samples/metric_chunk.h"
#include "hub/samples/metric_series.h"
#include "hub/samples/sample_rows.h"

namespace muster::hub {
namespace {

constexpr std::int64_t kForever = std::numeric_limits<std::int64_t>::max();

std::int64_t FloorTo(std::int64_t value, std::int64_t unit) {
  const std::int64_t rest = value % unit;
  return value - (rest < 0 ? rest + unit : rest);
}

// Reads of one moment, however many statements they take.
class Snapshot {
 public:
  // Runs `read` in a transaction that reads only. The moment is that of its first statement.
  static absl::Status Run(sqlite::Database& database, absl::FunctionRef<absl::Status()> read) {
    RETURN_IF_ERROR(database.Execute("BEGIN"));
    const absl::Status status = read();
    const absl::Status ended = database.Execute("COMMIT");
    return status.ok() ? ended : status;
  }
};

// A damaged chunk is missing, what else there is is told.
template <typename Chunk>
const Chunk* IfWhole(const absl::StatusOr<Chunk>& chunk, const std::string& target_id) {
  if (chunk.ok()) return &*chunk;
  log::Warning("a chunk of metrics of {} is left out: {}", target_id, MessageOf(chunk.status()));
  return nullptr;
}

// The steps of a window, and what lies in them.
class Steps {
 public:
  Steps(const SampleQuery& query, std::int64_t step_us, std::int64_t from_us, std::int64_t to_us)
      : step_us_(step_us), from_us_(from_us), to_us_(to_us), max_points_(query.max_points) {
    wanted_.fill(query.metrics.empty());
    for (const std::string& name : query.metrics) {
      if (const MetricSeriesInfo* info = FindMetricSeries(name)) wanted_[Index(info->series)] = true;
    }
  }

  bool Wants(MetricSeries series) const { return wanted_[Index(series)]; }

  absl::Status AddSample(std::int64_t time_us, const std::vector<SeriesValue>& values) {
    for (const SeriesValue& value : values) {
      if (!Wants(value.key.series)) continue;
      RETURN_IF_ERROR(Add(&steps_[value.key], time_us, Step::Of(value.value)));
    }
    return absl::OkStatus();
  }
  absl::Status AddRaw(const RawSamples& samples) {
    for (const RawSeries& series : samples.series) {
      if (!Wants(series.key.series)) continue;
      ByStep* const steps = &steps_[series.key];
      for (std::size_t i = 0; i < samples.times_us.size(); ++i) {
        if (series.values[i]) RETURN_IF_ERROR(Add(steps, samples.times_us[i], Step::Of(*series.values[i])));
      }
    }
    return absl::OkStatus();
  }
  absl::Status AddRollups(std::int64_t begin_us, const Rollups& rollups) {
    for (const auto& [key, pieces] : rollups.series()) {
      if (!Wants(key.series)) continue;
      ByStep* const steps = &steps_[key];
      for (const auto& [piece, rollup] : pieces) {
        RETURN_IF_ERROR(Add(steps, begin_us + piece * kPieceUs, Step::Of(rollup)));
      }
    }
    return absl::OkStatus();
  }

  std::vector<SampleSeries> Take(SampleAggregation aggregation) const {
    std::vector<SampleSeries> taken;
    for (const auto& [key, steps] : steps_) {
      if (steps.empty()) continue;
      const MetricSeriesInfo& info = *FindMetricSeries(static_cast<std::uint32_t>(key.series));
      SampleSeries& series = taken.emplace_back(
          SampleSeries{.metric = info.name, .instance = key.instance, .unit = info.unit, .points = {}});
      series.points.reserve(steps.size());
      for (const auto& [number, step] : steps) {
        series.points.push_back({.time = absl::FromUnixMicros(number * step_us_),
                                 .value = FromStored(key.series, step.Value(aggregation))});
      }
    }
    return taken;
  }

 private:
  struct Step {
    std::int64_t count = 0;
    double sum = 0;
    std::int64_t minimum = 0;
    std::int64_t maximum = 0;

    static Step Of(std::int64_t value) {
      return {.count = 1, .sum = static_cast<double>(value), .minimum = value, .maximum = value};
    }
    static Step Of(const Rollup& rollup) {
      return {.count = rollup.count,
              .sum = static_cast<double>(rollup.sum),
              .minimum = rollup.minimum,
              .maximum = rollup.maximum};
    }
    double Value(SampleAggregation aggregation) const {
      switch (aggregation) {
        case SampleAggregation::kMinimum:
          return static_cast<double>(minimum);
        case SampleAggregation::kMaximum:
          return static_cast<double>(maximum);
        case SampleAggregation::kAverage:
          break;
      }
      return sum / static_cast<double>(count);
    }
  };
  // By the step's number since 1970.
  using ByStep = std::map<std::int64_t, Step>;

  static std::size_t Index(MetricSeries series) { return static_cast<std::size_t>(series); }

  absl::Status Add(ByStep* steps, std::int64_t time_us, const Step& added) {
    if (time_us < from_us_ || time_us >= to_us_) return absl::OkStatus();
    const std::int64_t number = FloorTo(time_us, step_us_) / step_us_;
    const auto at = steps->lower_bound(number);
    if (at == steps->end() || at->first != number) {
      if (++points_ > max_points_) {
        return MakeError(absl::StatusCode::kInvalidArgument, "TOO_MANY_POINTS",
                         fmt::format("the answer would have more than {} points; name some metrics, or ask for a "
                                     "longer step",
                                     max_points_));
      }
      steps->emplace_hint(at, number, added);
      return absl::OkStatus();
    }
    Step& step = at->second;
    step.count += added.count;
    step.sum += added.sum;
    step.minimum = std::min(step.minimum, added.minimum);
    step.maximum = std::max(step.maximum, added.maximum);
    return absl::OkStatus();
  }

  const std::int64_t step_us_;
  const std::int64_t from_us_;
  const std::int64_t to_us_;
  const std::size_t max_points_;
  // By number; 0 is no series.
  std::array<bool, 64> wanted_{};
  std::map<SeriesKey, ByStep> steps_;
  std::size_t points_ = 0;
};

absl::Status CheckNames(const SampleQuery& query) {
  for (const std::string& name : query.metrics) {
    if (FindMetricSeries(name) != nullptr) continue;
    std::string known;
    for (const MetricSeriesInfo& info : AllMetricSeries()) {
      if (!known.empty()) known += ", ";
      known += info.name;
    }
    return MakeError(absl::StatusCode::kInvalidArgument, "UNKNOWN_METRIC",
                     fmt::format("there is no metric \"{}\"; there are {}", name, known));
  }
  return absl::OkStatus();
}

// One question on its way through the two files.
class Question {
 public:
  explicit Question(const SampleQuery& query) : query_(query) {}

  // Of one moment of each file, that of hub.db first: a sample that is moved in between is in both, and its position
  // tells.
  absl::StatusOr<SampleAnswer> Ask(sqlite::Database& hub, sqlite::Database& metrics) {
    ASSIGN_OR_RETURN(const auto newest_waiting, ReadNewestWaiting(hub, query_.target_id));
    if (newest_waiting) newest_us_ = newest_waiting->at_us;
    RETURN_IF_ERROR(Snapshot::Run(metrics, [&] { return Read(hub, metrics); }));
    answer_.series = steps_->Take(query_.aggregation);
    if (newest_us_) answer_.newest = absl::FromUnixMicros(*newest_us_);
    return std::move(answer_);
  }

 private:
  absl::Status Read(sqlite::Database& hub, sqlite::Database& metrics) {
    ASSIGN_OR_RETURN(const std::int64_t raw_pruned_us, ReadRawPruned(metrics));
    RETURN_IF_ERROR(ChooseSteps(raw_pruned_us));
    ASSIGN_OR_RETURN(const SamplePositions positions, ReadSamplePositions(metrics, query_.target_id));
    RETURN_IF_ERROR(ReadWaiting(hub, positions));
    ASSIGN_OR_RETURN(const std::optional<MetricTarget> target, FindMetricTarget(metrics, query_.target_id));
    if (!target) return absl::OkStatus();
    newest_us_ = std::max(newest_us_.value_or(target->newest_us), target->newest_us);
    return is_raw_ ? ReadRaw(metrics, target->number) : ReadRollups(metrics, target->number);
  }

  absl::Status ChooseSteps(std::int64_t raw_pruned_us) {
    std::int64_t step_us = std::max<std::int64_t>(absl::ToInt64Microseconds(query_.step), 1);
    std::int64_t from_us = absl::ToUnixMicros(query_.from);
    std::int64_t to_us = absl::ToUnixMicros(query_.to);
    is_raw_ = step_us < kPieceUs && FloorTo(from_us, step_us) > raw_pruned_us;
    // Whole pieces, or a step would have more of them than the next one.
    if (!is_raw_) step_us = (step_us + kPieceUs - 1) / kPieceUs * kPieceUs;
    from_us = FloorTo(from_us, step_us);
    to_us = FloorTo(to_us + step_us - 1, step_us);
    if ((to_us - from_us) / step_us > kMaxSeriesPoints + 1) {
      return MakeError(absl::StatusCode::kInvalidArgument, "TOO_MANY_POINTS",
                       fmt::format("the window has {} steps, an answer at most {}; ask for a longer step",
                                   (to_us - from_us) / step_us, kMaxSeriesPoints));
    }
    answer_.step = absl::Microseconds(step_us);
    answer_.resolution = is_raw_ ? kRawResolution : kRollupResolution;
    from_us_ = from_us;
    to_us_ = to_us;
    steps_.emplace(query_, step_us, from_us, to_us);
    return absl::OkStatus();
  }

  absl::Status ReadWaiting(sqlite::Database& hub, const SamplePositions& positions) {
    return VisitWaiting(hub, query_.target_id, from_us_, to_us_, kForever, [&](const WaitingSample& row) {
      const auto position = positions.find(row.epoch);
      if (position != positions.end() && row.sequence <= position->second) return absl::OkStatus();
      agent::v1::HostSample sample;
      if (!sample.ParseFromString(row.sample)) return absl::OkStatus();
      return steps_->AddSample(row.at_us, ValuesOf(sample));
    });
  }

  absl::Status ReadRaw(sqlite::Database& metrics, std::int64_t target) {
    return VisitRawChunks(metrics, target, from_us_, to_us_, [&](const std::string& data) {
      const absl::StatusOr<RawSamples> samples = DecodeRaw(data, &codec_);
      const RawSamples* const whole = IfWhole(samples, query_.target_id);
      return whole == nullptr ? absl::OkStatus() : steps_->AddRaw(*whole);
    });
  }

  absl::Status ReadRollups(sqlite::Database& metrics, std::int64_t target) {
    return VisitRollupChunks(metrics, target, RollupChunkBegin(from_us_), to_us_,
                             [&](std::int64_t begin_us, const std::string& data) {
                               const absl::StatusOr<Rollups> rollups = DecodeRollups(data, &codec_);
                               const Rollups* const whole = IfWhole(rollups, query_.target_id);
                               return whole == nullptr ? absl::OkStatus() : steps_->AddRollups(begin_us, *whole);
                             });
  }

  const SampleQuery& query_;
  ZstdCodec codec_;
  SampleAnswer answer_;
  bool is_raw_ = false;
  std::int64_t from_us_ = 0;
  std::int64_t to_us_ = 0;
  std::optional<std::int64_t> newest_us_;
  std::optional<Steps> steps_;
};

// Of the last piece, its averages.
std::vector<SeriesValue> LastOf(const Rollups& rollups) {
  int last = 0;
  for (const auto& [key, pieces] : rollups.series()) last = std::max(last, pieces.rbegin()->first);
  std::vector<SeriesValue> values;
  for (const auto& [key, pieces] : rollups.series()) {
    const auto& [piece, rollup] = *pieces.rbegin();
    if (piece == last) values.push_back({.key = key, .value = rollup.sum / rollup.count});
  }
  return values;
}

std::vector<SeriesValue> LastOf(const RawSamples& samples) {
  std::vector<SeriesValue> values;
  for (const RawSeries& series : samples.series) {
    if (!series.values.empty() && series.values.back()) {
      values.push_back({.key = series.key, .value = *series.values.back()});
    }
  }
  return values;
}

absl::StatusOr<std::optional<StoredSample>> ReadNewestMoved(sqlite::Database& metrics, const std::string& target_id) {
  ASSIGN_OR_RETURN(const std::optional<MetricTarget> target, FindMetricTarget(metrics, target_id));
  if (!target) return std::nullopt;
  ZstdCodec codec;
  ASSIGN_OR_RETURN(const std::optional<std::string> raw, ReadNewestRawChunk(metrics, target->number));
  if (raw) {
    const absl::StatusOr<RawSamples> samples = DecodeRaw(*raw, &codec);
    const RawSamples* const whole = IfWhole(samples, target_id);
    if (whole != nullptr && !whole->times_us.empty()) {
      return StoredSample{.time = absl::FromUnixMicros(whole->times_us.back()), .sample = SampleOf(LastOf(*whole))};
    }
  }
  ASSIGN_OR_RETURN(const std::optional<RollupChunkRow> row, ReadNewestRollupChunk(metrics, target->number));
  if (!row) return std::nullopt;
  const absl::StatusOr<Rollups> rollups = DecodeRollups(row->data, &codec);
  const Rollups* const whole = IfWhole(rollups, target_id);
  if (whole == nullptr) return std::nullopt;
  return StoredSample{.time = absl::FromUnixMicros(target->newest_us), .sample = SampleOf(LastOf(*whole))};
}

}  // namespace

absl::StatusOr<SampleAnswer> QuerySamples(Store& hub, Store& metrics, const SampleQuery& query) {
  RETURN_IF_ERROR(CheckNames(query));
  absl::StatusOr<SampleAnswer> answer;
  RETURN_IF_ERROR(hub.Read([&](sqlite::Database& of_hub) {
    return Snapshot::Run(of_hub, [&] {
      return metrics.Read([&](sqlite::Database& of_metrics) {
        answer = Question(query).Ask(of_hub, of_metrics);
        return answer.status();
      });
    });
  }));
  return answer;
}

absl::StatusOr<std::optional<StoredSample>> ReadNewestSample(Store& hub, Store& metrics, const std::string& target_id) {
  std::optional<StoredSample> newest;
  RETURN_IF_ERROR(hub.Read([&](sqlite::Database& database) -> absl::Status {
    ASSIGN_OR_RETURN(const std::optional<WaitingSample> row, ReadNewestWaiting(database, target_id));
    if (!row) return absl::OkStatus();
    StoredSample waiting{.time = absl::FromUnixMicros(row->at_us), .sample = {}};
    if (waiting.sample.ParseFromString(row->sample)) newest = std::move(waiting);
    return absl::OkStatus();
  }));
  RETURN_IF_ERROR(metrics.Read([&](sqlite::Database& database) -> absl::Status {
    ASSIGN_OR_RETURN(std::optional<StoredSample> moved, ReadNewestMoved(database, target_id));
    if (moved && (!newest || moved->time > newest->time)) newest = std::move(moved);
    return absl::OkStatus();
  }));
  return newest;
}

}  // namespace muster::hub
