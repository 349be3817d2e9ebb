#include "agent/jobs/push_server.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <deque>
#include <utility>
#include <vector>

#include "agent/jobs/push_parser.h"
#include "common/log.h"
#include "common/status.h"
#include "common/text.h"
#include "common/version.h"

namespace muster::agent {
namespace {

constexpr std::uint64_t kWakeNumber = 0;
constexpr std::uint64_t kListenerNumber = 1;
constexpr std::size_t kReadBytes = 64 * 1024;
constexpr absl::Duration kLookForIdleInterval = absl::Seconds(10);
constexpr std::size_t kMaxSentenceBytes = 1024;
constexpr int kPauseMs = 50;

std::string ErrorLine(const absl::Status& status) {
  return fmt::format("error {} {}\n", ReasonOf(status), EscapeControl(CleanUtf8(MessageOf(status), kMaxSentenceBytes)));
}

absl::Status Busy(std::string_view why) {
  return MakeError(absl::StatusCode::kUnavailable, "BUSY", fmt::format("{}; send it again", why));
}

std::string AnswerTo(const absl::StatusOr<JobBook::Outcome>& outcome) {
  if (!outcome.ok()) return ErrorLine(outcome.status());
  return *outcome == JobBook::Outcome::kKnown ? "ok known\n" : "ok\n";
}

}  // namespace

// What the store's thread leaves for the server's; outlives the server where a push is under way.
class PushServer::AnswerBox {
 public:
  struct Answer {
    std::uint64_t connection;
    std::uint64_t request;
    std::string text;
  };

  AnswerBox() : wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  int wake_fd() const { return wake_.get(); }

  void Put(Answer answer) {
    MutexLock lock(&mutex_);
    answers_.push_back(std::move(answer));
    if (answers_.size() == 1) Signal();
  }
  std::vector<Answer> Take() {
    std::uint64_t count = 0;
    if (read(wake_.get(), &count, sizeof(count)) < 0) count = 0;
    MutexLock lock(&mutex_);
    return std::exchange(answers_, {});
  }
  void Stop() {
    stopping_ = true;
    Signal();
  }
  bool stopping() const { return stopping_; }

 private:
  void Signal() const {
    const std::uint64_t one = 1;
    // Full only when it is set anyway.
    if (write(wake_.get(), &one, sizeof(one)) < 0) return;
  }

  const Descriptor wake_;
  std::atomic<bool> stopping_ = false;
  Mutex mutex_;
  std::vector<Answer> answers_ ABSL_GUARDED_BY(mutex_);
};

struct PushServer::Connection {
  Descriptor fd;
  PushParser parser;
  // Requests that are not answered or whose answer is not written; the first has this number.
  std::uint64_t first_request = 1;
  std::deque<std::string> answers;
  std::string output;
  // Read, and not taken: more requests than may be in flight.
  std::vector<PushRequest> waiting;
  std::size_t counted_cost = 0;
  Instant heard_at;
  bool is_ended = false;  // the other side says no more
  std::uint32_t events = 0;

  bool HasRoom() const { return waiting.empty() && answers.size() < kMaxRequestsInFlight; }
  bool IsIdle() const { return answers.empty() && output.empty() && waiting.empty(); }
};

PushServer::PushServer(Options options, JobStore* store, const Clock* clock)
    : options_(std::move(options)),
      store_(store),
      clock_(clock),
      answers_(std::make_shared<AnswerBox>()),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      listen_at_(clock->Monotonic()),
      last_number_(kListenerNumber) {
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kWakeNumber}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, answers_->wake_fd(), &event);
  thread_ = std::thread([this] { Loop(); });
}

PushServer::~PushServer() {
  answers_->Stop();
  thread_.join();
  if (listener_.get() >= 0) unlink(options_.path.c_str());
}

std::string PushServer::Fault() const {
  MutexLock lock(&mutex_);
  return fault_;
}

void PushServer::SetFault(std::string fault) {
  MutexLock lock(&mutex_);
  if (fault == fault_) return;
  if (fault.empty()) {
    log::Info("jobs may push to {}", options_.path);
  } else {
    log::Warning("jobs cannot push: {}", fault);
  }
  fault_ = std::move(fault);
}

void PushServer::Loop() {
  std::array<epoll_event, 64> events{};
  while (!answers_->stopping()) {
    if (listener_.get() < 0 && clock_->Monotonic() >= listen_at_) Listen();
    const absl::Duration wait = listener_.get() < 0 ? kSocketRetryInterval : kLookForIdleInterval;
    const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                 static_cast<int>(absl::ToInt64Milliseconds(wait)));
    for (int i = 0; i < count; ++i) {
      const std::uint64_t number = events[i].data.u64;
      if (number == kWakeNumber) {
        TakeAnswers();
      } else if (number == kListenerNumber) {
        Accept();
      } else {
        Serve(number, events[i].events);
      }
    }
    CloseIdle();
  }
}

void PushServer::Listen() {
  auto listener = ListenUnix(options_.path, options_.mode);
  if (!listener.ok()) {
    listen_at_ = clock_->Monotonic() + kSocketRetryInterval;
    return SetFault(MessageOf(listener.status()));
  }
  listener_ = *std::move(listener);
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kListenerNumber}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), &event);
  SetFault("");
}

void PushServer::Accept() {
  while (true) {
    Descriptor fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd.get() < 0) {
      // Without descriptors the next turn tries again, which need not be at once.
      if (errno != EAGAIN && errno != ECONNABORTED) poll(nullptr, 0, kPauseMs);
      return;
    }
    if (connections_.size() >= kMaxPushConnections) {
      const std::string refusal = ErrorLine(Busy(fmt::format("{} connections are open", kMaxPushConnections)));
      if (send(fd.get(), refusal.data(), refusal.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) continue;
      continue;
    }
    const std::uint64_t number = ++last_number_;
    auto connection = std::make_unique<Connection>();
    connection->fd = std::move(fd);
    connection->heard_at = clock_->Monotonic();
    connection->events = EPOLLIN;
    epoll_event event{.events = EPOLLIN, .data = {.u64 = number}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, connection->fd.get(), &event) != 0) continue;
    connections_.emplace(number, std::move(connection));
  }
}

void PushServer::Serve(std::uint64_t number, std::uint32_t events) {
  const auto found = connections_.find(number);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  bool lives = (events & EPOLLERR) == 0;
  if (lives && (events & (EPOLLIN | EPOLLHUP)) != 0 && connection.HasRoom()) lives = Read(&connection);
  // Nobody is there to hear the answers; what was read is counted all the same.
  if ((events & EPOLLHUP) != 0 && (connection.is_ended || !connection.HasRoom())) lives = false;
  if (lives) return Settle(number);
  reading_bytes_ -= connection.counted_cost;
  connections_.erase(found);
}

bool PushServer::Read(Connection* connection) {
  std::array<char, kReadBytes> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled by recv
  const ssize_t got = recv(connection->fd.get(), bytes.data(), bytes.size(), 0);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) {
    connection->is_ended = true;
    return true;
  }
  connection->heard_at = clock_->Monotonic();
  connection->parser.Feed(std::string_view(bytes.data(), static_cast<std::size_t>(got)), &connection->waiting);
  reading_bytes_ += connection->parser.cost() - connection->counted_cost;
  connection->counted_cost = connection->parser.cost();
  if (reading_bytes_ > kMaxReadingBytes && connection->counted_cost > kMaxReadingBytes / kMaxPushConnections) {
    connection->parser.Refuse(Busy("too many large pushes are being read"));
    reading_bytes_ -= connection->counted_cost - connection->parser.cost();
    connection->counted_cost = connection->parser.cost();
  }
  if (connection->parser.hopeless()) connection->is_ended = true;
  return true;
}

// Hands on what was read, as far as there is room in flight.
void PushServer::Dispatch(std::uint64_t number, Connection* connection) {
  std::size_t taken = 0;
  for (PushRequest& request : connection->waiting) {
    if (connection->answers.size() >= kMaxRequestsInFlight) break;
    ++taken;
    std::string& answer = connection->answers.emplace_back();
    switch (request.kind) {
      case PushRequest::Kind::kPing:
        answer = fmt::format("ok muster-agent {}\n", kVersion);
        break;
      case PushRequest::Kind::kRefused:
        answer = ErrorLine(request.error);
        store_->NoteRefusal(std::move(request.push.group));
        break;
      case PushRequest::Kind::kPush: {
        const std::uint64_t mine = connection->first_request + connection->answers.size() - 1;
        const bool is_taken =
            store_->Submit(std::move(request.push), [box = answers_, number, mine](const auto& outcome) {
              box->Put({.connection = number, .request = mine, .text = AnswerTo(outcome)});
            });
        if (!is_taken) answer = ErrorLine(Busy(fmt::format("{} pushes wait", kMaxWaitingPushes)));
      }
    }
  }
  connection->waiting.erase(connection->waiting.begin(),
                            connection->waiting.begin() + static_cast<std::ptrdiff_t>(taken));
}

void PushServer::TakeAnswers() {
  std::vector<std::uint64_t> touched;
  for (AnswerBox::Answer& answer : answers_->Take()) {
    const auto found = connections_.find(answer.connection);
    if (found == connections_.end()) continue;
    Connection& connection = *found->second;
    const std::uint64_t index = answer.request - connection.first_request;
    if (index >= connection.answers.size()) continue;
    connection.answers[index] = std::move(answer.text);
    if (touched.empty() || touched.back() != answer.connection) touched.push_back(answer.connection);
  }
  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  for (const std::uint64_t number : touched) Settle(number);
}

bool PushServer::Write(Connection* connection) {
  while (!connection->answers.empty() && !connection->answers.front().empty()) {
    connection->output += connection->answers.front();
    connection->answers.pop_front();
    ++connection->first_request;
  }
  while (!connection->output.empty()) {
    const ssize_t sent = send(connection->fd.get(), connection->output.data(), connection->output.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    connection->output.erase(0, static_cast<std::size_t>(sent));
  }
  return true;
}

void PushServer::Settle(std::uint64_t number) {
  const auto found = connections_.find(number);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  bool lives = true;
  do {
    Dispatch(number, &connection);
    lives = Write(&connection);
  } while (lives && !connection.waiting.empty() && connection.answers.size() < kMaxRequestsInFlight);
  if (!lives || (connection.is_ended && connection.IsIdle())) {
    reading_bytes_ -= connection.counted_cost;
    connections_.erase(found);
    return;
  }
  // A reader that does not take its answers sends nothing more either.
  const bool reads = !connection.is_ended && connection.HasRoom() && connection.output.empty();
  const std::uint32_t wanted = (reads ? EPOLLIN : 0U) | (connection.output.empty() ? 0U : EPOLLOUT);
  if (wanted == connection.events) return;
  connection.events = wanted;
  epoll_event event{.events = wanted, .data = {.u64 = number}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.fd.get(), &event);
}

void PushServer::CloseIdle() {
  const Instant now = clock_->Monotonic();
  if (now - looked_for_idle_at_ < kLookForIdleInterval) return;
  looked_for_idle_at_ = now;
  // Somebody cleaned up: nobody finds the socket any more.
  if (listener_.get() >= 0 && access(options_.path.c_str(), F_OK) != 0) listener_.reset();
  std::erase_if(connections_, [&](const auto& entry) {
    const Connection& connection = *entry.second;
    // One that does not take its answers is as idle as one that says nothing.
    const bool waits_for_store = !connection.answers.empty() && connection.output.empty();
    if (waits_for_store || now - connection.heard_at < kPushIdleLimit) return false;
    reading_bytes_ -= connection.counted_cost;
    return true;
  });
}

}  // namespace muster::agent
