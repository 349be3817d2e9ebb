#include "hub/logs/log_writes.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "common/logs/kinds.h"
#include "common/secret.h"
#include "common/status.h"
#include "common/text.h"
#include "common/time_format.h"
#include "hub/logs/chunk_writer.h"
#include "hub/store/batch_walk.h"
#include "hub/store/records.h"

namespace muster::hub {
namespace {

using agent::v1::LogLines;
using agent::v1::Record;
using agent::v1::RecordBatch;

std::int64_t BaseMicros(const LogLines& lines) { return absl::ToUnixMicros(FromProto(lines.base_time())); }

// The lines' times by the host's clock; empty when one leaves the years 1970 to 9999.
std::vector<std::int64_t> HostTimes(const LogLines& lines) {
  std::vector<std::int64_t> times;
  times.reserve(static_cast<std::size_t>(lines.time_delta_us_size()) + 1);
  std::int64_t time = BaseMicros(lines);
  times.push_back(time);
  for (const std::int64_t delta : lines.time_delta_us()) {
    const bool is_sum = !__builtin_add_overflow(time, delta, &time);
    if (!is_sum || time < 0 || time > kMaxLineTimeUs) return {};
    times.push_back(time);
  }
  return times;
}

// One batch on its way into the tail.
class LogApplication {
 public:
  LogApplication(sqlite::Database& database, const BatchOrigin& origin, const RecordBatch& batch, ZstdCodec* codec)
      : database_(database),
        origin_(origin),
        batch_(batch),
        codec_(codec),
        walk_(database, origin, batch, absl::UnixEpoch()) {}

  absl::StatusOr<LogBatchOutcome> Run();

 private:
  using SourceName = std::tuple<std::string, std::string, std::string>;  // deployment, resource, revision
  struct Block {
    const LogLines* lines = nullptr;
    std::int64_t first_line = 0;
    std::int64_t shift_us = 0;
    std::vector<std::int64_t> times_us;
  };
  struct Source {
    std::int64_t id = 0;
    std::vector<Block> blocks;
  };
  // Of blocks that share a chunk.
  struct Row {
    TailRow index;
    ChunkWriter writer;
  };

  absl::Status ReadState();
  absl::Status ApplyOne(const Record& record, std::int64_t sequence);
  absl::Status ApplyGap(const LostRecords& lost);
  // Null: the target has too many.
  absl::StatusOr<Source*> FindSource(const LogLines& lines);
  absl::StatusOr<std::optional<std::int64_t>> AddSource(const SourceName& name);
  absl::Status StoreRows();
  absl::Status StoreRowsOf(const Source& source);
  absl::Status StoreRow(Row row);
  absl::Status StoreState();

  sqlite::Database& database_;
  const BatchOrigin& origin_;
  const RecordBatch& batch_;
  ZstdCodec* const codec_;
  BatchWalk walk_;
  std::map<SourceName, Source> sources_;
  std::vector<TailRow> rows_;
  std::int64_t first_new_line_ = 0;
  std::int64_t next_line_ = 0;
  absl::Duration stored_shift_;
  absl::Duration shift_;
};

absl::StatusOr<LogBatchOutcome> LogApplication::Run() {
  ASSIGN_OR_RETURN(const bool is_in_order, walk_.Begin());
  if (!is_in_order) return LogBatchOutcome{.batch = std::move(walk_.outcome()), .rows = {}};
  RETURN_IF_ERROR(ReadState());
  RETURN_IF_ERROR(
      walk_.ApplyNew([this](const Record& record, std::int64_t sequence) { return ApplyOne(record, sequence); },
                     [this](const LostRecords& lost) { return ApplyGap(lost); }));
  RETURN_IF_ERROR(StoreRows());
  RETURN_IF_ERROR(walk_.Finish());
  RETURN_IF_ERROR(StoreState());
  return LogBatchOutcome{.batch = std::move(walk_.outcome()), .rows = std::move(rows_)};
}

absl::Status LogApplication::ReadState() {
  {
    ASSIGN_OR_RETURN(sqlite::Statement s, database_.Prepare("SELECT next_line FROM log_meta"));
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return MakeError(absl::StatusCode::kDataLoss, "DATABASE_CORRUPT", "log_meta is empty");
    first_new_line_ = next_line_ = s.Int64(0);
  }
  ASSIGN_OR_RETURN(sqlite::Statement s, database_.Prepare("SELECT shift_us FROM journal_positions WHERE target_id=?"
                                                          " AND epoch=? AND lane=?"));
  ASSIGN_OR_RETURN(const bool row, s.Bind(1, origin_.target_id).Bind(2, batch_.epoch()).Bind(3, batch_.lane()).Step());
  if (row) stored_shift_ = absl::Microseconds(s.Int64(0));
  shift_ = stored_shift_;
  return absl::OkStatus();
}

absl::Status LogApplication::ApplyOne(const Record& record, std::int64_t sequence) {
  if (!record.has_log_lines()) return walk_.Refuse(sequence, "no lines in a record of the lane of logs");
  if (!record.has_observed_at() || !IsStorable(record.observed_at())) {
    return walk_.Refuse(sequence, "observed_at is outside the years 1970 to 9999");
  }
  const LogLines& lines = record.log_lines();
  if (const std::string defect = FindDefect(lines); !defect.empty()) return walk_.Refuse(sequence, defect);
  ASSIGN_OR_RETURN(Source * source, FindSource(lines));
  if (source == nullptr) {
    return walk_.Refuse(sequence, fmt::format("the target has {} resources already", kMaxSourcesOfTarget));
  }
  const absl::Duration shift = ShiftOf(record, origin_);
  if (absl::AbsDuration(shift - shift_) > kShiftTolerance) shift_ = shift;
  Block block{.lines = &lines, .first_line = next_line_, .shift_us = 0, .times_us = HostTimes(lines)};
  const auto [earliest, latest] = std::minmax_element(block.times_us.begin(), block.times_us.end());
  // Never after the arrival. All lines of the record are moved alike, so that each can tell the host's own time.
  block.shift_us =
      std::max(std::min(absl::ToInt64Microseconds(shift_), absl::ToUnixMicros(origin_.arrived) - *latest), -*earliest);
  for (std::int64_t& time : block.times_us) time = std::min(time + block.shift_us, kMaxLineTimeUs);
  next_line_ += static_cast<std::int64_t>(block.times_us.size());
  source->blocks.push_back(std::move(block));
  walk_.NoteApplied(walk_.Corrected(record));
  return absl::OkStatus();
}

absl::Status LogApplication::ApplyGap(const LostRecords& lost) {
  return RunBound(database_,
                  "INSERT OR IGNORE INTO log_gaps(target_id, epoch, first_sequence, last_sequence, reason, from_us,"
                  " to_us, lines, line) VALUES(?,?,?,?,?,?,?,?,?)",
                  [&](sqlite::Statement& s) {
                    s.Bind(1, origin_.target_id).Bind(2, batch_.epoch()).Bind(3, lost.first_sequence);
                    s.Bind(4, lost.last_sequence).Bind(5, lost.reason).Bind(6, lost.from).Bind(7, lost.to);
                    s.Bind(8, lost.lines).Bind(9, next_line_);
                  });
}

absl::StatusOr<LogApplication::Source*> LogApplication::FindSource(const LogLines& lines) {
  SourceName name(lines.deployment_key().empty() ? "" : DerivedId("dep_", origin_.target_id, lines.deployment_key()),
                  lines.resource(), lines.revision());
  const auto known = sources_.find(name);
  if (known != sources_.end()) return &known->second;
  ASSIGN_OR_RETURN(const std::optional<std::int64_t> id, AddSource(name));
  if (!id) return nullptr;
  Source& source = sources_[std::move(name)];
  source.id = *id;
  return &source;
}

absl::StatusOr<std::optional<std::int64_t>> LogApplication::AddSource(const SourceName& name) {
  const auto& [deployment, resource, revision] = name;
  ASSIGN_OR_RETURN(sqlite::Statement find,
                   database_.Prepare("SELECT id FROM log_sources WHERE target_id=? AND deployment_id=? AND resource=?"
                                     " AND revision=?"));
  find.Bind(1, origin_.target_id).Bind(2, deployment).Bind(3, resource).Bind(4, revision);
  ASSIGN_OR_RETURN(const bool is_known, find.Step());
  if (is_known) return find.Int64(0);
  ASSIGN_OR_RETURN(sqlite::Statement count, database_.Prepare("SELECT count(*) FROM log_sources WHERE target_id=?"));
  ASSIGN_OR_RETURN(const bool is_counted, count.Bind(1, origin_.target_id).Step());
  if (is_counted && count.Int64(0) >= kMaxSourcesOfTarget) return std::nullopt;
  ASSIGN_OR_RETURN(sqlite::Statement add,
                   database_.Prepare("INSERT INTO log_sources(target_id, deployment_id, resource, revision, first_line)"
                                     " VALUES(?,?,?,?,?) RETURNING id"));
  add.Bind(1, origin_.target_id).Bind(2, deployment).Bind(3, resource).Bind(4, revision).Bind(5, next_line_);
  ASSIGN_OR_RETURN(const bool is_added, add.Step());
  if (!is_added) return absl::InternalError("a source without an id");
  return add.Int64(0);
}

absl::Status LogApplication::StoreRows() {
  for (const auto& [name, source] : sources_) RETURN_IF_ERROR(StoreRowsOf(source));
  // Those of one source rise, and whoever looks at all of them sees them rise, too.
  std::sort(rows_.begin(), rows_.end(), [](const TailRow& a, const TailRow& b) { return a.first_line < b.first_line; });
  return absl::OkStatus();
}

absl::Status LogApplication::StoreRowsOf(const Source& source) {
  std::optional<Row> row;
  for (const Block& block : source.blocks) {
    const LineBlock lines{.first_line = block.first_line,
                          .shift_us = block.shift_us,
                          .kinds = block.lines->kinds(),
                          .times_us = block.times_us,
                          .text = block.lines->text()};
    if (row && ReasonOf(row->writer.Add(lines)) == "CHUNK_FULL") {
      RETURN_IF_ERROR(StoreRow(*std::exchange(row, std::nullopt)));
    } else if (row) {
      row->index.first_us =
          std::min(row->index.first_us, *std::min_element(block.times_us.begin(), block.times_us.end()));
      row->index.last_us =
          std::max(row->index.last_us, *std::max_element(block.times_us.begin(), block.times_us.end()));
      continue;
    }
    row.emplace(Row{.index = {.first_line = block.first_line,
                              .source = source.id,
                              .first_us = *std::min_element(block.times_us.begin(), block.times_us.end()),
                              .last_us = *std::max_element(block.times_us.begin(), block.times_us.end()),
                              .arrived_us = absl::ToUnixMicros(origin_.arrived)},
                    .writer = ChunkWriter(source.id, codec_)});
    RETURN_IF_ERROR(row->writer.Add(lines));
  }
  return row ? StoreRow(*std::move(row)) : absl::OkStatus();
}

absl::Status LogApplication::StoreRow(Row row) {
  row.index.lines = static_cast<std::int32_t>(row.writer.lines());
  row.index.bytes = static_cast<std::int32_t>(row.writer.text_bytes());
  const Chunk chunk = row.writer.Finish();
  RETURN_IF_ERROR(RunBound(database_,
                           "INSERT INTO log_tail(first_line, source, lines, bytes, first_us, last_us, arrived_us, head,"
                           " text) VALUES(?,?,?,?,?,?,?,?,?)",
                           [&](sqlite::Statement& s) {
                             s.Bind(1, row.index.first_line).Bind(2, row.index.source).Bind(3, row.index.lines);
                             s.Bind(4, row.index.bytes).Bind(5, row.index.first_us).Bind(6, row.index.last_us);
                             s.Bind(7, row.index.arrived_us).BindBlob(8, chunk.head.data(), chunk.head.size());
                             s.BindBlob(9, chunk.text.data(), chunk.text.size());
                           }));
  rows_.push_back(row.index);
  return absl::OkStatus();
}

absl::Status LogApplication::StoreState() {
  if (next_line_ > first_new_line_) {
    RETURN_IF_ERROR(
        RunBound(database_, "UPDATE log_meta SET next_line=?", [&](sqlite::Statement& s) { s.Bind(1, next_line_); }));
  }
  if (shift_ == stored_shift_) return absl::OkStatus();
  return RunBound(database_, "UPDATE journal_positions SET shift_us=? WHERE target_id=? AND epoch=? AND lane=?",
                  [&](sqlite::Statement& s) {
                    s.Bind(1, absl::ToInt64Microseconds(shift_)).Bind(2, origin_.target_id);
                    s.Bind(3, batch_.epoch()).Bind(4, batch_.lane());
                  });
}

}  // namespace

std::string FindDefect(const LogLines& lines) {
  const std::size_t count = lines.kinds().size();
  if (lines.resource().empty()) return "lines without a resource";
  if (lines.resource().size() > kMaxNameBytes) return "the resource's name is too long";
  if (lines.revision().size() > kMaxNameBytes) return "the revision is too long";
  if (lines.deployment_key().size() > kMaxKeyBytes) return "the deployment's key is too long";
  if (count == 0) return "a record without lines";
  if (count > kMaxRecordLines) return fmt::format("more than {} lines in a record", kMaxRecordLines);
  if (static_cast<std::size_t>(lines.time_delta_us_size()) != count - 1) {
    return fmt::format("{} times behind the first of {} lines", lines.time_delta_us_size(), count);
  }
  if (!std::all_of(lines.kinds().begin(), lines.kinds().end(), IsKindByte)) return "a kind of line that is none";
  if (!lines.has_base_time() || !IsStorable(lines.base_time()) || HostTimes(lines).empty()) {
    return "a time outside the years 1970 to 9999";
  }
  if (!IsValidUtf8(lines.text())) return "text that is not UTF-8";
  return FindTextDefect(lines.text(), count);
}

absl::Duration ShiftOf(const Record& record, const BatchOrigin& origin) {
  const absl::Time observed = FromProto(record.observed_at());
  if (!record.has_age()) return -origin.skew;
  const absl::Time by_age = origin.arrived - std::max(FromProto(record.age()), absl::ZeroDuration());
  const absl::Duration late = by_age - (observed - origin.skew);
  if (late >= -kEarlierTolerance && late <= kLaterTolerance) return -origin.skew;
  return by_age - observed;
}

absl::StatusOr<LogBatchOutcome> ApplyLogBatch(sqlite::Database& database, const BatchOrigin& origin,
                                              const RecordBatch& batch, ZstdCodec* codec) {
  return LogApplication(database, origin, batch, codec).Run();
}

}  // namespace muster::hub
