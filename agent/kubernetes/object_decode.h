// The Kubernetes API's JSON -> plain values. Takes bytes from outside and never throws: whatever cannot be read is an
// error (kDataLoss, reason BAD_JSON), whatever is missing or of another type has its default. While it parses only what
// objects.h needs is kept: managedFields, annotations and specs of containers never become a tree in memory. Pure
// functions. Fuzzed by object_decode_fuzz.cc.
#ifndef MUSTER_AGENT_KUBERNETES_OBJECT_DECODE_H_
#define MUSTER_AGENT_KUBERNETES_OBJECT_DECODE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/kubernetes/objects.h"

namespace muster::agent {

// Names are DNS labels or subdomains of at most 253 bytes; what is longer comes from no API server and is cut.
inline constexpr std::size_t kMaxKubeTextBytes = 1024;
// Messages are cut to their first line and so much of it: a whole deployment has 512 bytes for its message.
inline constexpr std::size_t kMaxKubeMessageBytes = 300;
// Of one page; 100 are asked for, but a server may give more.
inline constexpr std::size_t kMaxKubePageObjects = 5000;
// Containers of one pod, conditions of one object.
inline constexpr std::size_t kMaxKubeParts = 64;
inline constexpr int kMaxKubeJsonDepth = 64;

// A page of a list: GET .../pods?limit=100
struct KubeListPage {
  // Those without uid or name are left out.
  std::vector<KubeObject> objects;
  std::string resource_version;
  // Empty: the last page.
  std::string continue_token;
};
absl::StatusOr<KubeListPage> DecodeKubeList(KubeKind kind, std::string_view body);

// A line of a watch.
struct KubeWatchEvent {
  enum class Type { kPut, kDeleted, kBookmark, kError, kOther };
  Type type = Type::kOther;
  // Of kPut and kDeleted.
  KubeObject object;
  // Of kPut, kDeleted and kBookmark: where to go on.
  std::string resource_version;
  // Of kError: the Status object.
  int error_code = 0;
  std::string error_message;
};
absl::StatusOr<KubeWatchEvent> DecodeKubeWatchLine(KubeKind kind, std::string_view line);

// The message of a Status object that came as the body of an error; empty: it is none.
std::string KubeStatusMessage(std::string_view body);

// "v1.29.1" of GET /version.
absl::StatusOr<std::string> DecodeKubeVersion(std::string_view body);

// "250m", "1", "0.5", "12345n" -> thousandths, rounded up; "128Mi", "1G", "123456Ki" -> bytes. Nullopt: not a quantity,
// or out of range. https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
std::optional<std::int64_t> ParseKubeMilli(std::string_view quantity);
std::optional<std::int64_t> ParseKubeBytes(std::string_view quantity);

// metrics.k8s.io/v1beta1: what nodes and pods' containers use.
struct KubeNodeUsage {
  std::string node;
  double cpu_cores = 0;
  std::int64_t memory_bytes = 0;
  absl::Time taken = absl::InfinitePast();
};
struct KubeContainerUsage {
  std::string name_space;
  std::string pod;
  std::string container;
  double cpu_cores = 0;
  std::int64_t memory_bytes = 0;
};
absl::StatusOr<std::vector<KubeNodeUsage>> DecodeKubeNodeUsage(std::string_view body);
absl::StatusOr<std::vector<KubeContainerUsage>> DecodeKubePodUsage(std::string_view body);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_OBJECT_DECODE_H_
