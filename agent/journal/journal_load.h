// Reads and checks the journal's file at the start: every row's checksum, and that every number is covered. What is
// missing becomes a gap. Used by JournalStore.
#ifndef MUSTER_AGENT_JOURNAL_JOURNAL_LOAD_H_
#define MUSTER_AGENT_JOURNAL_JOURNAL_LOAD_H_

#include <string>

#include "absl/status/statusor.h"
#include "agent/journal/journal_state.h"
#include "common/sqlite/database.h"

namespace muster::agent {

// Makes the tables in an empty file, and those that a file of schema 1 lacks. What is another target's is deleted.
// DATABASE_CORRUPT when SQLite cannot read the file, or it was written by a newer agent. Old epochs that hold nothing
// are forgotten, but for `own_epoch`.
absl::StatusOr<JournalState> LoadJournal(sqlite::Database* database, const std::string& target_id,
                                         const std::string& own_epoch);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOURNAL_JOURNAL_LOAD_H_
