// Stored log lines: page after page onto stdout, or as an export. A scan that the hub stopped at a limit goes on. Used
// by `muster logs` and `muster agent-logs`; one thread.
#ifndef MUSTER_HUB_CLI_LOG_QUERY_H_
#define MUSTER_HUB_CLI_LOG_QUERY_H_

#include <string>

#include "absl/status/status.h"
#include "hub/cli/command_context.h"
#include "hub/cli/log_printer.h"
#include "muster/fleet/v1/fleet.pb.h"

namespace muster::cli {

struct LogQuery {
  fleet::v1::LogSelection selection;
  // The newest so many lines, which are held until all are there; 0: all.
  int limit = 0;
  bool newest_first = false;
  int context_lines = 0;
};

// Lines go out as pages come, but for a limited query that is shown oldest first: at its end, or when it fails or is
// interrupted.
absl::Status QueryLogs(const CommandContext& context, const LogQuery& query, LogPrinter* printer);

// The hub's bytes as they come; what is missing in them is said on stderr. EXPORT_INCOMPLETE: the hub ended it early.
absl::Status ExportLogs(const CommandContext& context, const fleet::v1::ExportLogsRequest& request);

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_LOG_QUERY_H_
