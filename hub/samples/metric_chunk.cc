#include "hub/samples/metric_chunk.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <span>
#include <utility>

#include "common/status.h"
#include "hub/logs/chunk.h"
#include "muster/hub/v1/metric_chunk.pb.h"

namespace muster::hub {
namespace {

// Differences are modulo 2^64, so that there are none that cannot be stored, and none that damage can break.
std::int64_t Plus(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
std::int64_t Minus(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}
std::int64_t Times(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
}

// Of a list on its way in or out.
class Differences {
 public:
  std::int64_t Of(std::int64_t value) { return Minus(value, std::exchange(last_, value)); }
  std::int64_t Undo(std::int64_t difference) { return last_ = Plus(last_, difference); }

 private:
  std::int64_t last_ = 0;
};

std::int64_t FloorTo(std::int64_t value, std::int64_t unit) {
  const std::int64_t rest = value % unit;
  return value - (rest < 0 ? rest + unit : rest);
}

template <typename Message>
std::string Compress(const Message& message, ZstdCodec* codec) {
  std::string bytes;
  codec->Compress(message.SerializeAsString(), &bytes);
  return bytes;
}

template <typename Message>
absl::StatusOr<Message> Decompress(std::string_view bytes, ZstdCodec* codec) {
  ASSIGN_OR_RETURN(const ZstdFrame frame, FirstFrame(bytes));
  if (frame.stored.size() != bytes.size()) return ChunkDamaged("bytes follow the chunk's zstd frame");
  if (frame.raw_bytes > kMaxMetricChunkBytes) return ChunkDamaged("the chunk is too large");
  std::string raw(frame.raw_bytes, '\0');
  RETURN_IF_ERROR(codec->Decompress(frame.stored, std::span(raw.data(), raw.size())));
  Message message;
  if (!message.ParseFromString(raw)) return ChunkDamaged("the chunk is no protobuf message");
  return message;
}

template <typename Message>
absl::StatusOr<SeriesKey> ReadKey(const Message& message, std::set<SeriesKey>* seen) {
  const MetricSeriesInfo* const info = FindMetricSeries(message.series());
  if (info == nullptr) return ChunkDamaged(fmt::format("the chunk has a series {}", message.series()));
  SeriesKey key{.series = info->series, .instance = message.instance()};
  if (!seen->insert(key).second) return ChunkDamaged("the chunk has a series twice");
  return key;
}

void WriteSeries(const RawSeries& series, v1::RawSeries* message) {
  message->set_series(static_cast<std::uint32_t>(series.key.series));
  message->set_instance(series.key.instance);
  Differences differences;
  bool has_value = true;
  std::uint32_t run = 0;
  for (const std::optional<std::int64_t>& value : series.values) {
    if (value.has_value() != has_value) {
      message->add_runs(std::exchange(run, 0));
      has_value = !has_value;
    }
    ++run;
    if (value) message->add_values(differences.Of(*value));
  }
  if (message->runs_size() > 0) message->add_runs(run);
}

absl::StatusOr<RawSeries> ReadSeries(const v1::RawSeries& message, std::size_t samples, std::set<SeriesKey>* seen) {
  RawSeries series;
  ASSIGN_OR_RETURN(series.key, ReadKey(message, seen));
  std::vector<std::uint32_t> runs(message.runs().begin(), message.runs().end());
  if (runs.empty()) runs.push_back(static_cast<std::uint32_t>(samples));
  series.values.reserve(samples);
  Differences differences;
  bool has_value = true;
  int next = 0;
  for (const std::uint32_t run : runs) {
    if (run > samples - series.values.size()) return ChunkDamaged("a series has more values than there are samples");
    for (std::uint32_t i = 0; i < run; ++i) {
      if (has_value && next >= message.values_size()) return ChunkDamaged("a series lacks values");
      series.values.push_back(has_value ? std::optional(differences.Undo(message.values(next++))) : std::nullopt);
    }
    has_value = !has_value;
  }
  if (series.values.size() != samples) return ChunkDamaged("a series has fewer values than there are samples");
  if (next != message.values_size()) return ChunkDamaged("a series has values that no sample has");
  return series;
}

void WriteSeries(const SeriesKey& key, const Rollups::Pieces& pieces, v1::RollupSeries* message) {
  message->set_series(static_cast<std::uint32_t>(key.series));
  message->set_instance(key.instance);
  Differences numbers;
  Differences counts;
  Differences minimums;
  for (const auto& [piece, rollup] : pieces) {
    message->add_pieces(numbers.Of(piece));
    message->add_counts(counts.Of(rollup.count));
    message->add_minimums(minimums.Of(rollup.minimum));
    message->add_spreads(static_cast<std::uint64_t>(Minus(rollup.maximum, rollup.minimum)));
    message->add_excesses(static_cast<std::uint64_t>(Minus(rollup.sum, Times(rollup.count, rollup.minimum))));
  }
}

absl::Status ReadPieces(const v1::RollupSeries& message, const SeriesKey& key, Rollups* rollups) {
  const int pieces = message.pieces_size();
  if (message.counts_size() != pieces || message.minimums_size() != pieces || message.spreads_size() != pieces ||
      message.excesses_size() != pieces) {
    return ChunkDamaged("the lists of a series differ in length");
  }
  Differences numbers;
  Differences counts;
  Differences minimums;
  std::int64_t last = -1;
  for (int i = 0; i < pieces; ++i) {
    const std::int64_t piece = numbers.Undo(message.pieces(i));
    if (piece <= last || piece >= kPiecesPerChunk) return ChunkDamaged("pieces of a series are out of order");
    last = piece;
    Rollup rollup;
    rollup.count = counts.Undo(message.counts(i));
    if (rollup.count < 1) return ChunkDamaged("a piece without values");
    rollup.minimum = minimums.Undo(message.minimums(i));
    rollup.maximum = Plus(rollup.minimum, static_cast<std::int64_t>(message.spreads(i)));
    if (rollup.maximum < rollup.minimum) return ChunkDamaged("a piece's maximum is below its minimum");
    rollup.sum = Plus(Times(rollup.count, rollup.minimum), static_cast<std::int64_t>(message.excesses(i)));
    rollups->Add(key, static_cast<int>(piece), rollup);
  }
  return absl::OkStatus();
}

}  // namespace

std::int64_t PieceBegin(std::int64_t time_us) { return FloorTo(time_us, kPieceUs); }
std::int64_t RollupChunkBegin(std::int64_t time_us) { return FloorTo(time_us, kRollupChunkUs); }

void RawSamples::Add(std::int64_t time_us, const std::vector<SeriesValue>& added) {
  const std::size_t number = times_us.size();
  times_us.push_back(time_us);
  for (const SeriesValue& value : added) {
    const auto [place, is_new] = places_.try_emplace(value.key, series.size());
    if (is_new) series.push_back({.key = value.key, .values = {}});
    std::vector<std::optional<std::int64_t>>& values = series[place->second].values;
    values.resize(number);
    values.emplace_back(value.value);
  }
  for (RawSeries& each : series) each.values.resize(number + 1);
}

std::int64_t RawSamples::CountValues() const {
  std::int64_t count = 0;
  for (const RawSeries& each : series) {
    count += std::count_if(each.values.begin(), each.values.end(), [](const auto& value) { return value.has_value(); });
  }
  return count;
}

void Rollup::Add(std::int64_t value) { Add({.count = 1, .sum = value, .minimum = value, .maximum = value}); }

void Rollup::Add(const Rollup& more) {
  if (more.count == 0) return;
  minimum = count == 0 ? more.minimum : std::min(minimum, more.minimum);
  maximum = count == 0 ? more.maximum : std::max(maximum, more.maximum);
  count = Plus(count, more.count);
  sum = Plus(sum, more.sum);
}

void Rollups::Add(const SeriesKey& key, int piece, const Rollup& rollup) {
  const auto found = series_.find(key);
  if (found != series_.end()) {
    found->second[piece].Add(rollup);
  } else if (series_.size() < kMaxRollupSeries) {
    series_[key][piece].Add(rollup);
  }
}

std::int64_t Rollups::CountValues() const {
  std::int64_t count = 0;
  for (const auto& [key, pieces] : series_) count += 3 * static_cast<std::int64_t>(pieces.size());
  return count;
}

std::string EncodeRaw(const RawSamples& samples, ZstdCodec* codec) {
  v1::RawChunk chunk;
  Differences times;
  for (const std::int64_t time : samples.times_us) chunk.add_times(times.Of(time));
  for (const RawSeries& series : samples.series) WriteSeries(series, chunk.add_series());
  return Compress(chunk, codec);
}

absl::StatusOr<RawSamples> DecodeRaw(std::string_view bytes, ZstdCodec* codec) {
  ASSIGN_OR_RETURN(const v1::RawChunk chunk, Decompress<v1::RawChunk>(bytes, codec));
  RawSamples samples;
  if (static_cast<std::size_t>(chunk.times_size()) > kMaxRawSamples) return ChunkDamaged("too many samples");
  // A series costs two bytes, and each of its samples memory.
  if (static_cast<std::size_t>(chunk.times_size()) * static_cast<std::size_t>(chunk.series_size()) >
      kMaxMetricChunkBytes) {
    return ChunkDamaged("too many values");
  }
  Differences times;
  for (const std::int64_t difference : chunk.times()) {
    const std::int64_t time = times.Undo(difference);
    if (!samples.times_us.empty() && time < samples.times_us.back()) return ChunkDamaged("times go back");
    samples.times_us.push_back(time);
  }
  std::set<SeriesKey> seen;
  for (const v1::RawSeries& series : chunk.series()) {
    ASSIGN_OR_RETURN(RawSeries read, ReadSeries(series, samples.times_us.size(), &seen));
    samples.series.push_back(std::move(read));
  }
  return samples;
}

std::string EncodeRollups(const Rollups& rollups, ZstdCodec* codec) {
  v1::RollupChunk chunk;
  for (const auto& [key, pieces] : rollups.series()) WriteSeries(key, pieces, chunk.add_series());
  return Compress(chunk, codec);
}

absl::StatusOr<Rollups> DecodeRollups(std::string_view bytes, ZstdCodec* codec) {
  ASSIGN_OR_RETURN(const v1::RollupChunk chunk, Decompress<v1::RollupChunk>(bytes, codec));
  if (static_cast<std::size_t>(chunk.series_size()) > kMaxRollupSeries) return ChunkDamaged("too many series");
  Rollups rollups;
  std::set<SeriesKey> seen;
  for (const v1::RollupSeries& series : chunk.series()) {
    ASSIGN_OR_RETURN(const SeriesKey key, ReadKey(series, &seen));
    RETURN_IF_ERROR(ReadPieces(series, key, &rollups));
  }
  return rollups;
}

}  // namespace muster::hub
