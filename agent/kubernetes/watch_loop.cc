#include "agent/kubernetes/watch_loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/deployments/picture.h"
#include "common/log.h"
#include "common/status.h"
#include "common/text.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

constexpr absl::Duration kMinPublishInterval = absl::Seconds(1);
constexpr absl::Duration kMaxWait = absl::Seconds(10);

}  // namespace

bool IsKindNeeded(KubeKind kind) { return kind != KubeKind::kEvent && kind != KubeKind::kNode; }

std::string DescribeKubeFault(KubeKind kind, const KindWatch::Trouble& trouble, std::string_view server) {
  const std::string reason = ReasonOf(trouble.status);
  const std::string message = MessageOf(trouble.status);
  const auto say = [&](std::string_view what) { return fmt::format("Kubernetes API at {}: {}", server, what); };
  if (trouble.http_code == 401) {
    return say(
        fmt::format("the agent's token is refused ({}). Look whether its service account is still there, or "
                    "apply the connect manifest again",
                    message));
  }
  if (trouble.http_code == 403) {
    return say(fmt::format("the agent's role does not let it list and watch {} ({}). Apply the connect manifest again",
                           KubeResourceName(kind), message));
  }
  if (trouble.http_code != 0) return say(fmt::format("{} cannot be read ({})", KubeResourceName(kind), message));
  if (reason == "BAD_JSON" || reason == "BAD_HTTP") {
    return say(fmt::format("the answer is not the Kubernetes API's ({}). Look at what listens there", message));
  }
  return say(
      fmt::format("cannot be reached ({}). If this lasts, look at the API server and at network policies between it "
                  "and the agent",
                  message));
}

WatchLoop::WatchLoop(Options options, const std::function<double()>& uniform, const Clock* clock,
                     std::unique_ptr<StreamGroup> streams, PresentSink* sink, ContainerSink* containers,
                     NodeSink* nodes)
    : options_(std::move(options)),
      clock_(clock),
      streams_(std::move(streams)),
      sink_(sink),
      container_sink_(containers),
      node_sink_(nodes) {
  SetPublishInterval(options_.publish_interval);
  const Instant now = clock_->Monotonic();
  for (const KubeKind kind : kKubeKinds) {
    if (kind == KubeKind::kNode && !options_.name_space.empty()) continue;
    kinds_.emplace_back(
        KindWatch::Options{.kind = kind, .name_space = options_.name_space, .backoff = options_.backoff},
        streams_.get(), &book_, uniform, now);
  }
  next_look_ = next_publication_ = now;
}

void WatchLoop::SetPublishInterval(absl::Duration interval) {
  publish_interval_ms_ = absl::ToInt64Milliseconds(std::max(interval, kMinPublishInterval));
}

std::string WatchLoop::RuntimeName() const {
  MutexLock lock(&mutex_);
  return runtime_name_;
}

void WatchLoop::Turn() {
  Moment now = clock_->Read();
  for (KindWatch& kind : kinds_) kind.Tick(now);
  PublishIfDue(now);
  streams_->Wait(UntilDue(clock_->Monotonic()), [this](const StreamGroup::Event& event) {
    const Moment moment = clock_->Read();
    for (KindWatch& kind : kinds_) {
      if (!kind.Take(event, moment)) continue;
      is_dirty_ = kind.TakeChanged() || is_dirty_;
      return;
    }
  });
}

absl::Duration WatchLoop::UntilDue(Instant now) const {
  Instant due = now + kMaxWait;
  for (const KindWatch& kind : kinds_) {
    due = std::min(due, kind.DueAt());
    if (kind.trouble().has_value() && IsKindNeeded(kind.kind()) && !fault_since_.has_value()) {
      due = std::min(due, kind.trouble()->since + kFaultAfter);
    }
  }
  if (IsComplete()) {
    due = std::min(due, std::max(next_look_, is_dirty_ ? next_look_ : book_.NextChange()));
    due = std::min(due, next_publication_);
  }
  return std::max(absl::ZeroDuration(), due - now);
}

bool WatchLoop::IsComplete() const {
  return std::all_of(kinds_.begin(), kinds_.end(), [](const KindWatch& kind) {
    return IsKindNeeded(kind.kind()) ? kind.is_settled() && !kind.is_forbidden() : kind.is_settled();
  });
}

const KindWatch* WatchLoop::Ailing(Instant now) const {
  const KindWatch* worst = nullptr;
  for (const KindWatch& kind : kinds_) {
    if (!IsKindNeeded(kind.kind()) || !kind.trouble().has_value()) continue;
    if (!kind.is_forbidden() && now - kind.trouble()->since < kFaultAfter) continue;
    if (worst == nullptr || kind.trouble()->since < worst->trouble()->since) worst = &kind;
  }
  return worst;
}

void WatchLoop::PublishIfDue(const Moment& now) {
  if (const KindWatch* ailing = Ailing(now.monotonic); ailing != nullptr) return PublishFault(*ailing, now);
  if (!IsComplete()) return;
  // A fault ends when all is well, and what is not well now is not told as the present.
  const bool is_well = std::none_of(kinds_.begin(), kinds_.end(), [](const KindWatch& kind) {
    return IsKindNeeded(kind.kind()) && kind.trouble().has_value();
  });
  if (fault_since_.has_value() && !is_well) return;
  const bool must_tell = is_well && (now.monotonic >= next_publication_ || fault_since_.has_value());
  const bool must_look = is_dirty_ || now.monotonic >= book_.NextChange();
  if (must_tell || (must_look && now.monotonic >= next_look_)) PublishPicture(now, must_tell);
}

void WatchLoop::PublishPicture(const Moment& now, bool is_due) {
  is_dirty_ = false;
  next_look_ = now.monotonic + kLookInterval;
  Present present = book_.Look(now);
  if (fault_since_.has_value()) {
    log::Info("kubernetes: the API server can be read again, {} deployments", present.deployments.size());
    fault_since_.reset();
    fault_message_.clear();
  }
  if (is_due) {
    next_publication_ = now.monotonic + absl::Milliseconds(publish_interval_ms_.load());
    const std::string name = book_.RuntimeName();
    MutexLock lock(&mutex_);
    if (!name.empty()) runtime_name_ = name;
  }
  if (container_sink_ != nullptr) {
    if (ContainerCensus census = book_.Census(); is_due || census != last_census_) {
      last_census_ = std::move(census);
      container_sink_->PublishCensus(last_census_);
    }
    if (const std::uint64_t version = book_.LogsVersion(); is_due || version != last_logs_version_) {
      last_logs_version_ = version;
      container_sink_->Publish(book_.LogContainers());
    }
  }
  if (node_sink_ != nullptr && is_due) node_sink_->PublishNodes(book_.Nodes());
  std::string fingerprint = Fingerprint(present);
  if (!is_due && last_published_ == fingerprint) return;
  last_published_ = std::move(fingerprint);
  sink_->Publish(std::move(present));
}

void WatchLoop::PublishFault(const KindWatch& kind, const Moment& now) {
  const KindWatch::Trouble& trouble = *kind.trouble();
  std::string message = CleanUtf8(DescribeKubeFault(kind.kind(), trouble, options_.server), kMaxMessageBytes);
  if (!fault_since_.has_value()) fault_since_ = now.wall - (now.monotonic - trouble.since);
  if (message == fault_message_) return;
  log::Warning("{}", message);
  last_census_.reset();
  if (container_sink_ != nullptr) container_sink_->PublishCensus(last_census_);
  last_published_.reset();
  fault_message_ = message;
  Present present;
  present.fault.emplace();
  present.fault->set_message(std::move(message));
  *present.fault->mutable_since() = ToProto(*fault_since_);
  sink_->Publish(std::move(present));
}

}  // namespace muster::agent
