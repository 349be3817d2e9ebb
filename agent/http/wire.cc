#include "agent/http/wire.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <utility>

#include "agent/http/http_support.h"
#include "common/address.h"
#include "common/status.h"

namespace muster::agent {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Want = TlsSession::Want;

// The engine's queue of connections is full: when to try again.
constexpr absl::Duration kConnectRetry = absl::Milliseconds(10);
// For one address of a name that has more.
constexpr absl::Duration kAttemptTime = absl::Seconds(3);

// A peer that does not answer: asked after 30 s of silence, given up 50 s after its last word or after our first bytes
// that it did not take.
constexpr int kKeepaliveIdleSeconds = 30;
constexpr int kKeepaliveIntervalSeconds = 10;
constexpr int kKeepaliveProbes = 3;
constexpr int kUserTimeoutMs = 50'000;

void SetTcpOptions(int fd) {
  const auto set = [fd](int level, int name, int value) { setsockopt(fd, level, name, &value, sizeof(value)); };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, kKeepaliveIdleSeconds);
  set(IPPROTO_TCP, TCP_KEEPINTVL, kKeepaliveIntervalSeconds);
  set(IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveProbes);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMs);
}

std::string ToText(const tcp::endpoint& endpoint) {
  return HostPort{.host = endpoint.address().to_string(), .port = endpoint.port()}.ToString();
}

absl::Status ConnectFailure(const tcp::endpoint& endpoint, const error_code& error) {
  namespace errc = boost::system::errc;
  std::string_view advice = "check the address, and the network and firewalls on the way";
  if (error == errc::connection_refused)
    advice = "nobody listens there; check address and port, and that the server runs";
  return MakeError(absl::StatusCode::kUnavailable, "CONNECT_FAILED",
                   fmt::format("connect to {}: {}; {}", ToText(endpoint), error.message(), advice));
}

}  // namespace

Wire::Wire(asio::io_context& loop, std::shared_ptr<const ServerAccess> server)
    : loop_(loop), server_(std::move(server)), socket_(loop) {}

void Wire::Finish(Done& done, absl::Status status) {
  if (const Done call = std::exchange(done, nullptr)) call(std::move(status));
}

void Wire::Connect(Done done) {
  on_connected_ = std::move(done);
  const HttpServer& server = server_->server();
  if (server.is_socket()) {
    if (const absl::Status status = CheckSocketPath(server.socket_path); !status.ok()) {
      return Finish(on_connected_, status);
    }
    return ConnectSocket();
  }
  if (!server_->tls().ok()) return Finish(on_connected_, Annotate(server_->tls().status(), server_->address()));
  error_code error;
  if (const auto address = asio::ip::make_address(server.host, error); !error) {
    endpoints_ = {tcp::endpoint(address, server.port)};
    return ConnectNext(absl::OkStatus());
  }
  stage_ = Stage::kLookUp;
  lookup_ = std::make_shared<NameLookup>(loop_);
  lookup_->Start(server.host, server.port, [this](absl::StatusOr<NameLookup::Endpoints> endpoints) {
    if (!endpoints.ok()) return Finish(on_connected_, endpoints.status());
    stage_ = Stage::kConnect;
    endpoints_ = *std::move(endpoints);
    ConnectNext(absl::OkStatus());
  });
}

std::string Wire::Doing() const {
  switch (stage_) {
    case Stage::kLookUp:
      return "look up " + server_->server().host;
    case Stage::kConnect:
      return "connect to " + server_->address();
    case Stage::kHandshake:
      return "TLS handshake with " + server_->address();
    case Stage::kOpen:
      break;
  }
  return "talk to " + server_->address();
}

// By hand, because a unix socket connects at once or not at all: the one whose listener has no room must try again,
// while asio would wait for it and then take it for connected.
void Wire::ConnectSocket() {
  error_code error;
  const asio::local::stream_protocol::endpoint endpoint(server_->server().socket_path);
  if (!socket_.is_open()) socket_.open(endpoint.protocol(), error);
  if (!error) socket_.non_blocking(true, error);
  if (error) return Finish(on_connected_, ToStatus(error, "connect"));
  if (::connect(socket_.native_handle(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0) {
    return OnConnected();
  }
  if (errno == EAGAIN || errno == EINTR) return Later(kConnectRetry, [this] { ConnectSocket(); });
  Finish(on_connected_, ToStatus(error_code(errno, boost::system::system_category()), "connect"));
}

void Wire::ConnectNext(absl::Status last_failure) {
  if (endpoints_.empty()) return Finish(on_connected_, std::move(last_failure));
  const tcp::endpoint endpoint = endpoints_.front();
  endpoints_.erase(endpoints_.begin());
  error_code error;
  socket_.close(error);
  socket_.open(endpoint.protocol(), error);
  if (!error) socket_.non_blocking(true, error);
  if (error) return ConnectNext(ConnectFailure(endpoint, error));
  SetTcpOptions(socket_.native_handle());
  const int attempt = ++attempt_;
  socket_.async_connect(endpoint, [this, self = shared_from_this(), endpoint, attempt](error_code result) {
    if (is_closed_ || attempt != attempt_) return;
    timer_ = nullptr;
    if (result) return ConnectNext(ConnectFailure(endpoint, result));
    OnConnected();
  });
  if (endpoints_.empty()) return;
  Later(kAttemptTime, [this, endpoint] { ConnectNext(ConnectFailure(endpoint, asio::error::timed_out)); });
}

void Wire::OnConnected() {
  ++attempt_;
  timer_ = nullptr;
  endpoints_ = {};
  if (server_->server().is_socket()) {
    stage_ = Stage::kOpen;
    return Finish(on_connected_, absl::OkStatus());
  }
  stage_ = Stage::kHandshake;
  auto tls = (*server_->tls())->Open(socket_.native_handle());
  if (!tls.ok()) return Finish(on_connected_, tls.status());
  tls_ = *std::move(tls);
  Handshake();
}

void Wire::Handshake() {
  const TlsSession::Step step = tls_->Handshake();
  if (step.want != Want::kNothing) return Await(step.want, &Wire::Handshake);
  if (!step.status.ok()) return Finish(on_connected_, Annotate(step.status, server_->address()));
  stage_ = Stage::kOpen;
  lookup_ = nullptr;
  Finish(on_connected_, absl::OkStatus());
}

void Wire::Write(std::string bytes, Done done) {
  out_ = std::move(bytes);
  written_ = 0;
  on_written_ = std::move(done);
  WriteMore();
}

void Wire::WriteMore() {
  while (written_ < out_.size()) {
    const char* const from = out_.data() + written_;
    const std::size_t size = out_.size() - written_;
    if (tls_ != nullptr) {
      const TlsSession::Step step = tls_->Write(from, size);
      if (step.want != Want::kNothing) return Await(step.want, &Wire::WriteMore);
      if (!step.status.ok()) return Finish(on_written_, step.status);
      written_ += step.size;
      continue;
    }
    error_code error;
    written_ += socket_.write_some(asio::buffer(from, size), error);
    if (error == asio::error::would_block) return Await(Want::kWrite, &Wire::WriteMore);
    if (error && error != asio::error::interrupted) return Finish(on_written_, ToStatus(error, "send the request"));
  }
  // It held the token.
  out_ = {};
  Finish(on_written_, absl::OkStatus());
}

void Wire::AwaitReadable(Done done) {
  on_readable_ = std::move(done);
  if (late_failure_.ok() && (tls_ == nullptr || !tls_->HasPending())) return Await(read_wants_, &Wire::OnReadable);
  asio::post(loop_, [this, self = shared_from_this()] { OnReadable(); });
}

void Wire::OnReadable() { Finish(on_readable_, absl::OkStatus()); }

absl::StatusOr<Wire::Got> Wire::Read(char* to, std::size_t size) {
  if (tls_ != nullptr) return ReadTls(to, size);
  error_code error;
  Got got{.size = socket_.read_some(asio::buffer(to, size), error)};
  got.at_end = error == asio::error::eof;
  if (!error || got.at_end || error == asio::error::would_block || error == asio::error::interrupted) return got;
  return ToStatus(error, "read the stream");
}

absl::StatusOr<Wire::Got> Wire::ReadTls(char* to, std::size_t size) {
  if (!late_failure_.ok()) return late_failure_;
  Got got;
  // A record has 16 KiB at most.
  while (got.size < size && !got.at_end) {
    const TlsSession::Step step = tls_->Read(to + got.size, size - got.size);
    got.size += step.size;
    got.at_end = step.at_end;
    if (step.want != Want::kNothing) {
      read_wants_ = step.want;
      break;
    }
    if (step.status.ok()) continue;
    if (got.size == 0) return step.status;
    late_failure_ = step.status;
    break;
  }
  return got;
}

void Wire::Await(Want what, void (Wire::*next)()) {
  socket_.async_wait(what == Want::kWrite ? Socket::wait_write : Socket::wait_read,
                     [this, self = shared_from_this(), next](error_code /*error*/) {
                       // An error shows when it is read or written.
                       if (!is_closed_) (this->*next)();
                     });
}

void Wire::Later(absl::Duration wait, std::function<void()> next) {
  timer_ = std::make_unique<asio::steady_timer>(loop_, absl::ToChronoNanoseconds(wait));
  timer_->async_wait([this, self = shared_from_this(), next = std::move(next), attempt = attempt_](error_code error) {
    if (!error && !is_closed_ && attempt == attempt_) next();
  });
}

void Wire::Close() {
  if (std::exchange(is_closed_, true)) return;
  if (lookup_ != nullptr) lookup_->Cancel();
  timer_ = nullptr;
  on_connected_ = nullptr;
  on_written_ = nullptr;
  on_readable_ = nullptr;
  out_ = {};
  tls_ = nullptr;
  error_code ignored;
  socket_.close(ignored);
}

}  // namespace muster::agent
