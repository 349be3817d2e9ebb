#include "hub/store/schema.h"

#include <iterator>

namespace muster::hub {
namespace {

constexpr sqlite::Sql kVersion1 = R"sql(
CREATE TABLE meta(
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE customers(
  name TEXT PRIMARY KEY,
  created_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE targets(
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  type INTEGER NOT NULL,
  customer TEXT NOT NULL,
  created_us INTEGER NOT NULL,
  deleted_us INTEGER,
  secret_hash BLOB NOT NULL,
  secret_generation INTEGER NOT NULL,
  session_counter INTEGER NOT NULL DEFAULT 0,
  confirmed_counter INTEGER NOT NULL DEFAULT 0,
  identity_warning TEXT NOT NULL DEFAULT '',
  metrics_enabled INTEGER NOT NULL DEFAULT 1,
  agent_version TEXT NOT NULL DEFAULT '',
  machine BLOB NOT NULL DEFAULT X'',
  last_seen_us INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX targets_by_name ON targets(name) WHERE deleted_us IS NULL;

CREATE TABLE retired_secrets(
  target_id TEXT NOT NULL REFERENCES targets(id),
  generation INTEGER NOT NULL,
  hash BLOB NOT NULL,
  retired_us INTEGER NOT NULL,
  PRIMARY KEY(target_id, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE connect_codes(
  hash BLOB PRIMARY KEY,
  target_id TEXT NOT NULL REFERENCES targets(id),
  expires_us INTEGER NOT NULL,
  void_us INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX connect_codes_by_target ON connect_codes(target_id);

CREATE TABLE target_intervals(
  target_id TEXT NOT NULL REFERENCES targets(id),
  from_us INTEGER NOT NULL,
  to_us INTEGER,
  state INTEGER NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY(target_id, from_us)
) STRICT, WITHOUT ROWID;
-- At most one goes on; also what finds it without reading the history.
CREATE UNIQUE INDEX target_intervals_open ON target_intervals(target_id) WHERE to_us IS NULL;

CREATE TABLE deployments(
  id TEXT PRIMARY KEY,
  target_id TEXT NOT NULL REFERENCES targets(id),
  key TEXT NOT NULL,
  created_us INTEGER NOT NULL,
  archived_us INTEGER,
  gone_us INTEGER,
  revision_us INTEGER NOT NULL,
  logs_enabled INTEGER NOT NULL DEFAULT 1,
  application TEXT,
  application_version TEXT,
  report BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX deployments_by_target ON deployments(target_id);

CREATE TABLE deployment_intervals(
  deployment_id TEXT NOT NULL REFERENCES deployments(id),
  from_us INTEGER NOT NULL,
  to_us INTEGER,
  status INTEGER NOT NULL,
  message TEXT NOT NULL,
  application_version TEXT NOT NULL,
  revision TEXT NOT NULL,
  PRIMARY KEY(deployment_id, from_us)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX deployment_intervals_open ON deployment_intervals(deployment_id) WHERE to_us IS NULL;

CREATE TABLE tokens(
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  hash BLOB NOT NULL UNIQUE,
  role INTEGER NOT NULL,
  customer TEXT NOT NULL,
  created_us INTEGER NOT NULL,
  expires_us INTEGER,
  revoked_us INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX tokens_by_name ON tokens(name) WHERE revoked_us IS NULL;

CREATE TABLE audit(
  sequence INTEGER PRIMARY KEY,
  at_us INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL,
  hash BLOB NOT NULL
) STRICT;

CREATE TABLE hub_runs(
  started_us INTEGER PRIMARY KEY,
  alive_us INTEGER NOT NULL,
  stopped_us INTEGER
) STRICT;

PRAGMA application_id = 0x4D555354;
PRAGMA user_version = 1;
)sql";

// Facts instead of intervals (docs/history.md), and the positions of agents' journals (docs/delivery.md).
constexpr sqlite::Sql kVersion2 = R"sql(
CREATE TABLE deployment_changes(
  deployment_id TEXT NOT NULL REFERENCES deployments(id),
  at_us INTEGER NOT NULL,
  -- The agent's run (agent_runs) and change_time by the agent's clock; NULL: the hub's own judgement.
  run_us INTEGER,
  agent_us INTEGER,
  -- UNSPECIFIED (0): from here on there was no such deployment. Never STALE: silences tell.
  status INTEGER NOT NULL,
  message TEXT NOT NULL,
  application_version TEXT NOT NULL,
  revision TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX deployment_changes_named ON deployment_changes(deployment_id, run_us, agent_us, status);
-- The last change of a deployment: the greatest of these. A judgement of the hub comes before a change of the agent that
-- has the same time.
CREATE INDEX deployment_changes_by_time ON deployment_changes(deployment_id, at_us, run_us, agent_us);

INSERT INTO deployment_changes(deployment_id, at_us, status, message, application_version, revision)
  SELECT deployment_id, from_us, status, message, application_version, revision FROM deployment_intervals
  WHERE status<>2;
-- Where an interval ended and none followed, there was no such deployment: it was archived, or its target deleted.
INSERT INTO deployment_changes(deployment_id, at_us, status, message, application_version, revision)
  SELECT i.deployment_id, i.to_us, 0, '', '', '' FROM deployment_intervals i
  WHERE i.to_us IS NOT NULL AND NOT EXISTS
    (SELECT 1 FROM deployment_intervals n WHERE n.deployment_id=i.deployment_id AND n.from_us=i.to_us);

CREATE TABLE silences(
  target_id TEXT NOT NULL REFERENCES targets(id),
  from_us INTEGER NOT NULL,
  to_us INTEGER,
  reason TEXT NOT NULL,
  PRIMARY KEY(target_id, from_us)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX silences_open ON silences(target_id) WHERE to_us IS NULL;

-- All deployments of a target fell silent at one time. The open silences come first: one that ended for a deployment
-- alone, because it was archived, began when they did.
INSERT INTO silences(target_id, from_us, reason)
  SELECT d.target_id, min(i.from_us), i.message FROM deployment_intervals i
  JOIN deployments d ON d.id=i.deployment_id WHERE i.status=2 AND i.to_us IS NULL GROUP BY d.target_id;
INSERT OR IGNORE INTO silences(target_id, from_us, to_us, reason)
  SELECT d.target_id, i.from_us, max(i.to_us), i.message FROM deployment_intervals i
  JOIN deployments d ON d.id=i.deployment_id WHERE i.status=2 AND i.to_us IS NOT NULL GROUP BY d.target_id, i.from_us;

DROP TABLE deployment_intervals;

-- Of deleted ones, too: their history is asked for by name.
CREATE INDEX targets_by_any_name ON targets(name);
CREATE INDEX deployments_present ON deployments(target_id) WHERE archived_us IS NULL;

CREATE TABLE presence(
  target_id TEXT NOT NULL REFERENCES targets(id),
  from_us INTEGER NOT NULL,
  to_us INTEGER NOT NULL,
  deployments_observed INTEGER NOT NULL,
  PRIMARY KEY(target_id, from_us)
) STRICT, WITHOUT ROWID;

-- One row per journal epoch: its number, which is when the hub first heard of it and rises from run to run.
CREATE TABLE agent_runs(
  target_id TEXT NOT NULL REFERENCES targets(id),
  epoch TEXT NOT NULL,
  run_us INTEGER NOT NULL,
  PRIMARY KEY(target_id, epoch)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX agent_runs_by_number ON agent_runs(target_id, run_us);

CREATE TABLE journal_positions(
  target_id TEXT NOT NULL REFERENCES targets(id),
  epoch TEXT NOT NULL,
  lane INTEGER NOT NULL,
  -- Last applied.
  sequence INTEGER NOT NULL,
  -- Time of that record at the hub: none after it is earlier.
  at_us INTEGER NOT NULL,
  touched_us INTEGER NOT NULL,
  PRIMARY KEY(target_id, epoch, lane)
) STRICT, WITHOUT ROWID;

CREATE TABLE journal_gaps(
  target_id TEXT NOT NULL REFERENCES targets(id),
  epoch TEXT NOT NULL,
  lane INTEGER NOT NULL,
  first_sequence INTEGER NOT NULL,
  last_sequence INTEGER NOT NULL,
  reason INTEGER NOT NULL,
  -- When the lost records were recorded, at the hub's clock.
  from_us INTEGER NOT NULL,
  to_us INTEGER NOT NULL,
  PRIMARY KEY(target_id, epoch, lane, first_sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX journal_gaps_by_time ON journal_gaps(target_id, from_us);

CREATE TABLE poisoned_records(
  target_id TEXT NOT NULL REFERENCES targets(id),
  epoch TEXT NOT NULL,
  lane INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  reason TEXT NOT NULL,
  noted_us INTEGER NOT NULL,
  PRIMARY KEY(target_id, epoch, lane, sequence)
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 2;
)sql";

// A hub that starts asks for them, and hosts with short-lived containers leave archived deployments by the million.
constexpr sqlite::Sql kVersion3 = R"sql(
CREATE INDEX deployments_archived_off ON deployments(archived_us) WHERE archived_us IS NOT NULL AND logs_enabled=0;

PRAGMA user_version = 3;
)sql";

// What hosts told of themselves, until it is in metrics.db (docs/host-metrics.md, "History"). Clustered as it is moved
// and asked for: by target and time.
constexpr sqlite::Sql kVersion4 = R"sql(
CREATE TABLE host_samples(
  target_id TEXT NOT NULL REFERENCES targets(id),
  at_us INTEGER NOT NULL,
  epoch TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  -- muster.agent.v1.HostSample
  sample BLOB NOT NULL,
  PRIMARY KEY(target_id, at_us, epoch, sequence)
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 4;
)sql";

// What jobs pushed (docs/jobs.md): of each group the newest totals, no history.
constexpr sqlite::Sql kVersion5 = R"sql(
CREATE TABLE job_stores(
  target_id TEXT PRIMARY KEY REFERENCES targets(id),
  -- Of the agent, and up to which of its versions all is here.
  store_id TEXT NOT NULL,
  version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE job_groups(
  -- Rises, and is not given again: the earlier group decides of which type a family is.
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  target_id TEXT NOT NULL REFERENCES targets(id),
  name TEXT NOT NULL,
  store_id TEXT NOT NULL,
  -- muster.agent.v1.JobGroup: as that store told it last, and what stores before the last few had
  -- counted.
  told BLOB NOT NULL,
  base BLOB NOT NULL,
  first_push_us INTEGER NOT NULL,
  push_us INTEGER NOT NULL,
  success_us INTEGER,
  failure_us INTEGER,
  -- When its series end; NULL: never. 0: they have ended, whatever a clock says later.
  ends_us INTEGER
) STRICT;
CREATE UNIQUE INDEX job_groups_by_name ON job_groups(target_id, name);

-- What the last of the former stores had told, so that one that comes back counts once; those before are in base.
CREATE TABLE job_former_totals(
  group_id INTEGER NOT NULL REFERENCES job_groups(id) ON DELETE CASCADE,
  store_id TEXT NOT NULL,
  told BLOB NOT NULL,
  PRIMARY KEY(group_id, store_id)
) STRICT;

PRAGMA user_version = 5;
)sql";

constexpr sqlite::Sql kSteps[] = {kVersion1, kVersion2, kVersion3, kVersion4, kVersion5};
static_assert(std::size(kSteps) == kSchemaVersion);

}  // namespace

const Schema& HubSchema() {
  static constexpr Schema kSchema{.application_id = 0x4D555354, .steps = kSteps};  // "MUST"
  return kSchema;
}

}  // namespace muster::hub
