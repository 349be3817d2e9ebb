#include "hub/grpc/grpc_server.h"

#include <fmt/format.h>
#include <google/protobuf/wrappers.pb.h>
#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <limits>
#include <utility>

#include "common/log.h"
#include "common/status.h"
#include "hub/grpc/kernel_keepalive.h"

namespace muster::hub {
namespace {

// Calls that may come while the thread is busy with others; more wait in gRPC.
constexpr int kAwaitedCalls = 16;
// The server whose thread this is.
thread_local const GrpcServer* running_here = nullptr;
constexpr const char kHealthPath[] = "/grpc.health.v1.Health/Check";

// gRPC's own defaults are wrong for long-lived agents and an open port, as measured with Debian's 1.51.1.
void SetArguments(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(kMaxFrameBytes);
  // A second hub on the port must fail, not share it.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // An agent has one; 20,000 on one connection were taken: 349 MB.
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 8);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 3000);
  // Identity only: 60 KiB of gzip inflate to 60 MiB before the limit on messages is looked at. Without the filters,
  // which every message would pass, what comes compressed is no message.
  builder.AddChannelArgument(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 8192);
  // gRPC's own pings set a timer anew for each frame that comes, 8 % of the CPU at 10,000 agents: who went without
  // a word the kernel finds (KeepConnectionsAlive), and sessions know silence themselves.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, std::numeric_limits<int>::max());
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // Else agents, which ping, are cut off for too many of them.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
  // A probe is a ping for each frame that comes: a third of the CPU at 10,000 agents. Without it the window stays at
  // 64 KiB a round trip, which is above what an agent sends (1 MiB/s) up to 60 ms.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  // Memory of each connection. A frame of TLS must fit what is between OpenSSL and the socket (lean_ssl.cc).
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

// grpc.health.v1, for the whole port: what it is asked about is not looked at.
class HealthHandler : public GrpcCall::Handler {
 public:
  HealthHandler(std::shared_ptr<GrpcCall> call, bool is_serving) : call_(std::move(call)), is_serving_(is_serving) {}
  void OnMessage(grpc::ByteBuffer /*bytes*/) override {
    // On the wire a HealthCheckResponse, whose one field is an enum: 1 SERVING, 2 NOT_SERVING.
    google::protobuf::Int32Value response;
    response.set_value(is_serving_ ? 1 : 2);
    call_->Write(response);
    call_->Finish(grpc::Status::OK);
  }
  void OnReadEnded() override {
    call_->Finish(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "a call without its message"));
  }
  void OnCancelled() override { call_->Finish(grpc::Status::CANCELLED); }

 private:
  const std::shared_ptr<GrpcCall> call_;
  const bool is_serving_;
};

class UnknownMethod : public GrpcCall::Handler {
 public:
  void OnMessage(grpc::ByteBuffer /*bytes*/) override {}
  void OnReadEnded() override {}
  void OnCancelled() override {}
};

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const HostPort& address,
                                                              const std::optional<ServerTls>& tls,
                                                              GrpcMethods methods) {
  static const bool logs_are_ours = [] {
    gpr_set_log_function(LogFromGrpc);
    return true;
  }();
  static_cast<void>(logs_are_ours);
  HostPort listen = address;
  if (listen.host.empty()) listen.host = "::";  // IPv6 and IPv4
  std::unique_ptr<GrpcServer> server(new GrpcServer);
  server->methods_ = std::move(methods);
  server->service_ = std::make_unique<grpc::AsyncGenericService>();
  grpc::ServerBuilder builder;
  SetArguments(builder);
  int port = 0;
  builder.AddListeningPort(listen.ToString(), MakeCredentials(tls), &port);
  builder.RegisterAsyncGenericService(server->service_.get());
  server->queue_ = builder.AddCompletionQueue();
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr || port == 0) {
    server->server_.reset();
    return MakeError(absl::StatusCode::kFailedPrecondition, "PORT_TAKEN",
                     fmt::format("cannot listen on {} for gRPC: another program has the port, or the address is not "
                                 "this machine's; free it or choose another --grpc-addr",
                                 listen.ToString()));
  }
  if (const absl::Status kept = KeepConnectionsAlive(static_cast<std::uint16_t>(port)); !kept.ok()) {
    log::Warning("connections of hosts that go without a word stay open: {}", MessageOf(kept));
  }
  server->address_ = {.host = address.host, .port = static_cast<std::uint16_t>(port)};
  for (int i = 0; i < kAwaitedCalls; ++i) server->Await();
  server->thread_ = std::thread([raw = server.get()] { raw->Run(); });
  return server;
}

GrpcServer::GrpcServer() = default;

GrpcServer::~GrpcServer() {
  if (server_ != nullptr) {
    Shutdown(absl::ZeroDuration());
  } else if (queue_ != nullptr) {
    // A queue must be empty when it goes.
    queue_->Shutdown();
    Run();
  }
}

void GrpcServer::Await() {
  {
    MutexLock lock(&mutex_);
    if (is_stopping_) return;
    ++calls_;
  }
  GrpcCall::Await(this, service_.get(), queue_.get());
}

void GrpcServer::OnCall(const std::shared_ptr<GrpcCall>& call) {
  Await();
  if (call->method() == kHealthPath) {
    call->Begin(std::make_shared<HealthHandler>(call, is_serving_), 1);
    return call->Read();
  }
  const auto method = methods_.find(call->method());
  if (method != methods_.end()) return method->second(call);
  call->Begin(std::make_shared<UnknownMethod>(), 1);
  call->Finish(grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "this hub has no such method"));
}

void GrpcServer::OnGone() {
  MutexLock lock(&mutex_);
  if (--calls_ == 0) none_left_.NotifyAll();
}

bool GrpcServer::IsOnThread() const { return running_here == this; }

void GrpcServer::WriteSoon(GrpcCall* call) {
  MutexLock lock(&to_write_mutex_);
  to_write_.push_back(call);
  if (to_write_.size() == 1) wake_up_.Set(queue_.get(), gpr_inf_past(GPR_CLOCK_MONOTONIC), &wake_up_);
}

void GrpcServer::WriteWaiting() {
  std::vector<GrpcCall*> calls;
  {
    MutexLock lock(&to_write_mutex_);
    calls.swap(to_write_);
  }
  for (GrpcCall* const call : calls) call->WriteFirst();
}

void GrpcServer::Run() {
  running_here = this;
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) {
    if (tag == &wake_up_) {
      WriteWaiting();
    } else {
      GrpcCall::Advance(tag, ok);
    }
  }
  running_here = nullptr;
}

void GrpcServer::Shutdown(absl::Duration grace) {
  {
    MutexLock lock(&mutex_);
    if (is_stopping_) return;
    is_stopping_ = true;
  }
  server_->Shutdown(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(grace));
  {
    // Other threads may start something as long as a call is there.
    MutexLock lock(&mutex_);
    while (calls_ > 0) none_left_.Wait(&mutex_);
  }
  queue_->Shutdown();
  thread_.join();
}

}  // namespace muster::hub
