// The gRPC port: agents' sessions, the operators' API and health, with the limits an open port needs, on one thread and
// one completion queue (docs/adr/0009-one-grpc-thread.md). Built by main; Start and Shutdown belong to one thread.
#ifndef MUSTER_HUB_GRPC_GRPC_SERVER_H_
#define MUSTER_HUB_GRPC_GRPC_SERVER_H_

#include <grpcpp/alarm.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/address.h"
#include "common/mutex.h"
#include "hub/grpc/grpc_call.h"
#include "hub/tls/authority.h"

namespace muster::hub {

// A snapshot of 500 deployments; the agent keeps its frames below.
inline constexpr int kMaxFrameBytes = 1 << 20;

// By path: "/muster.agent.v1.AgentService/Session". Called on the server's thread for each new call; gives it a handler
// and reads.
using GrpcMethods = std::map<std::string, std::function<void(const std::shared_ptr<GrpcCall>&)>, std::less<>>;

class GrpcServer : private GrpcCall::Owner {
 public:
  // Without `tls` in plaintext. What the methods use must outlive the server.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(const HostPort& address, const std::optional<ServerTls>& tls,
                                                           GrpcMethods methods);
  ~GrpcServer() override;

  HostPort address() const { return address_; }
  void SetServing(bool serving) { is_serving_ = serving; }
  // Sessions must have been told before; what is still open after `grace` is cut.
  void Shutdown(absl::Duration grace);

 private:
  GrpcServer();

  void OnCall(const std::shared_ptr<GrpcCall>& call) override;
  void OnGone() override ABSL_LOCKS_EXCLUDED(mutex_);
  bool IsOnThread() const override;
  void WriteSoon(GrpcCall* call) override ABSL_LOCKS_EXCLUDED(to_write_mutex_);
  void WriteWaiting() ABSL_LOCKS_EXCLUDED(to_write_mutex_);
  void Await() ABSL_LOCKS_EXCLUDED(mutex_);
  void Run();

  HostPort address_;
  GrpcMethods methods_;
  std::unique_ptr<grpc::AsyncGenericService> service_;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::unique_ptr<grpc::Server> server_;
  std::atomic<bool> is_serving_{false};
  Mutex mutex_;
  CondVar none_left_;
  bool is_stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // Awaited and present ones.
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
  Mutex to_write_mutex_;
  // Each counts the write as its own, so that it is there until then. The first one sets the alarm.
  std::vector<GrpcCall*> to_write_ ABSL_GUARDED_BY(to_write_mutex_);
  grpc::Alarm wake_up_;
  std::thread thread_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_GRPC_GRPC_SERVER_H_
