// SessionLogic's heartbeats, records and goodbyes: what is sent within a session, and when.
#include <algorithm>
#include <utility>

#include "agent/session/session_logic.h"
#include "common/log.h"
#include "common/text.h"
#include "common/time_format.h"

namespace muster::agent {

void SessionLogic::SendWhatIsDue(Moment now) {
  if (phase_ != Phase::kWelcomed) return;
  if (!send_in_flight_ && now.monotonic >= HeartbeatDueAt()) SendFrame(NextHeartbeat(now));
  if (MaySendJobs() && jobs_.IsLate(now.monotonic)) SendJobs(now);
  if (MaySendRecords()) SendRecords(now);
  if (MaySendJobs()) SendJobs(now);
}

void SessionLogic::SendRecords(Moment now) {
  if (!send_in_flight_) {
    if (auto batch = replay_.NextBatch(now)) {
      v1::SessionRequest frame;
      *frame.mutable_record_batch() = *std::move(batch);
      SendFrame(frame);
    }
  }
  // The next one is fetched while the transport is busy with this one.
  if (const auto request = replay_.NextRead(now)) output_->ReadRecords(*request);
}

void SessionLogic::SendJobs(Moment now) {
  if (send_in_flight_) return;
  std::optional<v1::JobReport> report = jobs_.Next(now);
  if (!report.has_value()) return;
  v1::SessionRequest frame;
  *frame.mutable_job_report() = *std::move(report);
  SendFrame(frame);
}

bool SessionLogic::MaySendJobs() const { return host_.jobs != nullptr && session_.last_number > 0; }

// A hub that has not seen the present yet is not bothered with the past.
bool SessionLogic::MaySendRecords() const { return host_.records != nullptr && session_.last_number > 0; }

void SessionLogic::OnRecordsChanged(Moment now) {
  if (phase_ != Phase::kWelcomed || host_.records == nullptr) return;
  replay_.SetLanes(host_.records->View().lanes);
  SendWhatIsDue(now);
}

void SessionLogic::OnRecords(v1::RecordBatch batch, Moment now) {
  replay_.OnRecords(std::move(batch), now);
  SendWhatIsDue(now);
}

void SessionLogic::FillPositions(v1::Hello* hello) {
  if (host_.records == nullptr) return;
  const RecordsView view = host_.records->View();
  hello->set_journal_epoch(view.epoch);
  replay_.SetLanes(view.lanes);
  session_.positions = replay_.Positions();
  for (const v1::LanePosition& position : session_.positions) *hello->add_journal_positions() = position;
}

void SessionLogic::BeginReplay(const v1::Welcome& welcome) {
  if (host_.records == nullptr) return;
  replay_.SetLanes(host_.records->View().lanes);
  const std::vector<v1::LanePosition> applied = replay_.Begin(session_.positions, welcome);
  if (!applied.empty()) host_.records->Resume(applied);
}

void SessionLogic::BatchAcknowledged(const v1::BatchAck& ack, Moment now) {
  auto known = replay_.OnAck(ack, now);
  if (!known.has_value()) return;
  for (v1::RefusedRecord& refused : *known->mutable_refused()) {
    refused.set_reason(CleanUtf8(refused.reason(), kMaxMessageBytes));
    log::Warning("the hub refuses record {} for good: {}", refused.sequence(), refused.reason());
  }
  host_.records->Acknowledge(*known);
}

Instant SessionLogic::HeartbeatDueAt() const {
  if (!session_.last_heartbeat_at.has_value()) {
    return observed_ ? session_.welcomed_at : session_.welcomed_at + kFirstPresentGrace;
  }
  return *session_.last_heartbeat_at + (PresentDiffersFromSent() ? kMinHeartbeatGap : heartbeat_interval_);
}

bool SessionLogic::PresentDiffersFromSent() const {
  if (fault_.has_value()) return session_.fault_sent != fault_->message();
  return session_.fault_sent.has_value() || session_.snapshot_sent != snapshot_.digest();
}

v1::SessionRequest SessionLogic::NextHeartbeat(Moment now) {
  v1::SessionRequest frame;
  v1::Heartbeat& heartbeat = *frame.mutable_heartbeat();
  *heartbeat.mutable_sent_at() = ToProto(now.wall);
  heartbeat.set_number(++session_.last_number);
  FillPresent(&heartbeat);
  FillHost(&heartbeat, now.monotonic);
  const OwnUse use = host_.use();
  heartbeat.set_cpu_seconds(std::max(0.0, use.cpu_seconds_total - cpu_seconds_reported_));
  heartbeat.set_resident_bytes(use.resident_bytes);
  cpu_seconds_reported_ = use.cpu_seconds_total;
  if (host_.records != nullptr) *heartbeat.mutable_journal() = host_.records->View().depth;
  if (session_.round_trip.has_value()) *heartbeat.mutable_round_trip() = ToProto(*session_.round_trip);
  if (session_.clock_skew.has_value()) *heartbeat.mutable_clock_skew() = ToProto(*session_.clock_skew);

  session_.last_heartbeat_at = now.monotonic;
  session_.awaiting_echo.push_back({.number = session_.last_number, .at = now});
  if (session_.awaiting_echo.size() > kMaxEchoesAwaited) session_.awaiting_echo.pop_front();
  return frame;
}

void SessionLogic::FillPresent(v1::Heartbeat* heartbeat) {
  if (fault_.has_value()) {
    *heartbeat->mutable_observer_fault() = *fault_;
    session_.fault_sent = fault_->message();
    session_.snapshot_sent.reset();
    return;
  }
  session_.fault_sent.reset();
  if (session_.snapshot_sent == snapshot_.digest()) {
    heartbeat->set_snapshot_digest(snapshot_.digest());
    return;
  }
  *heartbeat->mutable_snapshot() = snapshot_;
  session_.snapshot_sent = snapshot_.digest();
}

void SessionLogic::FillHost(v1::Heartbeat* heartbeat, Instant now) {
  if (!host_report_.has_value() || session_.host_sent) return;
  session_.host_sent = true;
  *heartbeat->mutable_host() = *host_report_;
  *heartbeat->mutable_host()->mutable_age() = ToProto(now - host_report_taken_);
}

absl::Duration SessionLogic::SilenceLimit() const { return std::max(kHubSilenceLimit, heartbeat_interval_ * 2.5); }

void SessionLogic::BeginClosing(v1::GoodbyeReason reason, Moment now) {
  phase_ = Phase::kClosing;
  phase_deadline_ = now.monotonic + kClosingTimeout;
  goodbye_ = reason;
  SendGoodbyeIfPossible();
}

void SessionLogic::SendGoodbyeIfPossible() {
  if (send_in_flight_ || half_closed_) return;
  if (!goodbye_.has_value()) {
    half_closed_ = true;
    output_->HalfClose();
    return;
  }
  v1::SessionRequest frame;
  frame.mutable_goodbye()->set_reason(*goodbye_);
  goodbye_.reset();
  SendFrame(frame);
}

void SessionLogic::FinishClosing(Moment now) {
  if (link_open_) output_->Disconnect();
  link_open_ = false;
  send_in_flight_ = false;
  status_.connected = false;
  ++status_.changes;
  if (stopping_) {
    phase_ = Phase::kStopped;
    status_.last_error = "the agent was stopped";
    return;
  }
  Connect(now);
}

}  // namespace muster::agent
