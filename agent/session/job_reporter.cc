#include "agent/session/job_reporter.h"

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "common/text.h"

namespace muster::agent {
namespace {

constexpr std::size_t kMaxRefusalBytes = 512;
// As many series as a host may have; beyond, all are said anew.
constexpr std::size_t kMaxRefusals = 1000;

}  // namespace

void JobReporter::Begin(const v1::Welcome& welcome) {
  acked_ = welcome.jobs();
  sent_.reset();
  wanted_since_.reset();
  if (source_ == nullptr) return;
  const std::optional<v1::JobPosition> held = source_->Position();
  // A disk that was rolled back: all is told again, and the hub takes it.
  if (held.has_value() && held->store_id() == acked_.store_id() && held->version() < acked_.version()) {
    acked_.set_version(0);
  }
}

bool JobReporter::IsWanted() const {
  if (source_ == nullptr) return false;
  const std::optional<v1::JobPosition> held = source_->Position();
  if (!held.has_value() || held->version() == 0) return false;
  if (sent_.has_value() && sent_->store_id() == held->store_id()) return false;
  return held->store_id() != acked_.store_id() || held->version() > acked_.version();
}

std::optional<v1::JobReport> JobReporter::Next(Moment now) {
  if (!IsWanted()) return std::nullopt;
  if (!wanted_since_.has_value()) wanted_since_ = now.monotonic;
  if (sent_at_.has_value() && now.monotonic - *sent_at_ < kMinJobReportGap) return std::nullopt;
  const std::optional<v1::JobPosition> held = source_->Position();
  const std::int64_t from = held.has_value() && held->store_id() == acked_.store_id() ? acked_.version() : 0;
  v1::JobReport report = source_->Report(from, kMaxJobReportBytes, now);
  v1::JobPosition& sent = sent_.emplace();
  sent.set_store_id(report.store_id());
  sent.set_version(report.version());
  sent_at_ = now.monotonic;
  wanted_since_.reset();
  return report;
}

bool JobReporter::IsLate(Instant now) {
  if (!IsWanted()) return false;
  if (!wanted_since_.has_value()) wanted_since_ = now;
  return now - *wanted_since_ >= kJobReportPatience;
}

void JobReporter::OnAck(const v1::JobAck& ack) {
  if (!sent_.has_value() || ack.store_id() != sent_->store_id() || ack.version() > sent_->version()) {
    log::Debug("the hub acknowledged a report of jobs that is not under way");
    return;
  }
  acked_.set_store_id(ack.store_id());
  acked_.set_version(ack.version());
  sent_.reset();
  for (const std::string& raw : ack.refusals()) {
    std::string refusal = CleanUtf8(raw, kMaxRefusalBytes);
    if (refusals_.size() >= kMaxRefusals) refusals_.clear();
    if (refusals_.contains(refusal)) continue;
    log::Warning("the hub does not show what a job pushed: {}", refusal);
    refusals_.insert(std::move(refusal));
  }
}

Instant JobReporter::NextDeadline() const {
  if (!IsWanted()) return Instant::FromDuration(absl::InfiniteDuration());
  return sent_at_.has_value() ? *sent_at_ + kMinJobReportGap : Instant();
}

}  // namespace muster::agent
