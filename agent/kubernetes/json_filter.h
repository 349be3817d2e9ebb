// Reads JSON and keeps only what is asked for: the rest is passed over while it is parsed and never becomes a tree in
// memory. Used by object_decode.h for the API server's answers, of which one part in ten matters. Never throws.
#ifndef MUSTER_AGENT_KUBERNETES_JSON_FILTER_H_
#define MUSTER_AGENT_KUBERNETES_JSON_FILTER_H_

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace muster::agent {

// A tree of the keys that are kept. Arrays are passed through: a key counts in each of their elements.
class JsonFilter {
 public:
  // Keys from the outside in, one space between: "metadata labels app.kubernetes.io/name". The value at the end is kept
  // when it is no object or array; of those only that they were there.
  explicit JsonFilter(const std::vector<std::string>& paths);

  // Null: not kept.
  const JsonFilter* Child(std::string_view key) const;

 private:
  JsonFilter() = default;
  std::map<std::string, JsonFilter, std::less<>> children_;
};

// What is kept of `text`: strings are valid UTF-8 and cut at kMaxKubeTextBytes (messages and a list's place at some
// KiB), arrays at kMaxKubeParts. kDataLoss, BAD_JSON: not JSON, or deeper than kMaxKubeJsonDepth. `what` names it
// there.
absl::StatusOr<nlohmann::json> ParseFiltered(std::string_view text, const JsonFilter& filter, std::string_view what);

// The same for a list: each element of the outermost `items` is handed to `take` as soon as it is read, and is not in
// the result. `take` says false to give up, which is an error of the same kind.
absl::StatusOr<nlohmann::json> ParseFilteredList(std::string_view text, const JsonFilter& filter, std::string_view what,
                                                 const std::function<bool(const nlohmann::json& item)>& take);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_JSON_FILTER_H_
