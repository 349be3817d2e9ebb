// The whole command line: parses the arguments, runs the command, says what went wrong. main.cc hands in the real
// console and transport, tests hand in fakes. Call once, from one thread.
#ifndef MUSTER_HUB_CLI_APP_H_
#define MUSTER_HUB_CLI_APP_H_

#include <string>
#include <vector>

#include "common/clock.h"
#include "hub/cli/console.h"
#include "hub/cli/http_transport.h"
#include "hub/cli/settings.h"

namespace muster::cli {

struct AppParts {
  HttpTransport* transport;
  Console* console;
  Interrupt* interrupt;
  const Clock* clock;
  Environment environment;
};

// `args` without the program's name. Returns the exit code.
int RunApp(const std::vector<std::string>& args, const AppParts& parts);

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_APP_H_
