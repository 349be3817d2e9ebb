#include "agent/journal/journal_salvage.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "agent/journal/journal_carve.h"
#include "agent/journal/journal_rows.h"
#include "agent/journal/log_positions.h"
#include "common/log.h"
#include "common/sqlite/database.h"
#include "common/status.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

// Of the new file, between two commits.
constexpr int kRowsPerCommit = 1000;
// Damaged places that are stepped over; then the rest is taken from the pages.
constexpr int kMaxProbes = 1000;

std::string NewPath(const std::string& path) { return path + ".salvage"; }
bool Exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}
void Remove(const std::string& path) {
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
}

void RemoveFiles(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm"}) Remove(path + suffix);
}

absl::Status Rename(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
  return ErrnoError(errno, fmt::format("rename {} to {}", from, to));
}

absl::Status SyncFolderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const int fd = open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoError(errno, fmt::format("open {}", folder));
  const bool synced = fsync(fd) == 0;
  const int error = errno;
  close(fd);
  return synced ? absl::OkStatus() : ErrnoError(error, fmt::format("sync {}", folder));
}

// The old file, but for its write-ahead log, is out of the way already.
absl::Status PutInPlace(const std::string& path) {
  // SQLite would apply the old log to the new file.
  if (Exists(path + "-wal")) RETURN_IF_ERROR(Rename(path + "-wal", path + ".damaged-wal"));
  Remove(path + "-shm");
  RETURN_IF_ERROR(SyncFolderOf(path));
  RETURN_IF_ERROR(Rename(NewPath(path), path));
  return SyncFolderOf(path);
}

// Copies what can be read from one file into an empty other one. An error is one of the new file.
class Copy {
 public:
  explicit Copy(sqlite::Database* to) : to_(to), new_rows_(to) {}

  // What SQLite can read. Incomplete when it met damage.
  absl::StatusOr<bool> TakeAllOf(sqlite::Database* from);
  // What lies in the file's pages besides.
  absl::Status TakePagesOf(const std::string& path);
  // After all of these: positions and settings, and since when something of them is lost, if it is.
  absl::Status FinishLogs(absl::Time now);
  std::int64_t saved() const { return saved_; }

 private:
  absl::Status CopyTotals();
  absl::Status CopyEpochs();
  absl::Status CopyLanes();
  absl::Status CopyQuarantine();
  void ReadLogs();
  // Log lines were found that the tables do not know of, in a write-ahead log that SQLite reads no more: the positions
  // are those before them.
  bool HasLaterLines() const;
  absl::StatusOr<bool> CopyRecords();
  // The first row that can be read at some distance behind `id`.
  std::optional<std::int64_t> ProbeBehind(std::int64_t id);
  // False when the new file does not take it.
  bool Keep(const JournalRow& row);

  sqlite::Database* from_ = nullptr;
  sqlite::Database* const to_;
  JournalRows new_rows_;
  absl::Status written_;
  std::int64_t saved_ = 0;
  std::optional<absl::Time> newest_;
  // Of the newest epoch that has log lines, its last one.
  std::int64_t last_line_ = 0;
  // By ordinal, the last number of its log lines.
  std::map<std::int64_t, std::int64_t> lane_ends_;
  LogContent logs_{.status = absl::DataLossError("not read")};
};

// Calls `insert` for each row until it fails; a row that cannot be read ends the table.
template <typename Insert>
absl::Status CopyTable(absl::StatusOr<sqlite::Statement> select, Insert insert) {
  if (!select.ok()) return absl::OkStatus();
  while (true) {
    const absl::StatusOr<bool> found = select->Step();
    if (!found.ok() || !*found) return absl::OkStatus();
    RETURN_IF_ERROR(insert(*select));
  }
}

absl::StatusOr<bool> Copy::TakeAllOf(sqlite::Database* from) {
  from_ = from;
  RETURN_IF_ERROR(to_->Execute("BEGIN IMMEDIATE"));
  RETURN_IF_ERROR(CopyTotals());
  RETURN_IF_ERROR(CopyEpochs());
  RETURN_IF_ERROR(CopyLanes());
  RETURN_IF_ERROR(CopyQuarantine());
  ReadLogs();
  ASSIGN_OR_RETURN(const bool is_complete, CopyRecords());
  RETURN_IF_ERROR(to_->Execute("COMMIT"));
  return is_complete;
}

absl::Status Copy::TakePagesOf(const std::string& path) {
  RETURN_IF_ERROR(to_->Execute("BEGIN IMMEDIATE"));
  CarveJournal(path, [&](const JournalRow& row) { return Keep(row); });
  RETURN_IF_ERROR(written_);
  return to_->Execute("COMMIT");
}

absl::Status Copy::CopyTotals() {
  return CopyTable(
      from_->Prepare("SELECT target_id, dropped_total, poisoned_total, crc FROM journal WHERE id = 1"),
      [&](const sqlite::Statement& row) -> absl::Status {
        ASSIGN_OR_RETURN(sqlite::Statement insert,
                         to_->Prepare("INSERT OR IGNORE INTO journal (id, target_id, dropped_total, "
                                      "poisoned_total, crc) VALUES (1, ?, ?, ?, ?)"));
        const std::string target = row.Text(0);
        return insert.Bind(1, target).Bind(2, row.Int64(1)).Bind(3, row.Int64(2)).Bind(4, row.Int64(3)).Run();
      });
}

absl::Status Copy::CopyEpochs() {
  return CopyTable(from_->Prepare("SELECT ordinal, epoch, boot_id FROM epochs"),
                   [&](const sqlite::Statement& row) -> absl::Status {
                     ASSIGN_OR_RETURN(sqlite::Statement insert,
                                      to_->Prepare("INSERT OR IGNORE INTO epochs (ordinal, epoch, boot_id) "
                                                   "VALUES (?, ?, ?)"));
                     const std::string epoch = row.Text(1);
                     const std::string boot_id = row.Text(2);
                     return insert.Bind(1, row.Int64(0)).Bind(2, epoch).Bind(3, boot_id).Run();
                   });
}

absl::Status Copy::CopyLanes() {
  return CopyTable(from_->Prepare("SELECT ordinal, lane, last_sequence, acked_sequence, crc FROM lanes"),
                   [&](const sqlite::Statement& row) -> absl::Status {
                     const std::int64_t crc = ChecksumOf({row.Int64(0), row.Int64(1), row.Int64(2), row.Int64(3)}, "");
                     if (row.Int64(1) == v1::LANE_LOGS && row.Int64(4) == crc) lane_ends_[row.Int64(0)] = row.Int64(2);
                     ASSIGN_OR_RETURN(sqlite::Statement insert,
                                      to_->Prepare("INSERT OR IGNORE INTO lanes (ordinal, lane, last_sequence, "
                                                   "acked_sequence, crc) VALUES (?, ?, ?, ?, ?)"));
                     return insert.Bind(1, row.Int64(0))
                         .Bind(2, row.Int64(1))
                         .Bind(3, row.Int64(2))
                         .Bind(4, row.Int64(3))
                         .Bind(5, row.Int64(4))
                         .Run();
                   });
}

absl::Status Copy::CopyQuarantine() {
  return CopyTable(
      from_->Prepare("SELECT epoch, lane, sequence, recorded_us, reason, payload FROM quarantine ORDER BY id"),
      [&](const sqlite::Statement& row) -> absl::Status {
        ASSIGN_OR_RETURN(sqlite::Statement insert,
                         to_->Prepare("INSERT INTO quarantine (epoch, lane, sequence, recorded_us, reason, payload) "
                                      "VALUES (?, ?, ?, ?, ?, ?)"));
        const std::string epoch = row.Text(0);
        const std::string reason = row.Text(4);
        const std::string payload = row.Text(5);
        return insert.Bind(1, epoch)
            .Bind(2, row.Int64(1))
            .Bind(3, row.Int64(2))
            .Bind(4, row.Int64(3))
            .Bind(5, reason)
            .BindBlob(6, payload.data(), payload.size())
            .Run();
      });
}

void Copy::ReadLogs() {
  const absl::StatusOr<int> version = from_->UserVersion();
  if (version.ok() && *version == kJournalSchemaWithoutLogs) {
    logs_.status = absl::OkStatus();
  } else {
    logs_ = LogTables(from_).Read();
  }
}

bool Copy::HasLaterLines() const {
  if (last_line_ == 0) return false;
  const auto lane = lane_ends_.find(OrdinalOf(last_line_));
  return lane == lane_ends_.end() || lane->second < SequenceOf(last_line_);
}

absl::Status Copy::FinishLogs(absl::Time now) {
  const bool has_later_lines = HasLaterLines();
  if (has_later_lines) logs_.positions.clear();
  if (has_later_lines || !logs_.status.ok()) {
    const absl::Time since = std::min(newest_.value_or(logs_.totals.lost_since.value_or(now)), now);
    logs_.totals.lost_since = since;
    log::Warning("positions of containers are lost: their logs go on with what is later than {}", FormatRfc3339(since));
  }
  RETURN_IF_ERROR(to_->Execute("BEGIN IMMEDIATE"));
  RETURN_IF_ERROR(LogTables(to_).Fill(logs_));
  return to_->Execute("COMMIT");
}

absl::StatusOr<bool> Copy::CopyRecords() {
  JournalRows old_rows(from_);
  std::int64_t next = kFirstRowId;
  for (int probes = 0; probes < kMaxProbes; ++probes) {
    // A damaged tree may show rows that were not asked for, and the same ones for ever.
    std::int64_t last = next - 1;
    bool is_in_order = true;
    const absl::Status read = old_rows.ForEach(next, kLastRowId, [&](const JournalRow& row) {
      is_in_order = row.id > last;
      if (!is_in_order) return false;
      last = row.id;
      return Keep(row);
    });
    RETURN_IF_ERROR(written_);
    if (read.ok() && is_in_order) return next == kFirstRowId;
    // A damaged page: go on behind it.
    const std::optional<std::int64_t> behind = ProbeBehind(last);
    if (!behind.has_value()) return false;
    next = *behind;
  }
  return false;
}

std::optional<std::int64_t> Copy::ProbeBehind(std::int64_t id) {
  for (int bit = 0; bit < 62; ++bit) {
    const std::int64_t step = std::int64_t{1} << bit;
    if (id > kLastRowId - step) return std::nullopt;
    std::optional<std::int64_t> found;
    const absl::Status read = JournalRows(from_).ForEach(id + step, kLastRowId, [&](const JournalRow& row) {
      found = row.id;
      return false;
    });
    if (read.ok() && (!found.has_value() || *found > id)) return found;
  }
  return std::nullopt;
}

bool Copy::Keep(const JournalRow& row) {
  if (!row.is_intact) return true;
  // A gap may be without time.
  if (row.entry.wall > absl::UnixEpoch()) newest_ = std::max(newest_.value_or(row.entry.wall), row.entry.wall);
  if (row.entry.lane == v1::LANE_LOGS) {
    last_line_ = std::max(last_line_, RowIdOf(row.ordinal(), v1::LANE_LOGS, row.entry.last_sequence()));
  }
  written_ = new_rows_.Insert(row);
  // A damaged file may show a row twice, and its pages do.
  if (absl::IsAlreadyExists(written_)) {
    written_ = absl::OkStatus();
    return true;
  }
  if (!written_.ok() || ++saved_ % kRowsPerCommit != 0) return written_.ok();
  // The log is emptied each time: it would have the whole journal once more.
  written_ = to_->Execute("COMMIT");
  if (written_.ok()) written_ = to_->Checkpoint();
  if (written_.ok()) written_ = to_->Execute("BEGIN IMMEDIATE");
  return written_.ok();
}

// SQLite reads nothing of a file that is shorter than its header says. With zeros in place of its end it reads what is
// before: above all how far the lanes went, without which nobody would know what is missing.
void RestoreLength(const std::string& path) {
  constexpr std::size_t kHeaderBytes = 100;
  constexpr std::size_t kPageCountAt = 28;
  std::array<unsigned char, kHeaderBytes> header{};
  std::ifstream file(path, std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(header.data()), header.size())) return;
  std::uint64_t pages = 0;
  for (std::size_t i = 0; i < 4; ++i) pages = pages << 8 | header[kPageCountAt + i];
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  const std::uintmax_t wanted = pages * kJournalPageBytes;
  // A length that is far from the real one is damaged too.
  constexpr std::uintmax_t kSmall = std::uintmax_t{64} << 20;
  if (error || size >= wanted || wanted > std::max(16 * size, kSmall)) return;
  std::filesystem::resize_file(path, wanted, error);
}

// How many records it has.
absl::StatusOr<std::int64_t> BuildNew(const std::string& path, const std::string& vfs, absl::Time now) {
  RemoveFiles(NewPath(path));
  ASSIGN_OR_RETURN(const std::unique_ptr<sqlite::Database> to,
                   sqlite::Database::Open(NewPath(path), sqlite::OpenMode::kWriter, vfs));
  RETURN_IF_ERROR(JournalRows(to.get()).CreateTables());
  RestoreLength(path);
  const auto from = sqlite::Database::Open(path, sqlite::OpenMode::kWriter, vfs);
  Copy copy(to.get());
  bool is_complete = false;
  if (from.ok()) {
    ASSIGN_OR_RETURN(is_complete, copy.TakeAllOf(from->get()));
  }
  if (!is_complete) RETURN_IF_ERROR(copy.TakePagesOf(path));
  RETURN_IF_ERROR(copy.FinishLogs(now));
  RETURN_IF_ERROR(to->Checkpoint());
  return copy.saved();
}

}  // namespace

absl::Status SalvageJournal(const std::string& path, const std::string& vfs, const absl::Status& why, absl::Time now) {
  absl::StatusOr<std::int64_t> saved = BuildNew(path, vfs, now);
  // Closing has emptied the log and removed it; if not, the file alone is not all of it.
  if (saved.ok() && Exists(NewPath(path) + "-wal")) {
    saved = MakeError(absl::StatusCode::kUnavailable, "SALVAGE_INCOMPLETE",
                      fmt::format("the write-ahead log of {} could not be moved into it", NewPath(path)));
  }
  if (!saved.ok()) {
    // A disk that is full must not stay so because of us.
    RemoveFiles(NewPath(path));
    return saved.status();
  }
  Remove(path + ".damaged-wal");
  RETURN_IF_ERROR(Rename(path, path + ".damaged"));
  RETURN_IF_ERROR(PutInPlace(path));
  log::Warning("the journal was damaged ({}); {} records were saved, the rest is in {}.damaged", MessageOf(why), *saved,
               path);
  return absl::OkStatus();
}

absl::Status FinishSalvage(const std::string& path) {
  if (!Exists(NewPath(path))) return absl::OkStatus();
  if (!Exists(path)) return PutInPlace(path);
  RemoveFiles(NewPath(path));
  return absl::OkStatus();
}

}  // namespace muster::agent
