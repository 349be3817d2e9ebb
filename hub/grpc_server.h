// The gRPC port: agents' sessions, the operators' API, health and reflection, with the limits an open port needs.
// Built by main; Start and Shutdown belong to one thread.
#ifndef MUSTER_HUB_GRPC_SERVER_H_
#define MUSTER_HUB_GRPC_SERVER_H_

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "common/address.h"
#include "hub/tls/authority.h"

namespace grpc {
class Server;
class Service;
}  // namespace grpc

namespace muster::hub {

// A snapshot of 500 deployments; the agent keeps its frames below.
inline constexpr int kMaxFrameBytes = 1 << 20;

class GrpcServer {
 public:
  // Without `tls` in plaintext. The services are kept until the server is gone.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(const HostPort& address, const std::optional<ServerTls>& tls,
                                                           std::vector<std::unique_ptr<grpc::Service>> services);
  ~GrpcServer();

  HostPort address() const { return address_; }
  void SetServing(bool serving);
  // Sessions must have been told before; what is still open after `grace` is cut.
  void Shutdown(absl::Duration grace);

 private:
  GrpcServer();

  HostPort address_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_GRPC_SERVER_H_
