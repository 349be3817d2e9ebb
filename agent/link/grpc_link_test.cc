// The adapter against a real gRPC server in this process.
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/link/failure_text.h"
#include "agent/link/grpc_dialer.h"
#include "agent/link/testing/test_certificates.h"
#include "common/mutex.h"
#include "common/status.h"
#include "muster/agent/v1/agent.grpc.pb.h"

namespace muster::agent {
namespace {

// What the link told, to be waited for.
class RecordedEvents : public LinkEvents {
 public:
  void OnSent() override {
    MutexLock lock(&mutex_);
    ++sent_;
    changed_.NotifyAll();
  }
  void OnFrame(v1::SessionResponse frame) override {
    MutexLock lock(&mutex_);
    frames_.push_back(std::move(frame));
    changed_.NotifyAll();
  }
  void OnReadEnded() override {
    MutexLock lock(&mutex_);
    read_ended_ = true;
    changed_.NotifyAll();
  }
  void OnClosed(absl::Status status) override {
    MutexLock lock(&mutex_);
    ++closed_;
    status_ = std::move(status);
    changed_.NotifyAll();
  }

  void WaitForSent(int count) {
    MutexLock lock(&mutex_);
    while (sent_ < count) changed_.Wait(&mutex_);
  }
  v1::SessionResponse WaitForFrame(std::size_t index) {
    MutexLock lock(&mutex_);
    while (frames_.size() <= index) changed_.Wait(&mutex_);
    return frames_[index];
  }
  void WaitForReadEnded() {
    MutexLock lock(&mutex_);
    while (!read_ended_) changed_.Wait(&mutex_);
  }
  absl::Status WaitForClosed() {
    MutexLock lock(&mutex_);
    while (closed_ == 0) changed_.Wait(&mutex_);
    return status_;
  }
  int closed() {
    MutexLock lock(&mutex_);
    return closed_;
  }
  std::size_t frames() {
    MutexLock lock(&mutex_);
    return frames_.size();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int sent_ ABSL_GUARDED_BY(mutex_) = 0;
  int closed_ ABSL_GUARDED_BY(mutex_) = 0;
  bool read_ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<v1::SessionResponse> frames_ ABSL_GUARDED_BY(mutex_);
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

using Stream = grpc::ServerReaderWriter<v1::SessionResponse, v1::SessionRequest>;
using Behaviour = std::function<grpc::Status(grpc::ServerContext*, Stream*)>;

class TestHub : public v1::AgentService::Service {
 public:
  TestHub(Behaviour behaviour, const std::shared_ptr<grpc::ServerCredentials>& credentials)
      : behaviour_(std::move(behaviour)) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", credentials, &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~TestHub() override { server_->Shutdown(std::chrono::system_clock::now()); }

  grpc::Status Session(grpc::ServerContext* context, Stream* stream) override { return behaviour_(context, stream); }

  std::string AddressAs(const std::string& host) const { return host + ":" + std::to_string(port_); }

 private:
  const Behaviour behaviour_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

grpc::Status EchoNumbers(grpc::ServerContext* /*context*/, Stream* stream) {
  v1::SessionRequest request;
  while (stream->Read(&request)) {
    v1::SessionResponse response;
    if (request.has_hello()) response.mutable_welcome()->set_session_id(request.hello().target_id());
    if (request.has_heartbeat()) response.mutable_heartbeat_ack()->set_number(request.heartbeat().number());
    stream->Write(response);
  }
  return grpc::Status::OK;
}

v1::SessionRequest HelloFrame() {
  v1::SessionRequest frame;
  frame.mutable_hello()->set_target_id("tgt_1");
  return frame;
}

std::shared_ptr<grpc::ServerCredentials> TlsOf(const TestCertificate& certificate) {
  grpc::SslServerCredentialsOptions options;
  options.pem_key_cert_pairs.push_back({certificate.key_pem, certificate.certificate_pem});
  return grpc::SslServerCredentials(options);
}

// One dial to an address, from Hello to the end.
absl::Status EndOfAttempt(const GrpcDialerOptions& options) {
  GrpcDialer dialer(options);
  const auto events = std::make_shared<RecordedEvents>();
  const auto link = dialer.Dial(events);
  link->Receive();
  link->Send(HelloFrame());
  return events->WaitForClosed();
}

void ExpectConversation(const GrpcDialerOptions& options) {
  GrpcDialer dialer(options);
  const auto events = std::make_shared<RecordedEvents>();
  const auto link = dialer.Dial(events);
  link->Receive();
  link->Send(HelloFrame());
  events->WaitForSent(1);
  EXPECT_EQ(events->WaitForFrame(0).welcome().session_id(), "tgt_1");
  for (int number = 1; number <= 20; ++number) {
    link->Receive();
    v1::SessionRequest frame;
    frame.mutable_heartbeat()->set_number(number);
    link->Send(frame);
    events->WaitForSent(1 + number);
    EXPECT_EQ(events->WaitForFrame(static_cast<std::size_t>(number)).heartbeat_ack().number(), number);
  }
  link->Receive();
  link->HalfClose();
  EXPECT_EQ(events->WaitForClosed(), absl::OkStatus());
  dialer.Drain();
  EXPECT_EQ(events->closed(), 1);
}

TEST(GrpcLink, TalksInPlaintext) {
  const TestHub hub(EchoNumbers, grpc::InsecureServerCredentials());
  ExpectConversation({.hub = hub.AddressAs("127.0.0.1"), .insecure = true});
}

TEST(GrpcLink, TalksOverTlsByNameAndByAddress) {
  const TestAuthority authority;
  const TestHub hub(EchoNumbers, TlsOf(authority.Issue("DNS:localhost,IP:127.0.0.1")));
  ExpectConversation({.hub = hub.AddressAs("localhost"), .ca_pem = authority.certificate_pem()});
  ExpectConversation({.hub = hub.AddressAs("127.0.0.1"), .ca_pem = authority.certificate_pem()});
}

TEST(GrpcLink, SaysWhatToDoAboutEachTlsFailure) {
  const TestAuthority authority;
  const TestAuthority stranger;
  const TestHub hub(EchoNumbers, TlsOf(authority.Issue("DNS:localhost")));
  const TestHub expired(EchoNumbers, TlsOf(authority.Issue("DNS:localhost", -absl::Hours(24))));
  const TestHub plain(EchoNumbers, grpc::InsecureServerCredentials());
  struct Case {
    GrpcDialerOptions options;
    std::string expected;
  };
  const std::string ca = authority.certificate_pem();
  for (const Case& c : std::vector<Case>{
           {{.hub = hub.AddressAs("127.0.0.1"), .ca_pem = ca}, "is for another name"},
           {{.hub = hub.AddressAs("localhost"), .ca_pem = stranger.certificate_pem()}, "not from the CA"},
           {{.hub = hub.AddressAs("localhost")}, "not trusted"},
           {{.hub = expired.AddressAs("localhost"), .ca_pem = ca}, "expired"},
           {{.hub = plain.AddressAs("localhost"), .ca_pem = ca}, "does not speak TLS"},
           {{.hub = "127.0.0.1:1", .insecure = true}, "connection refused"},
           {{.hub = "no-such-host.invalid:1", .insecure = true}, "does not resolve"},
       }) {
    const absl::Status status = EndOfAttempt(c.options);
    EXPECT_NE(MessageOf(status).find(c.expected), std::string::npos) << MessageOf(status);
    EXPECT_NE(MessageOf(status).find(c.options.hub), std::string::npos) << MessageOf(status);
  }
}

TEST(GrpcLink, AHubThatEndsTheStreamInOrderIsOk) {
  const TestHub hub(
      [](grpc::ServerContext*, Stream* stream) {
        v1::SessionResponse farewell;
        farewell.mutable_farewell()->set_reason(v1::FAREWELL_REASON_DRAINING);
        stream->Write(farewell);
        return grpc::Status::OK;
      },
      grpc::InsecureServerCredentials());
  GrpcDialer dialer({.hub = hub.AddressAs("127.0.0.1"), .insecure = true});
  const auto events = std::make_shared<RecordedEvents>();
  const auto link = dialer.Dial(events);
  link->Receive();
  EXPECT_EQ(events->WaitForFrame(0).farewell().reason(), v1::FAREWELL_REASON_DRAINING);
  link->Receive();
  EXPECT_EQ(events->WaitForClosed(), absl::OkStatus());
  link->Send(HelloFrame());  // too late, and harmless
  link->HalfClose();
  link->Receive();
}

TEST(GrpcLink, RefusesAFrameAboveTheLimit) {
  const TestHub hub(
      [](grpc::ServerContext*, Stream* stream) {
        v1::SessionResponse big;
        big.mutable_farewell()->set_message(std::string(kMaxReceivedFrameBytes, 'x'));
        stream->Write(big);
        v1::SessionRequest request;
        while (stream->Read(&request)) {
        }
        return grpc::Status::OK;
      },
      grpc::InsecureServerCredentials());
  const absl::Status status = EndOfAttempt({.hub = hub.AddressAs("127.0.0.1"), .insecure = true});
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(MessageOf(status).find("256 KiB"), std::string::npos) << MessageOf(status);
}

TEST(GrpcLink, CancellingASilentHubEndsTheAttempt) {
  const TestHub hub(
      [](grpc::ServerContext*, Stream* stream) {
        v1::SessionRequest request;
        while (stream->Read(&request)) {
        }
        return grpc::Status::OK;
      },
      grpc::InsecureServerCredentials());
  GrpcDialer dialer({.hub = hub.AddressAs("127.0.0.1"), .insecure = true});
  const auto events = std::make_shared<RecordedEvents>();
  auto link = dialer.Dial(events);
  link->Receive();
  link->Send(HelloFrame());
  events->WaitForSent(1);
  link.reset();
  dialer.Drain();
  EXPECT_EQ(events->closed(), 1);
}

TEST(GrpcLink, CancellingWhileConnectingOrWithoutAnyOperationEnds) {
  const TestHub hub(EchoNumbers, grpc::InsecureServerCredentials());
  GrpcDialer dialer({.hub = hub.AddressAs("127.0.0.1"), .insecure = true});
  for (int i = 0; i < 50; ++i) {
    const auto events = std::make_shared<RecordedEvents>();
    auto link = dialer.Dial(events);
    if (i % 3 > 0) link->Receive();
    if (i % 3 > 1) link->Send(HelloFrame());
    link.reset();
    dialer.Drain();
    EXPECT_EQ(events->closed(), 1);
  }
}

TEST(GrpcLink, ReadsOnlyWhatIsAskedFor) {
  const TestHub hub(
      [](grpc::ServerContext*, Stream* stream) {
        for (int number = 1; number <= 1000; ++number) {
          v1::SessionResponse frame;
          frame.mutable_heartbeat_ack()->set_number(number);
          if (!stream->Write(frame)) break;
        }
        v1::SessionRequest request;
        while (stream->Read(&request)) {
        }
        return grpc::Status::OK;
      },
      grpc::InsecureServerCredentials());
  GrpcDialer dialer({.hub = hub.AddressAs("127.0.0.1"), .insecure = true});
  const auto events = std::make_shared<RecordedEvents>();
  const auto link = dialer.Dial(events);
  for (std::size_t i = 0; i < 10; ++i) {
    link->Receive();
    EXPECT_EQ(events->WaitForFrame(i).heartbeat_ack().number(), static_cast<std::int64_t>(i) + 1);
  }
  EXPECT_EQ(events->frames(), 10u);
}

TEST(GrpcLink, BytesThatAreNoFrameEndTheReading) {
  // A server that speaks gRPC, but not this protocol.
  class Garbage : public grpc::CallbackGenericService {
    grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* /*context*/) override {
      class Reactor : public grpc::ServerGenericBidiReactor {
       public:
        Reactor() {
          const grpc::Slice slice("\xff\xff\xff\xff\xff garbage");
          bytes_ = grpc::ByteBuffer(&slice, 1);
          StartWrite(&bytes_);
        }
        void OnCancel() override { Finish(grpc::Status::CANCELLED); }
        void OnDone() override { delete this; }

       private:
        grpc::ByteBuffer bytes_;
      };
      return new Reactor;
    }
  } service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterCallbackGenericService(&service);
  const auto server = builder.BuildAndStart();
  GrpcDialer dialer({.hub = "127.0.0.1:" + std::to_string(port), .insecure = true});
  const auto events = std::make_shared<RecordedEvents>();
  auto link = dialer.Dial(events);
  link->Receive();
  events->WaitForReadEnded();
  EXPECT_EQ(events->frames(), 0u);
  link.reset();
  dialer.Drain();
  server->Shutdown();
}

TEST(FailureText, UnknownFailuresAreShortAndKeepTheDetail) {
  const std::string text =
      LinkFailureText("hub:1", static_cast<int>(absl::StatusCode::kInternal), std::string(5000, 'x'));
  EXPECT_LT(text.size(), 400u);
  EXPECT_NE(LinkFailureText("hub:1", static_cast<int>(absl::StatusCode::kUnimplemented), "").find("--hub"),
            std::string::npos);
}

}  // namespace
}  // namespace muster::agent
