#include "agent/logs/collector_loop.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "common/status.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

// Of containers that are not followed, in one line of the agent's log.
constexpr std::size_t kMaxNamed = 50;
// A turn ends then, whatever happens.
constexpr absl::Duration kLongestTurn = absl::Minutes(10);

std::set<std::string> Without(const std::set<std::string>& keys, const std::set<std::string>& others) {
  std::set<std::string> rest;
  std::set_difference(keys.begin(), keys.end(), others.begin(), others.end(), std::inserter(rest, rest.end()));
  return rest;
}

}  // namespace

CollectorLoop::CollectorLoop(CollectorOptions options, const Clock* clock, std::unique_ptr<StreamGroup> streams,
                             const Masker* masker, LogJournal* journal, OwnLogSource* own_log)
    : options_(std::move(options)),
      clock_(clock),
      streams_(std::move(streams)),
      journal_(journal),
      own_log_(own_log),
      maker_(masker),
      parts_{.maker = &maker_,
             .host_rate = &host_rate_,
             .ready = &ready_,
             .boot_id = options_.boot_id,
             .highest_clock_us = ClockMicros(clock->Read())},
      own_lines_(masker, &ready_),
      clock_us_(ClockMicros(clock->Read())) {}

void CollectorLoop::SetContainers(std::vector<LogContainer> containers) { new_containers_ = std::move(containers); }

void CollectorLoop::SetLogsOff(std::vector<std::string> deployment_keys) {
  new_off_.emplace(deployment_keys.begin(), deployment_keys.end());
}

void CollectorLoop::Turn() {
  if (!remembers_ && !Remember()) {
    streams_->Wait(kJournalPoll, [](const StreamGroup::Event&) {});
    return;
  }
  Moment now = clock_->Read();
  TakeClock(now);
  TakeSettings(now);
  TakeContainers(now);
  if (!is_blocked_) {
    own_lines_.Take(own_log_->Take(), now.wall);
    TickAll(now);
  }
  FlushIfDue(now);
  AppendReady(now);
  KeepSettings(now);
  streams_->Wait(UntilDue(now.monotonic), [this](const StreamGroup::Event& event) { TakeEvent(event); });
}

void CollectorLoop::Finish() {
  const Moment now = clock_->Read();
  if (remembers_) own_lines_.Take(own_log_->Take(), now.wall);
  for (const auto& [id, follow] : follows_) {
    follow->Close();
    follow->lines().Finish(now);
  }
  own_lines_.Flush(now.wall);
  AppendReady(now);
  KeepSettings(now);
}

bool CollectorLoop::Remember() {
  std::optional<LogMemory> memory = journal_->Remember();
  if (!memory.has_value()) return false;
  remembers_ = true;
  first_settings_ = memory->first_settings;
  lost_since_ = memory->lost_since;
  off_.insert(memory->off_keys.begin(), memory->off_keys.end());
  for (LogPosition& position : memory->positions) {
    std::string id = position.container;
    left_.insert_or_assign(std::move(id), Left{.position = std::move(position)});
  }
  return true;
}

// ---- settings

void CollectorLoop::TakeSettings(const Moment& now) {
  if (!new_off_.has_value()) return;
  const std::set<std::string> newly_off = Without(*new_off_, off_);
  const std::set<std::string> newly_on = Without(off_, *new_off_);
  if (!newly_off.empty()) SwitchOff(newly_off, now);
  if (!newly_off.empty() || !first_settings_.has_value()) {
    std::set<std::string> kept = off_;
    kept.insert(switching_on_.begin(), switching_on_.end());
    journal_->KeepSettings({kept.begin(), kept.end()}, now.wall);
    if (!first_settings_.has_value()) first_settings_ = now.wall;
    must_select_ = true;
  }
  // Where collection begins is said for all containers there are: these must be known.
  if (!newly_on.empty() && options_.collects_containers && !containers_.has_value() && !new_containers_.has_value()) {
    return;
  }
  for (const std::string& key : newly_on) {
    off_.erase(key);
    on_since_[key] = now.wall;
    switching_on_.insert(key);
    must_select_ = true;
  }
  new_off_.reset();
}

void CollectorLoop::SwitchOff(const std::set<std::string>& keys, const Moment& now) {
  std::set<std::string> ids;
  for (const LogContainer& container : containers_.value_or(std::vector<LogContainer>())) {
    if (keys.contains(container.deployment_key)) ids.insert(container.id);
  }
  for (const auto& [id, follow] : follows_) {
    if (!keys.contains(follow->lines().container().deployment_key)) continue;
    ids.insert(id);
    follow->lines().Finish(now);
  }
  for (const std::string& id : ids) {
    follows_.erase(id);
    left_.erase(id);
  }
  // What was read is still sent, but leads to no position.
  for (LogJournal::Lines& lines : ready_) {
    if (lines.position.has_value() && ids.contains(lines.position->container)) lines.position.reset();
  }
  AppendReady(now);
  if (!ids.empty()) journal_->ForgetPositions({ids.begin(), ids.end()});
  for (const std::string& key : keys) {
    off_.insert(key);
    off_since_[key] = now.wall;
    on_since_.erase(key);
    switching_on_.erase(key);
  }
}

void CollectorLoop::KeepSettings(const Moment& now) {
  if (switching_on_.empty() || !ready_.empty()) return;
  switching_on_.clear();
  journal_->KeepSettings({off_.begin(), off_.end()}, now.wall);
}

// ---- containers

void CollectorLoop::TakeContainers(const Moment& now) {
  const bool is_new_list = new_containers_.has_value();
  if (is_new_list) {
    containers_ = *std::exchange(new_containers_, std::nullopt);
    must_select_ = true;
  }
  if (!must_select_ || !containers_.has_value() || !first_settings_.has_value() || !options_.collects_containers)
    return;
  must_select_ = false;
  std::set<std::string> listed;
  for (const LogContainer& container : *containers_) listed.insert(container.id);
  const std::map<std::string, LogContainer> selected = Selected();
  std::vector<std::string> leaving;
  std::vector<ContainerFollow*> moved;
  for (const auto& [id, follow] : follows_) {
    const auto it = selected.find(id);
    if (it != selected.end()) {
      if (follow->Update(it->second, /*is_listed=*/true, now)) moved.push_back(follow.get());
      if (is_new_list) follow->SeeList(now.monotonic);
    } else if (listed.contains(id)) {
      leaving.push_back(id);
    } else {
      LogContainer last = follow->lines().container();
      last.is_running = false;
      // What is open may be of the run that is there now.
      if (HasOtherRun(last)) follow->Close();
      follow->Update(std::move(last), /*is_listed=*/false, now);
    }
  }
  for (ContainerFollow* follow : moved) {
    if (!follow->lines().place().has_value()) follow->SetOffers(OffersTo(follow->lines().container()));
  }
  for (const std::string& id : leaving) Leave(id, now);
  for (const auto& [id, container] : selected) {
    if (!follows_.contains(id)) Begin(container, now);
  }
}

std::map<std::string, LogContainer> CollectorLoop::Selected() {
  std::vector<const LogContainer*> newest;
  for (const LogContainer& container : *containers_) {
    if (!IsOff(container)) newest.push_back(&container);
  }
  std::sort(newest.begin(), newest.end(), [](const LogContainer* a, const LogContainer* b) {
    return a->created != b->created ? a->created > b->created : a->id < b->id;
  });
  std::map<std::string, LogContainer> selected;
  std::set<std::string> others;
  for (const LogContainer* container : newest) {
    if (selected.size() < options_.max_followed) {
      selected.emplace(container->id, *container);
    } else {
      others.insert(container->name);
    }
  }
  NameOthers(std::move(others));
  return selected;
}

void CollectorLoop::NameOthers(std::set<std::string> others) {
  if (others == others_) return;
  others_ = std::move(others);
  if (others_.empty()) return;
  std::vector<std::string> named(
      others_.begin(), std::next(others_.begin(), static_cast<std::ptrdiff_t>(std::min(others_.size(), kMaxNamed))));
  log::Warning("logs: of {} containers only the {} newest are followed, not: {}{}",
               options_.max_followed + others_.size(), options_.max_followed, fmt::join(named, ", "),
               others_.size() > kMaxNamed ? ", ..." : "");
}

void CollectorLoop::Begin(const LogContainer& container, const Moment& now) {
  BeginFacts facts{.position_time = std::nullopt,
                   .first_settings = *first_settings_,
                   .switched_on = std::nullopt,
                   .lost_since = lost_since_};
  const absl::StatusOr<LogPlace> place = FindPlace(container, &facts);
  const auto on = on_since_.find(container.deployment_key);
  if (on != on_since_.end()) facts.switched_on = on->second;

  auto follow = std::make_unique<ContainerFollow>(container, streams_.get(), &parts_, options_.uniform, now.monotonic);
  switch (ChooseBegin(container, facts)) {
    case BeginAt::kPosition:
      follow->lines().SetPlace(*place);
      break;
    case BeginAt::kFirstLine:
      break;
    case BeginAt::kLastLines:
      follow->BeginWithLastLines();
      break;
    case BeginAt::kSwitchedOn: {
      const auto off = off_since_.find(container.deployment_key);
      const absl::Time from = off != off_since_.end() ? off->second : *first_settings_;
      follow->lines().BeginAt(on->second, kMarkerOff, std::max(from, container.created), now);
      break;
    }
    case BeginAt::kLostSince:
      follow->lines().BeginAt(*facts.lost_since, kMarkerDamaged, *facts.lost_since, now);
      break;
  }
  follow->lines().Flush(now);
  if (!follow->lines().place().has_value()) follow->SetOffers(OffersTo(container));
  left_.erase(container.id);
  follows_.emplace(container.id, std::move(follow));
}

absl::StatusOr<LogPlace> CollectorLoop::FindPlace(const LogContainer& container, BeginFacts* facts) {
  const auto it = left_.find(container.id);
  if (it == left_.end()) return absl::NotFoundError("no position");
  const absl::Time time = absl::FromUnixNanos(it->second.position.time_ns);
  absl::StatusOr<LogPlace> place = DecodePlace(it->second.position);
  if (place.ok()) {
    facts->position_time = time;
  } else {
    log::Warning("logs: {}; what is later than {} is collected", MessageOf(place.status()), FormatRfc3339(time));
    facts->lost_since = std::max(time, container.created);
  }
  return place;
}

void CollectorLoop::Leave(const std::string& id, const Moment& now) {
  ContainerLines& lines = follows_.at(id)->lines();
  lines.Finish(now);
  if (lines.place().has_value()) {
    left_.insert_or_assign(
        id, Left{.position = EncodePlace(id, *lines.place()), .runs_path = std::string(RunsPath(lines.container()))});
  }
  follows_.erase(id);
  if (left_.size() <= kMaxPlaces) return;
  left_.erase(std::min_element(left_.begin(), left_.end(), [](const auto& a, const auto& b) {
    return a.second.position.time_ns < b.second.position.time_ns;
  }));
}

// ---- runs

bool CollectorLoop::HasOtherRun(const LogContainer& container) const {
  const std::string_view path = RunsPath(container);
  return !path.empty() && std::any_of(containers_->begin(), containers_->end(), [&](const LogContainer& other) {
    return other.id != container.id && RunsPath(other) == path;
  });
}

std::vector<ContainerFollow::Offer> CollectorLoop::OffersTo(const LogContainer& container) const {
  std::vector<ContainerFollow::Offer> offers;
  const std::string_view path = RunsPath(container);
  if (path.empty()) return offers;
  const auto add = [&](const std::string& id, const LogPlace& place) {
    // A message is no earlier than the run that it is of.
    const bool may_be = place.last.time_ns >= absl::ToUnixNanos(container.created - kOfferSpread);
    if (may_be && id != container.id && !place.is_moment) offers.push_back({.run = id, .place = place});
  };
  for (const auto& [id, other] : follows_) {
    const std::optional<LogPlace>& place = other->lines().place();
    if (place.has_value() && RunsPath(other->lines().container()) == path) add(id, *place);
  }
  std::set<std::string_view> runs;
  for (const LogContainer& other : *containers_) {
    if (RunsPath(other) == path) runs.insert(other.id);
  }
  for (const auto& [id, left] : left_) {
    if (left.runs_path != path && !runs.contains(id)) continue;
    if (const absl::StatusOr<LogPlace> place = DecodePlace(left.position); place.ok()) add(id, *place);
  }
  // The newest are the likeliest.
  std::sort(offers.begin(), offers.end(),
            [](const auto& a, const auto& b) { return a.place.last.time_ns < b.place.last.time_ns; });
  if (offers.size() > kMaxOffers) offers.erase(offers.begin(), offers.end() - static_cast<std::ptrdiff_t>(kMaxOffers));
  return offers;
}

void CollectorLoop::MovePlace(const std::string& from, const std::string& to, const Moment& now) {
  const LogPlace place = *follows_.at(to)->lines().place();
  std::optional<LogContainer> anew;
  if (const auto it = follows_.find(from); it != follows_.end()) {
    ContainerLines& lines = it->second->lines();
    // It has found lines of its own since.
    if (!lines.place().has_value() || lines.place()->last != place.last) return;
    lines.Finish(now);
    if (it->second->is_listed()) anew = lines.container();
    follows_.erase(it);
  }
  left_.erase(from);
  for (LogJournal::Lines& lines : ready_) {
    if (lines.position.has_value() && lines.position->container == from) lines.position->container = to;
  }
  AppendReady(now);
  journal_->MovePosition(from, EncodePlace(to, place));
  if (anew.has_value()) Begin(*anew, now);
}

// ---- a turn

void CollectorLoop::TakeClock(const Moment& now) {
  const std::int64_t clock_us = ClockMicros(now);
  parts_.highest_clock_us = std::max(parts_.highest_clock_us, clock_us);
  if (clock_us >= clock_us_ - absl::ToInt64Microseconds(kClockFall)) {
    clock_us_ = std::max(clock_us_, clock_us);
    return;
  }
  log::Info("logs: the host's clock was set back by {}, streams are opened anew",
            absl::FormatDuration(absl::Microseconds(clock_us_ - clock_us)));
  clock_us_ = clock_us;
  for (const auto& [id, follow] : follows_) {
    follow->NoteClock(clock_us);
    follow->Reopen(now.monotonic);
  }
}

void CollectorLoop::TickAll(const Moment& now) {
  std::size_t searching = Searching();
  std::vector<std::string> done;
  for (const auto& [id, follow] : follows_) {
    if (follow->is_done()) {
      done.push_back(id);
      continue;
    }
    const bool was_searching = follow->is_searching();
    follow->Tick(searching < kMaxSearches, now);
    if (follow->is_searching() && !was_searching) ++searching;
  }
  for (const std::string& id : done) Leave(id, now);
}

void CollectorLoop::TakeEvent(const StreamGroup::Event& event) {
  const Moment now = clock_->Read();
  // An engine before 23 hides what is earlier than the stream's `since`: what comes may not be what is next.
  TakeClock(now);
  for (const auto& [id, follow] : follows_) {
    if (!follow->Take(event, now)) continue;
    if (const std::optional<std::string> other = follow->TakeAdopted(); other.has_value()) {
      MovePlace(*other, std::string(id), now);
    }
    break;
  }
  AppendReady(now);
}

void CollectorLoop::FlushIfDue(const Moment& now) {
  if (!flush_at_.has_value() || now.monotonic < *flush_at_ || is_blocked_) return;
  for (const auto& [id, follow] : follows_) follow->lines().Flush(now);
  own_lines_.Flush(now.wall);
}

void CollectorLoop::AppendReady(const Moment& now) {
  if (!ready_.empty()) {
    const bool has_room = journal_->AppendLines(ready_);
    if (has_room) ready_.clear();
    if (has_room == is_blocked_) {
      is_blocked_ = !has_room;
      for (const auto& [id, follow] : follows_) {
        is_blocked_ ? follow->Pause(now.monotonic) : follow->Resume(now.monotonic);
      }
    }
  }
  const bool has_lines = !own_lines_.empty() || std::any_of(follows_.begin(), follows_.end(), [](const auto& entry) {
    return !entry.second->lines().empty();
  });
  if (!has_lines) {
    flush_at_.reset();
  } else if (!flush_at_.has_value()) {
    flush_at_ = now.monotonic + kRecordTime;
  }
}

std::size_t CollectorLoop::Searching() const {
  return static_cast<std::size_t>(
      std::count_if(follows_.begin(), follows_.end(), [](const auto& entry) { return entry.second->is_searching(); }));
}

absl::Duration CollectorLoop::UntilDue(Instant now) const {
  if (is_blocked_) return kJournalPoll;
  Instant due = now + kLongestTurn;
  if (flush_at_.has_value()) due = std::min(due, *flush_at_);
  const bool may_search = Searching() < kMaxSearches;
  for (const auto& [id, follow] : follows_) {
    if (follow->is_done()) return absl::ZeroDuration();
    due = std::min(due, follow->DueAt(may_search).value_or(due));
  }
  return std::max(absl::ZeroDuration(), due - now);
}

}  // namespace muster::agent
