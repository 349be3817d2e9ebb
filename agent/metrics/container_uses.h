// What running containers use, as the engine tells it one container at a time: who is asked when, and what is known of
// the others meanwhile (docs/host-metrics.md, "Collection"). Knows no engine. Not thread-safe.
#ifndef MUSTER_AGENT_METRICS_CONTAINER_USES_H_
#define MUSTER_AGENT_METRICS_CONTAINER_USES_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/docker/engine_types.h"
#include "agent/logs/log_sources.h"
#include "common/clock.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::agent {

// In one sample. An answer takes an engine some 3 ms.
inline constexpr std::size_t kMaxContainersAsked = 100;
inline constexpr absl::Duration kMaxAskingTime = absl::Seconds(5);
// What is older is not told.
inline constexpr absl::Duration kMaxUseAge = absl::Minutes(5);

class ContainerUses {
 public:
  using Ask = std::function<absl::StatusOr<ContainerStats>(const std::string& id)>;

  // Asks for those that run, in turns where there are too many. Blocks as `ask` does. Stops when the engine as a whole
  // cannot be read.
  void Update(const std::vector<LogContainer>& containers, const Clock* clock, const Ask& ask);
  // By deployment and name; a limit that is all of `host_memory_bytes` is none. Only the number of them is bounded
  // here.
  void Fill(Instant now, std::int64_t host_memory_bytes, v1::HostReport* report) const;

 private:
  struct Known {
    std::string deployment_key;
    std::string name;
    // When it was last asked, answered or not.
    std::optional<Instant> asked_at;
    std::optional<ContainerStats> stats;
    Instant told_at;
    // Since the answer before.
    std::optional<double> cpu_cores;
  };

  void Take(const std::vector<LogContainer>& containers);
  static void Note(const ContainerStats& stats, Instant now, Known& known);

  std::map<std::string, Known> known_;  // by id
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_METRICS_CONTAINER_USES_H_
