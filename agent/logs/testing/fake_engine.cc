#include "agent/logs/testing/fake_engine.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "common/status.h"

namespace muster::agent {
namespace {

// What stands behind `name` in the query, up to the next '&'.
std::string_view Parameter(std::string_view target, std::string_view name) {
  const std::size_t at = target.find(std::string(name) + '=');
  if (at == std::string_view::npos) return {};
  const std::string_view value = target.substr(at + name.size() + 1);
  return value.substr(0, value.find('&'));
}

std::int64_t Number(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string Stamp(std::int64_t time_ns) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E9SZ ", absl::FromUnixNanos(time_ns), absl::UTCTimeZone());
}

}  // namespace

void FakeEngine::Rotate(const std::string& id, std::size_t keep) {
  Container& container = containers_[id];
  while (container.log.size() > keep) {
    container.log.pop_front();
    ++container.dropped;
  }
}

void FakeEngine::LoseEnd(const std::string& id, std::size_t count) {
  Container& container = containers_[id];
  container.log.resize(container.log.size() - count);
}

void FakeEngine::Stop(const std::string& id) {
  Container& container = containers_[id];
  container.is_running = false;
  if (group_ == nullptr) return;
  for (auto& [key, stream] : group_->streams_) {
    if (stream.container == id && !stream.end.has_value()) stream.end = container.end();
  }
}

void FakeEngine::Remove(const std::string& id) {
  Stop(id);
  containers_[id].http_code = 404;
}

void FakeEngine::Hang(const std::string& id) {
  if (group_ == nullptr) return;
  for (auto& [key, stream] : group_->streams_) {
    if (stream.container == id && stream.follows) stream.hangs = true;
  }
}

void FakeEngine::Repeat(const std::string& id, std::int64_t count) {
  if (group_ == nullptr) return;
  const Container& container = containers_.at(id);
  for (auto& [key, stream] : group_->streams_) {
    if (stream.container != id || !stream.follows || stream.hangs || stream.next > container.end()) continue;
    group_->Read(&stream);
    stream.next = std::max(container.dropped, stream.next - count);
  }
}

void FakeEngine::Cut(const std::string& id) {
  if (group_ == nullptr) return;
  for (auto& [key, stream] : group_->streams_) {
    if (stream.container != id) continue;
    group_->Read(&stream);
    if (!stream.bytes.empty()) stream.bytes.resize(random_() % stream.bytes.size());
    stream.is_cut = true;
  }
}

void FakeEngine::CutAll() {
  for (const auto& [id, container] : containers_) Cut(id);
}

std::unique_ptr<StreamGroup> FakeEngine::Connect() { return std::make_unique<FakeStreamGroup>(this); }

std::size_t FakeEngine::open_streams() const { return group_ == nullptr ? 0 : group_->streams_.size(); }

std::size_t FakeEngine::paused_streams() const {
  if (group_ == nullptr) return 0;
  return static_cast<std::size_t>(std::count_if(group_->streams_.begin(), group_->streams_.end(),
                                                [](const auto& entry) { return entry.second.is_paused; }));
}

FakeStreamGroup::Stream FakeStreamGroup::Asked(std::string_view target) const {
  constexpr std::string_view kDocker = "/containers/";
  constexpr std::string_view kTimestamps = "&timestamps=true";
  if (!target.starts_with(kDocker)) {
    const auto path = engine_->paths_.find(std::string(target.substr(0, target.find(kTimestamps))));
    Stream stream{.container = path == engine_->paths_.end() ? "" : path->second,
                  .follows = Parameter(target, "follow") == "true",
                  .is_plain = true,
                  .end = std::nullopt,
                  .bytes = {}};
    absl::Time since;
    const std::string since_time(Parameter(target, "sinceTime"));
    if (absl::ParseTime(absl::RFC3339_full, since_time, &since, nullptr)) stream.since_ns = absl::ToUnixNanos(since);
    const std::string_view tail = Parameter(target, "tailLines");
    if (!tail.empty()) stream.tail = Number(tail);
    return stream;
  }
  Stream stream{.container = std::string(target.substr(kDocker.size(), target.find("/logs") - kDocker.size())),
                .follows = Parameter(target, "follow") == "1",
                .end = std::nullopt,
                .bytes = {}};
  const std::string_view since = Parameter(target, "since");
  const std::size_t dot = since.find('.');
  if (!since.empty()) stream.since_ns = Number(since.substr(0, dot)) * 1'000'000'000 + Number(since.substr(dot + 1));
  const std::string_view tail = Parameter(target, "tail");
  if (tail != "all") stream.tail = Number(tail);
  return stream;
}

StreamGroup::Id FakeStreamGroup::Open(const HttpGet& request) {
  engine_->requests_.push_back(request.target);
  Stream stream = Asked(request.target);
  const auto found = engine_->containers_.find(stream.container);
  if (found == engine_->containers_.end() || found->second.http_code != 200) {
    const int missing = stream.is_plain ? 400 : 404;
    stream.http_code = found == engine_->containers_.end() ? missing : found->second.http_code;
  } else {
    const FakeEngine::Container& container = found->second;
    stream.next = container.dropped;
    if (stream.tail.has_value()) stream.next = std::max(stream.next, container.end() - *stream.tail);
    if (!stream.follows || !container.is_running) stream.end = container.end();
  }
  streams_.emplace(++last_id_, std::move(stream));
  return last_id_;
}

void FakeStreamGroup::Pause(Id id) {
  const auto it = streams_.find(id);
  if (it != streams_.end()) it->second.is_paused = true;
}

void FakeStreamGroup::Resume(Id id) {
  const auto it = streams_.find(id);
  if (it != streams_.end()) it->second.is_paused = false;
}

void FakeStreamGroup::Read(Stream* stream) {
  if (stream->http_code != 200 || stream->is_cut || stream->hangs) return;
  FakeEngine::Container& container = engine_->containers_[stream->container];
  if (!container.garbage.empty()) {
    stream->bytes = container.garbage;
    stream->next = container.end();
    stream->end = stream->next;
    return;
  }
  const std::int64_t end = std::min(stream->end.value_or(container.end()), container.end());
  if (stream->next < container.dropped || stream->next > container.end()) {
    // Rotated or truncated under its hands.
    stream->hangs = !stream->end.has_value();
    stream->next = end;
    return;
  }
  for (; stream->next < end; ++stream->next) {
    const FakeEngine::Message& message = container.log[static_cast<std::size_t>(stream->next - container.dropped)];
    const bool is_early = message.time_ns < stream->since_ns;
    const bool looks = engine_->version_ == FakeEngine::Version::k20 || !stream->passed_since;
    if (is_early && looks) continue;
    stream->passed_since = true;
    const std::string content = Stamp(message.time_ns) + message.text + (message.has_newline ? "\n" : "");
    if (!container.has_tty && !stream->is_plain) {
      std::string head(8, '\0');
      head[0] = static_cast<char>(message.stream);
      for (std::size_t i = 0; i < 4; ++i) head[7 - i] = static_cast<char>(content.size() >> (8 * i) & 0xFF);
      stream->bytes += head;
    }
    stream->bytes += content;
  }
}

bool FakeStreamGroup::Give(Id id, absl::FunctionRef<void(const Event&)> visit) {
  Stream& stream = streams_.at(id);
  Read(&stream);
  if (!stream.bytes.empty()) {
    std::size_t size = std::min(stream.bytes.size(), engine_->max_read_);
    if (engine_->random_() % 4 == 0) size = 1 + engine_->random_() % size;
    const std::string bytes = stream.bytes.substr(0, size);
    stream.bytes.erase(0, size);
    visit({.id = id, .bytes = bytes, .status = absl::OkStatus()});
    return true;
  }
  Event end{.id = id, .bytes = {}, .is_end = true, .status = absl::OkStatus()};
  if (stream.http_code != 200) {
    end.http_code = stream.http_code;
    end.status = MakeError(absl::StatusCode::kFailedPrecondition, "HTTP_CODE", "the engine says no");
  } else if (stream.is_cut) {
    end.status = MakeError(absl::StatusCode::kDataLoss, "CUT", "the connection is lost");
  } else if (!stream.end.has_value() || (!stream.hangs && stream.next < *stream.end)) {
    return false;
  }
  streams_.erase(id);
  visit(end);
  return true;
}

void FakeStreamGroup::Wait(absl::Duration wait, absl::FunctionRef<void(const Event&)> visit) {
  ++engine_->waits_;
  std::vector<Id> ids;
  for (const auto& [id, stream] : streams_) ids.push_back(id);
  bool has_given = false;
  for (const Id id : ids) {
    const auto it = streams_.find(id);
    if (it != streams_.end() && !it->second.is_paused && Give(id, visit)) has_given = true;
  }
  if (is_woken_.exchange(false) || has_given) return;
  const absl::Duration left = engine_->wait_until_ - engine_->clock_->Monotonic();
  engine_->clock_->Advance(std::max(absl::ZeroDuration(), std::min(wait, left)));
}

}  // namespace muster::agent
