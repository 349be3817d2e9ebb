// What a command works with, and how it gives its answer: JSON or a page. Called from one thread.
#ifndef MUSTER_HUB_CLI_COMMAND_CONTEXT_H_
#define MUSTER_HUB_CLI_COMMAND_CONTEXT_H_

#include <google/protobuf/message.h>

#include <functional>

#include "absl/status/status.h"
#include "common/clock.h"
#include "hub/cli/console.h"
#include "hub/cli/fleet_client.h"
#include "hub/cli/page.h"
#include "hub/cli/settings.h"

namespace muster::cli {

class CommandContext {
 public:
  CommandContext(const Settings& settings, FleetClient* client, Console* console, Interrupt* interrupt,
                 const Clock* clock)
      : settings_(settings), client_(client), console_(console), interrupt_(interrupt), clock_(clock) {}

  FleetClient& client() const { return *client_; }
  Console& console() const { return *console_; }
  Interrupt& interrupt() const { return *interrupt_; }
  const Clock& clock() const { return *clock_; }
  bool json() const { return settings_.output == OutputFormat::kJson; }
  // Only where the command offers it.
  bool csv() const { return settings_.output == OutputFormat::kCsv; }
  // Colours and cuts that fit the terminal; none of them off a terminal.
  RenderOptions ListOptions() const;
  // Like ListOptions, but nothing is cut: what is to be copied or read in full.
  RenderOptions TextOptions() const;

  absl::Status PrintJson(const google::protobuf::Message& message) const;
  // The message as JSON, or what `view` makes of it.
  absl::Status PrintList(const google::protobuf::Message& message, const std::function<void(Page*)>& view) const;
  absl::Status PrintText(const google::protobuf::Message& message, const std::function<void(Page*)>& view) const;

  // OK when `name` was given by --confirm or is typed now. `question` tells what is about to happen.
  absl::Status Confirm(std::string_view name, std::string_view confirmed, std::string_view question) const;

 private:
  absl::Status Print(const google::protobuf::Message& message, const std::function<void(Page*)>& view,
                     const RenderOptions& options) const;

  const Settings& settings_;
  FleetClient* const client_;
  Console* const console_;
  Interrupt* const interrupt_;
  const Clock* const clock_;
};

// A command whose arguments are parsed.
using Action = std::function<absl::Status(const CommandContext&)>;

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_COMMAND_CONTEXT_H_
