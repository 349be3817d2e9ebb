#include "hub/grpc_server.h"

#include <fmt/format.h>
#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/service_type.h>

#include <chrono>
#include <utility>

#include "common/log.h"
#include "common/status.h"

namespace muster::hub {
namespace {

// gRPC's own defaults are wrong for long-lived agents and an open port; each argument's reason, as measured with
// Debian's 1.51.1, stands in docs/protocol.md, "Limits".
void SetArguments(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(kMaxFrameBytes);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 8);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 3000);
  builder.AddChannelArgument(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 8192);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 0);
  builder.AddChannelArgument(GRPC_ARG_TSI_MAX_FRAME_SIZE, 1024);
}

// gRPC's own messages are of use to developers only; what matters is said by the parts that notice it.
void LogFromGrpc(gpr_log_func_args* args) { log::Debug("grpc: {}", args->message); }

std::shared_ptr<grpc::ServerCredentials> MakeCredentials(const std::optional<ServerTls>& tls) {
  if (!tls) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options;
  options.pem_key_cert_pairs.push_back({tls->key_pem.Reveal(), tls->cert_chain_pem});
  return grpc::SslServerCredentials(options);
}

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const HostPort& address,
                                                              const std::optional<ServerTls>& tls,
                                                              std::vector<std::unique_ptr<grpc::Service>> services) {
  static const bool plugins_ready = [] {
    gpr_set_log_function(LogFromGrpc);
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    return true;
  }();
  static_cast<void>(plugins_ready);
  HostPort listen = address;
  if (listen.host.empty()) listen.host = "::";  // IPv6 and IPv4
  std::unique_ptr<GrpcServer> server(new GrpcServer);
  grpc::ServerBuilder builder;
  SetArguments(builder);
  int port = 0;
  builder.AddListeningPort(listen.ToString(), MakeCredentials(tls), &port);
  for (const auto& service : services) builder.RegisterService(service.get());
  server->services_ = std::move(services);
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr || port == 0) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "PORT_TAKEN",
                     fmt::format("cannot listen on {} for gRPC: another program has the port, or the address is not "
                                 "this machine's; free it or choose another --grpc-addr",
                                 listen.ToString()));
  }
  server->address_ = {.host = address.host, .port = static_cast<std::uint16_t>(port)};
  return server;
}

GrpcServer::GrpcServer() = default;

GrpcServer::~GrpcServer() {
  if (server_ != nullptr) Shutdown(absl::ZeroDuration());
}

void GrpcServer::SetServing(bool serving) {
  if (auto* health = server_->GetHealthCheckService()) health->SetServingStatus(serving);
}

void GrpcServer::Shutdown(absl::Duration grace) {
  server_->Shutdown(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(grace));
  server_->Wait();
}

}  // namespace muster::hub
