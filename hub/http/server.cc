#include "hub/http/server.h"

#include <fmt/format.h>
#include <openssl/ssl.h>

#include <atomic>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "common/log.h"
#include "common/mutex.h"
#include "common/status.h"
#include "hub/http/connection.h"

namespace muster::hub {
namespace {

namespace net = boost::asio;
using boost::system::error_code;
using Tcp = net::ip::tcp;

// After an accept that failed for want of descriptors: long enough for some connection to end.
constexpr std::chrono::milliseconds kAcceptPause{100};

net::ip::address Normalized(const net::ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return net::ip::make_address_v4(net::ip::v4_mapped, address.to_v6());
  }
  return address;
}

// One client: an IPv4 address, or the /64 that one IPv6 host owns.
std::string ClientKey(const net::ip::address& address) {
  if (address.is_v4()) return address.to_string();
  const auto bytes = address.to_v6().to_bytes();
  return std::string(bytes.begin(), bytes.begin() + 8);
}

absl::Status ListenError(const HostPort& address, const std::string& flag, const error_code& ec) {
  if (ec == net::error::address_in_use) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition, "ADDRESS_IN_USE",
        fmt::format("cannot listen on {}: another process listens there: end it (`ss -ltnp` shows which), or "
                    "choose another address with {}",
                    address.ToString(), flag));
  }
  if (ec == net::error::access_denied) {
    return MakeError(
        absl::StatusCode::kPermissionDenied, "ADDRESS_FORBIDDEN",
        fmt::format("cannot listen on {}: ports below 1024 need the right to do so: choose another address "
                    "with {}",
                    address.ToString(), flag));
  }
  return MakeError(absl::StatusCode::kFailedPrecondition, "ADDRESS_UNUSABLE",
                   fmt::format("cannot listen on {}: {}: give an address of this machine with {}", address.ToString(),
                               ec.message(), flag));
}

absl::Status SetUpTls(const HttpTls& tls, net::ssl::context* context) {
  const auto bad = [](std::string_view what, const error_code& ec) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "TLS_UNUSABLE",
                     fmt::format("cannot use the TLS {}: {}", what, ec.message()));
  };
  error_code ec;
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  SSL_CTX_set_options(context->native_handle(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context->native_handle(), SSL_MODE_RELEASE_BUFFERS);
  context->use_certificate_chain(net::buffer(tls.cert_chain_pem), ec);
  if (ec) return bad("certificate", ec);
  context->use_private_key(net::buffer(tls.key_pem.Reveal()), net::ssl::context::pem, ec);
  if (ec) return bad("key", ec);
  return absl::OkStatus();
}

}  // namespace

class HttpServer::Impl : public ConnectionHost {
 public:
  Impl(HttpServerOptions options, HttpHandler* handler)
      : options_(std::move(options)),
        handler_(handler),
        io_(options_.threads),
        work_(net::make_work_guard(io_)),
        tls_(net::ssl::context::tls_server) {}

  // NOLINTNEXTLINE(bugprone-exception-escape): join throws only for a thread that cannot be joined; these can.
  ~Impl() override { Stop(absl::ZeroDuration()); }

  absl::Status Start();
  void Stop(absl::Duration grace);

  HostPort address() const { return address_; }
  HttpServerStats stats() const;

  // ---- ConnectionHost
  const HttpLimits& limits() const override { return options_.limits; }
  HttpHandler* handler() const override { return handler_; }
  void RequestStarted() override { requests_.fetch_add(1, std::memory_order_relaxed); }
  void RequestRefused() override { requests_refused_.fetch_add(1, std::memory_order_relaxed); }
  bool stopping() const override { return stopping_.load(); }
  void Closed(const std::shared_ptr<Connection>& connection) override;

 private:
  // The strand keeps the accept loop and Stop apart.
  struct Listener {
    explicit Listener(net::io_context& io) : strand(net::make_strand(io)), acceptor(strand), pause(strand) {}
    net::strand<net::io_context::executor_type> strand;
    Tcp::acceptor acceptor;
    net::steady_timer pause;
  };

  absl::Status Listen(const Tcp::endpoint& endpoint, bool dual_stack);
  void Accept(Listener* listener);
  void OnAccepted(Tcp::socket socket);
  std::vector<std::shared_ptr<Connection>> Connections();

  // Constant after Start.
  const HttpServerOptions options_;
  HttpHandler* const handler_;
  HostPort address_;

  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> connections_total_{0};
  std::atomic<std::uint64_t> connections_refused_{0};
  std::atomic<std::uint64_t> requests_{0};
  std::atomic<std::uint64_t> requests_refused_{0};

  // Declared before what uses it: destroyed last.
  net::io_context io_;
  net::executor_work_guard<net::io_context::executor_type> work_;
  net::ssl::context tls_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::thread> threads_;

  mutable Mutex mutex_;
  CondVar closed_;
  std::unordered_set<std::shared_ptr<Connection>> connections_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<std::string, int> per_client_ ABSL_GUARDED_BY(mutex_);
};

absl::Status HttpServer::Impl::Start() {
  if (options_.tls.has_value()) RETURN_IF_ERROR(SetUpTls(*options_.tls, &tls_));
  address_ = options_.address;
  if (options_.address.host.empty()) {
    // One socket for both families; a kernel without IPv6 gets IPv4 alone.
    const absl::Status both = Listen(Tcp::endpoint(Tcp::v6(), options_.address.port), true);
    if (!both.ok() && ReasonOf(both) == "ADDRESS_UNUSABLE") {
      RETURN_IF_ERROR(Listen(Tcp::endpoint(Tcp::v4(), options_.address.port), false));
    } else {
      RETURN_IF_ERROR(both);
    }
  } else {
    error_code ec;
    Tcp::resolver resolver(io_);
    const auto found = resolver.resolve(options_.address.host, fmt::format("{}", options_.address.port),
                                        Tcp::resolver::passive | Tcp::resolver::numeric_service, ec);
    if (ec || found.empty()) return ListenError(options_.address, options_.address_flag, ec);
    std::unordered_set<std::string> seen;
    for (const auto& entry : found) {
      // A free port taken for the first address of a name serves the others too.
      const Tcp::endpoint endpoint(entry.endpoint().address(), address_.port);
      if (!seen.insert(endpoint.address().to_string()).second) continue;
      absl::Status status = Listen(endpoint, false);
      // "localhost" may resolve to ::1 on a machine without IPv6.
      if (!status.ok() && (listeners_.empty() && seen.size() == found.size())) return status;
      if (!status.ok() && ReasonOf(status) != "ADDRESS_UNUSABLE") return status;
    }
    if (listeners_.empty()) return ListenError(options_.address, options_.address_flag, net::error::host_not_found);
  }
  for (const auto& listener : listeners_) Accept(listener.get());
  for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { io_.run(); });
  return absl::OkStatus();
}

absl::Status HttpServer::Impl::Listen(const Tcp::endpoint& endpoint, bool dual_stack) {
  auto listener = std::make_unique<Listener>(io_);
  error_code ec;
  Tcp::acceptor& acceptor = listener->acceptor;
  acceptor.open(endpoint.protocol(), ec);
  if (!ec) acceptor.set_option(net::socket_base::reuse_address(true), ec);
  if (!ec && endpoint.protocol() == Tcp::v6()) acceptor.set_option(net::ip::v6_only(!dual_stack), ec);
  if (!ec) acceptor.bind(endpoint, ec);
  if (!ec) acceptor.listen(net::socket_base::max_listen_connections, ec);
  if (ec) return ListenError(options_.address, options_.address_flag, ec);
  address_.port = acceptor.local_endpoint(ec).port();
  listeners_.push_back(std::move(listener));
  return absl::OkStatus();
}

void HttpServer::Impl::Accept(Listener* listener) {
  // Each connection gets a strand of its own.
  listener->acceptor.async_accept(
      net::make_strand(io_), net::bind_executor(listener->strand, [this, listener](error_code ec, Tcp::socket socket) {
        if (stopping_.load() || ec == net::error::operation_aborted) return;
        if (!ec) {
          OnAccepted(std::move(socket));
          return Accept(listener);
        }
        log::Warning("{}: cannot accept a connection: {}", address_.ToString(), ec.message());
        listener->pause.expires_after(kAcceptPause);
        listener->pause.async_wait([this, listener](error_code wait_error) {
          if (!wait_error && !stopping_.load()) Accept(listener);
        });
      }));
}

void HttpServer::Impl::OnAccepted(Tcp::socket socket) {
  error_code ec;
  const Tcp::endpoint remote = socket.remote_endpoint(ec);
  if (ec) return;  // gone already
  socket.set_option(Tcp::no_delay(true), ec);
  const net::ip::address address = Normalized(remote.address());
  ConnectionPeer peer{.address = address.to_string(), .key = ClientKey(address)};
  std::shared_ptr<Connection> connection;
  {
    MutexLock lock(&mutex_);
    int& of_client = per_client_[peer.key];
    if (stopping_.load() || connections_.size() >= static_cast<std::size_t>(options_.limits.max_connections) ||
        of_client >= options_.limits.max_connections_per_ip) {
      if (of_client == 0) per_client_.erase(peer.key);
      connections_refused_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    ++of_client;
    connection = MakeConnection(std::move(socket), options_.tls.has_value() ? &tls_ : nullptr, std::move(peer), this);
    connections_.insert(connection);
  }
  connections_total_.fetch_add(1, std::memory_order_relaxed);
  connection->Start();
}

void HttpServer::Impl::Closed(const std::shared_ptr<Connection>& connection) {
  MutexLock lock(&mutex_);
  if (connections_.erase(connection) == 0) return;
  const auto client = per_client_.find(connection->peer_key());
  if (client != per_client_.end() && --client->second <= 0) per_client_.erase(client);
  closed_.NotifyAll();
}

std::vector<std::shared_ptr<Connection>> HttpServer::Impl::Connections() {
  MutexLock lock(&mutex_);
  return {connections_.begin(), connections_.end()};
}

HttpServerStats HttpServer::Impl::stats() const {
  HttpServerStats stats;
  {
    MutexLock lock(&mutex_);
    stats.connections_open = connections_.size();
  }
  stats.connections_total = connections_total_.load();
  stats.connections_refused_total = connections_refused_.load();
  stats.requests_total = requests_.load();
  stats.requests_refused_total = requests_refused_.load();
  return stats;
}

void HttpServer::Impl::Stop(absl::Duration grace) {
  if (stopping_.exchange(true)) return;
  for (const auto& listener : listeners_) {
    net::post(listener->strand, [raw = listener.get()] {
      error_code ignored;
      raw->acceptor.close(ignored);
      raw->pause.cancel();
    });
  }
  for (const auto& connection : Connections()) connection->Drain();
  const absl::Time deadline = absl::Now() + grace;
  {
    MutexLock lock(&mutex_);
    while (!connections_.empty() && absl::Now() < deadline) closed_.WaitFor(&mutex_, deadline - absl::Now());
  }
  work_.reset();
  io_.stop();
  for (std::thread& thread : threads_) thread.join();
  // Nothing runs any more. Responders that outlive the server must not reach it.
  for (const auto& connection : Connections()) connection->DetachAnswer();
  MutexLock lock(&mutex_);
  connections_.clear();
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(HttpServerOptions options, HttpHandler* handler) {
  auto impl = std::make_unique<Impl>(std::move(options), handler);
  RETURN_IF_ERROR(impl->Start());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;
HostPort HttpServer::address() const { return impl_->address(); }
HttpServerStats HttpServer::stats() const { return impl_->stats(); }
void HttpServer::Stop(absl::Duration grace) { impl_->Stop(grace); }

}  // namespace muster::hub
