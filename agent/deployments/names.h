// Names that a deployment is known by, whatever runtime it comes from. Pure functions; used by the books and decoders
// of agent/docker and agent/kubernetes.
#ifndef MUSTER_AGENT_DEPLOYMENTS_NAMES_H_
#define MUSTER_AGENT_DEPLOYMENTS_NAMES_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "muster/types/v1/types.pb.h"

namespace muster::agent {

// A name that is part of a key: with its prefix it stays below kMaxNameBytes. Longer ones are cut and end in "~" and a
// hash of the whole.
inline constexpr std::size_t kMaxIdentityBytes = 240;

// What a deployment is known by.
struct DeploymentIdentity {
  // At most kMaxNameBytes each, valid UTF-8.
  std::string key;
  std::string name;
  types::v1::DeploymentKind kind = types::v1::DEPLOYMENT_KIND_UNSPECIFIED;
};

// What a deployment calls itself; each at most kMaxNameBytes of valid UTF-8.
struct ApplicationName {
  std::string application;
  std::string version;
};

// "1.25" of "registry:5000/nginx:1.25"; "latest" without a tag; 12 digits of the digest when there is only that; empty
// for an empty image. At most kMaxNameBytes.
std::string ImageTag(std::string_view image);

// The name itself when it has at most `max_bytes`; else its beginning, "~" and 8 digits that two long names that begin
// alike do not share. `raw` is valid UTF-8, `max_bytes` at least 32.
std::string BoundedIdentity(std::string_view raw, std::size_t max_bytes = kMaxIdentityBytes);

// The first line that is not blank, of valid UTF-8, at most `max_bytes`.
std::string FirstLine(std::string_view text, std::size_t max_bytes);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_DEPLOYMENTS_NAMES_H_
