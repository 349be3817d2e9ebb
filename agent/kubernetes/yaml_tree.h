// One YAML document as a tree, for small files that people and programs write (kubeconfigs): libyaml tells the events.
// JSON is YAML. Anchors are read over, aliases refused, so the tree is never larger than the text. Used by
// kubeconfig.h; fuzzed by kubeconfig_fuzz.cc.
#ifndef MUSTER_AGENT_KUBERNETES_YAML_TREE_H_
#define MUSTER_AGENT_KUBERNETES_YAML_TREE_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace muster::agent {

struct YamlNode {
  enum class Kind { kScalar, kList, kMap };
  Kind kind = Kind::kScalar;
  // As it is written, whatever its type; "", "~" and "null" unquoted are empty.
  std::string scalar;
  // Of a map: scalars, in the order of the text.
  std::vector<std::string> keys;
  // Of a list its items; of a map its values, one for each key.
  std::vector<YamlNode> list;

  // The first value of this key; null when there is none, or this is no map.
  const YamlNode* Find(std::string_view key) const;
  // The scalar at this key; empty when there is none.
  std::string_view Text(std::string_view key) const;
};

inline constexpr std::size_t kMaxYamlBytes = 1 << 20;
inline constexpr int kMaxYamlDepth = 32;
// Some 2 MiB of nodes.
inline constexpr int kMaxYamlNodes = 20'000;

// kInvalidArgument with the line for what is no YAML or has an alias, kResourceExhausted beyond a limit. An empty text
// is an empty scalar.
absl::StatusOr<YamlNode> ParseYaml(std::string_view text);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_YAML_TREE_H_
