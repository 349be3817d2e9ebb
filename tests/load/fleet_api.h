// What the simulator asks of the hub's API: targets before it begins, and at the end what the hub kept of what was
// said.
#ifndef MUSTER_TESTS_LOAD_FLEET_API_H_
#define MUSTER_TESTS_LOAD_FLEET_API_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "hub/cli/settings.h"
#include "tests/load/sim_agent.h"

namespace muster::load {

// "PREFIX-00000" and on. Blocks; several connections at a time. ALREADY_EXISTS: another run used the prefix.
absl::StatusOr<std::vector<TargetName>> CreateTargets(const cli::Settings& settings, const std::string& prefix,
                                                      int count);
// For a server that knows no targets.
std::vector<TargetName> InventTargets(int count);

struct Kept {
  std::int64_t agents = 0;
  std::int64_t lines_written = 0;
  std::int64_t lines_missing = 0;
  std::int64_t lines_twice = 0;
  std::int64_t changes_made = 0;
  std::int64_t changes_missing = 0;
  std::int64_t changes_twice = 0;
  // Targets that history calls stale within [from, to), and those that it calls anything but connected.
  std::int64_t targets_stale = 0;
  std::int64_t targets_not_connected = 0;
};

// Reads the logs and histories of some of these agents, evenly chosen. All they recorded must be acknowledged.
absl::StatusOr<Kept> CheckKept(const cli::Settings& settings, const std::string& prefix,
                               std::span<const std::unique_ptr<SimAgent>> agents, int deployments, int sample,
                               absl::Time from, absl::Time to);

}  // namespace muster::load

#endif  // MUSTER_TESTS_LOAD_FLEET_API_H_
