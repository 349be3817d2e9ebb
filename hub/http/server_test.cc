#include "hub/http/server.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <zlib.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/files.h"
#include "common/mutex.h"
#include "common/status.h"
#include "common/testing/temp_dir.h"
#include "hub/http/mapped_file.h"
#include "hub/http/router.h"
#include "hub/http/service_pages.h"
#include "hub/http/testing/raw_client.h"
#include "hub/tls/authority.h"

namespace muster::hub {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kGet[] = "GET {} HTTP/1.1\r\nHost: h\r\n{}\r\n";
std::string Get(const std::string& path, const std::string& headers = "") {
  return fmt::format(fmt::runtime(kGet), path, headers);
}

// Waits for something that happens on the server's threads.
class Flag {
 public:
  void Set() {
    MutexLock lock(&mutex_);
    set_ = true;
    changed_.NotifyAll();
  }
  bool Wait() {
    MutexLock lock(&mutex_);
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (!set_ && absl::Now() < deadline) changed_.WaitFor(&mutex_, absl::Seconds(1));
    return set_;
  }
  bool is_set() {
    MutexLock lock(&mutex_);
    return set_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool set_ ABSL_GUARDED_BY(mutex_) = false;
};

class HttpServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    AddServicePages(&router_, "1.2.3", [] { return absl::OkStatus(); });
    router_.Add("POST", "/echo", [](const HttpRequest& request, const std::unique_ptr<HttpResponder>& responder) {
      responder->Send({.body = request.body});
    });
    router_.Add("GET", "/big", [](const HttpRequest&, const std::unique_ptr<HttpResponder>& responder) {
      responder->Send({.body = std::string(100'000, 'x'), .compressible = true});
    });
    router_.Add("GET", "/secret", [](const HttpRequest&, const std::unique_ptr<HttpResponder>& responder) {
      responder->Send({.body = std::string(100'000, 'x')});
    });
    router_.Add("GET", "/dropped", [](const HttpRequest&, const std::unique_ptr<HttpResponder>&) {});
    router_.Add("GET", "/hold", [this](const HttpRequest&, std::unique_ptr<HttpResponder> responder) {
      held_ = std::move(responder);
      holding_.Set();
    });
    router_.Add("GET", "/stream", [this](const HttpRequest&, std::unique_ptr<HttpResponder> responder) {
      responder->StartStream({}, [this] { gone_.Set(); });
      held_ = std::move(responder);
      holding_.Set();
    });
  }
  void TearDown() override {
    if (server_ != nullptr) server_->Stop(absl::ZeroDuration());
  }

  void Start(HttpLimits limits = {}, std::optional<HttpTls> tls = std::nullopt) {
    HttpServerOptions options{.address = {.host = "127.0.0.1", .port = 0}};
    options.limits = limits;
    options.tls = std::move(tls);
    auto server = HttpServer::Start(std::move(options), &router_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  std::uint16_t port() const { return server_->address().port; }

  std::string Exchange(const std::string& request) {
    RawClient client(port());
    client.Send(request);
    return client.ReadResponse();
  }

  HttpRouter router_;
  std::unique_ptr<HttpResponder> held_;
  Flag holding_;
  Flag gone_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersWithSecurityHeaders) {
  Start();
  const std::string answer = Exchange(Get("/healthz"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("X-Content-Type-Options: nosniff\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Security-Policy: default-src 'none'"));
  EXPECT_THAT(answer, HasSubstr("Cache-Control: no-store\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\n\r\nok\n"));
}

TEST_F(HttpServerTest, HeadHasTheLengthAndNoBody) {
  Start();
  RawClient client(port());
  client.Send("HEAD /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const std::string answer = client.ReadAll();
  EXPECT_THAT(answer, HasSubstr("Content-Length: 3\r\n"));
  EXPECT_THAT(answer, ::testing::EndsWith("\r\n\r\n"));
}

TEST_F(HttpServerTest, KeepsTheConnectionAndAnswersPipelinedRequestsInOrder) {
  Start();
  RawClient client(port());
  client.Send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\none" + Get("/healthz") +
              "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nthr\r\n2\r\nee\r\n0\r\n\r\n");
  EXPECT_THAT(client.ReadResponse(), ::testing::EndsWith("one"));
  EXPECT_THAT(client.ReadResponse(), ::testing::EndsWith("ok\n"));
  EXPECT_THAT(client.ReadResponse(), ::testing::EndsWith("three"));
}

TEST_F(HttpServerTest, SendsContinueWhenAsked) {
  Start();
  RawClient client(port());
  client.Send("POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("hi");
  EXPECT_THAT(client.ReadResponse(), ::testing::EndsWith("hi"));
}

TEST_F(HttpServerTest, RefusesWhatIsNotHttpWithTheRightStatus) {
  Start();
  const struct {
    std::string request, status, reason;
  } cases[] = {
      {"nonsense\r\n\r\n", "400", "MALFORMED_REQUEST"},
      {"GET / HTTP/1.1\r\n\r\n", "400", "HOST_MISSING"},
      {"GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n", "400", "BAD_REQUEST_TARGET"},
      {"GET /../etc/passwd HTTP/1.1\r\nHost: h\r\n\r\n", "400", "BAD_REQUEST_TARGET"},
      {"GET /connect/%2e%2e HTTP/1.1\r\nHost: h\r\n\r\n", "400", "BAD_REQUEST_TARGET"},
      {"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400",
       "MALFORMED_REQUEST"},
      {"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", "400", "MALFORMED_REQUEST"},
      {"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n", "404", "PATH_NOT_FOUND"},
      {"DELETE /healthz HTTP/1.1\r\nHost: h\r\n\r\n", "405", "METHOD_NOT_ALLOWED"},
      {"GET /dropped HTTP/1.1\r\nHost: h\r\n\r\n", "500", "NO_ANSWER"},
  };
  for (const auto& c : cases) {
    const std::string answer = Exchange(c.request);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 " + c.status)) << c.request;
    EXPECT_THAT(answer, HasSubstr(c.reason)) << c.request;
    EXPECT_THAT(answer, HasSubstr("Content-Type: application/json\r\n"));
  }
}

TEST_F(HttpServerTest, AnswersOversizedRequestsBeforeReadingThem) {
  HttpLimits limits;
  limits.max_header_bytes = 2048;
  limits.max_body_bytes = 1000;
  Start(limits);
  EXPECT_THAT(Exchange(Get("/", "X: " + std::string(3000, 'a') + "\r\n")), StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(Exchange("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n"), StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(Exchange("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n" +
                       std::string(0x800, 'a') + "\r\n0\r\n\r\n"),
              StartsWith("HTTP/1.1 413"));
}

TEST_F(HttpServerTest, AClientThatGoesOnSendingSeesThe413) {
  HttpLimits limits;
  limits.max_body_bytes = 1000;
  Start(limits);
  RawClient client(port());
  client.Send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000\r\n\r\n");
  client.Send(std::string(2'000'000, 'a'));
  EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 413"));
}

TEST_F(HttpServerTest, ASlowHeaderAndASlowBodyGet408) {
  HttpLimits limits;
  limits.header_timeout = absl::Milliseconds(100);
  limits.body_timeout = absl::Milliseconds(100);
  Start(limits);
  EXPECT_THAT(Exchange("GET / HTTP/1.1\r\nHo"), StartsWith("HTTP/1.1 408"));
  EXPECT_THAT(Exchange("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nab"), StartsWith("HTTP/1.1 408"));
}

TEST_F(HttpServerTest, ADrippingHeaderDoesNotExtendItsDeadline) {
  HttpLimits limits;
  limits.header_timeout = absl::Milliseconds(300);
  Start(limits);
  RawClient client(port());
  client.Send("GET / HTTP/1.1\r\n");
  std::thread drip([&] {
    // Until the server answers or hangs up.
    pollfd readable{.fd = client.fd(), .events = POLLIN, .revents = 0};
    while (poll(&readable, 1, 20) == 0 && client.Send("X: y\r\n")) {
    }
  });
  const absl::Time start = absl::Now();
  const std::string answer = client.ReadResponse();
  EXPECT_LT(absl::Now() - start, absl::Seconds(9));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 408"));
  drip.join();
}

TEST_F(HttpServerTest, ClosesASilentAndAnIdleConnection) {
  HttpLimits limits;
  limits.header_timeout = absl::Milliseconds(100);
  limits.idle_timeout = absl::Milliseconds(100);
  Start(limits);
  RawClient silent(port());
  EXPECT_EQ(silent.ReadAll(), "");
  RawClient idle(port());
  idle.Send(Get("/healthz"));
  EXPECT_THAT(idle.ReadAll(), HasSubstr("ok\n"));
}

TEST_F(HttpServerTest, AHandlerThatNeverAnswersGets503) {
  HttpLimits limits;
  limits.answer_timeout = absl::Milliseconds(100);
  Start(limits);
  EXPECT_THAT(Exchange(Get("/hold")), StartsWith("HTTP/1.1 503"));
  held_->Send({.body = "late"});  // harmless
}

TEST_F(HttpServerTest, LimitsConnectionsPerClient) {
  HttpLimits limits;
  limits.max_connections_per_ip = 2;
  Start(limits);
  RawClient first(port());
  RawClient second(port());
  first.Send(Get("/healthz"));
  second.Send(Get("/healthz"));
  EXPECT_THAT(first.ReadResponse(), HasSubstr("ok"));
  EXPECT_THAT(second.ReadResponse(), HasSubstr("ok"));
  EXPECT_EQ(Exchange(Get("/healthz")), "");
  EXPECT_EQ(server_->stats().connections_refused_total, 1u);
  first.Send("GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  first.ReadAll();
  while (server_->stats().connections_open > 1) std::this_thread::yield();
  EXPECT_THAT(Exchange(Get("/healthz")), HasSubstr("ok"));
}

TEST_F(HttpServerTest, CompressesOnlyWhereAskedAndAllowed) {
  Start();
  const std::string packed = Exchange(Get("/big", "Accept-Encoding: deflate, gzip;q=0.5\r\n"));
  EXPECT_THAT(packed, HasSubstr("Content-Encoding: gzip\r\n"));
  EXPECT_THAT(packed, HasSubstr("Vary: Accept-Encoding\r\n"));
  const std::string body = packed.substr(packed.find("\r\n\r\n") + 4);
  EXPECT_LT(body.size(), 2000u);
  std::string plain(200'000, '\0');
  z_stream z{};
  ASSERT_EQ(inflateInit2(&z, 15 + 16), Z_OK);
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  z.avail_in = static_cast<uInt>(body.size());
  z.next_out = reinterpret_cast<Bytef*>(plain.data());
  z.avail_out = static_cast<uInt>(plain.size());
  EXPECT_EQ(inflate(&z, Z_FINISH), Z_STREAM_END);
  EXPECT_EQ(z.total_out, 100'000u);
  inflateEnd(&z);
  EXPECT_THAT(Exchange(Get("/big")), Not(HasSubstr("Content-Encoding")));
  EXPECT_THAT(Exchange(Get("/big", "Accept-Encoding: gzip;q=0\r\n")), Not(HasSubstr("Content-Encoding")));
  EXPECT_THAT(Exchange(Get("/secret", "Accept-Encoding: gzip\r\n")), Not(HasSubstr("Content-Encoding")));
}

TEST_F(HttpServerTest, SendsAMappedFileWhole) {
  const TempDir dir;
  std::string content;
  for (int i = 0; i < 300'000; ++i) content += static_cast<char>(i * 7);
  ASSERT_TRUE(WriteFileAtomically(dir.path() + "/f", content, 0644).ok());
  const auto file = MappedFile::Open(dir.path() + "/f");
  ASSERT_TRUE(file.ok());
  router_.Add("GET", "/file", [&](const HttpRequest&, const std::unique_ptr<HttpResponder>& responder) {
    responder->Send({.content_type = "application/octet-stream", .file = *file});
  });
  Start();
  const std::string answer = Exchange(Get("/file"));
  EXPECT_TRUE(answer.substr(answer.find("\r\n\r\n") + 4) == content);
}

TEST_F(HttpServerTest, StreamsChunksToTheEnd) {
  Start();
  RawClient client(port());
  client.Send(Get("/stream"));
  ASSERT_TRUE(holding_.Wait());
  EXPECT_EQ(held_->Write("hello"), StreamWrite::kTaken);
  EXPECT_THAT(client.ReadUntil("\r\n\r\n"), HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_EQ(client.Read(10), "5\r\nhello\r\n");
  held_->End("bye");
  EXPECT_EQ(client.ReadAll(), "3\r\nbye\r\n0\r\n\r\n");
  EXPECT_FALSE(gone_.is_set());
}

TEST_F(HttpServerTest, TellsAStreamThatItsClientIsGone) {
  Start();
  RawClient client(port());
  client.Send(Get("/stream"));
  ASSERT_TRUE(holding_.Wait());
  client.ReadUntil("\r\n\r\n");
  client.Close();
  ASSERT_TRUE(gone_.Wait());
  EXPECT_EQ(held_->Write("x"), StreamWrite::kGone);
}

TEST_F(HttpServerTest, AStreamThatIsNotReadFillsAndDrains) {
  HttpLimits limits;
  limits.max_stream_buffer_bytes = 1024 * 1024;
  Start(limits);
  RawClient client(port());
  client.Send(Get("/stream"));
  ASSERT_TRUE(holding_.Wait());
  const std::string chunk(256 * 1024, 'x');
  std::size_t taken = 0;
  StreamWrite result = StreamWrite::kTaken;
  // The kernel's buffers take some megabytes first.
  for (int i = 0; i < 1000 && result == StreamWrite::kTaken; ++i) {
    result = held_->Write(chunk);
    if (result == StreamWrite::kTaken) taken += chunk.size();
    std::this_thread::yield();
  }
  EXPECT_EQ(result, StreamWrite::kFull);
  held_->End();
  const std::string all = client.ReadAll();
  EXPECT_EQ(static_cast<std::size_t>(
                std::count(all.begin() + static_cast<std::ptrdiff_t>(all.find("\r\n\r\n")), all.end(), 'x')),
            taken);
  EXPECT_THAT(all, ::testing::EndsWith("0\r\n\r\n"));
}

TEST_F(HttpServerTest, AStreamDroppedInTheMiddleDoesNotLookComplete) {
  Start();
  RawClient client(port());
  client.Send(Get("/stream"));
  ASSERT_TRUE(holding_.Wait());
  held_->Write("half");
  client.ReadUntil("half\r\n");
  held_.reset();
  EXPECT_EQ(client.ReadAll(), "");
}

TEST_F(HttpServerTest, StopEndsStreamsAndLetsAnswersUnderWayFinish) {
  Start();
  RawClient streaming(port());
  streaming.Send(Get("/stream"));
  ASSERT_TRUE(holding_.Wait());
  auto stream = std::move(held_);
  std::unique_ptr<HttpResponder> pending;
  Flag waiting;
  router_.Add("GET", "/pending", [&](const HttpRequest&, std::unique_ptr<HttpResponder> responder) {
    pending = std::move(responder);
    waiting.Set();
  });
  RawClient asking(port());
  asking.Send(Get("/pending"));
  ASSERT_TRUE(waiting.Wait());
  std::thread stop([&] { server_->Stop(absl::Seconds(10)); });
  EXPECT_TRUE(gone_.Wait());
  pending->Send({.body = "finished"});
  EXPECT_THAT(asking.ReadAll(), HasSubstr("finished"));
  stop.join();
  EXPECT_FALSE(RawClient(port()).connected());
  server_.reset();
  pending.reset();
}

TEST_F(HttpServerTest, AResponderMayOutliveTheServer) {
  Start();
  RawClient client(port());
  client.Send(Get("/hold"));
  ASSERT_TRUE(holding_.Wait());
  server_.reset();
  held_->Send({.body = "nobody hears"});
  held_.reset();
}

TEST_F(HttpServerTest, ReadinessTellsTheReason) {
  router_.Add("GET", "/x", [](const HttpRequest&, const std::unique_ptr<HttpResponder>&) {});
  HttpRouter router;
  AddServicePages(&router, "1",
                  [] { return MakeError(absl::StatusCode::kUnavailable, "X", "the store is read-only"); });
  auto server = HttpServer::Start({.address = {.host = "127.0.0.1", .port = 0}}, &router);
  ASSERT_TRUE(server.ok());
  RawClient client((*server)->address().port);
  client.Send(Get("/readyz"));
  const std::string answer = client.ReadResponse();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(answer, HasSubstr("the store is read-only"));
}

TEST_F(HttpServerTest, APortTakenNamesTheAddressAndTheFlag) {
  Start();
  const auto second = HttpServer::Start({.address = server_->address(), .address_flag = "--http-addr"}, &router_);
  EXPECT_EQ(ReasonOf(second.status()), "ADDRESS_IN_USE");
  EXPECT_THAT(MessageOf(second.status()), HasSubstr(server_->address().ToString()));
  EXPECT_THAT(MessageOf(second.status()), HasSubstr("--http-addr"));
}

TEST_F(HttpServerTest, AnAddressOfAnotherMachineIsRefused) {
  const auto server = HttpServer::Start({.address = {.host = "192.0.2.1", .port = 0}}, &router_);
  EXPECT_EQ(ReasonOf(server.status()), "ADDRESS_UNUSABLE");
}

TEST_F(HttpServerTest, AnEmptyHostListensOnBothFamilies) {
  auto server = HttpServer::Start({.address = {.host = "", .port = 0}}, &router_);
  ASSERT_TRUE(server.ok()) << server.status();
  RawClient client((*server)->address().port);
  client.Send(Get("/healthz"));
  EXPECT_THAT(client.ReadResponse(), HasSubstr("ok"));
}

class TlsServerTest : public HttpServerTest {
 protected:
  void StartTls(HttpLimits limits = {}) {
    auto tls = EnsureTls(dir_.path(), {}, absl::Now());
    ASSERT_TRUE(tls.ok());
    Start(limits, HttpTls{.cert_chain_pem = tls->cert_chain_pem, .key_pem = tls->key_pem});
  }
  // The answer, or "" when the handshake fails.
  std::string Fetch(const std::string& request, int max_version = TLS1_3_VERSION) {
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(context, max_version);
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    SSL_CTX_load_verify_file(context, (dir_.path() + "/ca.pem").c_str());
    RawClient client(port());
    SSL* ssl = SSL_new(context);
    SSL_set1_host(ssl, "localhost");
    SSL_set_fd(ssl, client.fd());
    std::string answer;
    if (SSL_connect(ssl) == 1) {
      SSL_write(ssl, request.data(), static_cast<int>(request.size()));
      char buffer[4096];
      for (int got = 0; (got = SSL_read(ssl, buffer, sizeof buffer)) > 0;) answer.append(buffer, got);
      clean_end_ = SSL_get_error(ssl, 0) == SSL_ERROR_ZERO_RETURN;
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
    return answer;
  }
  TempDir dir_;
  bool clean_end_ = false;
};

TEST_F(TlsServerTest, ServesOverTlsAndEndsCleanly) {
  StartTls();
  EXPECT_THAT(Fetch(Get("/healthz", "Connection: close\r\n")), HasSubstr("ok\n"));
  EXPECT_TRUE(clean_end_);
  EXPECT_THAT(Fetch(Get("/big", "Connection: close\r\n")), ::testing::SizeIs(::testing::Gt(100'000u)));
}

TEST_F(TlsServerTest, RefusesTls11) {
  StartTls();
  EXPECT_EQ(Fetch(Get("/healthz", "Connection: close\r\n"), TLS1_1_VERSION), "");
}

TEST_F(TlsServerTest, ASilentHandshakeIsCutOff) {
  HttpLimits limits;
  limits.tls_handshake_timeout = absl::Milliseconds(100);
  StartTls(limits);
  RawClient client(port());
  client.Send("\x16\x03\x01");
  EXPECT_EQ(client.ReadAll(), "");
  EXPECT_EQ(server_->stats().requests_refused_total, 1u);
}

TEST_F(TlsServerTest, ASlowRequestGets408OverTls) {
  HttpLimits limits;
  limits.header_timeout = absl::Milliseconds(100);
  StartTls(limits);
  EXPECT_THAT(Fetch("GET / HT"), StartsWith("HTTP/1.1 408"));
}

}  // namespace
}  // namespace muster::hub
