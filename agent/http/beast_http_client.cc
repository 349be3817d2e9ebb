#include "agent/http/beast_http_client.h"

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <functional>
#include <optional>

#include "agent/http/http_support.h"
#include "common/status.h"

namespace muster::agent {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr std::size_t kStreamChunkBytes = 16 * 1024;

absl::Status CancelledError() {
  return MakeError(absl::StatusCode::kCancelled, "CANCELLED", "the HTTP client was cancelled");
}

}  // namespace

// A socket with an event loop that runs only inside Await.
class BeastHttpClient::Connection {
 public:
  explicit Connection(const std::atomic<bool>* cancelled) : cancelled_(cancelled) {}

  absl::Status Connect(const std::string& path, Deadline deadline) {
    return Await(deadline, "connect",
                 [&](auto done) { socket_.async_connect(asio::local::stream_protocol::endpoint(path), done); });
  }

  absl::Status Send(const std::string& target, Deadline deadline) {
    const std::string request = GetRequestText(target);
    return Await(deadline, "send the request", [&](auto done) {
      asio::async_write(socket_, asio::buffer(request), [done](error_code e, std::size_t) { done(e); });
    });
  }

  template <typename Parser>
  absl::Status ReadHeader(Parser& parser, Deadline deadline) {
    return Await(deadline, "read the answer", [&](auto done) {
      http::async_read_header(socket_, buffer_, parser, [done](error_code e, std::size_t) { done(e); });
    });
  }

  template <typename Parser>
  absl::Status ReadAll(Parser& parser, Deadline deadline) {
    return Await(deadline, "read the answer", [&](auto done) {
      http::async_read(socket_, buffer_, parser, [done](error_code e, std::size_t) { done(e); });
    });
  }

  // Starts a read unless one is under way; true when it is complete.
  template <typename Parser>
  bool ReadSome(Parser& parser, Deadline deadline, error_code& error) {
    if (!reading_) {
      reading_ = true;
      read_result_.reset();
      http::async_read_some(socket_, buffer_, parser, [this](error_code e, std::size_t) { read_result_ = e; });
    }
    RunUntil(deadline, [this] { return read_result_.has_value(); });
    if (!read_result_.has_value()) return false;
    reading_ = false;
    error = *read_result_;
    return true;
  }

  // Thread-safe.
  void CloseFromOutside() {
    asio::post(loop_, [this] {
      error_code ignored;
      socket_.close(ignored);
    });
  }

  // Whether the server has sent anything that nobody took yet.
  bool HasUnread() const { return buffer_.size() > 0; }
  bool IsCancelled() const { return *cancelled_; }

 private:
  // Runs one operation. When the deadline passes first, the socket is closed and the operation ended, so that it no
  // longer refers to the caller's variables.
  template <typename Start>
  absl::Status Await(Deadline deadline, std::string_view operation, Start start) {
    if (IsCancelled()) return CancelledError();
    std::optional<error_code> result;
    start([&result](error_code e) { result = e; });
    RunUntil(deadline, [&] { return result.has_value(); });
    const bool late = !result.has_value();
    if (late) {
      error_code ignored;
      socket_.close(ignored);
      loop_.restart();
      loop_.run();
    }
    if (IsCancelled()) return CancelledError();
    if (late) return DeadlineError(operation);
    if (*result) return ToStatus(*result, operation);
    return absl::OkStatus();
  }

  template <typename Predicate>
  void RunUntil(Deadline deadline, Predicate complete) {
    loop_.restart();
    while (!complete() && !IsCancelled()) {
      if (loop_.run_one_until(deadline) == 0) return;
    }
  }

  const std::atomic<bool>* const cancelled_;
  asio::io_context loop_{1};
  asio::local::stream_protocol::socket socket_{loop_};
  boost::beast::flat_buffer buffer_{kReadBufferBytes};
  // Of ReadSome.
  bool reading_ = false;
  std::optional<error_code> read_result_;
};

namespace {

class BeastHttpStream : public HttpStream {
 public:
  explicit BeastHttpStream(std::shared_ptr<BeastHttpClient::Connection> connection)
      : connection_(std::move(connection)) {
    parser_.header_limit(kMaxHeaderBytes);
    parser_.body_limit(boost::none);
  }

  absl::Status Start(const HttpGet& request, Deadline deadline) {
    RETURN_IF_ERROR(connection_->Send(request.target, deadline));
    RETURN_IF_ERROR(connection_->ReadHeader(parser_, deadline));
    const int code = parser_.get().result_int();
    if (code == 200) return absl::OkStatus();
    const auto body = Read(kErrorBodyWait);
    return HttpCodeError(request.target, code, body.ok() ? *body : "");
  }

  absl::StatusOr<std::string> Read(absl::Duration wait) override {
    return Guarded([&] { return ReadSome(wait); });
  }

 private:
  absl::StatusOr<std::string> ReadSome(absl::Duration wait) {
    const Deadline deadline = After(wait);
    while (true) {
      if (connection_->IsCancelled()) return CancelledError();
      if (!failure_.ok()) return failure_;
      if (parser_.is_done()) {
        return MakeError(absl::StatusCode::kOutOfRange, "STREAM_ENDED", "the server ended the stream");
      }
      if (!under_way_) {
        parser_.get().body().data = chunk_.data();
        parser_.get().body().size = chunk_.size();
        parser_.get().body().more = true;
      }
      error_code error;
      under_way_ = !connection_->ReadSome(parser_, deadline, error);
      if (connection_->IsCancelled()) return CancelledError();
      if (under_way_) return std::string();
      const std::size_t size = chunk_.size() - parser_.get().body().size;
      if (error && error != http::error::need_buffer) failure_ = ToStatus(error, "read the stream");
      // Bytes that came before an error are delivered, the error with the next read.
      if (size > 0) return std::string(chunk_.data(), size);
    }
  }

  const std::shared_ptr<BeastHttpClient::Connection> connection_;
  http::response_parser<http::buffer_body> parser_;
  std::array<char, kStreamChunkBytes> chunk_;
  // A read was started and is not complete; it writes into chunk_.
  bool under_way_ = false;
  absl::Status failure_;
};

}  // namespace

BeastHttpClient::BeastHttpClient(std::string socket_path) : socket_path_(std::move(socket_path)) {}

BeastHttpClient::~BeastHttpClient() = default;

absl::StatusOr<std::shared_ptr<BeastHttpClient::Connection>> BeastHttpClient::Connect(Deadline deadline) {
  RETURN_IF_ERROR(CheckSocketPath(socket_path_));
  auto connection = std::make_shared<Connection>(&cancelled_);
  {
    MutexLock lock(&mutex_);
    std::erase_if(connections_, [](const std::weak_ptr<Connection>& c) { return c.expired(); });
    connections_.push_back(connection);
  }
  RETURN_IF_ERROR(connection->Connect(socket_path_, deadline));
  return connection;
}

absl::StatusOr<HttpResponse> BeastHttpClient::GetOnce(const HttpGet& request, Deadline deadline, bool* may_retry) {
  std::shared_ptr<Connection> connection = std::move(idle_);
  idle_ = nullptr;
  *may_retry = connection != nullptr;
  if (connection == nullptr) {
    ASSIGN_OR_RETURN(connection, Connect(deadline));
  }
  RETURN_IF_ERROR(connection->Send(request.target, deadline));
  http::response_parser<http::string_body> parser;
  parser.header_limit(kMaxHeaderBytes);
  parser.body_limit(request.max_body_bytes);
  RETURN_IF_ERROR(connection->ReadHeader(parser, deadline));
  *may_retry = false;
  RETURN_IF_ERROR(connection->ReadAll(parser, deadline));
  if (parser.keep_alive() && !connection->HasUnread()) idle_ = std::move(connection);
  return HttpResponse{.code = static_cast<int>(parser.get().result_int()), .body = std::move(parser.get().body())};
}

absl::StatusOr<HttpResponse> BeastHttpClient::Get(const HttpGet& request) {
  return Guarded([&]() -> absl::StatusOr<HttpResponse> {
    if (cancelled_) return CancelledError();
    const Deadline deadline = After(request.deadline);
    bool may_retry = false;
    auto response = GetOnce(request, deadline, &may_retry);
    // The server closed the idle connection meanwhile, which it may.
    if (!response.ok() && response.status().code() == absl::StatusCode::kUnavailable && may_retry) {
      response = GetOnce(request, deadline, &may_retry);
    }
    return response;
  });
}

absl::StatusOr<std::unique_ptr<HttpStream>> BeastHttpClient::OpenStream(const HttpGet& request) {
  return Guarded([&]() -> absl::StatusOr<std::unique_ptr<HttpStream>> {
    if (cancelled_) return CancelledError();
    const Deadline deadline = After(request.deadline);
    ASSIGN_OR_RETURN(std::shared_ptr<Connection> connection, Connect(deadline));
    auto stream = std::make_unique<BeastHttpStream>(std::move(connection));
    RETURN_IF_ERROR(stream->Start(request, deadline));
    return stream;
  });
}

void BeastHttpClient::Cancel() {
  cancelled_ = true;
  std::vector<std::weak_ptr<Connection>> connections;
  {
    MutexLock lock(&mutex_);
    connections = connections_;
  }
  for (const std::weak_ptr<Connection>& weak : connections) {
    if (const auto connection = weak.lock()) connection->CloseFromOutside();
  }
}

}  // namespace muster::agent
