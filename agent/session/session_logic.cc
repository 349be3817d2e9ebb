#include "agent/session/session_logic.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/session/farewell_policy.h"
#include "agent/session/snapshot.h"
#include "common/status.h"
#include "common/text.h"
#include "common/time_format.h"
#include "common/version.h"

namespace muster::agent {
namespace {

constexpr Instant kNever = Instant::FromDuration(absl::InfiniteDuration());
// A stream that broke for reading ends within this time, or is ended here.
constexpr absl::Duration kReadEndedGrace = absl::Seconds(1);
constexpr std::size_t kMaxTextFromHub = 512;

const char* FrameName(const v1::SessionResponse& frame) {
  switch (frame.frame_case()) {
    case v1::SessionResponse::kWelcome:
      return "Welcome";
    case v1::SessionResponse::kHeartbeatAck:
      return "HeartbeatAck";
    case v1::SessionResponse::kBatchAck:
      return "BatchAck";
    case v1::SessionResponse::kSettings:
      return "Settings";
    case v1::SessionResponse::kFarewell:
      return "Farewell";
    case v1::SessionResponse::kBatchRefusal:
      return "BatchRefusal";
    case v1::SessionResponse::kJobAck:
      return "JobAck";
    case v1::SessionResponse::FRAME_NOT_SET:
      break;
  }
  return "an unknown frame";
}

absl::Duration IntervalOr(bool present, const google::protobuf::Duration& wish, absl::Duration fallback,
                          absl::Duration least, absl::Duration most) {
  return present ? std::clamp(FromProto(wish), least, most) : fallback;
}

}  // namespace

SessionLogic::SessionLogic(Options options, HostView host, std::function<double()> uniform, SessionOutput* output)
    : target_id_(std::move(options.target_id)),
      host_(std::move(host)),
      uniform_(std::move(uniform)),
      output_(output),
      secret_(std::move(options.secret)),
      backoff_(Backoff::Options{}, uniform_),
      jobs_(host_.jobs),
      session_counter_(options.session_counter) {}

void SessionLogic::Start(Moment now) {
  unstable_since_ = now.monotonic;
  fault_.emplace().set_message("the agent has just started and has not seen the deployments yet");
  *fault_->mutable_since() = ToProto(now.wall);
  Connect(now);
}

void SessionLogic::OnPresent(const Present& present, Moment now) {
  observed_ = true;
  fault_ = present.fault;
  if (!fault_.has_value()) snapshot_ = MakeSnapshot(present);
  SendWhatIsDue(now);
}

void SessionLogic::OnHostReport(std::optional<v1::HostReport> report, Instant taken) {
  // One that was under way when collection was switched off is not told.
  if (!metrics_enabled_) report.reset();
  host_report_ = std::move(report);
  host_report_taken_ = taken;
  session_.host_sent = false;
}

void SessionLogic::OnSecretChanged(Secret secret, Moment now) {
  secret_ = std::move(secret);
  backoff_.Reset();
  last_failure_.clear();
  switch (phase_) {
    case Phase::kWaiting:
      if (next_attempt_ != kNever) Connect(now);
      break;
    case Phase::kGreeting:
      output_->Disconnect();
      Connect(now);
      break;
    case Phase::kWelcomed:
      BeginClosing(v1::GOODBYE_REASON_NEW_SECRET, now);
      break;
    case Phase::kClosing:  // comes back with the new one anyway
    case Phase::kStopped:
      break;
  }
}

void SessionLogic::Stop(v1::GoodbyeReason reason, Moment now) {
  stopping_ = true;
  if (phase_ == Phase::kWelcomed) {
    BeginClosing(reason, now);
  } else if (phase_ == Phase::kWaiting || phase_ == Phase::kGreeting) {
    FinishClosing(now);
  }
}

void SessionLogic::OnSent(Moment now) {
  send_in_flight_ = false;
  if (phase_ == Phase::kClosing) {
    SendGoodbyeIfPossible();
  } else {
    SendWhatIsDue(now);
  }
}

void SessionLogic::OnFrame(const v1::SessionResponse& frame, Moment now) {
  last_frame_at_ = now.monotonic;
  switch (phase_) {
    case Phase::kGreeting:
      Greeted(frame, now);
      break;
    case Phase::kWelcomed:
      Handle(frame, now);
      break;
    case Phase::kClosing:  // whatever it says, this session is over
    case Phase::kWaiting:
    case Phase::kStopped:
      return;
  }
  SendWhatIsDue(now);
}

void SessionLogic::OnReadEnded(Moment now) { read_ended_deadline_ = now.monotonic + kReadEndedGrace; }

void SessionLogic::OnLinkClosed(const absl::Status& status, Moment now) {
  if (!link_open_) return;
  if (phase_ == Phase::kClosing) {
    FinishClosing(now);
    return;
  }
  Fail(status.ok() ? "the hub ended the stream without a farewell" : MessageOf(status), now);
}

void SessionLogic::OnTimer(Moment now) {
  switch (phase_) {
    case Phase::kWaiting:
      if (now.monotonic >= next_attempt_) Connect(now);
      break;
    case Phase::kGreeting:
      if (now.monotonic >= phase_deadline_) {
        Fail(fmt::format("the hub did not answer within {}; check that the address is that of a Muster hub",
                         FormatAge(kGreetingTimeout)),
             now);
      }
      break;
    case Phase::kWelcomed:
      if (now.monotonic - last_frame_at_ >= SilenceLimit()) {
        Fail(fmt::format("the hub has been silent for {}", FormatAge(SilenceLimit())), now);
      }
      break;
    case Phase::kClosing:
      if (now.monotonic >= phase_deadline_) FinishClosing(now);
      break;
    case Phase::kStopped:
      return;
  }
  if (link_open_ && read_ended_deadline_.has_value() && now.monotonic >= *read_ended_deadline_) {
    OnLinkClosed(absl::UnavailableError("the stream from the hub broke, or carried bytes that are no frame"), now);
  }
  SendWhatIsDue(now);
}

Instant SessionLogic::NextDeadline() const {
  Instant next = kNever;
  if (phase_ == Phase::kWaiting) next = next_attempt_;
  if (phase_ == Phase::kGreeting || phase_ == Phase::kClosing) next = phase_deadline_;
  if (phase_ == Phase::kWelcomed) {
    next = last_frame_at_ + SilenceLimit();
    if (!send_in_flight_) next = std::min(next, HeartbeatDueAt());
    if (!send_in_flight_ && MaySendRecords()) next = std::min(next, replay_.NextDeadline());
    if (!send_in_flight_ && MaySendJobs()) next = std::min(next, jobs_.NextDeadline());
  }
  if (link_open_ && read_ended_deadline_.has_value()) next = std::min(next, *read_ended_deadline_);
  return next;
}

void SessionLogic::Connect(Moment now) {
  phase_ = Phase::kGreeting;
  phase_deadline_ = now.monotonic + kGreetingTimeout;
  session_ = Session();
  goodbye_.reset();
  half_closed_ = false;
  read_ended_deadline_.reset();
  link_open_ = true;
  output_->Connect();
  SendHello(now);
}

void SessionLogic::SendHello(Moment now) {
  v1::SessionRequest frame;
  v1::Hello& hello = *frame.mutable_hello();
  hello = host_.facts();
  hello.set_protocol_version(kProtocolVersion);
  hello.set_target_id(target_id_);
  hello.set_target_secret(secret_.Reveal());
  hello.set_agent_version(kVersion);
  hello.set_session_counter(session_counter_);
  FillPositions(&hello);
  *hello.mutable_sent_at() = ToProto(now.wall);
  SendFrame(frame);
}

void SessionLogic::SendFrame(const v1::SessionRequest& frame) {
  send_in_flight_ = true;
  output_->Send(frame);
}

void SessionLogic::Greeted(const v1::SessionResponse& frame, Moment now) {
  switch (frame.frame_case()) {
    case v1::SessionResponse::kWelcome:
      Welcome(frame.welcome(), now);
      break;
    case v1::SessionResponse::kFarewell:
      Farewell(frame.farewell(), now);
      break;
    case v1::SessionResponse::FRAME_NOT_SET:  // from a newer hub
      break;
    default:
      FailForProtocol(fmt::format("the hub sent {} before Welcome", FrameName(frame)), now);
  }
}

void SessionLogic::Handle(const v1::SessionResponse& frame, Moment now) {
  switch (frame.frame_case()) {
    case v1::SessionResponse::kWelcome:
      FailForProtocol("the hub sent a second Welcome", now);
      break;
    case v1::SessionResponse::kFarewell:
      Farewell(frame.farewell(), now);
      break;
    case v1::SessionResponse::kHeartbeatAck:
      Acknowledged(frame.heartbeat_ack(), now);
      break;
    case v1::SessionResponse::kSettings:
      Apply(frame.settings());
      break;
    case v1::SessionResponse::kBatchAck:
      BatchAcknowledged(frame.batch_ack(), now);
      break;
    case v1::SessionResponse::kBatchRefusal:
      replay_.OnRefusal(frame.batch_refusal(), now);
      break;
    case v1::SessionResponse::kJobAck:
      jobs_.OnAck(frame.job_ack());
      break;
    case v1::SessionResponse::FRAME_NOT_SET:  // from a newer hub
      break;
  }
}

void SessionLogic::Welcome(const v1::Welcome& welcome, Moment now) {
  if (welcome.session_counter() >= 0) {
    session_counter_ = welcome.session_counter();
    output_->KeepSessionCounter(session_counter_);
  } else {
    log::Warning("the hub gave the session counter {}, which cannot be; it is ignored", welcome.session_counter());
  }
  phase_ = Phase::kWelcomed;
  session_.welcomed_at = now.monotonic;
  last_failure_.clear();
  status_.session_id = CleanUtf8(welcome.session_id(), kMaxNameBytes);
  status_.target_name = CleanUtf8(welcome.target_name(), kMaxNameBytes);
  status_.last_error.clear();
  ++status_.changes;
  log::Info("session {} with the hub begins, as target \"{}\"", status_.session_id, status_.target_name);
  Apply(welcome.settings());
  BeginReplay(welcome);
  jobs_.Begin(welcome);
}

void SessionLogic::Apply(const v1::Settings& settings) {
  heartbeat_interval_ = IntervalOr(settings.has_heartbeat_interval(), settings.heartbeat_interval(),
                                   kDefaultHeartbeatInterval, kMinHeartbeatInterval, kMaxHeartbeatInterval);
  const absl::Duration relist = IntervalOr(settings.has_relist_interval(), settings.relist_interval(),
                                           kDefaultRelistInterval, kMinRelistInterval, kMaxRelistInterval);
  if (relist != relist_interval_) output_->RelistIntervalChanged(relist);
  relist_interval_ = relist;
  metrics_enabled_ = settings.metrics_enabled();
  if (!metrics_enabled_) host_report_.reset();
  output_->SetMetricsEnabled(metrics_enabled_);
  output_->SetLogsOff({settings.logs_disabled_keys().begin(), settings.logs_disabled_keys().end()});
}

void SessionLogic::Acknowledged(const v1::HeartbeatAck& ack, Moment now) {
  std::deque<SentHeartbeat>& awaiting = session_.awaiting_echo;
  const bool sent_ever = ack.number() <= session_.last_number;
  while (sent_ever && !awaiting.empty() && awaiting.front().number < ack.number()) awaiting.pop_front();
  if (awaiting.empty() || awaiting.front().number != ack.number()) {
    log::Debug("the hub acknowledged heartbeat {}, which was not sent or already acknowledged", ack.number());
    return;
  }
  const Moment sent = awaiting.front().at;
  awaiting.pop_front();
  session_.round_trip = now.monotonic - sent.monotonic;
  replay_.NoteRoundTrip(*session_.round_trip);
  if (ack.has_hub_time()) {
    session_.clock_skew = sent.wall + *session_.round_trip / 2 - FromProto(ack.hub_time());
  }
  if (!status_.connected)
    log::Info("the hub acknowledged the first heartbeat; \"{}\" is connected", status_.target_name);
  status_.connected = true;
  status_.last_ack_time = now.wall;
  status_.heard_at = sent.monotonic;
  ++status_.changes;
}

void SessionLogic::Farewell(const v1::Farewell& farewell, Moment now) {
  const FarewellPolicy policy = PolicyFor(farewell.reason());
  const absl::Duration delay = std::max(kMinReconnectDelay, WaitAfter(farewell, uniform_(), BackoffDelay(now)));
  status_.last_farewell_reason = ReasonName(farewell.reason());
  status_.last_farewell_message = CleanUtf8(farewell.message(), kMaxTextFromHub);
  status_.last_farewell_time = now.wall;
  std::string why = fmt::format("the hub ended the session with {}", status_.last_farewell_reason);
  // The hub's message says what to do; the agent's own advice stands in for it.
  const std::string_view detail =
      status_.last_farewell_message.empty() ? policy.advice : std::string_view(status_.last_farewell_message);
  if (!detail.empty()) why += fmt::format(": {}", detail);
  LogFailure(policy.level, why, kRepeatedFarewellLogInterval, delay, now);
  LoseLink(why, delay, now);
}

void SessionLogic::LoseLink(const std::string& why, absl::Duration delay, Moment now) {
  output_->Disconnect();
  link_open_ = false;
  send_in_flight_ = false;
  phase_ = Phase::kWaiting;
  next_attempt_ = now.monotonic + delay;
  status_.connected = false;
  status_.last_error = why;
  ++status_.changes;
}

void SessionLogic::Fail(const std::string& why, Moment now) {
  const absl::Duration delay = BackoffDelay(now);
  LogFailure(log::Level::kWarning, why, kRepeatedFailureLogInterval, delay, now);
  LoseLink(why, delay, now);
}

void SessionLogic::FailForProtocol(const std::string& why, Moment now) {
  v1::Farewell own;
  own.set_reason(v1::FAREWELL_REASON_PROTOCOL_ERROR);
  const absl::Duration delay = WaitAfter(own, uniform_(), absl::ZeroDuration());
  LogFailure(log::Level::kError, fmt::format("{}; compare the versions of agent and hub", why),
             kRepeatedFailureLogInterval, delay, now);
  LoseLink(why, delay, now);
}

absl::Duration SessionLogic::BackoffDelay(Moment now) {
  const bool stable = phase_ == Phase::kWelcomed && now.monotonic - session_.welcomed_at >= kStableSession;
  if (stable) {
    backoff_.Reset();
    unstable_since_ = now.monotonic;
  }
  // A hub that was away for seconds is not left waiting for a minute.
  return std::max(kMinReconnectDelay, backoff_.Next((now.monotonic - unstable_since_) / 2));
}

void SessionLogic::LogFailure(log::Level level, const std::string& message, absl::Duration repeat_after,
                              absl::Duration next_attempt, Moment now) {
  const bool repeated = message == last_failure_ && last_failure_logged_at_.has_value() &&
                        now.monotonic - *last_failure_logged_at_ < repeat_after;
  if (repeated) return;
  last_failure_ = message;
  last_failure_logged_at_ = now.monotonic;
  log::Write(level, fmt::format("{} (next attempt in {:.1f} s)", message, absl::ToDoubleSeconds(next_attempt)));
}

}  // namespace muster::agent
