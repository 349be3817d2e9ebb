#include "hub/http/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <deque>
#include <optional>
#include <type_traits>
#include <utility>

#include "common/status.h"
#include "hub/http/answer.h"
#include "hub/http/error_response.h"
#include "hub/http/mapped_file.h"
#include "hub/http/request_target.h"
#include "hub/http/response_head.h"

namespace muster::hub {
namespace {

namespace net = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using Tcp = net::ip::tcp;
using TlsStream = net::ssl::stream<Tcp::socket>;

// One write: enough to fill a fast line, small enough that write_timeout means "no progress" on a slow one (2 KB/s).
constexpr std::size_t kWriteSliceBytes = 64 * 1024;
// What is read and thrown away after a refusal, so that the client sees the answer instead of a reset.
constexpr std::size_t kMaxDiscardBytes = 4 * 1024 * 1024;
constexpr absl::Duration kLinger = absl::Seconds(2);
constexpr std::size_t kReadBytes = 4096;

struct Outgoing {
  std::string bytes = {};
  // Instead of bytes.
  std::shared_ptr<const MappedFile> file = {};
  std::shared_ptr<const std::string> shared = {};
  std::size_t stream_bytes = 0;  // of these, what the stream's limit counts
  std::string_view view() const {
    if (file != nullptr) return file->content();
    return shared != nullptr ? *shared : bytes;
  }
};

std::string ToString(boost::beast::string_view text) { return {text.data(), text.size()}; }

template <typename Stream>
class ConnectionImpl final : public Connection,
                             public AnswerSink,
                             public std::enable_shared_from_this<ConnectionImpl<Stream>> {
 public:
  static constexpr bool kTls = std::is_same_v<Stream, TlsStream>;

  ConnectionImpl(Stream stream, ConnectionPeer peer, ConnectionHost* host)
      : host_(host),
        peer_(std::move(peer)),
        stream_(std::move(stream)),
        read_timer_(stream_.get_executor()),
        write_timer_(stream_.get_executor()),
        buffer_(std::max<std::size_t>(host->limits().max_header_bytes, kReadBytes) + kReadBytes) {}

  const std::string& peer_key() const override { return peer_.key; }

  void Start() override {
    Post([](ConnectionImpl& self) { self.Begin(); });
  }
  void Drain() override {
    Post([](ConnectionImpl& self) {
      if (self.between_requests_ || self.streaming_) self.Close();
    });
  }
  void Abort() override {
    Post([](ConnectionImpl& self) { self.Close(); });
  }
  void DetachAnswer() override {
    if (const std::shared_ptr<Answer> answer = CurrentAnswer()) answer->Detach();
  }

  // ---- AnswerSink
  void PostSend(HttpResponse response) override {
    Post([response = std::move(response)](ConnectionImpl& self) mutable { self.SendResponse(std::move(response)); });
  }
  void PostStreamStart(HttpResponse head) override {
    Post([head = std::move(head)](ConnectionImpl& self) { self.SendStreamHead(head); });
  }
  void PostStreamChunk(std::string chunk) override {
    Post([chunk = std::move(chunk)](ConnectionImpl& self) { self.SendChunk(chunk); });
  }
  void PostStreamEnd() override {
    Post([](ConnectionImpl& self) { self.EndStream(); });
  }
  void PostStreamAbort() override {
    Post([](ConnectionImpl& self) { self.Close(); });
  }

 private:
  template <typename Function>
  void Post(Function function) {
    net::post(stream_.get_executor(), [self = this->shared_from_this(), function = std::move(function)]() mutable {
      if (!self->closed_) function(*self);
    });
  }

  Tcp::socket& socket() {
    if constexpr (kTls) {
      return stream_.next_layer();
    } else {
      return stream_;
    }
  }

  std::shared_ptr<Answer> CurrentAnswer() {
    MutexLock lock(&answer_mutex_);
    return answer_;
  }

  // ---- deadlines. A timer that fires after its operation has ended belongs to an earlier generation.
  void Arm(net::steady_timer& timer, std::uint64_t& generation, absl::Duration after,
           void (ConnectionImpl::*on_expiry)()) {
    const std::uint64_t armed = ++generation;
    timer.expires_after(absl::ToChronoNanoseconds(after));
    timer.async_wait([self = this->shared_from_this(), &generation, armed, on_expiry](error_code ec) {
      if (!ec && !self->closed_ && generation == armed) ((*self).*on_expiry)();
    });
  }
  void ArmRead(absl::Duration after, void (ConnectionImpl::*on_expiry)()) {
    Arm(read_timer_, read_generation_, after, on_expiry);
  }
  void DisarmRead() {
    ++read_generation_;
    read_timer_.cancel();
  }

  // ---- reading
  void Begin() {
    if constexpr (kTls) {
      ArmRead(host_->limits().tls_handshake_timeout, &ConnectionImpl::OnHandshakeTimeout);
      stream_.async_handshake(net::ssl::stream_base::server,
                              [self = this->shared_from_this()](error_code ec) { self->OnHandshake(ec); });
    } else {
      AwaitRequest(host_->limits().header_timeout);
    }
  }

  void OnHandshakeTimeout() {
    host_->RequestRefused();
    Close();
  }

  void OnHandshake(error_code ec) {
    if (closed_) return;
    if (ec) {
      host_->RequestRefused();
      return Close();
    }
    AwaitRequest(host_->limits().header_timeout);
  }

  void AwaitRequest(absl::Duration patience) {
    if (host_->stopping()) return GracefulClose();
    parser_.emplace();
    parser_->header_limit(host_->limits().max_header_bytes);
    parser_->body_limit(host_->limits().max_body_bytes);
    if (buffer_.size() > 0) return ReadHeader();  // pipelined
    between_requests_ = true;
    ArmRead(patience, &ConnectionImpl::Close);
    stream_.async_read_some(buffer_.prepare(kReadBytes),
                            [self = this->shared_from_this()](error_code ec, std::size_t bytes) {
                              if (self->closed_) return;
                              if (ec) return self->Close();
                              self->between_requests_ = false;
                              self->buffer_.commit(bytes);
                              self->ReadHeader();
                            });
  }

  void ReadHeader() {
    ArmRead(host_->limits().header_timeout, &ConnectionImpl::OnReadTimeout);
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = this->shared_from_this()](error_code ec, std::size_t) { self->OnHeader(ec); });
  }

  // Cancels the read; its handler answers 408.
  void OnReadTimeout() {
    timed_out_ = true;
    error_code ignored;
    socket().cancel(ignored);
  }

  void OnHeader(error_code ec) {
    if (closed_) return;
    if (ec) return OnReadError(ec);
    const auto& header = parser_->get();
    if (header.version() != 11 && header.version() != 10) {
      return Refuse(400, "HTTP_VERSION", "this server speaks HTTP/1.1 and HTTP/1.0");
    }
    if (header.version() == 11 && header.find(http::field::host) == header.end()) {
      return Refuse(400, "HOST_MISSING", "an HTTP/1.1 request needs a Host header");
    }
    ArmRead(host_->limits().body_timeout, &ConnectionImpl::OnReadTimeout);
    if (boost::beast::iequals(header[http::field::expect], "100-continue")) Enqueue({.bytes = kContinue});
    http::async_read(stream_, buffer_, *parser_, [self = this->shared_from_this()](error_code read_error, std::size_t) {
      self->OnBody(read_error);
    });
  }

  void OnBody(error_code ec) {
    if (closed_) return;
    if (ec) return OnReadError(ec);
    Dispatch();
  }

  void OnReadError(error_code ec) {
    if (timed_out_) return Refuse(408, "REQUEST_TIMEOUT", "the request did not arrive in time: send it faster");
    if (ec == http::error::header_limit || ec == http::error::buffer_overflow) {
      return Refuse(431, "HEADER_TOO_LARGE",
                    fmt::format("the request's header is larger than {} bytes", host_->limits().max_header_bytes));
    }
    if (ec == http::error::body_limit) {
      return Refuse(413, "BODY_TOO_LARGE",
                    fmt::format("the request's body is larger than {} bytes", host_->limits().max_body_bytes));
    }
    const bool malformed = ec.category() == http::make_error_code(http::error::bad_method).category() &&
                           ec != http::error::end_of_stream && ec != http::error::partial_message;
    if (malformed) return Refuse(400, "MALFORMED_REQUEST", fmt::format("not an HTTP/1.1 request: {}", ec.message()));
    Close();
  }

  // An answer without a handler, then the end: the rest of the request cannot be found or is not wanted.
  void Refuse(int status, std::string_view reason, const std::string& message) {
    host_->RequestRefused();
    DisarmRead();
    keep_alive_ = false;
    discard_ = true;
    head_only_ = false;
    const auto code = status == 408   ? absl::StatusCode::kDeadlineExceeded
                      : status == 400 ? absl::StatusCode::kInvalidArgument
                                      : absl::StatusCode::kResourceExhausted;
    WriteWhole(ErrorResponse(status, MakeError(code, reason, message)));
  }

  void Dispatch() {
    auto message = parser_->release();
    keep_alive_ = message.keep_alive();
    http_10_ = message.version() == 10;
    head_only_ = message.method() == http::verb::head;
    auto target = ParseRequestTarget(ToString(message.target()));
    if (!target.ok()) return Refuse(400, ReasonOf(target.status()), MessageOf(target.status()));
    HttpRequest request;
    request.method = head_only_ ? "GET" : ToString(message.method_string());
    request.head_only = head_only_;
    request.path = std::move(target->path);
    request.query = std::move(target->query);
    for (const auto& field : message) {
      request.headers.push_back({ToString(field.name_string()), ToString(field.value())});
    }
    request.body = std::move(message.body());
    request.peer = peer_.address;
    auto answer = std::make_shared<Answer>(this, host_->limits().max_stream_buffer_bytes,
                                           AcceptsGzip(request.Header("Accept-Encoding")));
    {
      MutexLock lock(&answer_mutex_);
      answer_ = answer;
    }
    answered_ = false;
    ArmRead(host_->limits().answer_timeout, &ConnectionImpl::OnAnswerTimeout);
    host_->RequestStarted();
    host_->handler()->Handle(std::move(request), MakeResponder(std::move(answer)));
  }

  // ---- answering
  void OnAnswerTimeout() {
    if (const std::shared_ptr<Answer> answer = CurrentAnswer()) answer->Detach();
    SendResponse(ErrorResponse(MakeError(absl::StatusCode::kUnavailable, "ANSWER_TIMEOUT",
                                         "the hub could not answer in time: try again later")));
  }

  void SendResponse(HttpResponse response) {
    if (answered_) return;
    answered_ = true;
    DisarmRead();
    WriteWhole(std::move(response));
  }

  void WriteWhole(HttpResponse response) {
    Outgoing body{.bytes = std::move(response.body), .file = response.file, .shared = response.shared_body};
    const std::size_t length = body.view().size();
    keep_alive_ = keep_alive_ && !host_->stopping();
    std::string head = WriteResponseHead(response, {.content_length = length, .keep_alive = keep_alive_}, absl::Now());
    const bool body_follows = !head_only_ && length > 0;
    const bool in_one_packet = body_follows && body.file == nullptr && length <= kWriteSliceBytes;
    if (in_one_packet) head += body.view();
    outgoing_.push_back({.bytes = std::move(head)});
    if (body_follows && !in_one_packet) outgoing_.push_back(std::move(body));
    complete_ = true;
    send_deadline_ = absl::Now() + host_->limits().send_timeout;
    Pump();
  }

  void SendStreamHead(const HttpResponse& head) {
    if (answered_) return;
    answered_ = true;
    DisarmRead();
    // While a stream runs, this connection reads (WatchForDisconnect), so it cannot serve another request afterwards.
    // HTTP/1.0 knows no chunks: the end of the connection is the end of the body.
    keep_alive_ = false;
    send_deadline_ = absl::InfiniteFuture();
    Enqueue({.bytes = WriteResponseHead(head, {.chunked = !http_10_, .keep_alive = false}, absl::Now())});
    if (head_only_) {
      if (const std::shared_ptr<Answer> answer = CurrentAnswer()) answer->Detach();
      complete_ = true;
      return Pump();
    }
    streaming_ = true;
    if (host_->stopping()) return Close();
    WatchForDisconnect();
  }

  void SendChunk(const std::string& chunk) {
    if (!streaming_) return;
    Enqueue(
        {.bytes = http_10_ ? chunk : fmt::format("{:x}\r\n{}\r\n", chunk.size(), chunk), .stream_bytes = chunk.size()});
  }

  void EndStream() {
    if (!streaming_) return;
    streaming_ = false;
    if (!http_10_) Enqueue({.bytes = "0\r\n\r\n"});
    complete_ = true;
    Pump();
  }

  // A client that sends nothing is only known to be gone by reading.
  void WatchForDisconnect() {
    if (buffer_.size() + kReadBytes > buffer_.max_size()) return Close();
    stream_.async_read_some(buffer_.prepare(kReadBytes),
                            [self = this->shared_from_this()](error_code ec, std::size_t bytes) {
                              if (self->closed_ || !self->streaming_) return;
                              if (ec) return self->Close();
                              self->buffer_.commit(bytes);
                              self->WatchForDisconnect();
                            });
  }

  // ---- writing
  void Enqueue(Outgoing outgoing) {
    outgoing_.push_back(std::move(outgoing));
    Pump();
  }

  void Pump() {
    if (writing_ || closed_) return;
    if (outgoing_.empty()) {
      if (complete_) OnComplete();
      return;
    }
    writing_ = true;
    const std::string_view slice = outgoing_.front().view().substr(written_, kWriteSliceBytes);
    const absl::Duration patience = std::min(host_->limits().write_timeout, send_deadline_ - absl::Now());
    Arm(write_timer_, write_generation_, std::max(patience, absl::ZeroDuration()), &ConnectionImpl::Close);
    net::async_write(
        stream_, net::buffer(slice.data(), slice.size()),
        [self = this->shared_from_this()](error_code ec, std::size_t bytes) { self->OnWritten(ec, bytes); });
  }

  void OnWritten(error_code ec, std::size_t bytes) {
    if (closed_) return;
    writing_ = false;
    ++write_generation_;
    if (ec) return Close();
    written_ += bytes;
    if (written_ >= outgoing_.front().view().size()) {
      if (outgoing_.front().stream_bytes > 0) {
        if (const std::shared_ptr<Answer> answer = CurrentAnswer()) answer->Written(outgoing_.front().stream_bytes);
      }
      outgoing_.pop_front();
      written_ = 0;
    }
    Pump();
  }

  void OnComplete() {
    complete_ = false;
    ReleaseAnswer();
    if (!keep_alive_) return GracefulClose();
    AwaitRequest(host_->limits().idle_timeout);
  }

  void ReleaseAnswer() {
    std::shared_ptr<Answer> answer;
    {
      MutexLock lock(&answer_mutex_);
      answer.swap(answer_);
    }
    if (answer != nullptr) answer->Detach();
  }

  // ---- ending
  void GracefulClose() {
    between_requests_ = false;
    ArmRead(kLinger, &ConnectionImpl::Close);
    if constexpr (kTls) {
      if (!discard_) {
        stream_.async_shutdown([self = this->shared_from_this()](error_code) {
          if (!self->closed_) self->Close();
        });
        return;
      }
    }
    // With nothing unread the end arrives behind the answer; with unread input it would overtake it as a reset.
    if (!discard_ && buffer_.size() == 0) return Close();
    error_code ignored;
    socket().shutdown(Tcp::socket::shutdown_send, ignored);
    Discard();
  }

  void Discard() {
    discard_buffer_.resize(kReadBytes);
    socket().async_read_some(net::buffer(discard_buffer_),
                             [self = this->shared_from_this()](error_code ec, std::size_t bytes) {
                               if (self->closed_) return;
                               self->discarded_ += bytes;
                               if (ec || self->discarded_ > kMaxDiscardBytes) return self->Close();
                               self->Discard();
                             });
  }

  void Close() {
    if (closed_) return;
    closed_ = true;
    streaming_ = false;
    ReleaseAnswer();
    read_timer_.cancel();
    write_timer_.cancel();
    error_code ignored;
    socket().close(ignored);
    host_->Closed(this->shared_from_this());
  }

  static constexpr char kContinue[] = "HTTP/1.1 100 Continue\r\n\r\n";

  ConnectionHost* const host_;
  const ConnectionPeer peer_;

  // The strand's own.
  Stream stream_;
  net::steady_timer read_timer_;
  net::steady_timer write_timer_;
  std::uint64_t read_generation_ = 0;
  std::uint64_t write_generation_ = 0;
  boost::beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::deque<Outgoing> outgoing_;
  std::size_t written_ = 0;  // of the front
  absl::Time send_deadline_ = absl::InfiniteFuture();
  std::string discard_buffer_;
  std::size_t discarded_ = 0;
  bool between_requests_ = false;
  bool timed_out_ = false;
  bool keep_alive_ = false;
  bool http_10_ = false;
  bool head_only_ = false;
  bool answered_ = false;   // the answer of the current request has begun
  bool streaming_ = false;  // and is a stream that has not ended
  bool writing_ = false;
  bool complete_ = false;  // everything of the answer is in outgoing_
  bool discard_ = false;   // unread input remains at the end
  bool closed_ = false;

  Mutex answer_mutex_;
  std::shared_ptr<Answer> answer_ ABSL_GUARDED_BY(answer_mutex_);
};

}  // namespace

std::shared_ptr<Connection> MakeConnection(Tcp::socket socket, net::ssl::context* tls, ConnectionPeer peer,
                                           ConnectionHost* host) {
  if (tls == nullptr) {
    return std::make_shared<ConnectionImpl<Tcp::socket>>(std::move(socket), std::move(peer), host);
  }
  return std::make_shared<ConnectionImpl<TlsStream>>(TlsStream(std::move(socket), *tls), std::move(peer), host);
}

}  // namespace muster::hub
