// Reading values out of other people's parsed JSON: whatever is missing or of another type has its default. Pure
// functions, which never throw; used by the decoders of agent/docker and agent/kubernetes.
#ifndef MUSTER_AGENT_DEPLOYMENTS_JSON_VALUES_H_
#define MUSTER_AGENT_DEPLOYMENTS_JSON_VALUES_H_

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace muster::agent {

// kDataLoss, reason BAD_JSON.
absl::Status BadJson(std::string_view what);

// The member, or null when `object` is not an object or has none.
const nlohmann::json& JsonAt(const nlohmann::json& object, std::string_view key);

// Empty unless it is a string; valid as long as `value`.
std::string_view JsonText(const nlohmann::json& value);
// Valid UTF-8, at most `max_bytes`.
std::string JsonText(const nlohmann::json& value, std::size_t max_bytes);

// 0 unless it is an integer; what does not fit is the nearest that does.
std::int64_t JsonInteger(const nlohmann::json& value);
std::int64_t JsonCount(const nlohmann::json& value);  // at least 0
int JsonInt(const nlohmann::json& value);

bool JsonFlag(const nlohmann::json& value);

// Of RFC 3339; InfinitePast for anything else, and for times of 1970 and before: "0001-01-01T00:00:00Z" is Go's never.
absl::Time JsonTime(const nlohmann::json& value);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_DEPLOYMENTS_JSON_VALUES_H_
