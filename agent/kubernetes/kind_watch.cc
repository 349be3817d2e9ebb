#include "agent/kubernetes/kind_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/kubernetes/object_identity.h"
#include "common/log.h"
#include "common/status.h"

namespace muster::agent {
namespace {

struct KindWords {
  std::string_view api;
  std::string_view collection;
  std::string_view name;
};

KindWords WordsOf(KubeKind kind) {
  constexpr std::string_view kApps = "/apis/apps/v1";
  constexpr std::string_view kBatch = "/apis/batch/v1";
  constexpr std::string_view kCore = "/api/v1";
  switch (kind) {
    case KubeKind::kDeployment:
      return {kApps, "deployments", "deployments.apps"};
    case KubeKind::kStatefulSet:
      return {kApps, "statefulsets", "statefulsets.apps"};
    case KubeKind::kDaemonSet:
      return {kApps, "daemonsets", "daemonsets.apps"};
    case KubeKind::kReplicaSet:
      return {kApps, "replicasets", "replicasets.apps"};
    case KubeKind::kJob:
      return {kBatch, "jobs", "jobs.batch"};
    case KubeKind::kCronJob:
      return {kBatch, "cronjobs", "cronjobs.batch"};
    case KubeKind::kPod:
      return {kCore, "pods", "pods"};
    case KubeKind::kEvent:
      return {kCore, "events", "events"};
    case KubeKind::kNode:
      return {kCore, "nodes", "nodes"};
  }
  return {kCore, "pods", "pods"};
}

// Only warnings say anything about a status.
std::string_view SelectorOf(KubeKind kind) {
  return kind == KubeKind::kEvent ? "&fieldSelector=type%3DWarning" : std::string_view();
}

}  // namespace

std::string_view KubeResourceName(KubeKind kind) { return WordsOf(kind).name; }

std::string KubeCollectionPath(KubeKind kind, std::string_view name_space) {
  const KindWords words = WordsOf(kind);
  if (name_space.empty() || kind == KubeKind::kNode) return fmt::format("{}/{}", words.api, words.collection);
  return fmt::format("{}/namespaces/{}/{}", words.api, PercentEncode(name_space), words.collection);
}

KindWatch::KindWatch(Options options, StreamGroup* streams, ClusterBook* book, std::function<double()> uniform,
                     Instant now)
    : options_(std::move(options)),
      streams_(streams),
      book_(book),
      uniform_(uniform),
      backoff_(options_.backoff, std::move(uniform)),
      due_(now) {}

std::string KindWatch::Path() const { return KubeCollectionPath(options_.kind, options_.name_space); }

void KindWatch::Tick(const Moment& now) {
  if (now.monotonic < DueAt()) return;
  switch (state_) {
    case State::kWaiting:
      // A watch that opens tells nothing yet of what it will say, and those of other kinds open at other times.
      must_list_ = must_list_ || (trouble_.has_value() && now.monotonic - trouble_->since >= kFaultAfter);
      if (must_list_) return OpenList(now);
      return OpenWatch(now);
    case State::kListing:
      return Fail(MakeError(absl::StatusCode::kDeadlineExceeded, "LIST_TOO_SLOW",
                            fmt::format("the list of {} did not end in time", KubeResourceName(options_.kind))),
                  now);
    case State::kWatching:
      if (now.monotonic >= list_again_) {
        Close();
        return ListAnew(now.monotonic);
      }
      // It may have missed nothing: it goes on from the last version.
      Close();
      due_ = now.monotonic;
      return;
  }
}

Instant KindWatch::DueAt() const {
  if (state_ != State::kWatching) return due_;
  const Instant silent = has_bookmarks_ ? heard_ + kMaxSilence : due_;
  return std::min({due_, silent, list_again_});
}

void KindWatch::OpenList(const Moment& now) {
  std::string target = fmt::format("{}?limit={}{}", Path(), page_size_, SelectorOf(options_.kind));
  if (continue_token_.empty()) {
    listed_.clear();
  } else {
    target += "&continue=" + PercentEncode(continue_token_);
  }
  body_.clear();
  state_ = State::kListing;
  opened_ = now.monotonic;
  due_ = now.monotonic + kListBodyDeadline;
  stream_ = streams_->Open({.target = std::move(target), .deadline = kListHeadersDeadline});
}

void KindWatch::OpenWatch(const Moment& now) {
  const absl::Duration asked = kMinWatchTime * (1 + uniform_() / 2);
  lines_.Reset();
  skipped_before_ = lines_.skipped();
  state_ = State::kWatching;
  opened_ = now.monotonic;
  heard_ = now.monotonic;
  due_ = now.monotonic + asked + kWatchGrace;
  stream_ = streams_->Open(
      {.target = fmt::format("{}?watch=true&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={}{}", Path(),
                             PercentEncode(resource_version_), absl::ToInt64Seconds(asked), SelectorOf(options_.kind)),
       .deadline = kListHeadersDeadline});
}

void KindWatch::Close() {
  if (stream_.has_value()) streams_->Close(*stream_);
  stream_.reset();
  state_ = State::kWaiting;
  body_.clear();
  body_.shrink_to_fit();
}

bool KindWatch::Take(const StreamGroup::Event& event, const Moment& now) {
  if (!stream_.has_value() || event.id != *stream_) return false;
  heard_ = now.monotonic;
  if (event.is_end) {
    stream_.reset();
    EndStream(event, now);
    return true;
  }
  if (event.is_open) {
    // A list is well when it is complete.
    if (state_ == State::kWatching) IsWell();
    may_retry_token_ = true;
    return true;
  }
  if (state_ == State::kWatching) {
    TakeLines(event.bytes, now);
  } else if (body_.size() + event.bytes.size() <= kMaxListPageBytes) {
    body_ += event.bytes;
  } else if (page_size_ > kMinListPageSize) {
    page_size_ = std::max(kMinListPageSize, page_size_ / 2);
    Close();
    ListAnew(now.monotonic);
  } else {
    Fail(MakeError(absl::StatusCode::kResourceExhausted, "OBJECTS_TOO_LARGE",
                   fmt::format("{} {} have more than {} MiB", kMinListPageSize, KubeResourceName(options_.kind),
                               kMaxListPageBytes >> 20)),
         now);
  }
  return true;
}

void KindWatch::TakePage(const Moment& now) {
  absl::StatusOr<KubeListPage> page = DecodeKubeList(options_.kind, body_);
  body_.clear();
  if (!page.ok()) {
    return Fail(Annotate(page.status(), fmt::format("the list of {}", KubeResourceName(options_.kind))), now);
  }
  for (KubeObject& object : page->objects) {
    listed_.insert(MetaOf(object).uid);
    book_->Put(options_.kind, std::move(object), now);
  }
  state_ = State::kWaiting;
  due_ = now.monotonic;
  continue_token_ = std::move(page->continue_token);
  if (!continue_token_.empty()) return;

  for (const std::string& uid : book_->Uids(options_.kind)) {
    if (!listed_.contains(uid)) book_->Remove(options_.kind, uid, now);
  }
  listed_.clear();
  body_.shrink_to_fit();
  resource_version_ = std::move(page->resource_version);
  list_again_ = now.monotonic + kListAgain * (1 + uniform_() / 4);
  must_list_ = false;
  has_listed_ = true;
  is_forbidden_ = false;
  changed_ = true;
  ++lists_;
  backoff_.Reset();
  IsWell();
}

void KindWatch::TakeLines(std::string_view bytes, const Moment& now) {
  for (const std::string& line : lines_.Feed(bytes)) {
    if (!TakeLine(line, now)) return;
  }
  if (lines_.skipped() == skipped_before_) return;
  // A change that cannot be read may have been any.
  Fail(MakeError(absl::StatusCode::kDataLoss, "WATCH_LINE_TOO_LONG",
                 fmt::format("a change of {} has more than {} MiB", KubeResourceName(options_.kind),
                             kMaxWatchLineBytes >> 20)),
       now);
  must_list_ = true;
}

bool KindWatch::TakeLine(const std::string& line, const Moment& now) {
  absl::StatusOr<KubeWatchEvent> event = DecodeKubeWatchLine(options_.kind, line);
  if (!event.ok()) {
    ++unreadable_lines_;
    Fail(Annotate(event.status(), fmt::format("a change of {}", KubeResourceName(options_.kind))), now);
    must_list_ = true;
    return false;
  }
  if (!event->resource_version.empty()) resource_version_ = event->resource_version;
  switch (event->type) {
    case KubeWatchEvent::Type::kPut:
      book_->Put(options_.kind, std::move(event->object), now);
      changed_ = true;
      return true;
    case KubeWatchEvent::Type::kDeleted:
      book_->Remove(options_.kind, MetaOf(event->object).uid, now);
      changed_ = true;
      return true;
    case KubeWatchEvent::Type::kBookmark:
      has_bookmarks_ = true;
      return true;
    case KubeWatchEvent::Type::kOther:
      return true;
    case KubeWatchEvent::Type::kError:
      break;
  }
  if (event->error_code == 410) {
    Close();
    ListAnew(now.monotonic);
    return false;
  }
  Fail(MakeError(absl::StatusCode::kUnavailable, "WATCH_ERROR",
                 fmt::format("the watch of {} ended: {} ({})", KubeResourceName(options_.kind), event->error_message,
                             event->error_code)),
       now);
  return false;
}

void KindWatch::EndStream(const StreamGroup::Event& event, const Moment& now) {
  const State state = std::exchange(state_, State::kWaiting);
  due_ = now.monotonic;
  if (event.status.ok()) {
    if (state == State::kListing) return TakePage(now);
    if (now.monotonic - opened_ >= kStableWatch) {
      backoff_.Reset();
    } else {
      due_ = now.monotonic + backoff_.Next();
    }
    return;
  }
  switch (event.http_code) {
    case 410:
      return ListAnew(now.monotonic);
    case 401:
      if (!may_retry_token_) break;
      // The token was renewed behind it.
      may_retry_token_ = false;
      if (state == State::kListing && continue_token_.empty()) must_list_ = true;
      return;
    case 403:
    case 404:
      return Forbid(event, now.monotonic);
    default:
      break;
  }
  if (state == State::kWatching && now.monotonic - opened_ >= kStableWatch && event.http_code == 200) {
    backoff_.Reset();
  }
  FailWith(event, now.monotonic);
}

void KindWatch::Fail(const absl::Status& status, const Moment& now) {
  StreamGroup::Event event;
  event.status = status;
  FailWith(event, now.monotonic);
}

void KindWatch::FailWith(const StreamGroup::Event& event, Instant now) {
  Close();
  // Of a stream that was open and broke, 200 is no answer to tell.
  const int http_code = event.http_code == 200 ? 0 : event.http_code;
  trouble_ =
      Trouble{.status = event.status, .http_code = http_code, .since = trouble_.has_value() ? trouble_->since : now};
  due_ = now + event.retry_after.value_or(backoff_.Next());
}

void KindWatch::Forbid(const StreamGroup::Event& event, Instant now) {
  Close();
  if (!is_forbidden_) log::Warning("{} are not seen: {}", KubeResourceName(options_.kind), MessageOf(event.status));
  is_forbidden_ = true;
  trouble_ = Trouble{.status = event.status, .http_code = event.http_code, .since = now};
  must_list_ = true;
  continue_token_.clear();
  due_ = now + kForbiddenRetry;
}

void KindWatch::ListAnew(Instant now) {
  // A server that says "gone" each time must not be asked in a tight loop.
  due_ = must_list_ ? now + backoff_.Next() : now;
  must_list_ = true;
  continue_token_.clear();
}

bool KindWatch::TakeChanged() { return std::exchange(changed_, false); }

}  // namespace muster::agent
