#include "agent/docker/observer_loop.h"

#include <algorithm>
#include <utility>

#include "agent/deployments/picture.h"
#include "common/log.h"
#include "common/status.h"
#include "common/text.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

// Room for what to do and the path of the socket.
constexpr std::size_t kMaxFaultBytes = kMaxMessageBytes;
// Keeps a misbehaving engine that ends each stream at once from being asked in a tight loop.
constexpr absl::Duration kMinRetryDelay = absl::Milliseconds(100);
constexpr absl::Duration kMinRelistInterval = absl::Seconds(1);

}  // namespace

ObserverLoop::ObserverLoop(Options options, std::function<double()> uniform, const Clock* clock, HttpClient* http,
                           PresentSink* sink, ContainerSink* containers)
    : options_(std::move(options)),
      clock_(clock),
      engine_(http, options_.deadlines),
      sink_(sink),
      container_sink_(containers),
      relist_interval_ms_(absl::ToInt64Milliseconds(options_.relist_interval)),
      backoff_(options_.backoff, std::move(uniform)) {
  const Instant now = clock_->Monotonic();
  retry_at_ = next_round_ = look_due_ = ping_due_ = now;
  last_look_ = now - kMinRelistSpacing;
}

void ObserverLoop::SetRelistInterval(absl::Duration interval) {
  relist_interval_ms_ = absl::ToInt64Milliseconds(std::max(interval, kMinRelistInterval));
}

absl::Duration ObserverLoop::Turn() {
  if (stream_ == nullptr) return Connect();
  ReadEvents();
  if (stream_ == nullptr) return absl::ZeroDuration();
  // What events tell goes before a full look: that one takes seconds on a large host, a change must show at once.
  if (DoRound() && StartLookIfDue() && ContinueLook()) PingIfDue();
  return absl::ZeroDuration();
}

absl::Duration ObserverLoop::Connect() {
  const Instant now = clock_->Monotonic();
  if (now < retry_at_) return retry_at_ - now;
  // The stream is opened before the list is read, so nothing falls between them.
  absl::StatusOr<std::unique_ptr<HttpStream>> stream = engine_.OpenEvents();
  if (!stream.ok()) {
    Fail(stream.status());
    return absl::ZeroDuration();
  }
  stream_ = *std::move(stream);
  stream_opened_ = clock_->Monotonic();
  lines_.Reset();
  look_due_ = stream_opened_;
  ping_due_ = stream_opened_ + kPingInterval;
  return absl::ZeroDuration();
}

absl::Duration ObserverLoop::UntilNextWork() const {
  if (LookIsUnderWay()) return absl::ZeroDuration();
  Instant next = std::min(look_due_, ping_due_);
  for (const auto& [id, mark] : marks_) next = std::min(next, std::max(mark.due, next_round_));
  return std::max(absl::ZeroDuration(), next - clock_->Monotonic());
}

void ObserverLoop::ReadEvents() {
  absl::StatusOr<std::string> bytes = stream_->Read(UntilNextWork());
  if (!bytes.ok()) {
    LoseStream(bytes.status());
    return;
  }
  const std::int64_t bad_before = bad_lines();
  for (const std::string& line : lines_.Feed(*bytes)) {
    const absl::StatusOr<EngineEvent> event = DecodeEvent(line);
    if (event.ok()) {
      TakeEvent(*event);
    } else {
      ++unreadable_lines_;
    }
  }
  if (bad_lines() != bad_before) {
    log::Debug("docker: an event could not be read, looking at everything");
    RequestLook();
  }
}

void ObserverLoop::TakeEvent(const EngineEvent& event) {
  if (event.action == EventAction::kOther) return;
  const Moment now = clock_->Read();
  book_.OnEvent(event, now);
  // `kill` is always followed by what it did.
  if (event.action != EventAction::kKill) SetMark(event, now.monotonic);
}

void ObserverLoop::SetMark(const EngineEvent& event, Instant now) {
  if (!marks_.contains(event.container_id) && marks_.size() >= kMaxMarks) {
    RequestLook();
    return;
  }
  const auto [it, is_new] = marks_.try_emplace(event.container_id, Mark{.first = now, .due = now});
  Mark& mark = it->second;
  mark.destroyed = mark.destroyed || event.action == EventAction::kDestroy;
  const bool settles = event.action == EventAction::kDie || event.action == EventAction::kDestroy;
  // A container that dies and starts without pause is still looked at, twice the settling time after the first event.
  mark.due = settles ? std::min(now + kSettle, mark.first + 2 * kSettle) : std::min(mark.due, now);
}

bool ObserverLoop::DoRound() {
  const Instant now = clock_->Monotonic();
  if (now < next_round_) return true;
  std::vector<std::pair<Instant, std::string>> due;
  for (const auto& [id, mark] : marks_) {
    if (mark.due <= now) due.emplace_back(mark.due, id);
  }
  if (due.empty()) return true;
  std::sort(due.begin(), due.end());
  std::size_t inspects = 0;
  for (const auto& [when, id] : due) {
    const bool destroyed = marks_.at(id).destroyed;
    if (!destroyed && ++inspects > kMaxInspectsPerRound) break;
    marks_.erase(id);
    if (destroyed) {
      book_.Remove(id);
      stuck_.erase(id);
    } else if (stuck_.contains(id)) {
      RequestLook();
    } else if (!Refresh(id, /*row_is_fresh=*/false)) {
      return false;
    }
  }
  next_round_ = now + kRoundInterval;
  if (looked_) PublishPicture(/*always=*/false);
  return true;
}

bool ObserverLoop::StartLookIfDue() {
  const Instant now = clock_->Monotonic();
  if (LookIsUnderWay() || now < look_due_) return true;
  absl::StatusOr<ContainerList> list = engine_.List();
  if (!list.ok()) {
    Fail(list.status());
    return false;
  }
  if (list->omitted > 0)
    log::Warning("docker: {} containers beyond the limit of {} are not looked at", list->omitted, kMaxContainers);
  last_look_ = now;
  look_due_ = now + absl::Milliseconds(relist_interval_ms_.load());
  rows_.clear();
  std::deque<std::string> stuck;
  for (Container& row : list->containers) {
    (stuck_.contains(row.id) ? stuck : to_inspect_).push_back(row.id);
    std::string id = row.id;
    rows_.insert_or_assign(std::move(id), std::move(row));
  }
  to_inspect_.insert(to_inspect_.end(), stuck.begin(), stuck.end());
  for (const std::string& id : book_.ContainerIds()) {
    if (!rows_.contains(id)) book_.Remove(id);
  }
  std::erase_if(stuck_, [&](const std::string& id) { return !rows_.contains(id); });
  if (to_inspect_.empty()) {
    looked_ = true;
    PublishPicture(/*always=*/true);
  }
  return true;
}

bool ObserverLoop::ContinueLook() {
  if (!LookIsUnderWay()) return true;
  for (std::size_t i = 0; i < kMaxInspectsPerRound && LookIsUnderWay(); ++i) {
    const std::string id = std::move(to_inspect_.front());
    to_inspect_.pop_front();
    const bool was_stuck = stuck_.contains(id);
    if (!Refresh(id, /*row_is_fresh=*/true)) return false;
    // One that does not answer is enough for one turn: events come first.
    if (was_stuck) break;
  }
  if (LookIsUnderWay()) return true;
  rows_.clear();
  looked_ = true;
  if (clock_->Monotonic() - stream_opened_ >= kStableStream) backoff_.Reset();
  PublishPicture(/*always=*/true);
  return true;
}

bool ObserverLoop::Refresh(const std::string& id, bool row_is_fresh) {
  absl::StatusOr<Container> container = engine_.Inspect(id);
  const Moment now = clock_->Read();
  if (container.ok()) {
    slow_inspects_ = 0;
    stuck_.erase(id);
    // The key is the id that was asked for; an engine that answers with another one must not make a second entry.
    container->id = id;
    book_.Put(*std::move(container), now);
    return true;
  }
  const absl::Status& status = container.status();
  if (ReasonOf(status) == kNoSuchContainer) {
    book_.Remove(id);
    return true;
  }
  if (status.code() == absl::StatusCode::kDeadlineExceeded) {
    stuck_.insert(id);
    ++slow_inspects_;
  }
  if (IsEngineFailure(status) || slow_inspects_ >= kMaxSlowInspects) {
    Fail(status);
    return false;
  }
  log::Debug("docker: container {}: {}", id, MessageOf(status));
  FallBack(id, row_is_fresh);
  return true;
}

// The list shows less, but it shows every container.
void ObserverLoop::FallBack(const std::string& id, bool row_is_fresh) {
  const auto row = rows_.find(id);
  if (row == rows_.end() || !row_is_fresh) {
    RequestLook();
    return;
  }
  book_.Put(row->second, clock_->Read());
}

void ObserverLoop::RequestLook() { look_due_ = std::min(look_due_, last_look_ + kMinRelistSpacing); }

bool ObserverLoop::PingIfDue() {
  if (clock_->Monotonic() < ping_due_) return true;
  if (const absl::Status status = engine_.Ping(); !status.ok()) {
    Fail(status);
    return false;
  }
  ping_due_ = clock_->Monotonic() + kPingInterval;
  if (looked_) PublishPicture(/*always=*/false);
  return true;
}

void ObserverLoop::PublishPicture(bool always) {
  const Moment now = clock_->Read();
  Present present = book_.Look(now);
  if (fault_since_.has_value()) {
    log::Info("docker: the engine can be read again, {} deployments", present.deployments.size());
    fault_since_.reset();
    fault_message_.clear();
  }
  PublishContainers(present, now, always);
  std::string fingerprint = Fingerprint(present);
  if (!always && last_published_ == fingerprint) return;
  last_published_ = std::move(fingerprint);
  sink_->Publish(std::move(present));
}

// Apart from the picture: that one shows 200 containers of a deployment at most, and not all that counts here.
void ObserverLoop::PublishContainers(const Present& present, Moment now, bool always) {
  if (container_sink_ == nullptr) return;
  if (ContainerCensus census = book_.Census(); always || census != last_census_) {
    last_census_ = std::move(census);
    container_sink_->PublishCensus(last_census_);
  }
  std::vector<LogContainer> containers = book_.LogContainers(present, now);
  if (!always && containers == last_containers_) return;
  last_containers_ = containers;
  container_sink_->Publish(std::move(containers));
}

void ObserverLoop::LoseStream(const absl::Status& status) {
  log::Debug("docker: event stream ended: {}", MessageOf(status));
  stream_.reset();
  marks_.clear();
  to_inspect_.clear();
  const Instant now = clock_->Monotonic();
  // An engine that was restarted is asked at once; one that ends every stream is not asked all the time.
  const bool was_stable = now - stream_opened_ >= kStableStream;
  retry_at_ = was_stable ? now : now + std::max(kMinRetryDelay, backoff_.Next());
}

void ObserverLoop::Fail(const absl::Status& status) {
  stream_.reset();
  marks_.clear();
  to_inspect_.clear();
  slow_inspects_ = 0;
  looked_ = false;
  last_published_.reset();
  const Moment now = clock_->Read();
  retry_at_ = now.monotonic + std::max(kMinRetryDelay, backoff_.Next());
  if (status.code() == absl::StatusCode::kCancelled) return;
  std::string message = CleanUtf8(DescribeFault(status, options_.socket_path), kMaxFaultBytes);
  if (!fault_since_.has_value()) fault_since_ = now.wall;
  if (message == fault_message_) return;
  log::Warning("{}", message);
  last_census_.reset();
  if (container_sink_ != nullptr) container_sink_->PublishCensus(last_census_);
  fault_message_ = message;
  Present present;
  present.fault.emplace();
  present.fault->set_message(std::move(message));
  *present.fault->mutable_since() = ToProto(*fault_since_);
  sink_->Publish(std::move(present));
}

}  // namespace muster::agent
