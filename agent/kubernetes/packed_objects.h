// Pods and workloads as few bytes: a cluster's book holds thousands, and looks at few of them at a time. What repeats
// is in a pool; uid, name and resourceVersion are left out, because the book has them or does not need them. Used by
// object_tree.h.
#ifndef MUSTER_AGENT_KUBERNETES_PACKED_OBJECTS_H_
#define MUSTER_AGENT_KUBERNETES_PACKED_OBJECTS_H_

#include <string>
#include <string_view>

#include "agent/kubernetes/objects.h"
#include "agent/kubernetes/string_pool.h"

namespace muster::agent {

std::string PackPod(const KubePod& pod, StringPool& pool);
KubePod UnpackPod(std::string_view packed, const StringPool& pool);
void ReleasePod(std::string_view packed, StringPool& pool);

std::string PackWorkload(const KubeWorkload& workload, StringPool& pool);
KubeWorkload UnpackWorkload(std::string_view packed, const StringPool& pool);
void ReleaseWorkload(std::string_view packed, StringPool& pool);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_PACKED_OBJECTS_H_
