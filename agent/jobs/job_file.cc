#include "agent/jobs/job_file.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include "common/log.h"
#include "common/secret.h"
#include "common/status.h"

namespace muster::agent {
namespace {

constexpr int kSchemaVersion = 1;
constexpr std::int64_t kPageBytes = 4096;
// The log may grow to this between checkpoints.
constexpr std::int64_t kLogBytes = 4 * 1024 * 1024;
// The row of the store, ends of trees.
constexpr std::int64_t kPagesPerCommit = 4;
// Ids of a file whose clock seems to have jumped are held at least this long after it was opened.
constexpr absl::Duration kLeastIdAge = absl::Hours(1);

absl::Status Damaged(std::string_view what) { return MakeError(absl::StatusCode::kDataLoss, "DATABASE_CORRUPT", what); }

// A schema with a flipped bit comes as any kind of error, but not as one of the disk.
bool IsDamage(const absl::Status& status) {
  const std::string reason = ReasonOf(status);
  return reason == "DATABASE_CORRUPT" || reason == "DATABASE_ERROR" || reason == "CONSTRAINT";
}

std::int64_t Micros(Instant instant) { return absl::ToInt64Microseconds(instant - Instant()); }

std::optional<std::int64_t> Micros(const std::optional<Instant>& instant) {
  if (!instant.has_value()) return std::nullopt;
  return Micros(*instant);
}

std::optional<std::int64_t> Micros(const std::optional<absl::Duration>& duration) {
  if (!duration.has_value()) return std::nullopt;
  return absl::ToInt64Microseconds(*duration);
}

// Times as the file has them: the machine's clock of this boot, or by how old they are by the wall clock.
class TimeReader {
 public:
  TimeReader(bool same_boot, std::int64_t written_us, absl::Time written_wall, Moment now)
      : shift_(same_boot ? absl::ZeroDuration()
                         : (now.monotonic - Instant()) - absl::Microseconds(written_us) -
                               std::max(now.wall - written_wall, absl::ZeroDuration())) {}
  Instant Read(std::int64_t us) const { return Instant::FromDuration(absl::Microseconds(us) + shift_); }

 private:
  const absl::Duration shift_;
};

std::string NewStoreId() {
  std::array<std::uint8_t, 16> bytes{};
  randombytes_buf(bytes.data(), bytes.size());
  return ToHex(bytes.data(), bytes.size());
}

absl::Status SetAside(const std::string& path, const absl::Status& damage) {
  const std::string aside = path + ".damaged";
  log::Error(
      "the store of jobs {} is damaged ({}): it is kept as {}, and a new one begins; what jobs counted before is at "
      "the hub",
      path, MessageOf(damage), aside);
  // With its log: whoever looks at it later needs both.
  for (const char* suffix : {"-wal", "-shm"}) {
    if (std::rename((path + suffix).c_str(), (aside + suffix).c_str()) != 0 && errno != ENOENT) {
      return ErrnoError(errno, fmt::format("rename {}{}", path, suffix));
    }
  }
  if (std::rename(path.c_str(), aside.c_str()) != 0 && errno != ENOENT) {
    return ErrnoError(errno, fmt::format("rename {}", path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<JobFile::Loaded> JobFile::Open(const Options& options, Moment now) {
  auto loaded = OpenFile(options, now);
  if (loaded.ok() || !IsDamage(loaded.status())) return loaded;
  RETURN_IF_ERROR(SetAside(options.path, loaded.status()));
  return OpenFile(options, now);
}

absl::StatusOr<JobFile::Loaded> JobFile::OpenFile(const Options& options, Moment now) {
  ASSIGN_OR_RETURN(std::unique_ptr<sqlite::Database> database,
                   sqlite::Database::Open(options.path, sqlite::OpenMode::kWriter, options.vfs));
  std::unique_ptr<JobFile> file(new JobFile(options, std::move(database)));
  RETURN_IF_ERROR(file->database_->Execute("PRAGMA cache_size=-1024; PRAGMA journal_size_limit=8388608"));
  RETURN_IF_ERROR(file->CheckIntact());
  RETURN_IF_ERROR(file->MakeTables());
  ASSIGN_OR_RETURN(std::unique_ptr<JobBook> book, file->Load(now));
  if (file->store_id_.empty() || !file->is_of_this_boot_) {
    if (file->store_id_.empty()) file->store_id_ = NewStoreId();
    // Times of another boot are written anew as those of this one.
    for (auto& [name, group] : book->groups()) book->MarkChanged(&group);
    RETURN_IF_ERROR(file->Save(book.get(), now));
    book->ChangesAreKept();
  }
  RETURN_IF_ERROR(file->database_->Checkpoint());
  return Loaded{.file = std::move(file), .book = std::move(book)};
}

absl::Status JobFile::CheckIntact() {
  ASSIGN_OR_RETURN(sqlite::Statement check, database_->Prepare("PRAGMA quick_check(1)"));
  ASSIGN_OR_RETURN(const bool row, check.Step());
  const std::string found = row ? check.Text(0) : "nothing";
  return found == "ok" ? absl::OkStatus() : Damaged(found);
}

absl::Status JobFile::MakeTables() {
  ASSIGN_OR_RETURN(const int version, database_->UserVersion());
  if (version == kSchemaVersion) return absl::OkStatus();
  if (version != 0) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "NEWER_SCHEMA",
                     fmt::format("{} was written by a newer agent (version {} of its form): install that one again",
                                 options_.path, version));
  }
  RETURN_IF_ERROR(database_->Execute(R"(
      BEGIN IMMEDIATE;
      CREATE TABLE store (id INTEGER PRIMARY KEY, store_id TEXT NOT NULL, version INTEGER NOT NULL, boot_id TEXT NOT NULL,
                          written_boot_us INTEGER NOT NULL, written_us INTEGER NOT NULL) STRICT;
      CREATE TABLE families (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
      CREATE TABLE groups (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, version INTEGER NOT NULL,
                           is_deleted INTEGER NOT NULL, first_push_us INTEGER NOT NULL, last_push_us INTEGER NOT NULL,
                           last_success_us INTEGER, last_failure_us INTEGER, successes INTEGER NOT NULL,
                           failures INTEGER NOT NULL, period_us INTEGER, ttl_us INTEGER, refused INTEGER NOT NULL) STRICT;
      CREATE TABLE series (id INTEGER PRIMARY KEY, group_id INTEGER NOT NULL, family_id INTEGER NOT NULL,
                           body BLOB NOT NULL) STRICT;
      CREATE INDEX series_by_group ON series (group_id);
      CREATE TABLE push_ids (id INTEGER PRIMARY KEY, taken_us INTEGER NOT NULL, digests BLOB NOT NULL) STRICT;
      PRAGMA user_version=1;
      COMMIT)"));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<JobBook>> JobFile::Load(Moment now) {
  auto book = std::make_unique<JobBook>();
  {
    ASSIGN_OR_RETURN(sqlite::Statement store, database_->Prepare("SELECT store_id, version, boot_id FROM store"));
    ASSIGN_OR_RETURN(const bool row, store.Step());
    if (row) {
      store_id_ = store.Text(0);
      book->set_version(store.Int64(1));
      is_of_this_boot_ = !options_.boot_id.empty() && store.Text(2) == options_.boot_id;
    }
  }
  std::map<std::int64_t, JobFamilyState*> families;
  std::map<std::int64_t, JobGroupState*> groups;
  RETURN_IF_ERROR(LoadFamilies(book.get(), &families));
  RETURN_IF_ERROR(LoadGroups(book.get(), now, &groups));
  RETURN_IF_ERROR(LoadSeries(families, groups));
  RETURN_IF_ERROR(LoadIds(book.get(), now));
  ASSIGN_OR_RETURN(sqlite::Statement last,
                   database_->Prepare("SELECT coalesce((SELECT max(id) FROM groups), 0), coalesce((SELECT max(id) FROM "
                                      "families), 0), coalesce((SELECT max(id) FROM series), 0)"));
  ASSIGN_OR_RETURN(const bool row, last.Step());
  if (row) book->SetNextRows(last.Int64(0) + 1, last.Int64(1) + 1, last.Int64(2) + 1);
  return book;
}

absl::Status JobFile::LoadFamilies(JobBook* book, std::map<std::int64_t, JobFamilyState*>* families) {
  ASSIGN_OR_RETURN(sqlite::Statement rows, database_->Prepare("SELECT id, body FROM families"));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return absl::OkStatus();
    auto family = std::make_unique<JobFamilyState>();
    family->row = rows.Int64(0);
    if (!family->body.ParseFromString(rows.Text(1))) return Damaged("a row of families");
    (*families)[family->row] = family.get();
    const std::string name = family->body.name();
    book->families()[name] = std::move(family);
  }
}

absl::Status JobFile::LoadGroups(JobBook* book, Moment now, std::map<std::int64_t, JobGroupState*>* groups) {
  std::optional<TimeReader> times;
  {
    ASSIGN_OR_RETURN(sqlite::Statement store, database_->Prepare("SELECT written_boot_us, written_us FROM store"));
    ASSIGN_OR_RETURN(const bool row, store.Step());
    times.emplace(is_of_this_boot_, row ? store.Int64(0) : 0, row ? store.Time(1) : now.wall, now);
  }
  ASSIGN_OR_RETURN(sqlite::Statement rows,
                   database_->Prepare("SELECT id, name, version, is_deleted, first_push_us, last_push_us, "
                                      "last_success_us, last_failure_us, successes, failures, period_us, ttl_us, "
                                      "refused FROM groups"));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return absl::OkStatus();
    JobGroupState& group = book->groups()[rows.Text(1)];
    group.row = rows.Int64(0);
    group.name = rows.Text(1);
    group.version = rows.Int64(2);
    group.is_deleted = rows.Bool(3);
    group.first_push = times->Read(rows.Int64(4));
    group.last_push = times->Read(rows.Int64(5));
    if (!rows.IsNull(6)) group.last_success = times->Read(rows.Int64(6));
    if (!rows.IsNull(7)) group.last_failure = times->Read(rows.Int64(7));
    group.successes = rows.Int64(8);
    group.failures = rows.Int64(9);
    if (!rows.IsNull(10)) group.period = absl::Microseconds(rows.Int64(10));
    if (!rows.IsNull(11)) group.time_to_live = absl::Microseconds(rows.Int64(11));
    group.refused = rows.Int64(12);
    (*groups)[group.row] = &group;
  }
}

absl::Status JobFile::LoadSeries(const std::map<std::int64_t, JobFamilyState*>& families,
                                 const std::map<std::int64_t, JobGroupState*>& groups) {
  ASSIGN_OR_RETURN(sqlite::Statement rows, database_->Prepare("SELECT id, group_id, family_id, body FROM series"));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return absl::OkStatus();
    const auto group = groups.find(rows.Int64(1));
    const auto family = families.find(rows.Int64(2));
    JobSeriesState series;
    if (group == groups.end() || family == families.end() || !series.body.ParseFromString(rows.Text(3))) {
      return Damaged("a row of series");
    }
    const bool is_histogram = family->second->body.type() == v1::JOB_METRIC_TYPE_HISTOGRAM;
    if (series.body.bucket_counts_size() != (is_histogram ? family->second->body.buckets_size() + 1 : 0)) {
      return Damaged("a histogram in series");
    }
    series.row = rows.Int64(0);
    series.family = family->second;
    ++series.family->uses;
    std::string key = KeyOf(series.family->body.name(), series.body);
    group->second->series.emplace(std::move(key), std::move(series));
  }
}

absl::Status JobFile::LoadIds(JobBook* book, Moment now) {
  ASSIGN_OR_RETURN(sqlite::Statement rows,
                   database_->Prepare("SELECT id, taken_us, digests FROM push_ids ORDER BY id"));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return absl::OkStatus();
    PushIdBatch batch;
    batch.row = rows.Int64(0);
    const absl::Duration age = std::clamp(now.wall - rows.Time(1), absl::ZeroDuration(), kPushIdAge - kLeastIdAge);
    batch.taken = now.monotonic - age;
    const std::string bytes = rows.Text(2);
    if (bytes.size() % sizeof(PushIdDigest) != 0) return Damaged("a row of push_ids");
    batch.digests.resize(bytes.size() / sizeof(PushIdDigest));
    std::memcpy(batch.digests.data(), bytes.data(), bytes.size());
    book->AddIds(std::move(batch));
  }
}

absl::Status JobFile::Save(JobBook* book, Moment now) {
  book->NumberChanges();
  RETURN_IF_ERROR(database_->Execute("BEGIN IMMEDIATE"));
  absl::Status written = Write(book, now);
  if (written.ok()) written = database_->Execute("COMMIT");
  return written;
}

absl::Status JobFile::Write(JobBook* book, Moment now) {
  std::int64_t pages =
      kPagesPerCommit + static_cast<std::int64_t>(book->new_ids().digests.size() * sizeof(PushIdDigest)) / kPageBytes;
  RETURN_IF_ERROR(WriteFamilies(book));
  for (const std::int64_t row : book->removed_groups()) {
    RETURN_IF_ERROR(
        sqlite::RunBound(*database_, "DELETE FROM series WHERE group_id = ?", [&](auto& s) { s.Bind(1, row); }));
    RETURN_IF_ERROR(sqlite::RunBound(*database_, "DELETE FROM groups WHERE id = ?", [&](auto& s) { s.Bind(1, row); }));
  }
  for (const JobGroupState* group : book->changed_groups()) {
    RETURN_IF_ERROR(WriteGroup(*group));
    RETURN_IF_ERROR(WriteSeries(*group));
    pages += 1 + static_cast<std::int64_t>(group->changed_series.size());
  }
  RETURN_IF_ERROR(WriteIds(book, now));
  ASSIGN_OR_RETURN(sqlite::Statement store,
                   database_->Prepare("INSERT OR REPLACE INTO store (id, store_id, version, boot_id, written_boot_us, "
                                      "written_us) VALUES (1, ?, ?, ?, ?, ?)"));
  logged_bytes_ += pages * kPageBytes;
  return store.Bind(1, store_id_)
      .Bind(2, book->version())
      .Bind(3, options_.boot_id)
      .Bind(4, Micros(now.monotonic))
      .Bind(5, now.wall)
      .Run();
}

absl::Status JobFile::WriteFamilies(JobBook* book) {
  for (const std::int64_t row : book->removed_families()) {
    RETURN_IF_ERROR(
        sqlite::RunBound(*database_, "DELETE FROM families WHERE id = ?", [&](auto& s) { s.Bind(1, row); }));
  }
  for (const JobFamilyState* family : book->changed_families()) {
    const std::string body = family->body.SerializeAsString();
    RETURN_IF_ERROR(sqlite::RunBound(*database_, "INSERT OR REPLACE INTO families (id, body) VALUES (?, ?)",
                                     [&](auto& s) { s.Bind(1, family->row).BindBlob(2, body.data(), body.size()); }));
  }
  return absl::OkStatus();
}

absl::Status JobFile::WriteGroup(const JobGroupState& group) {
  if (group.is_cleared) {
    RETURN_IF_ERROR(
        sqlite::RunBound(*database_, "DELETE FROM series WHERE group_id = ?", [&](auto& s) { s.Bind(1, group.row); }));
  }
  ASSIGN_OR_RETURN(sqlite::Statement insert,
                   database_->Prepare("INSERT OR REPLACE INTO groups (id, name, version, is_deleted, first_push_us, "
                                      "last_push_us, last_success_us, last_failure_us, successes, failures, period_us, "
                                      "ttl_us, refused) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  return insert.Bind(1, group.row)
      .Bind(2, group.name)
      .Bind(3, group.version)
      .Bind(4, group.is_deleted ? 1 : 0)
      .Bind(5, Micros(group.first_push))
      .Bind(6, Micros(group.last_push))
      .Bind(7, Micros(group.last_success))
      .Bind(8, Micros(group.last_failure))
      .Bind(9, group.successes)
      .Bind(10, group.failures)
      .Bind(11, Micros(group.period))
      .Bind(12, Micros(group.time_to_live))
      .Bind(13, group.refused)
      .Run();
}

absl::Status JobFile::WriteSeries(const JobGroupState& group) {
  for (const JobSeriesState* series : group.changed_series) {
    const std::string body = series->body.SerializeAsString();
    RETURN_IF_ERROR(sqlite::RunBound(
        *database_, "INSERT OR REPLACE INTO series (id, group_id, family_id, body) VALUES (?, ?, ?, ?)", [&](auto& s) {
          s.Bind(1, series->row).Bind(2, group.row).Bind(3, series->family->row).BindBlob(4, body.data(), body.size());
        }));
  }
  return absl::OkStatus();
}

absl::Status JobFile::WriteIds(JobBook* book, Moment now) {
  const PushIdBatch& batch = book->new_ids();
  if (!batch.digests.empty()) {
    RETURN_IF_ERROR(
        sqlite::RunBound(*database_, "INSERT INTO push_ids (id, taken_us, digests) VALUES (?, ?, ?)", [&](auto& s) {
          s.Bind(1, batch.row)
              .Bind(2, now.wall)
              .BindBlob(3, batch.digests.data(), batch.digests.size() * sizeof(PushIdDigest));
        }));
  }
  return sqlite::RunBound(*database_, "DELETE FROM push_ids WHERE id <= ?",
                          [&](auto& s) { s.Bind(1, book->forgotten_ids_row()); });
}

absl::Status JobFile::CheckpointIfDue() {
  if (logged_bytes_ < kLogBytes) return absl::OkStatus();
  RETURN_IF_ERROR(database_->Checkpoint());
  logged_bytes_ = 0;
  return absl::OkStatus();
}

}  // namespace muster::agent
