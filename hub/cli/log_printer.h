// Entries of a log onto stdout: rows for people, or with -o json an entry a line. Used by log_query and log_follow. One
// thread.
#ifndef MUSTER_HUB_CLI_LOG_PRINTER_H_
#define MUSTER_HUB_CLI_LOG_PRINTER_H_

#include <google/protobuf/repeated_field.h>

#include "absl/status/status.h"
#include "hub/cli/command_context.h"
#include "hub/cli/log_rows.h"
#include "muster/fleet/v1/fleet.pb.h"

namespace muster::cli {

using LogEntries = google::protobuf::RepeatedPtrField<fleet::v1::LogEntry>;

class LogPrinter {
 public:
  LogPrinter(const CommandContext& context, const LogRowOptions& options)
      : context_(context), options_(options), rows_(options) {}

  // In one write, in the order they come in.
  absl::Status OldestFirst(const LogEntries& entries);
  absl::Status NewestFirst(const LogEntries& entries);

 private:
  absl::Status Json(const LogEntries& entries) const;

  const CommandContext& context_;
  const LogRowOptions options_;
  LogRows rows_;
};

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_LOG_PRINTER_H_
