#include "tests/load/h2_link.h"

#include <fmt/format.h>
#include <nghttp2/nghttp2.h>
#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <optional>
#include <string_view>
#include <utility>

#include "common/status.h"

namespace muster::load {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr std::size_t kReadBytes = 64 * 1024;
// As gRPC's default.
constexpr std::uint32_t kWindowBytes = 65'535;
constexpr std::size_t kGrpcPrefixBytes = 5;
constexpr std::size_t kMaxFrameBytes = 256 * 1024;
// A slow reader takes so much at a time, and waits so long in between.
constexpr std::size_t kSlowBytes = 64;
constexpr auto kSlowPause = std::chrono::milliseconds(500);
constexpr int kWantsRead = -1;
constexpr int kWantsWrite = -2;
constexpr int kBroken = -3;

// One buffer for all: one thread reads one connection at a time.
std::array<std::uint8_t, kReadBytes>& ReadBuffer() {
  static std::array<std::uint8_t, kReadBytes> buffer;
  return buffer;
}

nghttp2_nv Header(std::string_view name, std::string_view value) {
  // nghttp2 copies; it only has no const.
  return {reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NONE};
}

std::string WithGrpcPrefix(const std::string& message) {
  std::string framed(kGrpcPrefixBytes, '\0');
  for (int i = 0; i < 4; ++i) framed[static_cast<std::size_t>(4 - i)] = static_cast<char>(message.size() >> (8 * i));
  return framed + message;
}

}  // namespace

class H2Connection : public std::enable_shared_from_this<H2Connection> {
 public:
  H2Connection(H2Network* network, asio::ip::address_v4 source, std::shared_ptr<agent::LinkEvents> events)
      : network_(network), source_(source), events_(std::move(events)), socket_(*network->io_), timer_(*network->io_) {}
  ~H2Connection() {
    nghttp2_session_del(session_);
    SSL_free(tls_);
  }
  H2Connection(const H2Connection&) = delete;
  H2Connection& operator=(const H2Connection&) = delete;

  void Start() {
    ++network_->connects_;
    boost::system::error_code error;
    socket_.open(tcp::v4(), error);
    if (!error) socket_.set_option(tcp::no_delay(true), error);
    if (!error && source_.to_uint() != 0) {
      // The kernel draws the port at connect: a port may serve many sources.
      const int on = 1;
      setsockopt(socket_.native_handle(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
      socket_.bind({source_, 0}, error);
    }
    if (error) return Post([error](H2Connection& c) { c.Fail(fmt::format("no socket: {}", error.message())); });
    socket_.async_connect(network_->options_.hub, [self = shared_from_this()](boost::system::error_code failed) {
      if (self->closed_) return;
      if (failed) return self->Fail(fmt::format("cannot connect: {}", failed.message()));
      self->Connected();
    });
  }

  void Send(const agent::v1::SessionRequest& frame) {
    outgoing_.push_back(WithGrpcPrefix(frame.SerializeAsString()));
    if (session_ == nullptr || stream_ < 0) return;
    nghttp2_session_resume_data(session_, stream_);
    Flush();
  }

  void HalfClose() {
    half_closed_ = true;
    if (session_ == nullptr || stream_ < 0) return;
    nghttp2_session_resume_data(session_, stream_);
    Flush();
  }

  // No events come afterwards.
  void Drop() {
    events_.reset();
    Close();
  }

  void SetPace(ReadPace pace) {
    const bool waits = pace_ == ReadPace::kNever;
    pace_ = pace;
    if (waits && !closed_ && session_ != nullptr) ArmRead();
  }

 private:
  template <typename Work>
  void Post(Work work) {
    asio::post(*network_->io_, [self = shared_from_this(), work] { work(*self); });
  }

  void Connected() {
    boost::system::error_code ignored;
    socket_.non_blocking(true, ignored);
    if (network_->tls_ == nullptr) return Open();
    tls_ = SSL_new(network_->tls_);
    SSL_set_fd(tls_, socket_.native_handle());
    SSL_set_tlsext_host_name(tls_, network_->options_.host.c_str());
    SSL_set1_host(tls_, network_->options_.host.c_str());
    Handshake();
  }

  void Handshake() {
    ERR_clear_error();
    const int done = SSL_connect(tls_);
    if (done == 1) return Open();
    const auto again = [self = shared_from_this()](boost::system::error_code failed) {
      if (self->closed_) return;
      if (failed) return self->Fail("the handshake was broken off");
      self->Handshake();
    };
    switch (SSL_get_error(tls_, done)) {
      case SSL_ERROR_WANT_READ:
        return socket_.async_wait(tcp::socket::wait_read, again);
      case SSL_ERROR_WANT_WRITE:
        return socket_.async_wait(tcp::socket::wait_write, again);
      default: {
        std::array<char, 256> text{};
        ERR_error_string_n(ERR_get_error(), text.data(), text.size());
        return Fail(fmt::format("TLS: {}", text.data()));
      }
    }
  }

  static nghttp2_session_callbacks* Callbacks();

  void Open() {
    if (nghttp2_session_client_new(&session_, Callbacks(), this) != 0) return Fail("nghttp2 has no memory");
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                               {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kWindowBytes}};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
    const std::string_view scheme = tls_ != nullptr ? "https" : "http";
    const nghttp2_nv headers[] = {Header(":method", "POST"),
                                  Header(":scheme", scheme),
                                  Header(":path", "/muster.agent.v1.AgentService/Session"),
                                  Header(":authority", network_->options_.host),
                                  Header("te", "trailers"),
                                  Header("content-type", "application/grpc"),
                                  Header("user-agent", "muster-load")};
    nghttp2_data_provider data{};
    data.source.ptr = this;
    data.read_callback = [](nghttp2_session*, std::int32_t, std::uint8_t* into, std::size_t room, std::uint32_t* flags,
                            nghttp2_data_source* source,
                            void*) { return static_cast<H2Connection*>(source->ptr)->FillData(into, room, flags); };
    stream_ = nghttp2_submit_request(session_, nullptr, headers, std::size(headers), &data, nullptr);
    Flush();
    ArmRead();
    ArmPing();
  }

  ssize_t FillData(std::uint8_t* into, std::size_t room, std::uint32_t* flags) {
    std::size_t filled = 0;
    while (filled < room && !outgoing_.empty()) {
      const std::string& message = outgoing_.front();
      const std::size_t part = std::min(room - filled, message.size() - taken_);
      std::copy_n(message.data() + taken_, part, into + filled);
      filled += part;
      taken_ += part;
      if (taken_ < message.size()) break;
      taken_ = 0;
      outgoing_.pop_front();
      Post([](H2Connection& c) {
        if (c.events_) c.events_->OnSent();
      });
    }
    if (filled == 0 && !half_closed_) return NGHTTP2_ERR_DEFERRED;
    if (outgoing_.empty() && half_closed_) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(filled);
  }

  int Read(std::uint8_t* into, std::size_t room) {
    if (tls_ == nullptr) {
      const ssize_t got = recv(socket_.native_handle(), into, room, 0);
      if (got > 0) return static_cast<int>(got);
      return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? kWantsRead : kBroken;
    }
    ERR_clear_error();
    const int got = SSL_read(tls_, into, static_cast<int>(room));
    if (got > 0) return got;
    return SSL_get_error(tls_, got) == SSL_ERROR_WANT_READ ? kWantsRead : kBroken;
  }

  int Write(const std::uint8_t* from, std::size_t size) {
    if (tls_ == nullptr) {
      const ssize_t put = send(socket_.native_handle(), from, size, MSG_NOSIGNAL);
      if (put > 0) return static_cast<int>(put);
      return put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? kWantsWrite : kBroken;
    }
    ERR_clear_error();
    const int put = SSL_write(tls_, from, static_cast<int>(size));
    if (put > 0) return put;
    return SSL_get_error(tls_, put) == SSL_ERROR_WANT_WRITE ? kWantsWrite : kBroken;
  }

  void ArmRead() {
    if (pace_ == ReadPace::kNever) return;
    if (pace_ == ReadPace::kSlow) {
      slow_.emplace(*network_->io_, kSlowPause);
      return slow_->async_wait([self = shared_from_this()](boost::system::error_code failed) {
        if (!failed && !self->closed_) self->OnReadable();
      });
    }
    socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](boost::system::error_code failed) {
      if (!failed && !self->closed_) self->OnReadable();
    });
  }

  void OnReadable() {
    auto& buffer = ReadBuffer();
    while (true) {
      const int got = Read(buffer.data(), pace_ == ReadPace::kNormal ? buffer.size() : kSlowBytes);
      if (got == kWantsRead) break;
      if (got <= 0) return Fail("the connection was closed");
      if (nghttp2_session_mem_recv(session_, buffer.data(), static_cast<std::size_t>(got)) < 0) {
        return Fail("the hub's HTTP/2 is broken");
      }
      if (closed_) return;
      if (pace_ != ReadPace::kNormal) break;
    }
    Flush();
    if (!closed_) ArmRead();
  }

  void Flush() {
    while (!closed_) {
      if (unsent_.empty()) {
        const std::uint8_t* data = nullptr;
        ssize_t size = 0;
        // Small frames travel together.
        while (unsent_.size() < kReadBytes && (size = nghttp2_session_mem_send(session_, &data)) > 0) {
          unsent_.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
        }
        if (size < 0) return Fail("nghttp2 cannot send");
        if (unsent_.empty()) break;
      }
      const int put = Write(reinterpret_cast<const std::uint8_t*>(unsent_.data()), unsent_.size());
      if (put == kWantsWrite) return ArmWrite();
      if (put <= 0) return Post([](H2Connection& c) { c.Fail("the connection was closed"); });
      unsent_.erase(0, static_cast<std::size_t>(put));
    }
    if (!closed_ && nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0) Close();
  }

  void ArmWrite() {
    if (writing_) return;
    writing_ = true;
    socket_.async_wait(tcp::socket::wait_write, [self = shared_from_this()](boost::system::error_code failed) {
      self->writing_ = false;
      if (!failed && !self->closed_) self->Flush();
    });
  }

  void ArmPing() {
    if (network_->options_.ping_interval <= absl::ZeroDuration()) return;
    timer_.expires_after(absl::ToChronoMilliseconds(network_->options_.ping_interval));
    timer_.async_wait([self = shared_from_this()](boost::system::error_code failed) {
      if (failed || self->closed_) return;
      nghttp2_submit_ping(self->session_, NGHTTP2_FLAG_NONE, nullptr);
      self->Flush();
      self->ArmPing();
    });
  }

  void OnData(std::string_view bytes) {
    incoming_ += bytes;
    while (incoming_.size() >= kGrpcPrefixBytes) {
      std::size_t size = 0;
      for (std::size_t i = 1; i < kGrpcPrefixBytes; ++i) size = size << 8 | static_cast<std::uint8_t>(incoming_[i]);
      if (incoming_[0] != 0 || size > kMaxFrameBytes) return BreakOff("the hub sent no frame of the contract");
      if (incoming_.size() < kGrpcPrefixBytes + size) return;
      agent::v1::SessionResponse frame;
      if (!frame.ParseFromArray(incoming_.data() + kGrpcPrefixBytes, static_cast<int>(size))) {
        return BreakOff("the hub sent no frame of the contract");
      }
      incoming_.erase(0, kGrpcPrefixBytes + size);
      asio::post(*network_->io_, [self = shared_from_this(), frame = std::move(frame)]() mutable {
        if (self->events_) self->events_->OnFrame(std::move(frame));
      });
    }
  }

  void OnHeader(std::string_view name, std::string_view value) {
    if (name == "grpc-status") grpc_status_ = std::string(value);
    if (name == "grpc-message") grpc_message_ = std::string(value);
    if (name == ":status" && value != "200") grpc_message_ = fmt::format("HTTP {}", value);
  }

  void OnStreamClosed() {
    Post([](H2Connection& c) {
      if (!c.events_) return;
      const std::shared_ptr<agent::LinkEvents> events = std::exchange(c.events_, nullptr);
      events->OnReadEnded();
      events->OnClosed(c.grpc_status_ == "0" ? absl::OkStatus()
                                             : absl::UnavailableError(fmt::format("the hub ended the stream: {} {}",
                                                                                  c.grpc_status_, c.grpc_message_)));
      c.Close();
    });
  }

  void BreakOff(const char* why) {
    Post([why](H2Connection& c) { c.Fail(why); });
  }

  void Fail(const std::string& why) {
    const std::shared_ptr<agent::LinkEvents> events = std::exchange(events_, nullptr);
    Close();
    if (events) events->OnClosed(absl::UnavailableError(why));
  }

  void Close() {
    if (closed_) return;
    closed_ = true;
    timer_.cancel();
    if (slow_) slow_->cancel();
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

  H2Network* const network_;
  const asio::ip::address_v4 source_;
  std::shared_ptr<agent::LinkEvents> events_;
  tcp::socket socket_;
  asio::steady_timer timer_;
  std::optional<asio::steady_timer> slow_;
  SSL* tls_ = nullptr;
  nghttp2_session* session_ = nullptr;
  std::int32_t stream_ = -1;
  std::deque<std::string> outgoing_;
  std::size_t taken_ = 0;  // of outgoing_.front()
  std::string unsent_;
  std::string incoming_;
  std::string grpc_status_ = "none";
  std::string grpc_message_;
  ReadPace pace_ = ReadPace::kNormal;
  bool half_closed_ = false;
  bool writing_ = false;
  bool closed_ = false;
};

nghttp2_session_callbacks* H2Connection::Callbacks() {
  static nghttp2_session_callbacks* const callbacks = [] {
    nghttp2_session_callbacks* made = nullptr;
    nghttp2_session_callbacks_new(&made);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        made, [](nghttp2_session*, std::uint8_t, std::int32_t, const std::uint8_t* data, std::size_t size, void* self) {
          static_cast<H2Connection*>(self)->OnData({reinterpret_cast<const char*>(data), size});
          return 0;
        });
    nghttp2_session_callbacks_set_on_header_callback(
        made, [](nghttp2_session*, const nghttp2_frame*, const std::uint8_t* name, std::size_t name_size,
                 const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* self) {
          static_cast<H2Connection*>(self)->OnHeader({reinterpret_cast<const char*>(name), name_size},
                                                     {reinterpret_cast<const char*>(value), value_size});
          return 0;
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        made, [](nghttp2_session*, std::int32_t, std::uint32_t, void* self) {
          static_cast<H2Connection*>(self)->OnStreamClosed();
          return 0;
        });
    return made;
  }();
  return callbacks;
}

namespace {

class H2Link : public agent::Link {
 public:
  explicit H2Link(std::shared_ptr<H2Connection> connection) : connection_(std::move(connection)) {}
  ~H2Link() override { connection_->Drop(); }
  void Send(const agent::v1::SessionRequest& frame) override { connection_->Send(frame); }
  void HalfClose() override { connection_->HalfClose(); }
  // Frames come as they arrive: the hub sends little.
  void Receive() override {}
  H2Connection& connection() { return *connection_; }

 private:
  const std::shared_ptr<H2Connection> connection_;
};

class H2Dialer : public agent::Dialer {
 public:
  H2Dialer(H2Network* network, asio::ip::address_v4 source) : network_(network), source_(source) {}
  std::unique_ptr<agent::Link> Dial(std::shared_ptr<agent::LinkEvents> events) override {
    auto connection = std::make_shared<H2Connection>(network_, source_, std::move(events));
    connection->Start();
    return std::make_unique<H2Link>(std::move(connection));
  }
  void Reap() override {}
  void Drain() override {}

 private:
  H2Network* const network_;
  const asio::ip::address_v4 source_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<H2Network>> H2Network::Make(asio::io_context* io, Options options) {
  std::unique_ptr<H2Network> network(new H2Network(io, std::move(options)));
  if (network->options_.ca_file.empty()) return network;
  SSL_CTX* const tls = network->tls_ = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
  SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, nullptr);
  static constexpr std::array<unsigned char, 3> kAlpn = {2, 'h', '2'};
  SSL_CTX_set_alpn_protos(tls, kAlpn.data(), kAlpn.size());
  if (SSL_CTX_load_verify_locations(tls, network->options_.ca_file.c_str(), nullptr) != 1) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "CA_UNREADABLE",
                     fmt::format("{} holds no certificate that can be read", network->options_.ca_file));
  }
  return network;
}

H2Network::~H2Network() { SSL_CTX_free(tls_); }

std::unique_ptr<agent::Dialer> H2Network::DialerFrom(asio::ip::address_v4 source) {
  return std::make_unique<H2Dialer>(this, source);
}

void SetReadPace(agent::Link* link, ReadPace pace) { static_cast<H2Link*>(link)->connection().SetPace(pace); }

}  // namespace muster::load
