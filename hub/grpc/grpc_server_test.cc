// The gRPC port as a peer meets it: raw streams, broken frames, wrong tokens, over real sockets on loopback.
#include "hub/grpc/grpc_server.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <thread>

#include "common/clock.h"
#include "common/files.h"
#include "common/testing/temp_dir.h"
#include "hub/api/fleet_handlers.h"
#include "hub/api/grpc_fleet_service.h"
#include "hub/auth/token_store.h"
#include "hub/first_start.h"
#include "hub/logs/testing/fake_log_reader.h"
#include "hub/session/grpc_agent_service.h"
#include "hub/testing/fakes.h"
#include "muster/agent/v1/agent.grpc.pb.h"
#include "muster/fleet/v1/fleet.grpc.pb.h"

namespace muster::hub {
namespace {

using agent::v1::SessionRequest;
using agent::v1::SessionResponse;
using Stream = grpc::ClientReaderWriter<SessionRequest, SessionResponse>;

class GrpcServerTest : public testing::Test {
 protected:
  GrpcServerTest() {
    store_ = *Store::Open(dir_.path() + "/hub.db");
    Memory memory = *LoadMemory(*store_, "vendor", dir_.path() + "/admin-token", clock_->Now());
    history_ = std::make_unique<HistoryRecorder>(&store_->writer());
    fleet_ = std::make_unique<Fleet>("vendor", std::move(memory.targets), history_.get(), clock_->Read());
    admin_ = std::make_unique<TargetAdmin>(store_.get(), fleet_.get(), clock_);
    tokens_ = std::make_unique<TokenStore>(store_.get(), clock_, std::move(memory.tokens));
    deps_ = {.fleet = fleet_.get(),
             .writer = &store_->writer(),
             .clock = clock_,
             .counters = &counters_,
             .hub_epoch = memory.hub_epoch};
    handlers_ = std::make_unique<FleetHandlers>(FleetHandlersDeps{
        .fleet = fleet_.get(),
        .admin = admin_.get(),
        .tokens = tokens_.get(),
        .store = store_.get(),
        .clock = clock_,
        .started = clock_->Now(),
        .public_url = "https://hub.test:8080",
        .connect_command = [](types::v1::TargetType, const Secret& code) { return "connect " + code.Reveal(); },
        .logs = &log_reader_,
        .scans = &scans_});
  }
  ~GrpcServerTest() override {
    handlers_->Stop();
    if (server_ != nullptr) server_->Shutdown(absl::Seconds(1));
    workers_.Stop();
    scans_.Stop();
    store_->writer().Stop();
  }

  void Start(const std::optional<ServerTls>& tls = {}) {
    GrpcMethods methods;
    AddAgentService(&deps_, &sessions_, &methods);
    AddFleetService({.handlers = handlers_.get(),
                     .authenticator = tokens_.get(),
                     .workers = &workers_,
                     .on_finished = [](std::string_view, absl::StatusCode, absl::Duration) {}},
                    &methods);
    auto started = GrpcServer::Start({.host = "127.0.0.1", .port = 0}, tls, std::move(methods));
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
    grpc::SslCredentialsOptions options;
    if (tls) options.pem_root_certs = tls->ca_pem;
    channel_ = grpc::CreateChannel("localhost:" + std::to_string(server_->address().port),
                                   tls ? grpc::SslCredentials(options) : grpc::InsecureChannelCredentials());
  }

  // How a call with one message ends, without a token; and the first message of the answer.
  grpc::Status StatusOf(const std::string& path, const std::string& request, std::string* answer = nullptr) {
    grpc::GenericStub stub(channel_);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    grpc::CompletionQueue queue;
    int tag = 0;
    void* got = nullptr;
    bool ok = false;
    const auto next = [&] { return queue.Next(&got, &ok) && ok; };
    auto call = stub.PrepareCall(&context, path, &queue);
    call->StartCall(&tag);
    next();
    grpc::Slice slice(request);
    call->WriteLast(grpc::ByteBuffer(&slice, 1), {}, &tag);
    next();
    grpc::ByteBuffer bytes;
    call->Read(&bytes, &tag);
    if (next() && answer != nullptr) {
      std::vector<grpc::Slice> slices;
      EXPECT_TRUE(bytes.Dump(&slices).ok());
      answer->clear();
      for (const grpc::Slice& s : slices) answer->append(reinterpret_cast<const char*>(s.begin()), s.size());
    }
    grpc::Status status;
    call->Finish(&status, &tag);
    next();
    queue.Shutdown();
    while (queue.Next(&got, &ok)) {
    }
    return status;
  }
  std::unique_ptr<Stream> OpenStream(grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return agent::v1::AgentService::NewStub(channel_)->Session(context);
  }
  SessionRequest HelloFor(const TargetAdmin::Credentials& credentials) {
    SessionRequest frame;
    *frame.mutable_hello() = TestHello(credentials.target_id, credentials.secret.Reveal());
    return frame;
  }
  TargetAdmin::Credentials NewTarget(const std::string& name) {
    return *admin_->CreateTarget(name, types::v1::TARGET_TYPE_DOCKER, "", "test");
  }
  // Of a new target's agent; as many lines of so many bytes.
  std::string NewTargetWithLines(int count, std::size_t bytes) {
    const std::string target = NewTarget("host-1").target_id;
    for (int i = 1; i <= count; ++i) {
      FoundLine line;
      line.place.time_us = i;
      line.text = std::string(bytes, static_cast<char>('a' + i % 26));
      log_reader_.Add(line, "", target);
    }
    return target;
  }
  std::string AdminToken() { return Trim(*ReadFile(dir_.path() + "/admin-token")); }

  TempDir dir_;
  const Clock* const clock_ = Clock::System();
  std::unique_ptr<Store> store_;
  std::unique_ptr<HistoryRecorder> history_;
  std::unique_ptr<Fleet> fleet_;
  std::unique_ptr<TargetAdmin> admin_;
  std::unique_ptr<TokenStore> tokens_;
  SessionCounters counters_;
  SessionDeps deps_;
  SessionRegistry sessions_{100};
  FakeLogReader log_reader_;
  WorkerPool scans_{2};
  std::unique_ptr<FleetHandlers> handlers_;
  WorkerPool workers_{2};
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(GrpcServerTest, SessionOverTlsFromHelloToRotation) {
  const auto tls = EnsureTls(dir_.path() + "/tls", {}, clock_->Now());
  ASSERT_TRUE(tls.ok()) << tls.status();
  Start(*tls);
  const auto credentials = NewTarget("host-1");
  grpc::ClientContext context;
  auto stream = OpenStream(&context);
  ASSERT_TRUE(stream->Write(HelloFor(credentials)));
  SessionResponse frame;
  ASSERT_TRUE(stream->Read(&frame));
  ASSERT_TRUE(frame.has_welcome()) << frame.DebugString();
  SessionRequest beat;
  *beat.mutable_heartbeat() =
      SnapshotBeat(1, 1, {TestDeployment("compose/shop", types::v1::DEPLOYMENT_STATUS_HEALTHY)});
  ASSERT_TRUE(stream->Write(beat));
  ASSERT_TRUE(stream->Read(&frame));
  EXPECT_EQ(frame.heartbeat_ack().number(), 1);
  EXPECT_EQ(fleet_->FindTarget("host-1", "")->deployments.size(), 1u);
  ASSERT_TRUE(admin_->Reconnect(credentials.target_id, "test").ok());
  ASSERT_TRUE(stream->Read(&frame));
  EXPECT_EQ(frame.farewell().reason(), agent::v1::FAREWELL_REASON_SECRET_ROTATED);
  EXPECT_FALSE(stream->Read(&frame));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(LeanSsl, EveryConnectionHasSmallBuffersAndGivesTheRestBack) {
  SSL_CTX* const context = SSL_CTX_new(TLS_server_method());
  SSL* const ssl = SSL_new(context);
  EXPECT_NE(SSL_get_mode(ssl) & SSL_MODE_RELEASE_BUFFERS, 0);
  EXPECT_EQ(SSL_get_num_tickets(ssl), 0U);
  SSL_free(ssl);
  SSL_CTX_free(context);
  BIO* one = nullptr;
  BIO* other = nullptr;
  ASSERT_EQ(BIO_new_bio_pair(&one, 0, &other, 0), 1);
  EXPECT_EQ(BIO_get_write_guarantee(one), 4096U);
  EXPECT_EQ(BIO_get_write_guarantee(other), 4096U);
  BIO_free(one);
  BIO_free(other);
}

TEST_F(GrpcServerTest, SecondHelloIsAProtocolError) {
  Start();
  const auto credentials = NewTarget("host-1");
  grpc::ClientContext context;
  auto stream = OpenStream(&context);
  ASSERT_TRUE(stream->Write(HelloFor(credentials)));
  SessionResponse frame;
  ASSERT_TRUE(stream->Read(&frame));
  stream->Write(HelloFor(credentials));
  ASSERT_TRUE(stream->Read(&frame));
  EXPECT_EQ(frame.farewell().reason(), agent::v1::FAREWELL_REASON_PROTOCOL_ERROR);
  EXPECT_FALSE(stream->Read(&frame));
}

TEST_F(GrpcServerTest, OversizedFrameEndsTheStreamAndNothingElse) {
  Start();
  const auto credentials = NewTarget("host-1");
  grpc::ClientContext context;
  auto stream = OpenStream(&context);
  ASSERT_TRUE(stream->Write(HelloFor(credentials)));
  SessionResponse frame;
  ASSERT_TRUE(stream->Read(&frame));
  SessionRequest huge;
  auto big = TestDeployment("compose/shop", types::v1::DEPLOYMENT_STATUS_HEALTHY);
  big.set_message(std::string(2 << 20, 'x'));
  *huge.mutable_heartbeat() = SnapshotBeat(1, 1, {big});
  stream->Write(huge);
  while (stream->Read(&frame)) {
  }
  EXPECT_FALSE(stream->Finish().ok());
  EXPECT_TRUE(fleet_->FindTarget("host-1", "")->deployments.empty());
  grpc::ClientContext again;
  auto second = OpenStream(&again);
  ASSERT_TRUE(second->Write(HelloFor(credentials)));
  ASSERT_TRUE(second->Read(&frame)) << "the hub lives on";
  EXPECT_TRUE(frame.has_welcome());
  again.TryCancel();
}

TEST_F(GrpcServerTest, CompressedFramesAreNotInflated) {
  Start();
  const auto credentials = NewTarget("host-1");
  grpc::ClientContext context;
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  auto stream = OpenStream(&context);
  SessionRequest hello = HelloFor(credentials);
  hello.mutable_hello()->mutable_machine()->set_hostname(std::string(10'000, 'x'));
  stream->Write(hello);
  SessionResponse frame;
  EXPECT_FALSE(stream->Read(&frame));
  stream->Finish();
  EXPECT_FALSE(fleet_->FindTarget("host-1", "")->target.has_session());
}

TEST_F(GrpcServerTest, BytesThatAreNoFrameEndTheStream) {
  Start();
  grpc::GenericStub stub(channel_);
  for (const std::string& bytes :
       {std::string("\xff\xff\xff\xff garbage"), std::string(1000, '\0'), std::string("\x0a\x7f", 2)}) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    grpc::CompletionQueue queue;
    auto call = stub.PrepareCall(&context, "/muster.agent.v1.AgentService/Session", &queue);
    int tag = 0;
    bool ok = false;
    void* got = nullptr;
    call->StartCall(&tag);
    ASSERT_TRUE(queue.Next(&got, &ok) && ok);
    grpc::Slice slice(bytes);
    call->Write(grpc::ByteBuffer(&slice, 1), &tag);
    ASSERT_TRUE(queue.Next(&got, &ok) && ok);
    grpc::ByteBuffer answer;
    do {
      call->Read(&answer, &tag);
      ASSERT_TRUE(queue.Next(&got, &ok));
    } while (ok);
    grpc::Status status;
    call->Finish(&status, &tag);
    ASSERT_TRUE(queue.Next(&got, &ok));
    EXPECT_NE(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
    queue.Shutdown();
    while (queue.Next(&got, &ok)) {
    }
  }
}

TEST_F(GrpcServerTest, DisconnectIsSeenAtOnce) {
  Start();
  const auto credentials = NewTarget("host-1");
  {
    grpc::ClientContext context;
    auto stream = OpenStream(&context);
    ASSERT_TRUE(stream->Write(HelloFor(credentials)));
    SessionResponse frame;
    ASSERT_TRUE(stream->Read(&frame));
    EXPECT_TRUE(fleet_->FindTarget("host-1", "")->target.has_session());
    context.TryCancel();
    stream->Finish();
  }
  // The server learns of it from the transport; the version moves when it has.
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (fleet_->FindTarget("host-1", "")->target.has_session() && absl::Now() < deadline) std::this_thread::yield();
  EXPECT_TRUE(fleet_->FindTarget("host-1", "")->target.has_session_end());
}

TEST_F(GrpcServerTest, FleetServiceNeedsATokenAndAnswersLikeTheHttpSide) {
  Start();
  auto stub = fleet::v1::FleetService::NewStub(channel_);
  fleet::v1::ListTargetsResponse response;
  {
    grpc::ClientContext context;
    const grpc::Status status = stub->ListTargets(&context, {}, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
    const auto& trailers = context.GetServerTrailingMetadata();
    const auto reason = trailers.find("muster-reason");
    ASSERT_NE(reason, trailers.end());
    EXPECT_EQ(std::string(reason->second.data(), reason->second.size()), "TOKEN_MISSING");
  }
  NewTarget("host-1");
  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer " + AdminToken());
  ASSERT_TRUE(stub->ListTargets(&context, {}, &response).ok());
  EXPECT_EQ(response.targets(0).name(), "host-1");
}

TEST_F(GrpcServerTest, WatchSendsNowAndAfterAChange) {
  Start();
  auto stub = fleet::v1::FleetService::NewStub(channel_);
  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer " + AdminToken());
  auto reader = stub->WatchFleet(&context, {});
  fleet::v1::WatchFleetResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status().target_statuses_size(), 0);
  NewTarget("host-1");
  handlers_->Tick();
  ASSERT_TRUE(reader->Read(&response));
  while (response.status().target_statuses_size() == 0) ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status().target_statuses(0).target().name(), "host-1");
  handlers_->Stop();
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(GrpcServerTest, TailSendsWhatWasStoredAndWhatComes) {
  Start();
  const std::string target = NewTargetWithLines(3, 5);
  auto stub = fleet::v1::FleetService::NewStub(channel_);
  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer " + AdminToken());
  fleet::v1::TailLogsRequest request;
  request.mutable_selection()->set_target(target);
  request.set_last_lines(2);
  auto reader = stub->TailLogs(&context, request);
  fleet::v1::TailLogsResponse response;
  ASSERT_TRUE(reader->Read(&response));
  ASSERT_EQ(response.entries_size(), 2);
  EXPECT_EQ(response.entries(1).line().text(), "ddddd");
  FoundLine line;
  line.text = "new";
  log_reader_.Add(line, "", target);
  handlers_->LogsStored();
  ASSERT_TRUE(reader->Read(&response));
  ASSERT_EQ(response.entries_size(), 1);
  EXPECT_EQ(response.entries(0).line().text(), "new");
  handlers_->Stop();
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

// The reason of a stream's end did not reach clients of gRPC.
TEST_F(GrpcServerTest, AStreamEndsWithItsReason) {
  Start();
  const std::string target = NewTargetWithLines(0, 0);
  auto stub = fleet::v1::FleetService::NewStub(channel_);
  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer " + AdminToken());
  fleet::v1::TailLogsRequest request;
  request.mutable_selection()->set_target(target);
  request.set_resume_position("rubbish");
  auto reader = stub->TailLogs(&context, request);
  fleet::v1::TailLogsResponse response;
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const auto reason = context.GetServerTrailingMetadata().find("muster-reason");
  ASSERT_NE(reason, context.GetServerTrailingMetadata().end());
  EXPECT_EQ(std::string(reason->second.data(), reason->second.size()), "BAD_POSITION");
}

// 60 MB, more than the transport takes at once: the rest is written as the client reads.
TEST_F(GrpcServerTest, AnExportWaitsForItsClient) {
  constexpr int kLines = 6000;
  const auto tls = EnsureTls(dir_.path() + "/tls", {}, clock_->Now());
  ASSERT_TRUE(tls.ok()) << tls.status();
  Start(*tls);
  const std::string target = NewTargetWithLines(kLines, 10'000);
  auto stub = fleet::v1::FleetService::NewStub(channel_);
  fleet::v1::ExportLogsRequest request;
  request.mutable_selection()->set_target(target);
  request.set_format(fleet::v1::LOG_EXPORT_FORMAT_TEXT);
  {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + AdminToken());
    auto reader = stub->ExportLogs(&context, request);
    fleet::v1::ExportLogsResponse response;
    std::size_t bytes = 0;
    while (reader->Read(&response) && response.has_data()) bytes += response.data().size();
    EXPECT_EQ(response.trailer().lines(), kLines);
    EXPECT_TRUE(reader->Finish().ok());
    EXPECT_GT(bytes, std::size_t{kLines} * 10'000);
  }
  // A client that goes in the middle is noticed.
  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer " + AdminToken());
  auto reader = stub->ExportLogs(&context, request);
  fleet::v1::ExportLogsResponse response;
  ASSERT_TRUE(reader->Read(&response));
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

// GetHostMetrics, QueryHostMetrics and ListJobs were served by HTTP alone.
TEST_F(GrpcServerTest, EveryMethodOfTheServiceIsThere) {
  Start();
  const google::protobuf::ServiceDescriptor* service =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName("muster.fleet.v1.FleetService");
  ASSERT_NE(service, nullptr);
  for (int i = 0; i < service->method_count(); ++i) {
    EXPECT_NE(StatusOf("/muster.fleet.v1.FleetService/" + service->method(i)->name(), "").error_code(),
              grpc::StatusCode::UNIMPLEMENTED)
        << service->method(i)->name();
  }
  EXPECT_EQ(StatusOf("/muster.fleet.v1.FleetService/MakeCoffee", "").error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(GrpcServerTest, BytesThatAreNoRequestAreRefused) {
  Start();
  EXPECT_EQ(StatusOf("/muster.fleet.v1.FleetService/ListTargets", "\xff\xff").error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(StatusOf("/muster.fleet.v1.FleetService/WatchFleet", "\xff\xff").error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(GrpcServerTest, HealthIsWhatTheHubSays) {
  Start();
  std::string answer;
  ASSERT_TRUE(StatusOf("/grpc.health.v1.Health/Check", "", &answer).ok());
  EXPECT_EQ(answer, (std::string{8, 2})) << "NOT_SERVING";
  server_->SetServing(true);
  ASSERT_TRUE(StatusOf("/grpc.health.v1.Health/Check", "", &answer).ok());
  EXPECT_EQ(answer, (std::string{8, 1})) << "SERVING";
}

TEST_F(GrpcServerTest, TakenPortIsAClearError) {
  Start();
  auto second = GrpcServer::Start(server_->address(), {}, {});
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), testing::HasSubstr("--grpc-addr"));
}

}  // namespace
}  // namespace muster::hub
