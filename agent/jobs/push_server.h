// The socket of jobs (docs/jobs.md): one thread, many connections, answers in the order of their requests. Hands pushes
// to a JobStore and says `ok` when it says so. Bounded in connections, requests and bytes; a socket that cannot be
// opened is tried again.
#ifndef MUSTER_AGENT_JOBS_PUSH_SERVER_H_
#define MUSTER_AGENT_JOBS_PUSH_SERVER_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "agent/jobs/job_store.h"
#include "agent/jobs/unix_socket.h"
#include "common/clock.h"
#include "common/mutex.h"

namespace muster::agent {

inline constexpr std::size_t kMaxPushConnections = 256;
// Of one connection: beyond, it is not read from until answers are taken. Sixteen of them fill the store's queue.
inline constexpr std::size_t kMaxRequestsInFlight = 256;
// Of all connections, in pushes that are being read: beyond, the largest readers get BUSY.
inline constexpr std::size_t kMaxReadingBytes = 32 * 1024 * 1024;
// Without a byte from the other side, and with no answer under way.
inline constexpr absl::Duration kPushIdleLimit = absl::Minutes(10);
inline constexpr absl::Duration kSocketRetryInterval = absl::Seconds(5);

class PushServer {
 public:
  struct Options {
    std::string path;
    mode_t mode = 0660;
  };
  // `store` and `clock` outlive the server.
  PushServer(Options options, JobStore* store, const Clock* clock);
  // Closes all connections and removes the socket.
  ~PushServer();
  PushServer(const PushServer&) = delete;
  PushServer& operator=(const PushServer&) = delete;

  // Thread-safe. Why there is no socket; empty: there is one.
  std::string Fault() const;

 private:
  class AnswerBox;
  struct Connection;

  void Loop();
  void Listen();
  void Accept();
  // Each may close the connection.
  void Serve(std::uint64_t number, std::uint32_t events);
  void TakeAnswers();
  void CloseIdle();
  bool Read(Connection* connection);
  void Dispatch(std::uint64_t number, Connection* connection);
  bool Write(Connection* connection);
  // Writes, waits for what is next, or closes.
  void Settle(std::uint64_t number);
  void SetFault(std::string fault);

  const Options options_;
  JobStore* const store_;
  const Clock* const clock_;
  const std::shared_ptr<AnswerBox> answers_;

  // The thread's own.
  Descriptor epoll_;
  Descriptor listener_;
  Instant listen_at_;
  std::uint64_t last_number_ = 0;
  std::map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::size_t reading_bytes_ = 0;
  Instant looked_for_idle_at_;

  mutable Mutex mutex_;
  std::string fault_ ABSL_GUARDED_BY(mutex_) = "the socket is not open yet";

  std::thread thread_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOBS_PUSH_SERVER_H_
