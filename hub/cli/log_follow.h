// `muster logs -f`: what is stored at the end, then what comes. After a lost connection it goes on behind the last line
// shown. One thread.
#ifndef MUSTER_HUB_CLI_LOG_FOLLOW_H_
#define MUSTER_HUB_CLI_LOG_FOLLOW_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "hub/cli/lasting_stream.h"
#include "hub/cli/log_printer.h"
#include "muster/fleet/v1/fleet.pb.h"

namespace muster::cli {

class LogFollow {
 public:
  LogFollow(const CommandContext& context, fleet::v1::TailLogsRequest request, LogPrinter* printer, Backoff backoff)
      : context_(context), request_(std::move(request)), printer_(printer), stream_(context, std::move(backoff)) {}

  // Returns as LastingStream does, and when the output is gone.
  absl::Status Run();

 private:
  absl::Status Play();
  absl::Status OnMessage();
  // The hub does not know the position, since its store was replaced by a backup: by time from here on.
  void ForgetPosition();

  const CommandContext& context_;
  // How to go on: the position of the last message.
  fleet::v1::TailLogsRequest request_;
  LogPrinter* const printer_;
  LastingStream stream_;
  fleet::v1::TailLogsResponse message_;
  // The latest that was shown.
  std::optional<absl::Time> last_time_;
};

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_LOG_FOLLOW_H_
