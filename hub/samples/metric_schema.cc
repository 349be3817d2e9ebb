#include "hub/samples/metric_schema.h"

namespace muster::hub {
namespace {

constexpr sqlite::Sql kVersion1 = R"sql(
CREATE TABLE metric_meta(
  id INTEGER PRIMARY KEY CHECK(id=1),
  -- The newest raw sample that was forgotten: raw samples may be missing up to here.
  raw_pruned_us INTEGER NOT NULL
) STRICT;
INSERT INTO metric_meta VALUES(1, 0);

CREATE TABLE metric_targets(
  number INTEGER PRIMARY KEY,
  target_id TEXT NOT NULL UNIQUE,
  -- Of its newest sample that was ever here.
  newest_us INTEGER NOT NULL
) STRICT;

-- The last sample of an epoch that was taken from hub.db.
CREATE TABLE metric_positions(
  target_id TEXT NOT NULL,
  epoch TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  touched_us INTEGER NOT NULL,
  PRIMARY KEY(target_id, epoch)
) STRICT, WITHOUT ROWID;

-- Numbers rise, so chunks are added at the end only.
CREATE TABLE raw_chunks(
  id INTEGER PRIMARY KEY,
  target INTEGER NOT NULL,
  first_us INTEGER NOT NULL,
  last_us INTEGER NOT NULL,
  value_count INTEGER NOT NULL,
  data BLOB NOT NULL
) STRICT;
CREATE INDEX raw_chunks_by_target ON raw_chunks(target, last_us, first_us);
CREATE INDEX raw_chunks_by_age ON raw_chunks(last_us);

CREATE TABLE rollup_chunks(
  id INTEGER PRIMARY KEY,
  target INTEGER NOT NULL,
  begin_us INTEGER NOT NULL,
  value_count INTEGER NOT NULL,
  data BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX rollup_chunks_by_target ON rollup_chunks(target, begin_us);
CREATE INDEX rollup_chunks_by_age ON rollup_chunks(begin_us);

PRAGMA application_id = 0x4D55534D;
PRAGMA user_version = 1;
)sql";

// Chunks may hold series 21 and 22 (docs/formats/metric-chunk.md): a hub that does not know them must not take them for
// damaged.
constexpr sqlite::Sql kVersion2 = "PRAGMA user_version = 2;";

constexpr sqlite::Sql kSteps[] = {kVersion1, kVersion2};

}  // namespace

const Schema& MetricSchema() {
  static constexpr Schema kSchema{.application_id = 0x4D55534D, .steps = kSteps};  // "MUSM"
  return kSchema;
}

}  // namespace muster::hub
