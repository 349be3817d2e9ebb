// Finds rows of the journal in the raw pages of its file and of its write-ahead log, for when SQLite cannot read the
// pages that lead to them (https://www.sqlite.org/fileformat2.html, "B-tree Pages", "Record Format"). Every row proves
// itself by its checksum, so whatever looks like one may be tried.
#ifndef MUSTER_AGENT_JOURNAL_JOURNAL_CARVE_H_
#define MUSTER_AGENT_JOURNAL_JOURNAL_CARVE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "agent/journal/journal_rows.h"

namespace muster::agent {

// A page by its number from 1; empty when there is none.
using PageReader = absl::FunctionRef<std::string(std::uint32_t)>;

// Calls `visit` for each intact row in a leaf page of the records; other pages have none. Stops when it returns false.
void CarvePage(std::string_view page, PageReader pages, absl::FunctionRef<bool(JournalRow)> visit);

// The same for all pages of the file at `path`, and for all page images of its log. Rows come in any order, several
// times, and also such as were deleted. Returns when `visit` returns false.
void CarveJournal(const std::string& path, absl::FunctionRef<bool(JournalRow)> visit);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOURNAL_JOURNAL_CARVE_H_
