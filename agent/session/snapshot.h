// From an observer's picture to the frame that carries it (docs/protocol.md, "The present"). Pure functions.
#ifndef MUSTER_AGENT_SESSION_SNAPSHOT_H_
#define MUSTER_AGENT_SESSION_SNAPSHOT_H_

#include <cstddef>

#include "agent/present.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::agent {

// A frame may have 1 MiB; 64 KiB are left for the heartbeat around the snapshot and for encoding.
inline constexpr std::size_t kMaxSnapshotBytes = 960 * 1024;

// Sorted by key, within kMaxDeploymentsPerTarget and `max_bytes` (resources go first, then the last deployments, which
// are counted in `omitted`), with its digest.
v1::DeploymentSnapshot MakeSnapshot(const Present& present, std::size_t max_bytes = kMaxSnapshotBytes);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_SESSION_SNAPSHOT_H_
