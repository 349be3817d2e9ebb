// A bearer token in a file that somebody renews: the kubelet, for a service account (docs/kubernetes.md, "Where the API
// server is"). Read anew when what was read is older than 60 s, and after a 401, then at most once a second. While the
// file cannot be read the last token is used on. Made by cluster_config.h. Thread-safe.
#ifndef MUSTER_AGENT_KUBERNETES_FILE_TOKEN_SOURCE_H_
#define MUSTER_AGENT_KUBERNETES_FILE_TOKEN_SOURCE_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "agent/http/http_server.h"
#include "common/clock.h"
#include "common/mutex.h"

namespace muster::agent {

class FileTokenSource : public TokenSource {
 public:
  // `clock` outlives it.
  FileTokenSource(std::string path, const Clock* clock);

  // Blocks on the file when it is due.
  std::string Token() override;
  void Refused() override;

  // Reads the file now. Not OK: why there is no token in it, without a word of it.
  absl::Status Read();

 private:
  absl::Status ReadLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string path_;
  const Clock* const clock_;

  Mutex mutex_;
  std::string token_ ABSL_GUARDED_BY(mutex_);
  std::optional<Instant> read_at_ ABSL_GUARDED_BY(mutex_);
  bool was_refused_ ABSL_GUARDED_BY(mutex_) = false;
  // A failure is logged once.
  bool has_failed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_FILE_TOKEN_SOURCE_H_
