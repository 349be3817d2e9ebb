#include "agent/session/snapshot.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <string>

#include "common/secret.h"

namespace muster::agent {
namespace {

// Tag and length of one repeated field: at most 1 + 4 bytes at these sizes.
constexpr std::size_t kFieldOverhead = 5;

std::uint64_t DigestOf(const v1::DeploymentSnapshot& snapshot) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    snapshot.SerializeToCodedStream(&coded);
  }
  const SecretHash hash = HashSecret(bytes);
  std::uint64_t digest = 0;
  for (int i = 7; i >= 0; --i) digest = (digest << 8) | hash[static_cast<std::size_t>(i)];
  return digest == 0 ? 1 : digest;
}

void DropResources(v1::DeploymentSnapshot* snapshot) {
  for (v1::DeploymentState& deployment : *snapshot->mutable_deployments()) deployment.clear_resources();
}

// How many deployments from the front fit into `max_bytes`.
int CountThatFits(const v1::DeploymentSnapshot& snapshot, std::size_t max_bytes) {
  std::size_t bytes = 0;
  int count = 0;
  for (const v1::DeploymentState& deployment : snapshot.deployments()) {
    bytes += deployment.ByteSizeLong() + kFieldOverhead;
    if (bytes > max_bytes) break;
    ++count;
  }
  return count;
}

}  // namespace

v1::DeploymentSnapshot MakeSnapshot(const Present& present, std::size_t max_bytes) {
  v1::DeploymentSnapshot snapshot;
  for (const v1::DeploymentState& deployment : present.deployments) *snapshot.add_deployments() = deployment;
  std::sort(snapshot.mutable_deployments()->begin(), snapshot.mutable_deployments()->end(),
            [](const v1::DeploymentState& a, const v1::DeploymentState& b) { return a.key() < b.key(); });
  if (snapshot.ByteSizeLong() > max_bytes) DropResources(&snapshot);
  const int all = snapshot.deployments_size();
  const int kept = std::min(CountThatFits(snapshot, max_bytes), static_cast<int>(kMaxDeploymentsPerTarget));
  snapshot.mutable_deployments()->DeleteSubrange(kept, all - kept);
  snapshot.set_omitted(std::max(present.omitted, 0) + (all - kept));
  snapshot.set_digest(DigestOf(snapshot));
  return snapshot;
}

}  // namespace muster::agent
