#include "hub/logs/log_schema.h"

namespace muster::hub {
namespace {

constexpr sqlite::Sql kVersion1 = R"sql(
CREATE TABLE log_meta(
  id INTEGER PRIMARY KEY CHECK(id=1),
  -- Drawn once: numbers of lines are comparable within it.
  log_epoch TEXT NOT NULL,
  next_line INTEGER NOT NULL
) STRICT;
INSERT INTO log_meta VALUES(1, lower(hex(randomblob(16))), 1);

CREATE TABLE log_sources(
  id INTEGER PRIMARY KEY,
  target_id TEXT NOT NULL,
  -- Empty: the agent's own log.
  deployment_id TEXT NOT NULL,
  resource TEXT NOT NULL,
  revision TEXT NOT NULL,
  -- Number of the first line that it ever had.
  first_line INTEGER NOT NULL,
  -- Of its chunks, not of its tail.
  first_us INTEGER,
  last_us INTEGER,
  last_line INTEGER NOT NULL DEFAULT 0,
  lines INTEGER NOT NULL DEFAULT 0,
  bytes INTEGER NOT NULL DEFAULT 0,
  pruned_lines INTEGER NOT NULL DEFAULT 0,
  pruned_to_us INTEGER
) STRICT;
CREATE UNIQUE INDEX log_sources_by_name ON log_sources(target_id, deployment_id, resource, revision);

-- Lines as they came. Numbers rise, so rows are added at the end only.
CREATE TABLE log_tail(
  first_line INTEGER PRIMARY KEY,
  source INTEGER NOT NULL,
  lines INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  first_us INTEGER NOT NULL,
  last_us INTEGER NOT NULL,
  arrived_us INTEGER NOT NULL,
  head BLOB NOT NULL,
  text BLOB NOT NULL
) STRICT;

CREATE TABLE log_chunks(
  source INTEGER NOT NULL,
  last_us INTEGER NOT NULL,
  first_line INTEGER NOT NULL,
  first_us INTEGER NOT NULL,
  last_line INTEGER NOT NULL,
  lines INTEGER NOT NULL,
  raw_bytes INTEGER NOT NULL,
  stored_bytes INTEGER NOT NULL,
  -- Of its newest line.
  arrived_us INTEGER NOT NULL,
  -- Lines by level, from none to fatal: seven numbers of four bytes, little endian.
  levels BLOB NOT NULL,
  damaged INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(source, last_us, first_line)
) STRICT, WITHOUT ROWID;

CREATE TABLE log_chunk_data(
  first_line INTEGER PRIMARY KEY,
  source INTEGER NOT NULL,
  last_us INTEGER NOT NULL,
  head BLOB NOT NULL,
  text BLOB NOT NULL
) STRICT;

-- As in hub.db, of the lane of logs.
CREATE TABLE journal_positions(
  target_id TEXT NOT NULL,
  epoch TEXT NOT NULL,
  lane INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  at_us INTEGER NOT NULL,
  touched_us INTEGER NOT NULL,
  -- What is added to the host's times.
  shift_us INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(target_id, epoch, lane)
) STRICT, WITHOUT ROWID;

CREATE TABLE poisoned_records(
  target_id TEXT NOT NULL,
  epoch TEXT NOT NULL,
  lane INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  reason TEXT NOT NULL,
  noted_us INTEGER NOT NULL,
  PRIMARY KEY(target_id, epoch, lane, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE log_gaps(
  target_id TEXT NOT NULL,
  epoch TEXT NOT NULL,
  first_sequence INTEGER NOT NULL,
  last_sequence INTEGER NOT NULL,
  reason INTEGER NOT NULL,
  from_us INTEGER NOT NULL,
  to_us INTEGER NOT NULL,
  -- Log lines in them, as far as the agent knew.
  lines INTEGER NOT NULL,
  -- Number of the line that came next: who follows a log is told of the gap before it.
  line INTEGER NOT NULL,
  PRIMARY KEY(target_id, epoch, first_sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX log_gaps_by_time ON log_gaps(target_id, from_us);
CREATE INDEX log_gaps_by_line ON log_gaps(target_id, line);

PRAGMA application_id = 0x4D55534C;
PRAGMA user_version = 1;
)sql";

constexpr sqlite::Sql kSteps[] = {kVersion1};

}  // namespace

const Schema& LogSchema() {
  static constexpr Schema kSchema{.application_id = 0x4D55534C, .steps = kSteps};  // "MUSL"
  return kSchema;
}

}  // namespace muster::hub
