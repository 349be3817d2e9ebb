// Saves what can be read of a damaged journal (docs/adr/0003-journal-in-sqlite.md). The new file is built beside the
// old one and takes its place when it is complete, so a crash at any moment loses nothing that could be saved.
#ifndef MUSTER_AGENT_JOURNAL_JOURNAL_SALVAGE_H_
#define MUSTER_AGENT_JOURNAL_JOURNAL_SALVAGE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace muster::agent {

// The old file stays as PATH.damaged, in place of an older one. Fails only when the new one cannot be written. Where
// something of collecting logs is lost, the new one says since when: the newest record's time, `now` at the latest.
absl::Status SalvageJournal(const std::string& path, const std::string& vfs, const absl::Status& why, absl::Time now);

// Ends what a crash interrupted; to be called before the journal is opened.
absl::Status FinishSalvage(const std::string& path);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOURNAL_JOURNAL_SALVAGE_H_
