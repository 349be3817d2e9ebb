// The file that holds the target secret, watched for a new one. Polled, because a changed file may be another mount, a
// swapped symbolic link (Kubernetes secrets) or a rename, which notifications of one inode miss. Not thread-safe.
#ifndef MUSTER_AGENT_HOST_SECRET_FILE_H_
#define MUSTER_AGENT_HOST_SECRET_FILE_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/secret.h"

namespace muster::agent {

// A target secret has 47 characters; 4 KiB leave room for white space and nothing else.
inline constexpr std::size_t kMaxSecretFileBytes = 4096;

// Trimmed and checked: starts with mst_, printable, no white space inside. The error never quotes the content.
absl::StatusOr<Secret> ReadSecretFile(const std::string& path);

// A sentence when others than the owner may use the file; nullopt when all is well. In a volume of Kubernetes the group
// may read it: there the owner is root, and the pod has nothing but its fsGroup.
std::optional<std::string> SecretFileWarning(const std::string& path);

class SecretFileWatch {
 public:
  SecretFileWatch(std::string path, const Secret& known);

  // The new secret when the content differs from the last known good one. A file that became unreadable or nonsense is
  // logged once and the last secret stays in force.
  std::optional<Secret> Poll();

 private:
  const std::string path_;
  SecretHash known_;
  std::string last_problem_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_HOST_SECRET_FILE_H_
