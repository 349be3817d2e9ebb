// From an observer's picture to the frame that carries it (docs/protocol.md, "The present"). Pure functions.
#ifndef MUSTER_AGENT_SESSION_SNAPSHOT_H_
#define MUSTER_AGENT_SESSION_SNAPSHOT_H_

#include <cstddef>

#include "agent/present.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::agent {

// A frame may have 1 MiB: beside the snapshot a report of the host (kMaxHostReportBytes), and 12 KiB for the heartbeat
// around both.
inline constexpr std::size_t kMaxSnapshotBytes = 900 * 1024;

// Sorted by key, within kMaxDeploymentsPerTarget and `max_bytes` (resources go first, then the last deployments, which
// are counted in `omitted`), with its digest.
v1::DeploymentSnapshot MakeSnapshot(const Present& present, std::size_t max_bytes = kMaxSnapshotBytes);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_SESSION_SNAPSHOT_H_
