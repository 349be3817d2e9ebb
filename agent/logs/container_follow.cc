#include "agent/logs/container_follow.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "common/status.h"

namespace muster::agent {
namespace {

constexpr Backoff::Options kBackoff = {.initial = absl::Seconds(1), .maximum = absl::Seconds(60)};
// Keeps an engine that ends each stream at once from being asked in a tight loop.
constexpr absl::Duration kMinRetryDelay = absl::Milliseconds(100);
constexpr absl::Duration kMinRetryDelayOfPods = absl::Seconds(2);
// A stream that lived shorter counts as a failed attempt, unless it gave something.
constexpr absl::Duration kStableStream = absl::Seconds(5);
constexpr int kMaxSkipDoublings = 5;

// The engine has no log of this container that could be read.
bool IsRefusal(int http_code) { return http_code == 404 || http_code == 409 || http_code == 501; }

bool IsKubernetes(const LogContainer& container) { return !container.log_path.empty(); }

DockerFrames::Format FormatOf(const LogContainer& container) {
  if (IsKubernetes(container)) return DockerFrames::Format::kLines;
  return container.has_tty ? DockerFrames::Format::kTty : DockerFrames::Format::kMultiplexed;
}

bool IsBadStream(const absl::Status& status) {
  const std::string reason = ReasonOf(status);
  return reason == "BAD_LOG_STREAM" || reason == "ENGINE_LOG_ERROR";
}

}  // namespace

ContainerFollow::ContainerFollow(LogContainer container, StreamGroup* streams, LineParts* parts,
                                 std::function<double()> uniform, Instant now)
    : streams_(streams),
      parts_(parts),
      lines_(std::move(container), parts),
      retry_at_(now),
      backoff_(kBackoff, std::move(uniform)),
      deadline_(now),
      opened_(now),
      check_deadline_(now) {}

ContainerFollow::~ContainerFollow() { Close(); }

bool ContainerFollow::Update(LogContainer container, bool is_listed, const Moment& now) {
  const bool starts = container.is_running && !lines_.container().is_running;
  const bool moved = container.log_path != lines_.container().log_path;
  is_listed_ = is_listed;
  lines_.SetContainer(std::move(container), now);
  if (moved) {
    // What is open may be of the run that is there now.
    unproved_since_.reset();
    Close();
  }
  if (!starts && !moved) return false;
  is_left_alone_ = false;
  bad_streams_ = 0;
  silence_ = kFirstSilence;
  if (state_ == State::kWaiting) retry_at_ = now.monotonic;
  return moved;
}

void ContainerFollow::SeeList(Instant now) {
  if (!unproved_since_.has_value() || now - *unproved_since_ < kRunSeen) return;
  is_run_seen_ = true;
  if (state_ == State::kWaiting && retry_at_.has_value()) retry_at_ = now;
}

// ---- what is due

void ContainerFollow::Tick(bool may_search, const Moment& now) {
  lines_.Tick(now);
  const bool is_due = now.monotonic >= deadline_;
  if (state_ == State::kWaiting) {
    if (retry_at_.has_value() && now.monotonic >= *retry_at_ && (may_search || !seeks())) Open(now);
  } else if (is_searching() && is_due) {
    Fail(MakeError(absl::StatusCode::kDeadlineExceeded, "STALLED", "the engine's answer does not go on"), 0, now);
  } else if (state_ == State::kFollow && skipper_.waits() && is_due) {
    log::Debug("logs: {}: the stream does not begin where it should", lines_.container().name);
    missed_skips_ = std::min(missed_skips_ + 1, kMaxSkipDoublings);
    Reopen(now.monotonic);
  }
  if (check_.is_open() && now.monotonic >= check_deadline_) {
    Shut(&check_);
    NoteSilence(now.monotonic);
  } else if (!check_.is_open() && check_at_.has_value() && now.monotonic >= *check_at_) {
    OpenCheck(now);
  }
}

std::optional<Instant> ContainerFollow::DueAt(bool may_search) const {
  std::optional<Instant> due = lines_.DueAt();
  const auto add = [&](Instant at) { due = due.has_value() ? std::min(*due, at) : at; };
  const bool may_open = may_search || !seeks();
  if (state_ == State::kWaiting && retry_at_.has_value() && may_open) add(*retry_at_);
  if (is_searching() || (state_ == State::kFollow && skipper_.waits())) add(deadline_);
  if (check_.is_open()) {
    add(check_deadline_);
  } else if (check_at_.has_value()) {
    add(*check_at_);
  }
  return due;
}

// ---- asking

void ContainerFollow::Ask(const LogQuery& query, Answer* answer) {
  const LogContainer& container = lines_.container();
  answer->id = streams_->Open({.target = LogTarget(container, query), .deadline = kHeadersDeadline});
  answer->frames.emplace(FormatOf(container));
}

void ContainerFollow::Shut(Answer* answer) {
  if (answer->is_open()) streams_->Close(answer->id);
  answer->frames.reset();
}

std::int64_t ContainerFollow::Since(const Moment& now) const {
  return SinceNs(SoughtPlace(), now.wall, std::min(ClockMicros(now), lowest_clock_us_), parts_->boot_id);
}

void ContainerFollow::Open(const Moment& now) {
  retry_at_.reset();
  check_at_.reset();
  all_is_new_ = may_repeat_ = false;
  known_new_ = 0;
  opened_ = now.monotonic;
  if (lines_.place().has_value()) {
    lines_.LimitMoment(now.wall);
    OpenFind(kFindTail, now);
  } else if (!offers_.empty()) {
    OpenFind(kFindTail, now);
  } else {
    OpenFollow(std::nullopt, first_tail_, Skipper(), now);
  }
}

void ContainerFollow::OpenFind(std::optional<std::int64_t> tail, const Moment& now) {
  state_ = tail.has_value() ? State::kFind : State::kFindAll;
  search_.emplace(SoughtPlace(), tail);
  deadline_ = now.monotonic + kStalledAnswer;
  Ask({.follow = false, .since_ns = SinceToAsk(now), .tail = tail}, &main_);
}

void ContainerFollow::OpenProve(const Moment& now) {
  state_ = State::kProve;
  oldest_ns_.reset();
  deadline_ = now.monotonic + kStalledAnswer;
  Ask({.follow = false, .since_ns = std::nullopt, .tail = std::nullopt}, &main_);
}

void ContainerFollow::OpenFollow(std::optional<std::int64_t> since_ns, std::optional<std::int64_t> tail,
                                 Skipper skipper, const Moment& now) {
  state_ = State::kFollow;
  skipper_ = skipper;
  for (std::vector<MessageId>& latest : latest_) latest.clear();
  deadline_ = now.monotonic + kSkipTime * (1 << missed_skips_);
  check_at_ = now.monotonic + silence_;
  Ask({.follow = true, .since_ns = since_ns, .tail = tail}, &main_);
}

// ---- answers

bool ContainerFollow::Take(const StreamGroup::Event& event, const Moment& now) {
  if (main_.is_open() && event.id == main_.id) {
    TakeMain(event, now);
  } else if (check_.is_open() && event.id == check_.id) {
    TakeCheck(event, now);
  } else {
    return false;
  }
  return true;
}

void ContainerFollow::TakeMain(const StreamGroup::Event& event, const Moment& now) {
  const auto visit = [&](const DockerMessage& message) { TakeMessage(message, now); };
  if (!event.is_end) {
    if (is_searching()) deadline_ = now.monotonic + kStalledAnswer;
    const absl::Status status = main_.frames->Feed(event.bytes, visit);
    if (may_repeat_) return Reopen(now.monotonic);
    if (state_ == State::kProve && oldest_ns_.has_value()) {
      Shut(&main_);
      EndProve(now);
    } else if (!status.ok()) {
      Fail(status, 0, now);
    }
    return;
  }
  absl::Status status = event.status;
  if (status.ok()) status = main_.frames->Finish(visit);
  main_.frames.reset();
  if (may_repeat_) {
    Reopen(now.monotonic);
  } else if (status.ok()) {
    EndMain(now);
  } else {
    Fail(status, event.http_code, now);
  }
}

void ContainerFollow::TakeMessage(const DockerMessage& message, const Moment& now) {
  if (state_ == State::kProve) {
    if (!oldest_ns_.has_value()) oldest_ns_ = message.time_ns;
    return;
  }
  if (state_ != State::kFollow) {
    search_->See(message);
    return;
  }
  if (may_repeat_) return;
  if (!skipper_.IsNew(message)) return NoteLatest(message);
  may_repeat_ = known_new_ == 0 && MayRepeat(message);
  was_doubted_ = may_repeat_;
  if (may_repeat_) return;
  NoteLatest(message);
  known_new_ = std::max<std::int64_t>(0, known_new_ - 1);
  lines_.Take(message, now);
  all_is_new_ = false;
  has_spoken_ = true;
  lowest_clock_us_ = std::numeric_limits<std::int64_t>::max();
  bad_streams_ = missed_skips_ = 0;
  backoff_.Reset();
  silence_ = kFirstSilence;
  check_at_ = now.monotonic + silence_;
}

// Within a stream times rise, but where the clock was set back, and for the pieces of a line.
bool ContainerFollow::MayRepeat(const DockerMessage& message) const {
  const std::optional<LogPlace>& place = lines_.place();
  if (!place.has_value() || place->is_moment || all_is_new_) return false;
  const StreamPlace& stream = place->Of(message.stream);
  if (stream.state.open_line_ns == message.time_ns) return false;
  if (stream.run.count == 0) return message.time_ns <= place->last.time_ns;
  if (message.time_ns != stream.run.time_ns) return message.time_ns < stream.run.time_ns;
  const std::vector<MessageId>& latest = latest_[StreamIndex(message.stream)];
  const bool is_known = !latest.empty() && latest.front().time_ns == message.time_ns;
  return !is_known || std::find(latest.begin(), latest.end(), IdOf(message)) != latest.end();
}

void ContainerFollow::NoteLatest(const DockerMessage& message) {
  std::vector<MessageId>& latest = latest_[StreamIndex(message.stream)];
  if (!latest.empty() && latest.front().time_ns != message.time_ns) latest.clear();
  if (latest.size() < kMaxLatest) latest.push_back(IdOf(message));
}

void ContainerFollow::EndMain(const Moment& now) {
  if (state_ == State::kFollow) {
    EndFollow(now);
  } else if (state_ == State::kProve) {
    EndProve(now);
  } else {
    EndFind(now);
  }
}

void ContainerFollow::EndFind(const Moment& now) {
  if (!lines_.place().has_value()) return EndOffer(now);
  const LogPlace& place = *lines_.place();
  if (place.is_moment) {
    const auto tail = search_->is_cut() ? std::nullopt : std::optional(search_->messages() + kFindTail);
    OpenFollow(Since(now), tail, Skipper(place), now);
    return;
  }
  const std::optional<PlaceSearch::Found> found = search_->Finish();
  if (found.has_value()) {
    GoOnBehind(*found, now);
  } else if (state_ == State::kFind) {
    OpenFind(std::nullopt, now);
  } else {
    OpenProve(now);
  }
}

// Whose message it was is certain: no two of them have time, count, size and checksum in common.
void ContainerFollow::EndOffer(const Moment& now) {
  if (const std::optional<PlaceSearch::Found> found = search_->Finish(); found.has_value()) {
    log::Debug("logs: {}: lines of this run were told for another one", lines_.container().name);
    lines_.SetPlace(std::move(offers_.back().place));
    adopted_ = std::move(offers_.back().run);
    offers_.clear();
    return GoOnBehind(*found, now);
  }
  if (state_ == State::kFind && search_->is_cut()) return OpenFind(std::nullopt, now);
  offers_.pop_back();
  Open(now);
}

void ContainerFollow::GoOnBehind(const PlaceSearch::Found& found, const Moment& now) {
  lines_.SetCount(found.count);
  known_new_ = found.behind;
  unproved_since_.reset();
  // Beginning in front of all messages of L's time: only there counts are right.
  OpenFollow(SinceToAsk(now), found.behind + found.count + kFindTail, Skipper(*lines_.place()), now);
}

void ContainerFollow::EndProve(const Moment& now) {
  if (IsKubernetes(lines_.container()) && !IsThisRun(now.monotonic)) return;
  if (ProveAbsence(Since(now), oldest_ns_) == Absence::kLostEnd) {
    log::Warning("logs: {}: the engine lost the end of this container's log", lines_.container().name);
    lines_.LoseEnd();
    OpenFind(kFindTail, now);
    return;
  }
  lines_.MissUpToNext();
  all_is_new_ = true;
  OpenFollow(std::nullopt, std::nullopt, Skipper(), now);
}

// Kubernetes: a log's path shows whichever run of the container is there. Where L is, it is the run that L is of; where
// it is not, the log was rotated, or the next run is there. A list that is made later, and still has this run there,
// tells: one that was made before, by an observer that cannot look now, does not.
bool ContainerFollow::IsThisRun(Instant now) {
  if (unproved_since_.has_value() && is_run_seen_) {
    unproved_since_.reset();
    return true;
  }
  if (!unproved_since_.has_value()) {
    unproved_since_ = now;
    is_run_seen_ = false;
  }
  state_ = State::kWaiting;
  retry_at_ = now + kFirstSilence;
  return false;
}

// The container stopped, or its engine did. What it wrote is read to the end, unless L did not come.
void ContainerFollow::EndFollow(const Moment& now) {
  state_ = State::kWaiting;
  if (now.monotonic - opened_ >= kStableStream) backoff_.Reset();
  const LogContainer& container = lines_.container();
  if (container.is_running || skipper_.waits()) return RetryLater(now.monotonic);
  // A run that is over and said nothing: what its path shows later would be another's.
  if (IsKubernetes(container) && !lines_.place().has_value()) check_at_.reset();
}

void ContainerFollow::Fail(const absl::Status& status, int http_code, const Moment& now) {
  Shut(&main_);
  Shut(&check_);
  check_at_.reset();
  state_ = State::kWaiting;
  const LogContainer& container = lines_.container();
  if (IsRefusal(http_code)) {
    // One that was removed is no news.
    log::Write(http_code == 404 ? log::Level::kDebug : log::Level::kInfo,
               fmt::format("logs: {} ({}, log driver {}) is not followed until it starts anew: {}", container.name,
                           container.id.substr(0, 12), container.log_driver, MessageOf(status)));
    return LeaveAlone();
  }
  if (IsBadStream(status)) {
    log::Warning("logs: {}: {}", container.name, MessageOf(status));
    if (++bad_streams_ >= kMaxBadStreams) {
      log::Warning("logs: {} is not followed until it starts anew: its log could not be read {} times", container.name,
                   kMaxBadStreams);
      return LeaveAlone();
    }
  } else {
    log::Debug("logs: {}: {}", container.name, MessageOf(status));
    if (now.monotonic - opened_ >= kStableStream) backoff_.Reset();
  }
  RetryLater(now.monotonic);
}

void ContainerFollow::LeaveAlone() {
  is_left_alone_ = true;
  retry_at_.reset();
}

void ContainerFollow::RetryLater(Instant now) {
  // A pod's containers start anew within a second or two: what is there then is another run.
  const absl::Duration least = IsKubernetes(lines_.container()) ? kMinRetryDelayOfPods : kMinRetryDelay;
  retry_at_ = now + std::max(least, backoff_.Next());
}

// ---- the silent check

void ContainerFollow::OpenCheck(const Moment& now) {
  check_last_.reset();
  has_spoken_ = false;
  check_at_.reset();
  check_deadline_ = now.monotonic + kStalledAnswer;
  const auto since = lines_.place().has_value() ? std::optional(Since(now)) : std::nullopt;
  Ask({.follow = false, .since_ns = since, .tail = 1}, &check_);
}

void ContainerFollow::TakeCheck(const StreamGroup::Event& event, const Moment& now) {
  const auto visit = [&](const DockerMessage& message) { check_last_ = IdOf(message); };
  absl::Status status = event.status;
  if (!event.is_end) {
    status = check_.frames->Feed(event.bytes, visit);
    if (status.ok()) return;
    Shut(&check_);
  } else {
    if (status.ok()) status = check_.frames->Finish(visit);
    check_.frames.reset();
  }
  if (status.ok()) return EndCheck(now.monotonic);
  if (IsRefusal(event.http_code)) return Fail(status, event.http_code, now);
  NoteSilence(now.monotonic);
}

void ContainerFollow::EndCheck(Instant now) {
  NoteSilence(now);
  // An answer without L is news, too.
  const bool expects_message = lines_.place().has_value() && !lines_.place()->is_moment && !all_is_new_;
  const bool is_news = check_last_.has_value() ? IsNews(*check_last_) : expects_message;
  if (!is_news || has_spoken_) return;
  log::Debug("logs: {}: there is more than the stream gave", lines_.container().name);
  Reopen(now);
}

bool ContainerFollow::IsNews(const MessageId& last) const {
  const std::optional<LogPlace>& place = lines_.place();
  if (!place.has_value() || all_is_new_) return true;
  return place->is_moment ? last.time_ns > place->last.time_ns : last != place->last;
}

// One that has stopped is asked until the interval is at its longest: it may have run unseen for a moment.
void ContainerFollow::NoteSilence(Instant now) {
  if (silence_ >= kLongestSilence && state_ == State::kWaiting && !lines_.container().is_running) {
    check_at_.reset();
    return;
  }
  silence_ = std::min(2 * silence_, kLongestSilence);
  check_at_ = now + silence_;
}

// ---- from outside

void ContainerFollow::Pause(Instant now) {
  if (paused_at_.has_value()) return;
  paused_at_ = now;
  if (main_.is_open()) streams_->Pause(main_.id);
  if (check_.is_open()) streams_->Pause(check_.id);
}

void ContainerFollow::Resume(Instant now) {
  if (!paused_at_.has_value()) return;
  const bool was_long = now - *paused_at_ >= kMaxPause;
  paused_at_.reset();
  if (was_long && (main_.is_open() || check_.is_open())) return Reopen(now);
  if (main_.is_open()) streams_->Resume(main_.id);
  if (check_.is_open()) streams_->Resume(check_.id);
  if (is_searching() || skipper_.waits()) deadline_ = std::max(deadline_, now + kSkipTime);
}

void ContainerFollow::Reopen(Instant now) {
  Close();
  if (!is_left_alone_) retry_at_ = now;
}

void ContainerFollow::Close() {
  Shut(&main_);
  Shut(&check_);
  check_at_.reset();
  retry_at_.reset();
  state_ = State::kWaiting;
}

}  // namespace muster::agent
