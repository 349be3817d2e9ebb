#include "common/sqlite/database.h"

#include <fmt/format.h>

#include <utility>

#include "common/status.h"

namespace muster::sqlite {
namespace {

constexpr int kBusyTimeoutMs = 5000;

// A negative control of tests/fault: the build that does not sync must be caught there.
#ifdef MUSTER_MUTANT_NO_SYNC
#define MUSTER_SYNCHRONOUS "OFF"
#else
#define MUSTER_SYNCHRONOUS "FULL"
#endif

absl::Status HandleError(sqlite3* handle, std::string_view context) {
  return StatusFromSqlite(sqlite3_extended_errcode(handle), sqlite3_errmsg(handle), context);
}

}  // namespace

absl::Status StatusFromSqlite(int extended_code, std::string_view message, std::string_view context) {
  const std::string text = fmt::format("{}: {} (SQLite {})", context, message, extended_code);
  switch (extended_code & 0xFF) {
    case SQLITE_FULL:
      return MakeError(absl::StatusCode::kResourceExhausted, "DISK_FULL", text);
    case SQLITE_IOERR:
      // A full disk, when it is the index of the write-ahead log that does not fit.
      if (extended_code == SQLITE_IOERR_SHMSIZE)
        return MakeError(absl::StatusCode::kResourceExhausted, "DISK_FULL", text);
      return MakeError(absl::StatusCode::kDataLoss, "DISK_IO", text);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return MakeError(absl::StatusCode::kDataLoss, "DATABASE_CORRUPT", text);
    case SQLITE_CONSTRAINT:
      return MakeError(absl::StatusCode::kAlreadyExists, "CONSTRAINT", text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return MakeError(absl::StatusCode::kUnavailable, "DATABASE_BUSY", text);
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
      return MakeError(absl::StatusCode::kPermissionDenied, "DATABASE_UNREADABLE", text);
    default:
      return MakeError(absl::StatusCode::kInternal, "DATABASE_ERROR", text);
  }
}

Statement::~Statement() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

void Statement::NoteBind(int code) {
  if (code != SQLITE_OK && bind_error_ == SQLITE_OK) bind_error_ = code;
}

Statement& Statement::Bind(int index, std::int64_t value) {
  NoteBind(sqlite3_bind_int64(statement_, index, value));
  return *this;
}

Statement& Statement::Bind(int index, std::string_view value) {
  NoteBind(sqlite3_bind_text64(statement_, index, value.empty() ? "" : value.data(), value.size(), SQLITE_STATIC,
                               SQLITE_UTF8));
  return *this;
}

Statement& Statement::BindBlob(int index, const void* data, std::size_t size) {
  NoteBind(sqlite3_bind_blob64(statement_, index, data, size, SQLITE_STATIC));
  return *this;
}

Statement& Statement::Bind(int index, absl::Time value) { return Bind(index, absl::ToUnixMicros(value)); }

Statement& Statement::BindNull(int index) {
  NoteBind(sqlite3_bind_null(statement_, index));
  return *this;
}

absl::StatusOr<bool> Statement::Step() {
  if (bind_error_ != SQLITE_OK) return StatusFromSqlite(bind_error_, sqlite3_errstr(bind_error_), "bind parameter");
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return HandleError(sqlite3_db_handle(statement_), sqlite3_sql(statement_));
}

absl::Status Statement::Run() {
  while (true) {
    ASSIGN_OR_RETURN(const bool row, Step());
    if (!row) return absl::OkStatus();
  }
}

bool Statement::IsNull(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

std::int64_t Statement::Int64(int column) const { return sqlite3_column_int64(statement_, column); }

std::string Statement::Text(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), size);
}

absl::Time Statement::Time(int column) const { return absl::FromUnixMicros(Int64(column)); }

std::optional<absl::Time> Statement::OptionalTime(int column) const {
  if (IsNull(column)) return std::nullopt;
  return Time(column);
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path, OpenMode mode,
                                                         const std::string& vfs) {
  const int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                    (mode == OpenMode::kWriter ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, vfs.empty() ? nullptr : vfs.c_str());
  std::unique_ptr<Database> database(new Database(handle));
  const std::string context = fmt::format("open database {}", path);
  if (code != SQLITE_OK) return StatusFromSqlite(code, sqlite3_errstr(code), context);
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, mode == OpenMode::kReader ? 1 : 0, nullptr);
  if (absl::Status set_up = database->SetUp(mode); !set_up.ok()) return Annotate(set_up, context);
  return database;
}

absl::Status Database::SetUp(OpenMode mode) {
  if (mode == OpenMode::kReader) return Execute("PRAGMA query_only=ON;");
  // EXTRA until the file is a WAL database: a rollback journal that came back after a power cut would undo everything.
  RETURN_IF_ERROR(Execute("PRAGMA synchronous=EXTRA; PRAGMA journal_mode=WAL; PRAGMA synchronous=" MUSTER_SYNCHRONOUS
                          "; PRAGMA wal_autocheckpoint=0; PRAGMA foreign_keys=ON; PRAGMA secure_delete=OFF;"));
  return SettleLog();
}

absl::Status Database::SettleLog() {
  int frames = 0;
  const int code = sqlite3_wal_checkpoint_v2(handle_, nullptr, SQLITE_CHECKPOINT_PASSIVE, &frames, nullptr);
  if (code == SQLITE_BUSY) return absl::OkStatus();
  if (code != SQLITE_OK) return HandleError(handle_, "checkpoint");
  if (frames <= 0) return absl::OkStatus();
  // Any commit does; this one changes nothing.
  ASSIGN_OR_RETURN(const int version, UserVersion());
  const std::string sql = fmt::format("PRAGMA user_version={}", version);
  if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) return HandleError(handle_, sql);
  return absl::OkStatus();
}

Database::~Database() {
  for (const auto& [literal, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(handle_);
}

absl::StatusOr<Statement> Database::Prepare(Sql sql) {
  sqlite3_stmt*& cached = statements_[sql.text()];
  if (cached != nullptr && sqlite3_stmt_busy(cached) == 0) return Statement(cached);
  if (cached != nullptr) {
    return MakeError(absl::StatusCode::kInternal, "STATEMENT_IN_USE",
                     fmt::format("statement used again while its rows are being read: {}", sql.text()));
  }
  if (sqlite3_prepare_v3(handle_, sql.text(), -1, SQLITE_PREPARE_PERSISTENT, &cached, nullptr) != SQLITE_OK) {
    return HandleError(handle_, sql.text());
  }
  return Statement(cached);
}

absl::Status Database::Execute(Sql sql) {
  if (sqlite3_exec(handle_, sql.text(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    return HandleError(handle_, sql.text());
  }
  return absl::OkStatus();
}

absl::Status Database::Run(Sql sql) {
  ASSIGN_OR_RETURN(Statement statement, Prepare(sql));
  return statement.Run();
}

absl::StatusOr<int> Database::UserVersion() {
  ASSIGN_OR_RETURN(Statement statement, Prepare("PRAGMA user_version"));
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  return row ? statement.Int(0) : 0;
}

absl::Status Database::LimitPages(std::int64_t pages) {
  const std::string sql = fmt::format("PRAGMA max_page_count={}", pages);
  if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) return HandleError(handle_, sql);
  return absl::OkStatus();
}

absl::Status Database::Checkpoint() {
  const int code = sqlite3_wal_checkpoint_v2(handle_, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (code != SQLITE_OK && code != SQLITE_BUSY) return HandleError(handle_, "checkpoint");
  return absl::OkStatus();
}

}  // namespace muster::sqlite
