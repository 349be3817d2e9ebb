// Chunks of metrics.db (docs/formats/metric-chunk.md): raw samples, and rollups of 5-minute pieces. Plain values and
// their bytes; a damaged chunk is an error, DATA_LOSS "CHUNK_DAMAGED". Used by the mover and by queries.
#ifndef MUSTER_HUB_SAMPLES_METRIC_CHUNK_H_
#define MUSTER_HUB_SAMPLES_METRIC_CHUNK_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "hub/logs/zstd_codec.h"
#include "hub/samples/metric_series.h"

namespace muster::hub {

inline constexpr std::int64_t kPieceUs = std::int64_t{300} * 1'000'000;
inline constexpr std::int64_t kPiecesPerChunk = 72;
inline constexpr std::int64_t kRollupChunkUs = kPieceUs * kPiecesPerChunk;  // 6 h
inline constexpr std::size_t kMaxRawSamples = 65'536;
// Series of one rollup chunk: what came first is kept, so that containers with names of their own each time grow
// nothing without bound. A target that tells all it may has 1,200.
inline constexpr std::size_t kMaxRollupSeries = 2'500;
// Decompressed. 2,000 series with 72 pieces of 4 numbers of at most 10 bytes, and keys of 510 bytes: 7 MB.
inline constexpr std::size_t kMaxMetricChunkBytes = std::size_t{16} << 20;

// [begin of the 5 minutes, of the 6 hours) in which a time lies, microseconds since 1970. Also right before 1970.
std::int64_t PieceBegin(std::int64_t time_us);
std::int64_t RollupChunkBegin(std::int64_t time_us);

struct RawSeries {
  SeriesKey key;
  // One for each sample; absent: it has none.
  std::vector<std::optional<std::int64_t>> values;
};

struct RawSamples {
  std::vector<std::int64_t> times_us;
  std::vector<RawSeries> series;

  // Behind those that are there.
  void Add(std::int64_t time_us, const std::vector<SeriesValue>& values);
  std::int64_t CountValues() const;

 private:
  std::map<SeriesKey, std::size_t> places_;
};

struct Rollup {
  std::int64_t count = 0;
  // Modulo 2^64.
  std::int64_t sum = 0;
  std::int64_t minimum = 0;
  std::int64_t maximum = 0;

  void Add(std::int64_t value);
  void Add(const Rollup& more);
  bool operator==(const Rollup&) const = default;
};

// Of one chunk.
class Rollups {
 public:
  // By piece, 0 to 71.
  using Pieces = std::map<int, Rollup>;

  void Add(const SeriesKey& key, int piece, const Rollup& rollup);
  const std::map<SeriesKey, Pieces>& series() const { return series_; }
  // Minimum, average and maximum of a piece are three.
  std::int64_t CountValues() const;

 private:
  std::map<SeriesKey, Pieces> series_;
};

// With the zstd frame around.
std::string EncodeRaw(const RawSamples& samples, ZstdCodec* codec);
absl::StatusOr<RawSamples> DecodeRaw(std::string_view bytes, ZstdCodec* codec);
std::string EncodeRollups(const Rollups& rollups, ZstdCodec* codec);
absl::StatusOr<Rollups> DecodeRollups(std::string_view bytes, ZstdCodec* codec);

}  // namespace muster::hub

#endif  // MUSTER_HUB_SAMPLES_METRIC_CHUNK_H_
