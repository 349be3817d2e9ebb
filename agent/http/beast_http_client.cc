#include "agent/http/beast_http_client.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "agent/http/http_support.h"
#include "agent/http/response_parser.h"
#include "agent/http/server_access.h"
#include "agent/http/wire.h"
#include "common/status.h"

namespace muster::agent {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

absl::Status CancelledError() {
  return MakeError(absl::StatusCode::kCancelled, "CANCELLED", "the HTTP client was cancelled");
}

}  // namespace

// A wire with an event loop that runs only inside Await.
class BeastHttpClient::Connection {
 public:
  Connection(std::shared_ptr<const ServerAccess> server, const std::atomic<bool>* cancelled)
      : server_(std::move(server)), cancelled_(cancelled), in_(kReadBufferBytes, '\0') {}
  ~Connection() { wire_->Close(); }

  absl::Status Connect(Deadline deadline) {
    return Await(deadline, [&](Wire::Done done) { wire_->Connect(std::move(done)); });
  }

  absl::Status Send(const std::string& target, Deadline deadline) {
    return Await(deadline, [&](Wire::Done done) { wire_->Write(server_->RequestText(target), std::move(done)); });
  }

  // Reads until `is_complete`.
  template <typename Parser, typename Predicate>
  absl::Status Read(Parser& parser, Deadline deadline, Predicate is_complete) {
    while (!is_complete()) {
      const absl::StatusOr<bool> more = ReadSome(parser, deadline);
      if (!more.ok()) return more.status();
      if (!*more) {
        wire_->Close();
        return DeadlineError("read the answer");
      }
    }
    return absl::OkStatus();
  }

  // Waits for one piece of input and gives it to the parser. False: none came before the deadline, and it may be called
  // again. The parser has what came before an error.
  template <typename Parser>
  absl::StatusOr<bool> ReadSome(Parser& parser, Deadline deadline) {
    if (!is_waiting_) {
      is_waiting_ = true;
      wire_->AwaitReadable([this](const absl::Status& /*status*/) { is_waiting_ = false; });
    }
    RunUntil(deadline, [this] { return !is_waiting_; });
    if (IsCancelled()) return CancelledError();
    if (is_waiting_) return false;
    ASSIGN_OR_RETURN(const Wire::Got got, wire_->Read(in_.data() + left_, in_.size() - left_));
    std::string_view in(in_.data(), left_ + got.size);
    const error_code error = Feed(parser, in, got.at_end);
    std::memmove(in_.data(), in.data(), in.size());
    left_ = in.size();
    if (error) return ToStatus(error, "read the answer");
    return true;
  }

  const ServerAccess& server() const { return *server_; }

  // Thread-safe.
  void CloseFromOutside() {
    asio::post(loop_, [this] { wire_->Close(); });
  }

  // Whether the server has sent anything that nobody took yet.
  bool HasUnread() const { return left_ > 0; }
  bool IsCancelled() const { return *cancelled_; }

 private:
  // Runs one operation. When the deadline passes first, the wire is closed, so that the operation no longer refers to
  // the caller's variables.
  template <typename Start>
  absl::Status Await(Deadline deadline, Start start) {
    if (IsCancelled()) return CancelledError();
    std::optional<absl::Status> result;
    start([&result](absl::Status status) { result = std::move(status); });
    RunUntil(deadline, [&] { return result.has_value(); });
    if (!result.has_value()) wire_->Close();
    if (IsCancelled()) return CancelledError();
    return result.has_value() ? *result : DeadlineError(wire_->Doing());
  }

  template <typename Predicate>
  void RunUntil(Deadline deadline, Predicate complete) {
    loop_.restart();
    // Not run_one_until: that one looks around every second.
    alarm_.expires_at(deadline);
    alarm_.async_wait([](const error_code& /*error*/) {});
    while (!complete() && !IsCancelled() && std::chrono::steady_clock::now() < deadline) {
      if (loop_.run_one() == 0) return;
    }
    alarm_.cancel();
  }

  const std::shared_ptr<const ServerAccess> server_;
  const std::atomic<bool>* const cancelled_;
  asio::io_context loop_{1};
  asio::steady_timer alarm_{loop_};
  const std::shared_ptr<Wire> wire_ = std::make_shared<Wire>(loop_, server_);
  // In front: what was read and not parsed.
  std::string in_;
  std::size_t left_ = 0;
  // Of ReadSome.
  bool is_waiting_ = false;
};

namespace {

class BeastHttpStream : public HttpStream {
 public:
  explicit BeastHttpStream(std::shared_ptr<BeastHttpClient::Connection> connection)
      : connection_(std::move(connection)), out_(kReadBufferBytes, '\0') {
    parser_.header_limit(kMaxHeaderBytes);
    parser_.body_limit(boost::none);
  }

  absl::Status Start(const HttpGet& request, Deadline deadline) {
    RETURN_IF_ERROR(connection_->Send(request.target, deadline));
    SetOutput();
    failure_ = connection_->Read(parser_, deadline, [this] { return parser_.is_header_done(); });
    if (!parser_.is_header_done()) return failure_;
    const int code = parser_.get().result_int();
    connection_->server().OnAnswer(code);
    if (code == 200) return absl::OkStatus();
    const auto body = Read(kErrorBodyWait);
    return connection_->server().CodeError(request.target, code, body.ok() ? *body : "");
  }

  absl::StatusOr<std::string> Read(absl::Duration wait) override {
    return Guarded([&] { return ReadSome(wait); });
  }

 private:
  // As much as is read at once.
  void SetOutput() {
    parser_.get().body().data = out_.data();
    parser_.get().body().size = out_.size();
    parser_.get().body().more = true;
  }

  absl::StatusOr<std::string> ReadSome(absl::Duration wait) {
    const Deadline deadline = After(wait);
    while (true) {
      if (connection_->IsCancelled()) return CancelledError();
      // What came with the headers, or before an error, is given first.
      if (const std::size_t size = out_.size() - parser_.get().body().size; size > 0) {
        SetOutput();
        return std::string(out_.data(), size);
      }
      if (!failure_.ok()) return failure_;
      if (parser_.is_done()) {
        return MakeError(absl::StatusCode::kOutOfRange, "STREAM_ENDED", "the server ended the stream");
      }
      SetOutput();
      const absl::StatusOr<bool> more = connection_->ReadSome(parser_, deadline);
      if (!more.ok()) {
        failure_ = more.status();
      } else if (!*more) {
        return std::string();
      }
    }
  }

  const std::shared_ptr<BeastHttpClient::Connection> connection_;
  http::response_parser<http::buffer_body> parser_;
  // Bodies, without the chunks' heads: no more than was read.
  std::string out_;
  absl::Status failure_;
};

}  // namespace

BeastHttpClient::BeastHttpClient(HttpServer server)
    : server_(std::make_shared<const ServerAccess>(std::move(server))) {}

BeastHttpClient::~BeastHttpClient() = default;

absl::StatusOr<std::shared_ptr<BeastHttpClient::Connection>> BeastHttpClient::Connect(Deadline deadline) {
  auto connection = std::make_shared<Connection>(server_, &cancelled_);
  {
    MutexLock lock(&mutex_);
    std::erase_if(connections_, [](const std::weak_ptr<Connection>& c) { return c.expired(); });
    connections_.push_back(connection);
  }
  RETURN_IF_ERROR(connection->Connect(deadline));
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
  const absl::Status read = connection->Read(parser, deadline, [&] { return parser.is_done(); });
  *may_retry = *may_retry && !parser.got_some();
  RETURN_IF_ERROR(read);
  if (parser.keep_alive() && !connection->HasUnread()) idle_ = std::move(connection);
  const int code = static_cast<int>(parser.get().result_int());
  server_->OnAnswer(code);
  return HttpResponse{.code = code, .body = std::move(parser.get().body()), .retry_after = RetryAfterOf(parser)};
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
