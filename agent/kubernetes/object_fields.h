// What of an object's JSON is kept, by kind, and the object made of it. Used by object_decode.cc alone. Pure functions.
#ifndef MUSTER_AGENT_KUBERNETES_OBJECT_FIELDS_H_
#define MUSTER_AGENT_KUBERNETES_OBJECT_FIELDS_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "agent/kubernetes/objects.h"

namespace muster::agent {

// Paths for a JsonFilter, each behind `prefix` ("items ", "object ").
std::vector<std::string> KubeFieldPaths(KubeKind kind, const std::string& prefix);

// Of the JSON that such a filter left. Without uid or name it is of no use; see there.
KubeObject KubeObjectOf(KubeKind kind, const nlohmann::json& json);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_OBJECT_FIELDS_H_
