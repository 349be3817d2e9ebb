// Reads the chunks and rows of the tail that a question looks at, one after another, within its transaction. Belongs to
// one call.
//
// Errors of DATA_LOSS are damage of this unit alone (IsDamage): it is noted, and the question goes on with the others.
#ifndef MUSTER_HUB_LOGS_UNIT_READER_H_
#define MUSTER_HUB_LOGS_UNIT_READER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/sqlite/database.h"
#include "hub/logs/chunk_reader.h"
#include "hub/logs/scan_plan.h"
#include "hub/logs/zstd_codec.h"

namespace muster::hub {

// A checksum that is wrong, or a page that cannot be read.
inline bool IsDamage(const absl::Status& status) { return absl::IsDataLoss(status); }

struct DamagedUnit {
  std::int64_t source = 0;
  std::int64_t last_us = 0;
  std::int64_t first_line = 0;
  bool is_tail = false;
  std::string why;
};

class UnitReader {
 public:
  explicit UnitReader(sqlite::Database& database) : database_(database), reader_(&codec_) {}
  UnitReader(const UnitReader&) = delete;
  UnitReader& operator=(const UnitReader&) = delete;

  // What follows is about this unit, until the next.
  absl::Status ReadHead(const ScanUnit& unit);
  const ChunkLines& lines() const { return reader_.lines(); }
  // All lines, each with its \n; until the next call.
  absl::StatusOr<std::string_view> ReadText(const ScanUnit& unit);

  // Units that were found damaged, in the order in which they were met.
  const std::vector<DamagedUnit>& damaged() const { return damaged_; }
  // Of texts that were read.
  std::int64_t text_bytes() const { return text_bytes_; }
  std::int64_t text_lines() const { return text_lines_; }

 private:
  absl::Status TryHead(const ScanUnit& unit);
  absl::StatusOr<std::string_view> TryText(const ScanUnit& unit);
  void Note(const ScanUnit& unit, const absl::Status& status);

  sqlite::Database& database_;
  ZstdCodec codec_;
  ChunkReader reader_;
  std::string stored_;
  std::string buffer_;
  std::vector<DamagedUnit> damaged_;
  std::int64_t text_bytes_ = 0;
  std::int64_t text_lines_ = 0;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_UNIT_READER_H_
