#include "hub/session/agent_session.h"

#include <fmt/format.h>

#include <utility>

#include "common/log.h"
#include "common/secret.h"
#include "common/status.h"
#include "common/text.h"
#include "common/time_format.h"
#include "hub/fleet/report_check.h"
#include "hub/jobs/job_check.h"
#include "hub/jobs/job_writes.h"

namespace muster::hub {
namespace {

using agent::v1::SessionRequest;
using agent::v1::SessionResponse;

constexpr std::string_view kFarewellPrefix = "FAREWELL_REASON_";
// A hub that cannot store asks for patience; its disk is looked at by a person.
constexpr absl::Duration kRetryWhenNotStorable = absl::Seconds(15);
// The writer stores tens of thousands of records a second: what is in its way now is gone then.
constexpr absl::Duration kRetryWhenBusy = absl::Seconds(2);

std::string ShortName(agent::v1::FarewellReason reason) {
  return agent::v1::FarewellReason_Name(reason).substr(kFarewellPrefix.size());
}

SessionResponse FarewellFrame(const Refusal& refusal) {
  SessionResponse frame;
  agent::v1::Farewell* farewell = frame.mutable_farewell();
  farewell->set_reason(refusal.reason);
  farewell->set_message(refusal.message);
  if (refusal.retry_after) *farewell->mutable_retry_after() = ToProto(*refusal.retry_after);
  return frame;
}

std::string_view ShortName(agent::v1::BatchRefusalReason reason) {
  switch (reason) {
    case agent::v1::BATCH_REFUSAL_REASON_NOT_SUPPORTED:
      return "NOT_SUPPORTED";
    case agent::v1::BATCH_REFUSAL_REASON_OUT_OF_ORDER:
      return "OUT_OF_ORDER";
    default:
      return "BUSY";
  }
}

std::string DescribeGoodbye(agent::v1::GoodbyeReason reason) {
  switch (reason) {
    case agent::v1::GOODBYE_REASON_STOPPED:
      return "the agent was stopped";
    case agent::v1::GOODBYE_REASON_UPGRADE:
      return "the agent is being upgraded";
    case agent::v1::GOODBYE_REASON_HOST_SHUTDOWN:
      return "the host is shutting down";
    case agent::v1::GOODBYE_REASON_NEW_SECRET:
      return "the agent reconnects with a new secret";
    default:
      return "the agent said goodbye";
  }
}

}  // namespace

AgentSession::AgentSession(const SessionDeps* deps, std::string peer, std::shared_ptr<FrameSink> sink)
    : deps_(deps), peer_(std::move(peer)), sink_(std::move(sink)), begun_(deps->clock->Monotonic()) {}

void AgentSession::OnFrame(SessionRequest frame) {
  State state;
  {
    MutexLock lock(&mutex_);
    state = state_;
    silent_looks_ = 0;
  }
  if (state == State::kEnded) return;
  if (frame.has_hello() != (state == State::kAwaitHello)) {
    return ProtocolError(frame.has_hello() ? "a second Hello" : "the first frame must be Hello, then wait for Welcome");
  }
  if (state == State::kAdmitting) return ProtocolError("a frame before Welcome");
  switch (frame.frame_case()) {
    case SessionRequest::kHello:
      return OnHello(frame.hello());
    case SessionRequest::kHeartbeat:
      return OnHeartbeat(frame.heartbeat());
    case SessionRequest::kRecordBatch:
      return OnRecordBatch(std::move(*frame.mutable_record_batch()));
    case SessionRequest::kGoodbye:
      return OnGoodbye(frame.goodbye());
    case SessionRequest::kJobReport:
      return OnJobReport(std::move(*frame.mutable_job_report()));
    case SessionRequest::FRAME_NOT_SET:
      return;  // a kind that only newer agents send
  }
}

void AgentSession::OnHello(const agent::v1::Hello& hello) {
  auto admitted = deps_->fleet->Admit(hello, deps_->clock->Now());
  if (const Refusal* refusal = std::get_if<Refusal>(&admitted)) {
    deps_->counters->refused(ShortName(refusal->reason));
    log::Info("refused agent from {} for target \"{}\": {}", peer_, CleanUtf8(hello.target_id(), 64),
              ShortName(refusal->reason));
    return End(*refusal);
  }
  {
    MutexLock lock(&mutex_);
    if (state_ != State::kAwaitHello) return;
    state_ = State::kAdmitting;
  }
  Fleet::Admission& admission = std::get<Fleet::Admission>(admitted);
  SessionOpening opening = admission.opening;
  auto stored_opening = std::make_shared<StoredOpening>();
  deps_->writer->Submit(
      [opening = std::move(opening), listed = ListedPositions(hello), of_logs = LogPositions(hello),
       stored_opening](sqlite::Database& database) -> absl::Status {
        ASSIGN_OR_RETURN(stored_opening->run, RecordSessionOpening(database, opening));
        ASSIGN_OR_RETURN(stored_opening->applied, ReadPositions(database, opening.target_id, listed));
        stored_opening->applied.insert(stored_opening->applied.end(), of_logs.begin(), of_logs.end());
        ASSIGN_OR_RETURN(stored_opening->jobs, ReadJobPosition(database, opening.target_id));
        return absl::OkStatus();
      },
      [self = shared_from_this(), stored_opening,
       admission = std::move(admission)](const absl::Status& stored) mutable {
        admission.run = stored_opening->run;
        self->OnOpeningStored(admission, *stored_opening, stored);
      });
}

void AgentSession::OnOpeningStored(const Fleet::Admission& admission, const StoredOpening& opening,
                                   const absl::Status& stored) {
  if (!stored.ok()) {
    deps_->counters->refused("OVERLOADED");
    return End({agent::v1::FAREWELL_REASON_OVERLOADED,
                fmt::format("the hub cannot store sessions now: {}", MessageOf(stored)), kRetryWhenNotStorable});
  }
  if (ended()) return;
  const std::string session_id = NewId("ses_");
  auto opened = deps_->fleet->OpenSession(admission, session_id, peer_, shared_from_this(), deps_->clock->Read());
  if (const Refusal* refusal = std::get_if<Refusal>(&opened)) {
    deps_->counters->refused(ShortName(refusal->reason));
    return End(*refusal);
  }
  const Fleet::SessionKey key = std::get<Fleet::SessionKey>(opened);
  bool already_ended = false;
  {
    MutexLock lock(&mutex_);
    already_ended = state_ == State::kEnded;
    if (!already_ended) {
      key_ = key;
      // Welcome is the first frame: settings pushed from now on must come after it.
      Welcome(admission, opening, session_id);
      if (opening.jobs) jobs_ = *opening.jobs;
      session_counter_ = admission.opening.session_counter;
      state_ = State::kOpen;
    }
  }
  if (already_ended) {
    deps_->fleet->CloseSession(key, "the connection ended while the session was opening", {}, deps_->clock->Read());
    return;
  }
  deps_->counters->opened();
}

// Called under the lock; the sink only queues.
void AgentSession::Welcome(const Fleet::Admission& admission, const StoredOpening& opening,
                           const std::string& session_id) {
  SessionResponse frame;
  agent::v1::Welcome* welcome = frame.mutable_welcome();
  welcome->set_session_id(session_id);
  *welcome->mutable_hub_time() = ToProto(deps_->clock->Now());
  *welcome->mutable_settings() = deps_->fleet->SettingsFor({.slot = admission.slot});
  for (const agent::v1::LanePosition& position : opening.applied) *welcome->add_applied() = position;
  if (opening.jobs) *welcome->mutable_jobs() = *opening.jobs;
  welcome->set_session_counter(admission.opening.session_counter);
  welcome->set_hub_epoch(deps_->hub_epoch);
  welcome->set_target_name(admission.target_name);
  sink_->Send(frame);
}

void AgentSession::OnHeartbeat(const agent::v1::Heartbeat& heartbeat) {
  const auto key = OpenKey();
  if (!key) return;
  if (heartbeat.number() <= last_heartbeat_) return ProtocolError("heartbeats are not numbered upwards");
  last_heartbeat_ = heartbeat.number();
  const Moment now = deps_->clock->Read();
  if (beat_rate_.IsTooMuch(now.monotonic, kMaxBeatsPerWindow)) return ProtocolError("more than 150 heartbeats in 10 s");
  deps_->counters->heartbeat();
  if (auto refusal = deps_->fleet->Heartbeat(*key, heartbeat, now)) {
    if (refusal->reason == agent::v1::FAREWELL_REASON_PROTOCOL_ERROR) return ProtocolError(refusal->message);
    return End(*refusal);
  }
  if (last_ack_ && now.monotonic - *last_ack_ < kAckSpacing) return;
  last_ack_ = now.monotonic;
  SessionResponse frame;
  agent::v1::HeartbeatAck* ack = frame.mutable_heartbeat_ack();
  ack->set_number(heartbeat.number());
  *ack->mutable_echo_sent_at() = heartbeat.sent_at();
  *ack->mutable_hub_time() = ToProto(deps_->clock->Now());
  sink_->Send(frame);
}

bool AgentSession::FrameRate::IsTooMuch(Instant now, int most) {
  if (now - begun_ >= kRateWindow) {
    begun_ = now;
    frames_ = 0;
  }
  return ++frames_ > most;
}

void AgentSession::OnRecordBatch(agent::v1::RecordBatch batch) {
  const auto key = OpenKey();
  if (!key) return;
  auto accepted = deps_->fleet->AcceptBatch(*key, deps_->clock->Now());
  if (const Refusal* refusal = std::get_if<Refusal>(&accepted)) return End(*refusal);
  const bool known_lane = Takes(batch.lane());
  if (known_lane) {
    if (std::string defect = FindBatchDefect(batch); !defect.empty()) return ProtocolError(std::move(defect));
  }
  auto work = std::make_shared<BatchWork>();
  work->key = *key;
  work->name = {.epoch = batch.epoch(), .lane = batch.lane(), .first_sequence = batch.first_sequence()};
  work->origin = std::get<BatchOrigin>(std::move(accepted));
  work->bytes = batch.ByteSizeLong();
  work->batch = std::move(batch);
  const bool writer_free = !known_lane || Queued(work->name.lane) < kMaxWriterQueue;
  std::optional<std::int64_t> place;
  bool admitted = false;
  {
    MutexLock lock(&mutex_);
    BatchWindow& window = WindowOf(work->name.lane);
    place = window.Enter();
    admitted = place && known_lane && writer_free && window.Admit(work->bytes);
  }
  if (!place) return ProtocolError("batches are sent without waiting for answers");
  work->name.place = *place;
  if (!known_lane) return RefuseBatch(work->name, agent::v1::BATCH_REFUSAL_REASON_NOT_SUPPORTED, {});
  if (!admitted) return RefuseBatch(work->name, agent::v1::BATCH_REFUSAL_REASON_BUSY, kRetryWhenBusy);
  StoreBatch(work);
}

bool AgentSession::Takes(agent::v1::Lane lane) const {
  return lane == agent::v1::LANE_EVENTS || (lane == agent::v1::LANE_LOGS && deps_->logs != nullptr);
}

std::size_t AgentSession::Queued(agent::v1::Lane lane) const {
  return lane == agent::v1::LANE_LOGS ? deps_->logs->store().writer().queued() : deps_->writer->queued();
}

// Of those that the hub does not know it says nothing, and the agent begins with the oldest that it has.
AgentSession::Positions AgentSession::LogPositions(const agent::v1::Hello& hello) const {
  if (deps_->logs == nullptr) return {};
  Positions listed = ListedPositions(hello);
  absl::StatusOr<Positions> positions = deps_->logs->Positions(hello.target_id(), listed);
  if (positions.ok()) return *std::move(positions);
  // While nobody knows, the agent keeps what it has.
  Positions kept;
  for (agent::v1::LanePosition& position : listed) {
    if (position.lane() != agent::v1::LANE_LOGS) continue;
    position.set_sequence(std::max<std::int64_t>(position.oldest_sequence() - 1, 0));
    kept.push_back(std::move(position));
  }
  return kept;
}

void AgentSession::StoreBatch(const std::shared_ptr<BatchWork>& work) {
  if (work->name.lane == agent::v1::LANE_LOGS) return StoreLogs(work);
  deps_->writer->Submit(
      [work](sqlite::Database& database) -> absl::Status {
        ASSIGN_OR_RETURN(work->outcome, ApplyBatch(database, work->origin, work->batch));
        return absl::OkStatus();
      },
      [self = shared_from_this(), work](const absl::Status& stored) { self->OnBatchStored(*work, stored); },
      work->bytes);
}

void AgentSession::StoreLogs(const std::shared_ptr<BatchWork>& work) {
  // Its transaction cannot look at the secret, which is in the other file: the live fleet is asked right before.
  const auto may_store = [fleet = deps_->fleet, clock = deps_->clock, key = work->key]() -> absl::Status {
    const auto accepted = fleet->AcceptBatch(key, clock->Now());
    const Refusal* refusal = std::get_if<Refusal>(&accepted);
    if (refusal == nullptr) return absl::OkStatus();
    const bool is_deleted = refusal->reason == agent::v1::FAREWELL_REASON_TARGET_DELETED;
    return MakeError(absl::StatusCode::kFailedPrecondition, is_deleted ? "TARGET_NOT_FOUND" : "SECRET_ROTATED",
                     refusal->message);
  };
  deps_->logs->Apply(work->origin, std::move(work->batch), may_store,
                     [self = shared_from_this(), work](const absl::Status& stored, const BatchOutcome& outcome) {
                       work->outcome = outcome;
                       self->OnBatchStored(*work, stored);
                     });
}

void AgentSession::OnBatchStored(const BatchWork& work, const absl::Status& stored) {
  {
    MutexLock lock(&mutex_);
    WindowOf(work.name.lane).Left(work.bytes);
  }
  if (stored.ok()) return OnBatchApplied(work);
  if (ReasonOf(stored) == "SECRET_ROTATED") return End(RotatedRefusal());
  if (ReasonOf(stored) == "TARGET_NOT_FOUND") return End(DeletedRefusal());
  // A full disk, a failed one, a hub that stops: the agent keeps the batch. Why, the writer has logged.
  const bool queue_full = ReasonOf(stored) == "WRITER_BUSY";
  RefuseBatch(work.name, agent::v1::BATCH_REFUSAL_REASON_BUSY, queue_full ? kRetryWhenBusy : kRetryWhenNotStorable);
}

void AgentSession::OnBatchApplied(const BatchWork& work) {
  const BatchOutcome& outcome = work.outcome;
  if (outcome.expected) {
    return RefuseBatch(work.name, agent::v1::BATCH_REFUSAL_REASON_OUT_OF_ORDER, {}, *outcome.expected);
  }
  deps_->fleet->NoteBatch(work.key, outcome);
  deps_->counters->records_applied(outcome.applied);
  deps_->counters->samples_stored(outcome.samples);
  SessionResponse frame;
  agent::v1::BatchAck* ack = frame.mutable_batch_ack();
  ack->set_epoch(work.name.epoch);
  ack->set_lane(work.name.lane);
  ack->set_sequence(outcome.position);
  for (const agent::v1::RefusedRecord& refused : outcome.refused) *ack->add_refused() = refused;
  AnswerBatch(work.name, std::move(frame));
}

void AgentSession::RefuseBatch(const BatchName& name, agent::v1::BatchRefusalReason reason, absl::Duration retry_after,
                               std::int64_t expected) {
  deps_->counters->batch_refused(ShortName(reason));
  SessionResponse frame;
  agent::v1::BatchRefusal* refusal = frame.mutable_batch_refusal();
  refusal->set_epoch(name.epoch);
  refusal->set_lane(name.lane);
  refusal->set_first_sequence(name.first_sequence);
  refusal->set_reason(reason);
  if (retry_after > absl::ZeroDuration()) *refusal->mutable_retry_after() = ToProto(retry_after);
  refusal->set_expected_sequence(expected);
  AnswerBatch(name, std::move(frame));
}

void AgentSession::AnswerBatch(const BatchName& name, SessionResponse answer) {
  MutexLock lock(&mutex_);
  // Under the lock, as the sink only queues: answers of two threads must not overtake one another.
  for (const SessionResponse& frame : WindowOf(name.lane).Answer(name.place, std::move(answer))) sink_->Send(frame);
}

BatchWindow& AgentSession::WindowOf(agent::v1::Lane lane) { return windows_[lane == agent::v1::LANE_LOGS ? 1 : 0]; }

void AgentSession::OnJobReport(agent::v1::JobReport report) {
  const auto key = OpenKey();
  if (!key || deps_->jobs == nullptr) return;
  auto accepted = deps_->fleet->AcceptBatch(*key, deps_->clock->Now());
  if (const Refusal* refusal = std::get_if<Refusal>(&accepted)) return End(*refusal);
  if (std::string defect = FindDefect(report); !defect.empty()) return ProtocolError(std::move(defect));
  if (job_report_rate_.IsTooMuch(deps_->clock->Monotonic(), kMaxJobReportsPerWindow)) {
    return ProtocolError("more than 15 reports of jobs in 10 s");
  }
  agent::v1::JobPosition before;
  std::int64_t session_counter = 0;
  bool is_second = false;
  {
    MutexLock lock(&mutex_);
    is_second = std::exchange(storing_jobs_, true);
    before = jobs_;
    session_counter = session_counter_;
  }
  if (is_second) return ProtocolError("reports of jobs are sent without waiting for answers");
  // A disk that was rolled back tells all of its store again: nothing of that is here yet.
  if (before.store_id() != report.store_id() || before.version() > report.version()) {
    before.set_store_id(report.store_id());
    before.set_version(0);
  }
  // The agent sends it again in a while.
  if (deps_->writer->queued() >= kMaxWriterQueue) return AnswerJobs(before, {});
  auto outcome = std::make_shared<absl::StatusOr<JobOutcome>>(JobOutcome());
  deps_->writer->Submit(
      [outcome, session_counter, origin = std::get<BatchOrigin>(std::move(accepted)),
       report = std::move(report)](sqlite::Database& database) mutable -> absl::Status {
        // The agent's next session may have told more already.
        RETURN_IF_ERROR(CheckNewestSession(database, origin.target_id, session_counter));
        *outcome = ApplyJobReport(database, origin, std::move(report));
        return outcome->status();
      },
      [self = shared_from_this(), outcome, before](const absl::Status& stored) {
        if (!stored.ok()) *outcome = stored;
        self->OnJobsStored(before, std::move(*outcome));
      });
}

void AgentSession::OnJobsStored(const agent::v1::JobPosition& position, absl::StatusOr<JobOutcome> outcome) {
  if (outcome.ok()) {
    const agent::v1::JobPosition stored = outcome->position;
    return AnswerJobs(stored, deps_->jobs->Apply(*std::move(outcome), deps_->clock->Read()));
  }
  if (ReasonOf(outcome.status()) == "SECRET_ROTATED") return End(RotatedRefusal());
  if (ReasonOf(outcome.status()) == "TARGET_NOT_FOUND") return End(DeletedRefusal());
  AnswerJobs(position, {});
}

void AgentSession::AnswerJobs(const agent::v1::JobPosition& position, const std::vector<std::string>& refusals) {
  SessionResponse frame;
  agent::v1::JobAck* ack = frame.mutable_job_ack();
  ack->set_store_id(position.store_id());
  ack->set_version(position.version());
  for (const std::string& refusal : refusals) ack->add_refusals(refusal);
  {
    MutexLock lock(&mutex_);
    storing_jobs_ = false;
    jobs_ = position;
  }
  sink_->Send(frame);
}

void AgentSession::OnGoodbye(const agent::v1::Goodbye& goodbye) {
  std::optional<absl::Time> expected_return;
  if (goodbye.has_expected_return()) expected_return = FromProto(goodbye.expected_return());
  if (!EnterEnded(DescribeGoodbye(goodbye.reason()), expected_return)) return;
  deps_->counters->ended("GOODBYE");
  sink_->Finish();
}

void AgentSession::OnPeerClosed(const std::string& why) {
  bool was_open = false;
  {
    MutexLock lock(&mutex_);
    was_open = state_ == State::kOpen;
  }
  if (EnterEnded(why) && was_open) deps_->counters->ended("LOST");
  sink_->Finish();
}

void AgentSession::ProtocolError(std::string message) {
  deps_->counters->frame_refused("PROTOCOL_ERROR");
  log::Warning("protocol error from agent at {}: {}", peer_, message);
  End({agent::v1::FAREWELL_REASON_PROTOCOL_ERROR, std::move(message), {}});
}

void AgentSession::End(const Refusal& refusal) {
  bool was_open = false;
  {
    MutexLock lock(&mutex_);
    was_open = state_ == State::kOpen;
  }
  if (!EnterEnded(fmt::format("{}: {}", ShortName(refusal.reason), refusal.message))) return;
  if (was_open) deps_->counters->ended(ShortName(refusal.reason));
  sink_->Send(FarewellFrame(refusal));
  sink_->Finish();
}

void AgentSession::PushSettings(const agent::v1::Settings& settings) {
  if (!OpenKey()) return;
  SessionResponse frame;
  *frame.mutable_settings() = settings;
  sink_->Send(frame);
}

void AgentSession::EndIfSilent(Instant now) {
  bool owes_hello = false;
  {
    MutexLock lock(&mutex_);
    if (state_ == State::kEnded) return;
    owes_hello = state_ == State::kAwaitHello;
    if (owes_hello ? now - begun_ < kHelloDeadline : ++silent_looks_ <= kMostSilentLooks) return;
  }
  if (owes_hello) return ProtocolError("no Hello within 10 s");
  OnPeerClosed("the agent was silent for 2 min");
}

bool AgentSession::ended() const {
  MutexLock lock(&mutex_);
  return state_ == State::kEnded;
}

bool AgentSession::EnterEnded(const std::string& closing, std::optional<absl::Time> expected_return) {
  std::optional<Fleet::SessionKey> key;
  {
    MutexLock lock(&mutex_);
    if (state_ == State::kEnded) return false;
    state_ = State::kEnded;
    key = std::move(key_);
    key_.reset();
  }
  if (key) deps_->fleet->CloseSession(*key, closing, expected_return, deps_->clock->Read());
  return true;
}

std::optional<Fleet::SessionKey> AgentSession::OpenKey() const {
  MutexLock lock(&mutex_);
  if (state_ != State::kOpen) return std::nullopt;
  return key_;
}

}  // namespace muster::hub
