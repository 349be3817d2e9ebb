#include "agent/deployments/json_values.h"

#include <algorithm>
#include <limits>

#include "common/status.h"
#include "common/text.h"
#include "common/time_format.h"

namespace muster::agent {

using nlohmann::json;

absl::Status BadJson(std::string_view what) { return MakeError(absl::StatusCode::kDataLoss, "BAD_JSON", what); }

const json& JsonAt(const json& object, std::string_view key) {
  static const json kNull;
  if (!object.is_object()) return kNull;
  const auto it = object.find(key);
  return it == object.end() ? kNull : *it;
}

std::string_view JsonText(const json& value) {
  const std::string* text = value.get_ptr<const std::string*>();
  return text == nullptr ? std::string_view() : std::string_view(*text);
}

std::string JsonText(const json& value, std::size_t max_bytes) { return CleanUtf8(JsonText(value), max_bytes); }

std::int64_t JsonInteger(const json& value) {
  if (value.is_number_unsigned()) {
    return static_cast<std::int64_t>(
        std::min<std::uint64_t>(value.get<std::uint64_t>(), std::numeric_limits<std::int64_t>::max()));
  }
  return value.is_number_integer() ? value.get<std::int64_t>() : 0;
}

std::int64_t JsonCount(const json& value) { return std::max<std::int64_t>(0, JsonInteger(value)); }

int JsonInt(const json& value) {
  return static_cast<int>(
      std::clamp<std::int64_t>(JsonInteger(value), std::numeric_limits<int>::min(), std::numeric_limits<int>::max()));
}

bool JsonFlag(const json& value) { return value.is_boolean() && value.get<bool>(); }

absl::Time JsonTime(const json& value) {
  const absl::StatusOr<absl::Time> time = ParseRfc3339(JsonText(value));
  if (!time.ok() || *time <= absl::UnixEpoch()) return absl::InfinitePast();
  return *time;
}

}  // namespace muster::agent
