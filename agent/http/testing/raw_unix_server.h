// A server on a unix socket that does to its clients exactly what a test says, byte by byte: HTTP, half of it, or
// nothing at all. Each connection is served by a thread of its own.
#ifndef MUSTER_AGENT_HTTP_TESTING_RAW_UNIX_SERVER_H_
#define MUSTER_AGENT_HTTP_TESTING_RAW_UNIX_SERVER_H_

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/mutex.h"

namespace muster::agent {

class RawUnixServer {
 public:
  // One connection, as its behaviour sees it.
  class Peer {
   public:
    Peer(RawUnixServer* server, int fd) : server_(server), fd_(fd) {}
    // Up to the empty line; what came so far when the client closes.
    std::string ReadRequest() {
      std::string request;
      char c = 0;
      while (!request.ends_with("\r\n\r\n") && read(fd_, &c, 1) == 1) request += c;
      return request;
    }
    // False when the client is gone.
    bool Write(std::string_view bytes) {
      while (!bytes.empty()) {
        const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      }
      return true;
    }
    void WaitForClose() {
      char buffer[256];
      while (read(fd_, buffer, sizeof(buffer)) > 0) {
      }
    }
    // Until Signal() or Stop().
    void AwaitSignal() { server_->AwaitSignal(); }

   private:
    RawUnixServer* const server_;
    const int fd_;
  };
  using Behaviour = std::function<void(Peer&)>;

  explicit RawUnixServer(const std::string& path) {
    listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 || listen(listener_, 64) != 0) {
      std::abort();
    }
    acceptor_ = std::thread([this] { Accept(); });
  }
  ~RawUnixServer() { Stop(); }

  // For connections from now on.
  void OnConnection(Behaviour behaviour) {
    MutexLock lock(&mutex_);
    behaviour_ = std::move(behaviour);
  }

  void Signal() {
    MutexLock lock(&mutex_);
    signalled_ = true;
    changed_.NotifyAll();
  }
  int connections() {
    MutexLock lock(&mutex_);
    return static_cast<int>(fds_.size());
  }
  void WaitUntilClosed(int count) {
    MutexLock lock(&mutex_);
    while (closed_ < count) changed_.Wait(&mutex_);
  }

  // Nobody listens any more; the file stays.
  void Stop() {
    {
      MutexLock lock(&mutex_);
      if (stopped_) return;
      stopped_ = true;
      signalled_ = true;
      for (const int fd : fds_) shutdown(fd, SHUT_RDWR);
      changed_.NotifyAll();
    }
    shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    close(listener_);
    for (std::thread& thread : threads_) thread.join();
    for (const int fd : fds_) close(fd);
  }

 private:
  void Accept() {
    while (true) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      MutexLock lock(&mutex_);
      fds_.push_back(fd);
      if (stopped_) return;
      threads_.emplace_back([this, fd, behaviour = behaviour_] { Serve(fd, behaviour); });
    }
  }
  void Serve(int fd, const Behaviour& behaviour) {
    Peer peer(this, fd);
    if (behaviour) behaviour(peer);
    shutdown(fd, SHUT_RDWR);
    MutexLock lock(&mutex_);
    ++closed_;
    changed_.NotifyAll();
  }
  void AwaitSignal() {
    MutexLock lock(&mutex_);
    while (!signalled_) changed_.Wait(&mutex_);
  }

  int listener_ = -1;
  std::thread acceptor_;
  // Written by the acceptor, joined after it ended.
  std::vector<std::thread> threads_;

  Mutex mutex_;
  CondVar changed_;
  Behaviour behaviour_ ABSL_GUARDED_BY(mutex_);
  std::vector<int> fds_;
  int closed_ ABSL_GUARDED_BY(mutex_) = 0;
  bool signalled_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_HTTP_TESTING_RAW_UNIX_SERVER_H_
