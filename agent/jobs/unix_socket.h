// Unix sockets by path: for the socket of jobs, who listens and who connects. Errors name the path.
#ifndef MUSTER_AGENT_JOBS_UNIX_SOCKET_H_
#define MUSTER_AGENT_JOBS_UNIX_SOCKET_H_

#include <sys/types.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace muster::agent {

// Closes it.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    reset();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  int get() const { return fd_; }
  void reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

// The kernel takes 107 bytes.
absl::Status CheckSocketPath(const std::string& path);

// NOT_FOUND or UNAVAILABLE when nobody listens. Blocking, closed on exec.
absl::StatusOr<Descriptor> ConnectUnix(const std::string& path);

// A file that a former agent left is replaced; SOCKET_IN_USE when somebody answers on it, or it is something else.
// Non-blocking, closed on exec.
absl::StatusOr<Descriptor> ListenUnix(const std::string& path, mode_t mode);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOBS_UNIX_SOCKET_H_
