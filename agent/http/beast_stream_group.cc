#include "agent/http/beast_stream_group.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "agent/http/http_support.h"
#include "common/status.h"

namespace muster::agent {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using SteadyClock = std::chrono::steady_clock;

// The engine's queue of connections is full: when to try again.
constexpr absl::Duration kConnectRetry = absl::Milliseconds(10);
// What is ready besides the first event is given in the same Wait, up to here: the caller does its own work between
// calls, and a flood must not keep it away.
constexpr int kMaxReadyPerWait = 64;

}  // namespace

class BeastStreamGroup::Loop {
 public:
  explicit Loop(std::string socket_path) : socket_path_(std::move(socket_path)) {}

  Id Open(const HttpGet& request);
  void Close(Id id);
  void Pause(Id id);
  void Resume(Id id);
  void Wait(absl::Duration wait, absl::FunctionRef<void(const Event&)> visit);
  void Wake();

 private:
  enum class Phase { kConnect, kHeaders, kBody, kErrorBody };

  struct Stream {
    Stream(asio::io_context& loop, Id stream_id) : id(stream_id), socket(loop) {
      parser.header_limit(kMaxHeaderBytes);
      parser.body_limit(boost::none);
    }

    const Id id;
    asio::local::stream_protocol::socket socket;
    http::response_parser<http::buffer_body> parser;
    std::string target;
    std::string request;
    Phase phase = Phase::kConnect;
    // Of the answer's headers; later of the body of an error.
    Deadline deadline;
    // Its entry in agenda_; none while a body comes.
    std::optional<Deadline> due;
    bool is_paused = false;
    // A wait for something to read is under way.
    bool is_waiting = false;
    bool is_closed = false;
    // Read and not parsed: a part of the headers or of a chunk's head.
    std::string left;
    std::string error_body;
  };
  // Handlers may run after the stream was closed; each holds what it needs.
  using StreamPtr = std::shared_ptr<Stream>;

  void SetDue(Stream& stream, std::optional<Deadline> due);
  // What the agenda has for now.
  void DoDue();
  void SetAlarm(Deadline at);
  void Connect(const StreamPtr& stream);
  void Send(const StreamPtr& stream);
  void AwaitReadable(const StreamPtr& stream);
  void Read(const StreamPtr& stream);
  // `size` bytes in in_, with what was left of the last read in front.
  void Take(const StreamPtr& stream, std::size_t size, bool at_end);
  error_code Parse(Stream& stream, std::size_t size, bool at_end);
  void HeadersCame(Stream& stream);
  void TakeErrorBody(const StreamPtr& stream, std::string_view bytes, bool is_complete);
  void Give(const Event& event);
  void End(const StreamPtr& stream, absl::Status status);
  void Forget(Stream& stream);

  const std::string socket_path_;
  std::atomic<bool> wake_is_posted_ = false;

  asio::io_context loop_{1};
  // Keeps the loop waiting while there is no stream.
  const asio::executor_work_guard<asio::io_context::executor_type> work_{loop_.get_executor()};
  std::map<Id, StreamPtr> streams_;
  Id last_id_ = 0;
  // When which stream has to be looked at, besides what it reads.
  std::set<std::pair<Deadline, Id>> agenda_;
  // Ends the wait for input. (io_context's own waits with an end wake up each second.)
  asio::steady_timer alarm_{loop_};
  std::optional<Deadline> alarm_at_;
  std::array<char, kReadBufferBytes> in_;
  // Bodies, without the chunks' heads: no more than was read.
  std::array<char, kReadBufferBytes> out_;

  // Of the Wait that runs.
  const absl::FunctionRef<void(const Event&)>* visit_ = nullptr;
  bool has_happened_ = false;
};

StreamGroup::Id BeastStreamGroup::Loop::Open(const HttpGet& request) {
  auto stream = std::make_shared<Stream>(loop_, ++last_id_);
  stream->target = request.target;
  stream->request = GetRequestText(request.target);
  stream->deadline = After(request.deadline);
  SetDue(*stream, SteadyClock::now());
  streams_.emplace(stream->id, stream);
  return stream->id;
}

void BeastStreamGroup::Loop::Close(Id id) {
  if (const auto it = streams_.find(id); it != streams_.end()) {
    const StreamPtr stream = it->second;
    Forget(*stream);
  }
}

void BeastStreamGroup::Loop::Pause(Id id) {
  if (const auto it = streams_.find(id); it != streams_.end()) it->second->is_paused = true;
}

void BeastStreamGroup::Loop::Resume(Id id) {
  const auto it = streams_.find(id);
  if (it == streams_.end()) return;
  it->second->is_paused = false;
  if (it->second->phase == Phase::kBody) AwaitReadable(it->second);
}

void BeastStreamGroup::Loop::Wait(absl::Duration wait, absl::FunctionRef<void(const Event&)> visit) {
  const Deadline end = After(wait);
  visit_ = &visit;
  DoDue();
  while (!has_happened_ && SteadyClock::now() < end) {
    SetAlarm(agenda_.empty() ? end : std::min(end, agenda_.begin()->first));
    loop_.run_one();
    DoDue();
  }
  for (int i = 0; i < kMaxReadyPerWait && loop_.poll_one() > 0; ++i) {
  }
  visit_ = nullptr;
  has_happened_ = false;
}

void BeastStreamGroup::Loop::Wake() {
  if (wake_is_posted_.exchange(true)) return;
  asio::post(loop_, [this] {
    wake_is_posted_ = false;
    has_happened_ = true;
  });
}

void BeastStreamGroup::Loop::SetDue(Stream& stream, std::optional<Deadline> due) {
  if (stream.due) agenda_.erase({*stream.due, stream.id});
  stream.due = due;
  if (due) agenda_.emplace(*due, stream.id);
}

void BeastStreamGroup::Loop::DoDue() {
  const Deadline now = SteadyClock::now();
  while (!agenda_.empty() && agenda_.begin()->first <= now) {
    const StreamPtr stream = streams_.at(agenda_.begin()->second);
    if (stream->phase == Phase::kErrorBody) {
      TakeErrorBody(stream, {}, /*is_complete=*/true);
    } else if (now >= stream->deadline) {
      End(stream, DeadlineError(stream->phase == Phase::kConnect ? "connect" : "read the answer"));
    } else {
      Connect(stream);
    }
  }
}

void BeastStreamGroup::Loop::SetAlarm(Deadline at) {
  if (alarm_at_ == at) return;
  alarm_at_ = at;
  alarm_.expires_at(at);
  alarm_.async_wait([this](error_code error) {
    if (!error) alarm_at_.reset();
  });
}

// By hand, because a unix socket connects at once or not at all: the one whose listener has no room must try again,
// while asio would wait for it and then take it for connected.
void BeastStreamGroup::Loop::Connect(const StreamPtr& stream) {
  if (const absl::Status status = CheckSocketPath(socket_path_); !status.ok()) return End(stream, status);
  error_code error;
  if (!stream->socket.is_open()) stream->socket.open(asio::local::stream_protocol(), error);
  if (!error) stream->socket.non_blocking(true, error);
  if (error) return End(stream, ToStatus(error, "connect"));
  const asio::local::stream_protocol::endpoint endpoint(socket_path_);
  if (::connect(stream->socket.native_handle(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0) {
    stream->phase = Phase::kHeaders;
    SetDue(*stream, stream->deadline);
    return Send(stream);
  }
  if (errno == EAGAIN || errno == EINTR) return SetDue(*stream, std::min(After(kConnectRetry), stream->deadline));
  End(stream, ToStatus(error_code(errno, boost::system::system_category()), "connect"));
}

void BeastStreamGroup::Loop::Send(const StreamPtr& stream) {
  asio::async_write(stream->socket, asio::buffer(stream->request), [this, stream](error_code error, std::size_t) {
    if (stream->is_closed) return;
    if (error) return End(stream, ToStatus(error, "send the request"));
    AwaitReadable(stream);
  });
}

void BeastStreamGroup::Loop::AwaitReadable(const StreamPtr& stream) {
  if (stream->is_waiting) return;
  stream->is_waiting = true;
  stream->socket.async_wait(asio::socket_base::wait_read, [this, stream](error_code error) {
    stream->is_waiting = false;
    if (stream->is_closed) return;
    if (error) return End(stream, ToStatus(error, "read the stream"));
    // Headers are read all the same: the deadline is the engine's, not that of who paused.
    if (stream->is_paused && stream->phase == Phase::kBody) return;
    Read(stream);
  });
}

void BeastStreamGroup::Loop::Read(const StreamPtr& stream) {
  const std::size_t left = stream->left.size();
  std::memcpy(in_.data(), stream->left.data(), left);
  error_code error;
  const std::size_t read = stream->socket.read_some(asio::buffer(in_.data() + left, in_.size() - left), error);
  if (error == asio::error::would_block || error == asio::error::interrupted) return AwaitReadable(stream);
  const bool at_end = error == asio::error::eof;
  if (error && !at_end) return End(stream, ToStatus(error, "read the stream"));
  Take(stream, left + read, at_end);
}

void BeastStreamGroup::Loop::Take(const StreamPtr& stream, std::size_t size, bool at_end) {
  const error_code error = Parse(*stream, size, at_end);
  const std::string_view bytes(out_.data(), out_.size() - stream->parser.get().body().size);
  const bool is_complete = error || stream->parser.is_done();
  if (stream->phase == Phase::kErrorBody) return TakeErrorBody(stream, bytes, is_complete);
  // Bytes that came before an error are given, then the error.
  if (!bytes.empty()) Give({.id = stream->id, .bytes = bytes, .status = {}});
  if (stream->is_closed) return;
  if (is_complete) return End(stream, error ? ToStatus(error, "read the stream") : absl::OkStatus());
  if (!stream->is_paused || stream->phase != Phase::kBody) AwaitReadable(stream);
}

error_code BeastStreamGroup::Loop::Parse(Stream& stream, std::size_t size, bool at_end) {
  auto& body = stream.parser.get().body();
  body.data = out_.data();
  body.size = out_.size();
  body.more = true;
  error_code error;
  std::size_t parsed = 0;
  while (!error && parsed < size && !stream.parser.is_done()) {
    parsed += stream.parser.put(asio::buffer(in_.data() + parsed, size - parsed), error);
    if (stream.phase == Phase::kHeaders && stream.parser.is_header_done()) HeadersCame(stream);
  }
  if (error == http::error::need_more) error = {};
  stream.left.assign(in_.data() + parsed, size - parsed);
  if (error || stream.parser.is_done()) return error;
  // A chunk's head that never ends.
  if (stream.left.size() > kMaxHeaderBytes) return http::error::buffer_overflow;
  if (!at_end) return error;
  if (!stream.parser.got_some()) return http::error::end_of_stream;
  stream.parser.put_eof(error);
  return error;
}

void BeastStreamGroup::Loop::HeadersCame(Stream& stream) {
  if (stream.parser.get().result_int() == 200) {
    stream.phase = Phase::kBody;
    return SetDue(stream, std::nullopt);
  }
  stream.phase = Phase::kErrorBody;
  SetDue(stream, After(kErrorBodyWait));
}

void BeastStreamGroup::Loop::TakeErrorBody(const StreamPtr& stream, std::string_view bytes, bool is_complete) {
  stream->error_body += bytes.substr(0, kMaxErrorBodyBytes - std::min(kMaxErrorBodyBytes, stream->error_body.size()));
  if (!is_complete && stream->error_body.size() < kMaxErrorBodyBytes) return AwaitReadable(stream);
  End(stream, HttpCodeError(stream->target, static_cast<int>(stream->parser.get().result_int()), stream->error_body));
}

void BeastStreamGroup::Loop::Give(const Event& event) {
  has_happened_ = true;
  (*visit_)(event);
}

void BeastStreamGroup::Loop::End(const StreamPtr& stream, absl::Status status) {
  const bool has_code = stream->phase == Phase::kBody || stream->phase == Phase::kErrorBody;
  const int code = has_code ? static_cast<int>(stream->parser.get().result_int()) : 0;
  Forget(*stream);
  Give({.id = stream->id, .bytes = {}, .is_end = true, .status = std::move(status), .http_code = code});
}

void BeastStreamGroup::Loop::Forget(Stream& stream) {
  stream.is_closed = true;
  error_code ignored;
  stream.socket.close(ignored);
  SetDue(stream, std::nullopt);
  streams_.erase(stream.id);
}

BeastStreamGroup::BeastStreamGroup(std::string socket_path) : loop_(std::make_unique<Loop>(std::move(socket_path))) {}

BeastStreamGroup::~BeastStreamGroup() = default;

StreamGroup::Id BeastStreamGroup::Open(const HttpGet& request) { return loop_->Open(request); }

void BeastStreamGroup::Close(Id id) { loop_->Close(id); }

void BeastStreamGroup::Pause(Id id) { loop_->Pause(id); }

void BeastStreamGroup::Resume(Id id) { loop_->Resume(id); }

void BeastStreamGroup::Wait(absl::Duration wait, absl::FunctionRef<void(const Event&)> visit) {
  loop_->Wait(wait, visit);
}

void BeastStreamGroup::Wake() { loop_->Wake(); }

}  // namespace muster::agent
