// A server stream that survives the hub going away: says so, waits, and comes back. FleetWatch and LogFollow play their
// streams through one. One thread.
#ifndef MUSTER_HUB_CLI_LASTING_STREAM_H_
#define MUSTER_HUB_CLI_LASTING_STREAM_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "hub/cli/command_context.h"

namespace muster::cli {

class LastingStream {
 public:
  // An operator who watches wants the picture back soon; one connection in 10 s is no load.
  static constexpr Backoff::Options kRetry = {.initial = absl::Seconds(1), .maximum = absl::Seconds(10)};
  // How often `show_away` is called, and how long a stream lasts at least that is opened anew without a word.
  static constexpr absl::Duration kTick = absl::Seconds(1);

  // `show_away` shows that the hub is away, which else is said on stderr; may be empty.
  LastingStream(const CommandContext& context, Backoff backoff, std::function<absl::Status()> show_away = nullptr)
      : context_(context), backoff_(std::move(backoff)), show_away_(std::move(show_away)) {}

  // `play` opens the stream once and returns when it has ended. Returns when interrupted, or on an error that waiting
  // does not heal. The first connection has to succeed: until then nobody knows whether the address is right.
  absl::Status Run(const std::function<absl::Status()>& play);
  // `play` calls it for each message, before the message is shown.
  void NoteMessage();

  bool any_message() const { return any_message_; }
  // Since when and why the hub is away.
  std::optional<Instant> away_since() const { return away_since_; }
  const std::string& away_why() const { return away_why_; }

 private:
  absl::Status AwayAndWait(const absl::Status& why);

  const CommandContext& context_;
  Backoff backoff_;
  const std::function<absl::Status()> show_away_;
  bool any_message_ = false;
  bool message_in_this_stream_ = false;
  std::optional<Instant> away_since_;
  std::string away_why_;
};

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_LASTING_STREAM_H_
