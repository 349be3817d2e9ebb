// What is known about the containers of this host, and the picture of deployments made from it (docs/status-rules.md):
// grouping, status with its time, application and version, revision, and the memory of deployments whose containers are
// gone. Knows no engine and no clock. Not thread-safe.
#ifndef MUSTER_AGENT_DOCKER_DEPLOYMENT_BOOK_H_
#define MUSTER_AGENT_DOCKER_DEPLOYMENT_BOOK_H_

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/deployments/picture.h"
#include "agent/deployments/status_keeper.h"
#include "agent/docker/engine_types.h"
#include "agent/docker/restart_history.h"
#include "agent/logs/log_sources.h"
#include "agent/present.h"
#include "common/clock.h"

namespace muster::agent {

// How long a service that is away keeps its part of the revision.
inline constexpr absl::Duration kRevisionGrace = absl::Seconds(60);

// `docker run --rm` on its own becomes a deployment when it has lived so long: most are a person's or a job's one
// command.
inline constexpr absl::Duration kMinAutoRemoveAge = absl::Seconds(10);

class DeploymentBook {
 public:
  void OnEvent(const EngineEvent& event, Moment now);
  // A container as it was just inspected or, when it cannot be inspected, as the list shows it. What a list does not
  // show is kept from the last inspection.
  void Put(Container container, Moment now);
  // The container no longer exists.
  void Remove(std::string_view id);

  std::vector<std::string> ContainerIds() const;
  // Judges everything anew.
  Present Look(Moment now);
  // All containers, running or not, of the deployments in the picture that Look just made; those that were never
  // inspected are left out, because how to read their logs is not known.
  std::vector<LogContainer> LogContainers(const Present& present, Moment now) const;
  ContainerCensus Census() const;

 private:
  struct Tracked {
    Container container;
    RestartHistory history;
    // Exit code of the last `die` since the last start.
    std::optional<int> died_with;
  };
  struct Part {
    std::string digest;
    std::optional<Instant> away_since;
  };
  struct Memory {
    v1::DeploymentState state;
    StatusKeeper status;
    std::map<std::string, Part> parts;
    std::optional<Instant> gone_since;
  };
  using Members = std::vector<const Tracked*>;

  std::map<std::string, Members> Group(Moment now) const;
  bool IsLeftOut(const Container& container, const std::string& key, Moment now) const;
  void Judge(const Members& members, Moment now, Memory& memory) const;
  void UpdateRevision(const Members& members, Moment now, Memory& memory) const;
  void ForgetOldestGone(std::size_t living);

  std::map<std::string, Tracked, std::less<>> containers_;
  std::map<std::string, Memory> deployments_;
  // Deployments to drop without an error if nothing is left of them.
  std::set<std::string> done_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_DOCKER_DEPLOYMENT_BOOK_H_
