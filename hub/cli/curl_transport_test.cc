// The curl adapter against real sockets: a server that says what the test tells it to.
#include "hub/cli/curl_transport.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <utility>

#include "common/files.h"
#include "common/status.h"
#include "common/testing/fake_clock.h"
#include "common/testing/temp_dir.h"
#include "hub/cli/exit_code.h"

namespace muster::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class NeverInterrupted : public Interrupt {
 public:
  bool Raised() const override { return raised; }
  bool WaitFor(absl::Duration) override { return raised; }
  int fd() const override { return read_fd; }
  std::atomic<bool> raised = false;
  int read_fd = -1;
};

// Accepts connections one by one and hands each to `serve`, in a thread of its own.
class SocketServer {
 public:
  explicit SocketServer(std::function<void(int fd)> serve) : serve_(std::move(serve)) {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    if (bind(fd_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(fd_, 8) != 0 ||
        getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      std::abort();
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~SocketServer() {
    shutdown(fd_, SHUT_RDWR);
    thread_.join();
    close(fd_);
  }
  int port() const { return port_; }
  std::string url() const { return fmt::format("http://127.0.0.1:{}", port_); }

 private:
  void Run() {
    while (true) {
      const int fd = accept(fd_, nullptr, nullptr);
      if (fd < 0) return;
      serve_(fd);
      close(fd);
    }
  }

  const std::function<void(int)> serve_;
  int fd_ = -1;
  int port_ = 0;
  std::thread thread_;
};

// Everything up to the end of the request's body.
std::string ReadRequest(int fd) {
  std::string request;
  char buffer[4096];
  while (true) {
    const std::size_t head_end = request.find("\r\n\r\n");
    if (head_end != std::string::npos) {
      const std::size_t at = request.find("Content-Length: ");
      const std::size_t length = at == std::string::npos ? 0 : std::stoul(request.substr(at + 16));
      if (request.size() >= head_end + 4 + length) return request;
    }
    const ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got <= 0) return request;
    request.append(buffer, static_cast<std::size_t>(got));
  }
}

void Send(int fd, const std::string& text) {
  EXPECT_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

// Until the client closes.
void AwaitClose(int fd) {
  char c;
  while (read(fd, &c, 1) > 0) {
  }
}

class Recorder : public StreamHandler {
 public:
  absl::Status OnHead(const HttpHead& got) override {
    head = got;
    return absl::OkStatus();
  }
  absl::Status OnBytes(std::string_view bytes) override {
    body += bytes;
    return on_bytes(bytes);
  }
  absl::Status OnTick() override {
    ++ticks;
    on_tick();
    return absl::OkStatus();
  }
  HttpHead head;
  std::string body;
  int ticks = 0;
  std::function<absl::Status(std::string_view)> on_bytes = [](std::string_view) { return absl::OkStatus(); };
  std::function<void()> on_tick = [] {};
};

class CurlTransportTest : public ::testing::Test {
 protected:
  CurlTransportTest() { signal(SIGPIPE, SIG_IGN); }
  static HttpRequest Request(const std::string& url) {
    return HttpRequest{.url = url + "/muster.fleet.v1.FleetService/GetHub",
                       .content_type = "application/json",
                       .token = Secret("mtk_x"),
                       .body = "{}",
                       .ca_file = "",
                       .connect_timeout = absl::Seconds(5),
                       .timeout = absl::Seconds(5),
                       .max_reply_bytes = 1000};
  }

  NeverInterrupted interrupt_;
  CurlTransport transport_{Clock::System(), &interrupt_};
};

TEST_F(CurlTransportTest, SendsTheRequestAndGivesTheReply) {
  std::string seen;
  SocketServer server([&](int fd) {
    seen = ReadRequest(fd);
    Send(fd,
         "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nDate: Sat, 21 Nov 2026 05:24:21 GMT\r\n"
         "Content-Length: 2\r\n\r\n{}");
  });
  const auto reply = transport_.Post(Request(server.url()));
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->head.status, 404);
  EXPECT_EQ(reply->head.content_type, "application/json");
  EXPECT_EQ(reply->body, "{}");
  EXPECT_EQ(reply->head.date, absl::FromUnixSeconds(1795238661));
  EXPECT_THAT(seen, AllOf(HasSubstr("POST /muster.fleet.v1.FleetService/GetHub HTTP/1.1\r\n"),
                          HasSubstr("Authorization: Bearer mtk_x\r\n"), HasSubstr("Content-Type: application/json\r\n"),
                          HasSubstr("Connect-Protocol-Version: 1\r\n"), HasSubstr("\r\n\r\n{}")));
}

TEST_F(CurlTransportTest, AnEmptyReplyStillHasAHead) {
  SocketServer server([](int fd) {
    ReadRequest(fd);
    Send(fd, "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n");
  });
  const auto reply = transport_.Post(Request(server.url()));
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->head.status, 502);
}

TEST_F(CurlTransportTest, ARedirectIsAReplyNotAJourneyOfTheToken) {
  int connections = 0;
  SocketServer server([&](int fd) {
    ++connections;
    ReadRequest(fd);
    Send(fd, "HTTP/1.1 307 Away\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
  });
  EXPECT_EQ(transport_.Post(Request(server.url()))->head.status, 307);
  EXPECT_EQ(connections, 1);
}

TEST_F(CurlTransportTest, ARefusedConnectionIsAnUnreachableHub) {
  int port = 0;
  {
    port = SocketServer([](int) {}).port();
  }
  const auto reply = transport_.Post(Request(fmt::format("http://127.0.0.1:{}", port)));
  EXPECT_EQ(reply.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(reply.status()), "HUB_UNREACHABLE");
  EXPECT_EQ(ReasonOf(transport_.Post(Request("http://no-such-host.invalid")).status()), "HUB_UNREACHABLE");
}

TEST_F(CurlTransportTest, AnAnswerThatDoesNotComeIsATimeOut) {
  SocketServer server([](int fd) { AwaitClose(fd); });
  HttpRequest request = Request(server.url());
  request.timeout = absl::Milliseconds(100);
  const auto reply = transport_.Post(request);
  EXPECT_EQ(reply.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ReasonOf(reply.status()), "TIMED_OUT");
}

TEST_F(CurlTransportTest, ATlsHandshakeThatHangsIsAnUnreachableHub) {
  SocketServer server([](int fd) { AwaitClose(fd); });
  HttpRequest request = Request(fmt::format("https://127.0.0.1:{}", server.port()));
  request.connect_timeout = absl::Milliseconds(100);
  EXPECT_EQ(transport_.Post(request).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(CurlTransportTest, BrokenRepliesAreErrors) {
  const struct {
    const char* what;
    const char* bytes;
    const char* reason;
  } cases[] = {
      {"nothing", "", "CONNECTION_BROKEN"},
      {"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"tar", "CONNECTION_BROKEN"},
      {"half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{\"tar", "CONNECTION_BROKEN"},
      {"not HTTP", "220 mail.example.com ESMTP\r\n", "NOT_HTTP"},
      {"a TLS alert", "\x15\x03\x01\x02\x02\x50", "NOT_HTTP"},
  };
  for (const auto& c : cases) {
    SocketServer server([&](int fd) {
      ReadRequest(fd);
      Send(fd, c.bytes);
    });
    const auto reply = transport_.Post(Request(server.url()));
    EXPECT_EQ(reply.status().code(), absl::StatusCode::kUnavailable) << c.what << reply.status();
    EXPECT_EQ(ReasonOf(reply.status()), c.reason) << c.what << reply.status();
  }
}

TEST_F(CurlTransportTest, AReplyOverTheLimitIsRefused) {
  SocketServer server([](int fd) {
    ReadRequest(fd);
    const std::string reply = "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + std::string(1001, ' ');
    [[maybe_unused]] const ssize_t ignored = write(fd, reply.data(), reply.size());
    AwaitClose(fd);
  });
  const auto reply = transport_.Post(Request(server.url()));
  EXPECT_EQ(ReasonOf(reply.status()), "REPLY_TOO_LARGE");
}

TEST_F(CurlTransportTest, PlainHttpBehindAnHttpsUrlIsATlsError) {
  SocketServer server([](int fd) {
    char buffer[600];
    [[maybe_unused]] const ssize_t ignored = read(fd, buffer, sizeof(buffer));
    Send(fd, "HTTP/1.1 400 Bad Request\r\n\r\n");
  });
  const auto reply = transport_.Post(Request(fmt::format("https://127.0.0.1:{}", server.port())));
  EXPECT_EQ(ReasonOf(reply.status()), "TLS_FAILED") << reply.status();
}

TEST_F(CurlTransportTest, StreamsPiecesAsTheyCome) {
  SocketServer server([](int fd) {
    ReadRequest(fd);
    Send(fd,
         "HTTP/1.1 200 OK\r\nContent-Type: application/connect+json\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    Send(fd, "3\r\ntwo\r\n0\r\n\r\n");
  });
  Recorder recorder;
  EXPECT_TRUE(transport_.PostStream(Request(server.url()), &recorder).ok());
  EXPECT_EQ(recorder.body, "onetwo");
  EXPECT_EQ(recorder.head.content_type, "application/connect+json");
}

TEST_F(CurlTransportTest, AStreamThatFallsSilentTicksAndThenIsIdle) {
  SocketServer server([](int fd) {
    ReadRequest(fd);
    Send(fd, "HTTP/1.1 200 OK\r\nContent-Type: application/connect+json\r\n\r\nx");
    AwaitClose(fd);
  });
  HttpRequest request = Request(server.url());
  request.timeout = absl::Milliseconds(500);  // looked at once a second
  Recorder recorder;
  const absl::Status status = transport_.PostStream(request, &recorder);
  EXPECT_EQ(ReasonOf(status), "STREAM_IDLE");
  EXPECT_EQ(recorder.body, "x");
  EXPECT_GE(recorder.ticks, 1);
}

// `muster logs -f | less`: nothing is read while somebody looks at a page.
TEST_F(CurlTransportTest, AReaderThatStopsForLongIsNoSilenceOfTheHub) {
  std::promise<void> ticked;
  SocketServer server([&ticked](int fd) {
    ReadRequest(fd);
    Send(fd, "HTTP/1.1 200 OK\r\nContent-Type: application/connect+json\r\nContent-Length: 6\r\n\r\none");
    ticked.get_future().wait_for(std::chrono::seconds(20));
    Send(fd, "two");
  });
  FakeClock clock;
  CurlTransport transport(&clock, &interrupt_);
  HttpRequest request = Request(server.url());
  request.timeout = absl::Seconds(30);
  Recorder recorder;
  recorder.on_bytes = [&clock](std::string_view) {
    clock.Advance(absl::Minutes(1));
    return absl::OkStatus();
  };
  // The first look at the clock behind the minute, just before the silence is measured.
  recorder.on_tick = [&ticked, first = true]() mutable {
    if (std::exchange(first, false)) ticked.set_value();
  };
  EXPECT_TRUE(transport.PostStream(request, &recorder).ok());
  EXPECT_EQ(recorder.body, "onetwo");
}

TEST_F(CurlTransportTest, TheHandlersErrorEndsTheStream) {
  SocketServer server([](int fd) {
    ReadRequest(fd);
    Send(fd, "HTTP/1.1 200 OK\r\n\r\nx");
    AwaitClose(fd);
  });
  Recorder recorder;
  recorder.on_bytes = [](std::string_view) { return absl::AbortedError("enough"); };
  EXPECT_EQ(transport_.PostStream(Request(server.url()), &recorder).code(), absl::StatusCode::kAborted);
}

TEST_F(CurlTransportTest, AnInterruptEndsTheWait) {
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  interrupt_.read_fd = fds[0];
  {
    SocketServer server([&](int fd) {
      ReadRequest(fd);
      interrupt_.raised = true;
      EXPECT_EQ(write(fds[1], "!", 1), 1);
      AwaitClose(fd);
    });
    EXPECT_TRUE(IsInterrupted(transport_.Post(Request(server.url())).status()));
  }
  close(fds[0]);
  close(fds[1]);
}

// ---- TLS

// A self-signed certificate for 127.0.0.1, as PEM in files.
class TlsServerFiles {
 public:
  TlsServerFiles() {
    key_.reset(EVP_EC_gen("P-256"));
    cert_.reset(X509_new());
    X509_set_version(cert_.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert_.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert_.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert_.get()), 3600);
    X509_set_pubkey(cert_.get(), key_.get());
    X509_NAME* name = X509_get_subject_name(cert_.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
    X509_set_issuer_name(cert_.get(), name);
    AddExtension(NID_subject_alt_name, "IP:127.0.0.1");
    AddExtension(NID_basic_constraints, "critical,CA:TRUE");
    X509_sign(cert_.get(), key_.get(), EVP_sha256());
    FILE* file = fopen(ca_path().c_str(), "w");
    PEM_write_X509(file, cert_.get());
    fclose(file);
  }
  std::string ca_path() const { return dir_.path() + "/ca.pem"; }
  SSL_CTX* NewContext() const {
    SSL_CTX* context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(context, cert_.get());
    SSL_CTX_use_PrivateKey(context, key_.get());
    return context;
  }

 private:
  void AddExtension(int nid, const char* value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    X509_add_ext(cert_.get(), extension, -1);
    X509_EXTENSION_free(extension);
  }
  TempDir dir_;
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_{nullptr, EVP_PKEY_free};
  std::unique_ptr<X509, decltype(&X509_free)> cert_{nullptr, X509_free};
};

class CurlTlsTest : public CurlTransportTest {
 protected:
  CurlTlsTest() : context_(files_.NewContext(), SSL_CTX_free), server_([this](int fd) { Serve(fd); }) {}

  void Serve(int fd) {
    SSL* ssl = SSL_new(context_.get());
    SSL_set_fd(ssl, fd);
    char buffer[4096];
    // A client that looks at the name only after the handshake hangs up without having sent anything.
    if (SSL_accept(ssl) == 1 && SSL_read(ssl, buffer, sizeof(buffer)) > 0) {
      const std::string reply = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
      SSL_write(ssl, reply.data(), static_cast<int>(reply.size()));
      ++served_;
    }
    SSL_free(ssl);
  }
  std::string Url(const std::string& host) const { return fmt::format("https://{}:{}", host, server_.port()); }

  TlsServerFiles files_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  std::atomic<int> served_ = 0;
  SocketServer server_;
};

TEST_F(CurlTlsTest, TrustsTheGivenAuthority) {
  HttpRequest request = Request(Url("127.0.0.1"));
  request.ca_file = files_.ca_path();
  const auto reply = transport_.Post(request);
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->body, "{}");
}

TEST_F(CurlTlsTest, SendsNothingToAHubThatIsNotTrusted) {
  const auto reply = transport_.Post(Request(Url("127.0.0.1")));
  EXPECT_EQ(ReasonOf(reply.status()), "TLS_NOT_TRUSTED");
  EXPECT_THAT(MessageOf(reply.status()), HasSubstr("--ca-file"));
  EXPECT_EQ(served_, 0);
}

TEST_F(CurlTlsTest, RefusesACertificateOfAnotherName) {
  HttpRequest request = Request(Url("localhost"));
  request.ca_file = files_.ca_path();
  EXPECT_EQ(ReasonOf(transport_.Post(request).status()), "TLS_NOT_TRUSTED");
  EXPECT_EQ(served_, 0);
}

TEST_F(CurlTlsTest, ACaFileThatHoldsNoneIsAUsageError) {
  TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir.path() + "/ca.pem", "no pem", 0600).ok());
  HttpRequest request = Request(Url("127.0.0.1"));
  request.ca_file = dir.path() + "/ca.pem";
  EXPECT_EQ(ExitCodeFor(transport_.Post(request).status()), ExitCode::kUsage);
}

}  // namespace
}  // namespace muster::cli
