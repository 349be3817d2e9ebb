#include "agent/http/beast_stream_group.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "agent/http/http_support.h"
#include "agent/http/response_parser.h"
#include "agent/http/server_access.h"
#include "agent/http/wire.h"
#include "common/mutex.h"
#include "common/status.h"

namespace muster::agent {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using SteadyClock = std::chrono::steady_clock;

// What is ready besides the first event is given in the same Wait, up to here: the caller does its own work between
// calls, and a flood must not keep it away.
constexpr int kMaxReadyPerWait = 64;
// Streams that give less than this in the time of a rest can wait for its end: a unix socket takes 278 writes
// meanwhile, however short they are (208 KiB, of which each counts 768 bytes at least), and an engine writes each line
// by itself.
constexpr std::int64_t kLittleBytes = 4096;

}  // namespace

class BeastStreamGroup::Loop {
 public:
  Loop(HttpServer server, absl::Duration rest)
      : server_(std::make_shared<const ServerAccess>(std::move(server))), rest_(rest) {}
  ~Loop();

  Id Open(const HttpGet& request);
  void Close(Id id);
  void Pause(Id id);
  void Resume(Id id);
  void Wait(absl::Duration wait, absl::FunctionRef<void(const Event&)> visit);
  void Wake();

 private:
  enum class Phase { kConnect, kHeaders, kBody, kErrorBody };

  struct Stream {
    Stream(Id stream_id, std::shared_ptr<Wire> stream_wire) : id(stream_id), wire(std::move(stream_wire)) {
      parser.header_limit(kMaxHeaderBytes);
      parser.body_limit(boost::none);
    }

    const Id id;
    // Its callbacks hold the stream until it is closed.
    const std::shared_ptr<Wire> wire;
    http::response_parser<http::buffer_body> parser;
    std::string target;
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
  // After little came, and while no stream is being opened: lets more gather, so that each line is not a wake-up.
  void RestUntil(Deadline end);
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

  const std::shared_ptr<const ServerAccess> server_;
  const absl::Duration rest_;
  std::atomic<bool> wake_is_posted_ = false;
  Mutex resting_;
  CondVar wakes_;

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
  // Whether it, or the last one, gave bytes.
  bool has_given_ = false;
  // When all bytes would have come if kLittleBytes came in each rest_; two rests ahead at most.
  Deadline steady_until_;
};

BeastStreamGroup::Loop::~Loop() {
  for (const auto& [id, stream] : streams_) stream->wire->Close();
}

StreamGroup::Id BeastStreamGroup::Loop::Open(const HttpGet& request) {
  auto stream = std::make_shared<Stream>(++last_id_, std::make_shared<Wire>(loop_, server_));
  stream->target = request.target;
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
  const bool came_little = absl::FromChrono(steady_until_ - SteadyClock::now()) < rest_;
  if (has_given_ && came_little && wait <= rest_ && agenda_.empty()) RestUntil(end);
  has_given_ = false;
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
  MutexLock lock(&resting_);
  wakes_.NotifyOne();
}

void BeastStreamGroup::Loop::RestUntil(Deadline end) {
  MutexLock lock(&resting_);
  while (!wake_is_posted_) {
    const absl::Duration left = absl::FromChrono(end - SteadyClock::now());
    if (left <= absl::ZeroDuration() || !wakes_.WaitFor(&resting_, left)) return;
  }
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
      End(stream, DeadlineError(stream->phase == Phase::kConnect ? stream->wire->Doing() : "read the answer"));
    } else {
      // It was opened.
      SetDue(*stream, stream->deadline);
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

void BeastStreamGroup::Loop::Connect(const StreamPtr& stream) {
  stream->wire->Connect([this, stream](absl::Status status) {
    if (!status.ok()) return End(stream, std::move(status));
    stream->phase = Phase::kHeaders;
    Send(stream);
  });
}

void BeastStreamGroup::Loop::Send(const StreamPtr& stream) {
  stream->wire->Write(server_->RequestText(stream->target), [this, stream](absl::Status status) {
    if (!status.ok()) return End(stream, std::move(status));
    AwaitReadable(stream);
  });
}

void BeastStreamGroup::Loop::AwaitReadable(const StreamPtr& stream) {
  if (stream->is_waiting) return;
  stream->is_waiting = true;
  stream->wire->AwaitReadable([this, stream](const absl::Status& /*status*/) {
    stream->is_waiting = false;
    // Headers are read all the same: the deadline is the server's, not that of who paused.
    if (stream->is_paused && stream->phase == Phase::kBody) return;
    Read(stream);
  });
}

void BeastStreamGroup::Loop::Read(const StreamPtr& stream) {
  const std::size_t left = stream->left.size();
  std::memcpy(in_.data(), stream->left.data(), left);
  const absl::StatusOr<Wire::Got> got = stream->wire->Read(in_.data() + left, in_.size() - left);
  if (!got.ok()) return End(stream, got.status());
  if (got->size == 0 && !got->at_end) return AwaitReadable(stream);
  Take(stream, left + got->size, got->at_end);
}

void BeastStreamGroup::Loop::Take(const StreamPtr& stream, std::size_t size, bool at_end) {
  const bool was_open = stream->phase == Phase::kBody;
  const error_code error = Parse(*stream, size, at_end);
  if (!was_open && stream->phase == Phase::kBody) {
    Give({.id = stream->id, .bytes = {}, .is_open = true, .status = {}});
    if (stream->is_closed) return;
  }
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
  std::string_view in(in_.data(), size);
  const error_code error = Feed(stream.parser, in, at_end);
  stream.left.assign(in);
  if (stream.phase == Phase::kHeaders && stream.parser.is_header_done()) HeadersCame(stream);
  return error;
}

void BeastStreamGroup::Loop::HeadersCame(Stream& stream) {
  const int code = static_cast<int>(stream.parser.get().result_int());
  server_->OnAnswer(code);
  if (code == 200) {
    stream.phase = Phase::kBody;
    return SetDue(stream, std::nullopt);
  }
  stream.phase = Phase::kErrorBody;
  SetDue(stream, After(kErrorBodyWait));
}

void BeastStreamGroup::Loop::TakeErrorBody(const StreamPtr& stream, std::string_view bytes, bool is_complete) {
  stream->error_body += bytes.substr(0, kMaxErrorBodyBytes - std::min(kMaxErrorBodyBytes, stream->error_body.size()));
  if (!is_complete && stream->error_body.size() < kMaxErrorBodyBytes) return AwaitReadable(stream);
  End(stream,
      server_->CodeError(stream->target, static_cast<int>(stream->parser.get().result_int()), stream->error_body));
}

void BeastStreamGroup::Loop::Give(const Event& event) {
  has_happened_ = true;
  if (!event.bytes.empty()) {
    has_given_ = true;
    const Deadline now = SteadyClock::now();
    const absl::Duration share = rest_ * static_cast<std::int64_t>(event.bytes.size()) / kLittleBytes;
    steady_until_ = std::min(std::max(steady_until_, now) + absl::ToChronoNanoseconds(share),
                             now + absl::ToChronoNanoseconds(2 * rest_));
  }
  (*visit_)(event);
}

void BeastStreamGroup::Loop::End(const StreamPtr& stream, absl::Status status) {
  const bool has_code = stream->phase == Phase::kBody || stream->phase == Phase::kErrorBody;
  Event event{.id = stream->id, .bytes = {}, .is_end = true, .status = std::move(status)};
  if (has_code) {
    event.http_code = static_cast<int>(stream->parser.get().result_int());
    event.retry_after = RetryAfterOf(stream->parser);
  }
  Forget(*stream);
  Give(event);
}

void BeastStreamGroup::Loop::Forget(Stream& stream) {
  stream.is_closed = true;
  stream.wire->Close();
  SetDue(stream, std::nullopt);
  streams_.erase(stream.id);
}

BeastStreamGroup::BeastStreamGroup(HttpServer server, absl::Duration rest)
    : loop_(std::make_unique<Loop>(std::move(server), rest)) {}

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
