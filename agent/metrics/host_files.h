// The host's small files, as the sampler reads them: /proc and /sys, below where the host's "/" is. Paths are the
// host's own. Implemented over a folder here, by a map in tests. Callable from any thread.
#ifndef MUSTER_AGENT_METRICS_HOST_FILES_H_
#define MUSTER_AGENT_METRICS_HOST_FILES_H_

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace muster::agent {

class HostFiles {
 public:
  virtual ~HostFiles() = default;
  // A longer file is an error.
  virtual absl::StatusOr<std::string> Read(const std::string& path, std::size_t max_bytes) const = 0;
  // The names in a folder, sorted; none where it cannot be read.
  virtual std::vector<std::string> List(const std::string& path) const = 0;
};

class RootedHostFiles : public HostFiles {
 public:
  // "" is this machine; else without a slash at the end: "/host".
  explicit RootedHostFiles(std::string root) : root_(std::move(root)) {}
  absl::StatusOr<std::string> Read(const std::string& path, std::size_t max_bytes) const override;
  std::vector<std::string> List(const std::string& path) const override;

 private:
  const std::string root_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_METRICS_HOST_FILES_H_
