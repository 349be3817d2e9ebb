// SQLite behind values and absl::Status. A Database is one connection and belongs to one thread at a time; Muster
// opens one writing connection per file (SQLite 3.7 to 3.51.2 can corrupt a WAL when two connections write or
// checkpoint at once) and readers that never checkpoint.
//
// Statements are string literals by type: SQL text is never put together at run time, values are only bound.
#ifndef MUSTER_COMMON_SQLITE_DATABASE_H_
#define MUSTER_COMMON_SQLITE_DATABASE_H_

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace muster::sqlite {

// Constructible from string literals only.
class Sql {
 public:
  template <std::size_t N>
  consteval Sql(const char (&literal)[N]) : text_(literal) {}  // NOLINT(google-explicit-constructor)
  const char* text() const { return text_; }

 private:
  const char* text_;
};

// One use of a prepared statement: bind, step, read columns. Returned to the connection's cache when destroyed.
// Valid only while its Database lives. Strings that are bound must live until the last Step.
class Statement {
 public:
  Statement(Statement&& other) noexcept : statement_(other.statement_), bind_error_(other.bind_error_) {
    other.statement_ = nullptr;
  }
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  // Parameters are numbered from 1. A failed bind is reported by the next Step.
  Statement& Bind(int index, std::int64_t value);
  Statement& Bind(int index, int value) { return Bind(index, std::int64_t{value}); }
  Statement& Bind(int index, bool value) { return Bind(index, std::int64_t{value}); }
  Statement& Bind(int index, std::string_view value);
  Statement& Bind(int index, const std::string& value) { return Bind(index, std::string_view(value)); }
  Statement& Bind(int index, const char* value) { return Bind(index, std::string_view(value)); }
  Statement& BindBlob(int index, const void* data, std::size_t size);
  // Microseconds since 1970.
  Statement& Bind(int index, absl::Time value);
  Statement& BindNull(int index);
  template <typename T>
  Statement& Bind(int index, const std::optional<T>& value) {
    return value ? Bind(index, *value) : BindNull(index);
  }

  // True: a row is there to be read. False: done.
  absl::StatusOr<bool> Step();
  // Steps to the end, for statements that return no rows.
  absl::Status Run();

  // Columns are numbered from 0.
  int Columns() const { return sqlite3_column_count(statement_); }
  bool IsNull(int column) const;
  std::int64_t Int64(int column) const;
  int Int(int column) const { return static_cast<int>(Int64(column)); }
  bool Bool(int column) const { return Int64(column) != 0; }
  // Text or blob.
  std::string Text(int column) const;
  absl::Time Time(int column) const;
  std::optional<absl::Time> OptionalTime(int column) const;

 private:
  friend class Database;
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
  void NoteBind(int code);

  sqlite3_stmt* statement_;
  int bind_error_ = 0;
};

enum class OpenMode {
  // Creates the file; WAL, synchronous=FULL, no automatic checkpoints, foreign keys on.
  kWriter,
  // Read-only; never checkpoints.
  kReader,
};

class Database {
 public:
  // `vfs` names the file layer, for tests; SQLite's own when empty.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path, OpenMode mode,
                                                        const std::string& vfs = "");
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Prepared at the first use of the literal, then reused.
  absl::StatusOr<Statement> Prepare(Sql sql);
  // One or more statements without parameters.
  absl::Status Execute(Sql sql);
  // One statement without parameters and rows, prepared as by Prepare.
  absl::Status Run(Sql sql);

  // PRAGMA user_version, the schema's number.
  absl::StatusOr<int> UserVersion();

  // The file never gets larger than this; writes beyond fail as on a full disk. Not below what it has.
  absl::Status LimitPages(std::int64_t pages);

  // Moves the WAL's content into the file without waiting for readers. Writers only, outside a transaction.
  absl::Status Checkpoint();

  // Rows changed by the last statement.
  std::int64_t Changes() const { return sqlite3_changes64(handle_); }

 private:
  explicit Database(sqlite3* handle) : handle_(handle) {}
  absl::Status SetUp(OpenMode mode);
  // A log that the run before left may hold commits whose sync failed: the system shows them, the disk does not have
  // them, and no later sync brings them there. Moves all of it into the file and begins the log anew, so that nothing
  // is told or built on what a power cut would take.
  absl::Status SettleLog();

  sqlite3* const handle_;
  // Keyed by the literal's address; a statement has one user at a time.
  std::unordered_map<const char*, sqlite3_stmt*> statements_;
};

// For statements that return no rows: `bind` is handed the statement.
template <typename Bind>
absl::Status RunBound(Database& database, Sql sql, Bind bind) {
  absl::StatusOr<Statement> statement = database.Prepare(sql);
  if (!statement.ok()) return statement.status();
  bind(*statement);
  return statement->Run();
}

// The status of a result code: full disk -> RESOURCE_EXHAUSTED "DISK_FULL", I/O error -> DATA_LOSS "DISK_IO",
// corruption -> DATA_LOSS "DATABASE_CORRUPT", constraint -> ALREADY_EXISTS, busy -> UNAVAILABLE.
absl::Status StatusFromSqlite(int extended_code, std::string_view message, std::string_view context);

}  // namespace muster::sqlite

#endif  // MUSTER_COMMON_SQLITE_DATABASE_H_
