// muster: the operators' command line.
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "hub/cli/app.h"
#include "hub/cli/console.h"
#include "hub/cli/curl_transport.h"

int main(int argc, char** argv) {
  using namespace muster;
  cli::SignalInterrupt interrupt;
  cli::TerminalConsole console(&interrupt);
  cli::CurlTransport transport(Clock::System(), &interrupt);
  const cli::Environment environment = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
  return cli::RunApp(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc), {.transport = &transport,
                                                                                        .console = &console,
                                                                                        .interrupt = &interrupt,
                                                                                        .clock = Clock::System(),
                                                                                        .environment = environment});
}
