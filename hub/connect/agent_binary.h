// The agent binary that the hub hands out: beside the hub's own binary, or where --agent-binary says. Mapped and hashed
// once, and again when the file has been replaced. Thread-safe.
#ifndef MUSTER_HUB_CONNECT_AGENT_BINARY_H_
#define MUSTER_HUB_CONNECT_AGENT_BINARY_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "hub/http/mapped_file.h"

namespace muster::hub {

class AgentBinary {
 public:
  struct Content {
    std::shared_ptr<const MappedFile> file;
    std::string sha256_hex;
    std::string arch;  // as `uname -m` says: "x86_64", "aarch64"
  };

  explicit AgentBinary(std::string path) : path_(std::move(path)) {}

  // "muster-agent" in the folder of this process's executable.
  static std::string DefaultPath();

  // The file as it is now. An error tells where the hub looked and how to name another file.
  absl::StatusOr<Content> Get();

 private:
  struct FileIdentity {
    dev_t device = 0;
    ino_t inode = 0;
    std::int64_t size = -1;
    std::int64_t modified_ns = 0;
    bool operator==(const FileIdentity&) const = default;
  };

  const std::string path_;
  Mutex mutex_;
  FileIdentity identity_ ABSL_GUARDED_BY(mutex_);
  Content content_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_CONNECT_AGENT_BINARY_H_
