// The same method table as the Connect front's, served as native gRPC: muster.fleet.v1.FleetService. Calls run on the
// WorkerPool. The bearer token comes in the metadata "authorization".
#ifndef MUSTER_HUB_API_GRPC_FLEET_SERVICE_H_
#define MUSTER_HUB_API_GRPC_FLEET_SERVICE_H_

#include <functional>
#include <string_view>

#include "hub/api/caller.h"
#include "hub/api/fleet_handlers.h"
#include "hub/grpc/grpc_server.h"
#include "hub/http/worker_pool.h"

namespace muster::hub {

struct GrpcFleetServiceOptions {
  const FleetHandlers* handlers = nullptr;
  Authenticator* authenticator = nullptr;
  WorkerPool* workers = nullptr;
  std::function<void(std::string_view method, absl::StatusCode code, absl::Duration took)> on_finished;
};

// What the options point to must outlive the server.
void AddFleetService(const GrpcFleetServiceOptions& options, GrpcMethods* methods);

}  // namespace muster::hub

#endif  // MUSTER_HUB_API_GRPC_FLEET_SERVICE_H_
