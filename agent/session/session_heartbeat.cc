// SessionLogic's heartbeats and goodbyes: what is sent within a session, and when.
#include <algorithm>
#include <utility>

#include "agent/session/session_logic.h"
#include "common/time_format.h"

namespace muster::agent {

void SessionLogic::SendHeartbeatIfDue(Moment now) {
  if (phase_ != Phase::kWelcomed || send_in_flight_ || now.monotonic < HeartbeatDueAt()) return;
  SendFrame(NextHeartbeat(now));
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
  const OwnUse use = host_.use();
  heartbeat.set_cpu_seconds(std::max(0.0, use.cpu_seconds_total - cpu_seconds_reported_));
  heartbeat.set_resident_bytes(use.resident_bytes);
  cpu_seconds_reported_ = use.cpu_seconds_total;
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
