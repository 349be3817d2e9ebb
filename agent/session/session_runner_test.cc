#include "agent/session/session_runner.h"

#include <gtest/gtest.h>

#include <thread>
#include <utility>

namespace muster::agent {
namespace {

// A hub in memory: answers Hello with Welcome, the first heartbeat with an ack, and ends the stream after Goodbye.
// Everything happens inside the calls of the loop, so the test waits for states and not for time.
class FakeHub : public Dialer {
 public:
  std::unique_ptr<Link> Dial(std::shared_ptr<LinkEvents> events) override {
    {
      MutexLock lock(&mutex_);
      ++dials_;
      changed_.NotifyAll();
    }
    return std::make_unique<FakeLink>(this, std::move(events));
  }
  void Reap() override {}
  void Drain() override {}

  void WaitForSecret(const std::string& secret) {
    MutexLock lock(&mutex_);
    while (last_secret_ != secret) changed_.Wait(&mutex_);
  }
  void WaitForMessage(const std::string& message) {
    MutexLock lock(&mutex_);
    while (last_message_ != message) changed_.Wait(&mutex_);
  }
  // An event of a link that is long gone.
  void SendFromFirstLink(const v1::SessionResponse& frame) {
    std::shared_ptr<LinkEvents> events;
    {
      MutexLock lock(&mutex_);
      events = first_events_;
    }
    events->OnFrame(frame);
  }
  void WaitForRecord(std::int64_t sequence) {
    MutexLock lock(&mutex_);
    while (last_record_ != sequence) changed_.Wait(&mutex_);
  }
  v1::GoodbyeReason last_goodbye() {
    MutexLock lock(&mutex_);
    return last_goodbye_;
  }
  int host_reports() {
    MutexLock lock(&mutex_);
    return host_reports_;
  }
  int dials() {
    MutexLock lock(&mutex_);
    return dials_;
  }

 private:
  class FakeLink : public Link {
   public:
    FakeLink(FakeHub* hub, std::shared_ptr<LinkEvents> events) : hub_(hub), events_(std::move(events)) {}
    void Send(const v1::SessionRequest& frame) override {
      hub_->Take(frame, events_);
      events_->OnSent();
    }
    void HalfClose() override { events_->OnClosed(absl::OkStatus()); }
    void Receive() override {}

   private:
    FakeHub* const hub_;
    const std::shared_ptr<LinkEvents> events_;
  };

  void Take(const v1::SessionRequest& frame, const std::shared_ptr<LinkEvents>& events) {
    v1::SessionResponse answer;
    {
      MutexLock lock(&mutex_);
      if (first_events_ == nullptr) first_events_ = events;
      if (frame.has_hello()) {
        last_secret_ = frame.hello().target_secret();
        answer.mutable_welcome()->set_session_counter(dials_);
        answer.mutable_welcome()->mutable_settings()->add_logs_disabled_keys("compose/quiet");
        answer.mutable_welcome()->mutable_settings()->set_metrics_enabled(true);
      }
      if (frame.has_record_batch()) {
        last_record_ = frame.record_batch().first_sequence();
        answer.mutable_batch_ack()->set_epoch(frame.record_batch().epoch());
        answer.mutable_batch_ack()->set_lane(frame.record_batch().lane());
        answer.mutable_batch_ack()->set_sequence(last_record_);
      }
      if (frame.has_goodbye()) last_goodbye_ = frame.goodbye().reason();
      if (frame.heartbeat().has_host()) ++host_reports_;
      if (frame.heartbeat().has_snapshot()) {
        last_message_.clear();
        for (const auto& deployment : frame.heartbeat().snapshot().deployments()) last_message_ = deployment.message();
      }
      changed_.NotifyAll();
    }
    if (answer.frame_case() != v1::SessionResponse::FRAME_NOT_SET) events->OnFrame(answer);
  }

  Mutex mutex_;
  CondVar changed_;
  int dials_ ABSL_GUARDED_BY(mutex_) = 0;
  int host_reports_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string last_secret_ ABSL_GUARDED_BY(mutex_);
  std::int64_t last_record_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string last_message_ ABSL_GUARDED_BY(mutex_) = "none yet";
  v1::GoodbyeReason last_goodbye_ ABSL_GUARDED_BY(mutex_) = v1::GOODBYE_REASON_UNSPECIFIED;
  std::shared_ptr<LinkEvents> first_events_ ABSL_GUARDED_BY(mutex_);
};

// One record a batch; answers from a thread of its own, like the journal.
class FakeRecords : public RecordSource {
 public:
  FakeRecords() : thread_([this] { Loop(); }) {}
  ~FakeRecords() override {
    {
      MutexLock lock(&mutex_);
      stopping_ = true;
      wake_.NotifyOne();
    }
    thread_.join();
  }

  // The journal commits one more.
  void Add() {
    {
      MutexLock lock(&mutex_);
      ++last_;
    }
    MutexLock lock(&listening_);
    if (listener_) listener_();
  }
  std::int64_t acked() {
    MutexLock lock(&mutex_);
    return acked_;
  }
  RecordsView View() const override {
    MutexLock lock(&mutex_);
    RecordsView view;
    view.epoch = "e";
    if (last_ > 0) {
      view.lanes = {{.epoch = "e", .lane = v1::LANE_EVENTS, .oldest_sequence = 1, .last_sequence = last_}};
      view.lanes[0].acked_sequence = acked_;
    }
    return view;
  }
  void Read(const ReadRequest& request, std::function<void(v1::RecordBatch)> done) override {
    MutexLock lock(&mutex_);
    asked_.emplace_back(request, std::move(done));
    wake_.NotifyOne();
  }
  void Acknowledge(const v1::BatchAck& ack) override {
    MutexLock lock(&mutex_);
    acked_ = ack.sequence();
  }
  void Resume(const std::vector<v1::LanePosition>& /*applied*/) override {}
  void SetListener(std::function<void()> changed) override {
    MutexLock lock(&listening_);
    listener_ = std::move(changed);
  }

 private:
  using Asked = std::pair<ReadRequest, std::function<void(v1::RecordBatch)>>;

  void Loop() {
    while (true) {
      std::vector<Asked> asked;
      {
        MutexLock lock(&mutex_);
        while (asked_.empty() && !stopping_) wake_.Wait(&mutex_);
        if (asked_.empty()) return;
        asked.swap(asked_);
      }
      for (const auto& [request, done] : asked) {
        v1::RecordBatch batch;
        batch.set_epoch(request.epoch);
        batch.set_lane(request.lane);
        batch.set_first_sequence(request.first_sequence);
        batch.add_records()->mutable_transition();
        done(batch);
      }
    }
  }

  mutable Mutex mutex_;
  CondVar wake_;
  std::int64_t last_ ABSL_GUARDED_BY(mutex_) = 0;
  std::int64_t acked_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<Asked> asked_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  Mutex listening_;
  std::function<void()> listener_ ABSL_GUARDED_BY(listening_);
  std::thread thread_;
};

class FakeHousekeeping : public Housekeeping {
 public:
  std::optional<Secret> PollSecret() override {
    MutexLock lock(&mutex_);
    return std::exchange(next_secret_, std::nullopt);
  }
  void KeepSessionCounter(std::int64_t counter) override {
    MutexLock lock(&mutex_);
    counter_ = counter;
  }
  void SessionIs(const SessionStatus& /*status*/) override {}
  void Alive(Instant /*now*/) override {}
  void RelistIntervalChanged(absl::Duration /*interval*/) override {}
  void SetLogsOff(std::vector<std::string> deployment_keys) override {
    MutexLock lock(&mutex_);
    logs_off_ = std::move(deployment_keys);
  }
  void SetMetricsEnabled(bool enabled) override {
    MutexLock lock(&mutex_);
    metrics_enabled_ = enabled;
  }

  void Offer(Secret secret) {
    MutexLock lock(&mutex_);
    next_secret_ = std::move(secret);
  }
  std::int64_t counter() {
    MutexLock lock(&mutex_);
    return counter_;
  }
  std::optional<std::vector<std::string>> logs_off() {
    MutexLock lock(&mutex_);
    return logs_off_;
  }
  std::optional<bool> metrics_enabled() {
    MutexLock lock(&mutex_);
    return metrics_enabled_;
  }

 private:
  Mutex mutex_;
  std::optional<std::vector<std::string>> logs_off_ ABSL_GUARDED_BY(mutex_);
  std::optional<bool> metrics_enabled_ ABSL_GUARDED_BY(mutex_);
  std::optional<Secret> next_secret_ ABSL_GUARDED_BY(mutex_);
  std::int64_t counter_ ABSL_GUARDED_BY(mutex_) = 0;
};

Present PresentWithMessage(const std::string& message) {
  Present present;
  present.deployments.emplace_back().set_message(message);
  return present;
}

class SessionRunnerTest : public testing::Test {
 protected:
  SessionRunnerTest()
      : runner_(
            {.target_id = "t", .secret = Secret("mst_first")},
            {.facts = [] { return v1::Hello(); }, .use = [] { return OwnUse(); }, .records = &records_},
            [] { return 0.5; }, Clock::System(), &hub_, &housekeeping_),
        loop_([this] { runner_.Run(); }) {}
  ~SessionRunnerTest() override {
    runner_.Stop(v1::GOODBYE_REASON_STOPPED);
    if (loop_.joinable()) loop_.join();
  }

  FakeHub hub_;
  FakeHousekeeping housekeeping_;
  FakeRecords records_;
  SessionRunner runner_;
  std::thread loop_;
};

TEST_F(SessionRunnerTest, PicturesFromOtherThreadsReachTheHub) {
  runner_.Publish(PresentWithMessage("one"));
  hub_.WaitForMessage("one");
  std::thread observer([this] {
    for (int i = 0; i < 100; ++i) runner_.Publish(PresentWithMessage(std::to_string(i)));
    runner_.Publish(PresentWithMessage("last"));
  });
  hub_.WaitForMessage("last");
  observer.join();
  EXPECT_EQ(housekeeping_.counter(), 1);
  EXPECT_EQ(housekeeping_.logs_off(), std::vector<std::string>{"compose/quiet"});
}

TEST_F(SessionRunnerTest, TheHostsReportGoesOnceWithAHeartbeat) {
  runner_.Publish(PresentWithMessage("one"));
  hub_.WaitForMessage("one");
  EXPECT_EQ(housekeeping_.metrics_enabled(), true);
  EXPECT_EQ(hub_.host_reports(), 0);
  std::thread([this] { runner_.PublishHost(v1::HostReport(), Clock::System()->Monotonic()); }).join();
  runner_.Publish(PresentWithMessage("two"));
  hub_.WaitForMessage("two");
  runner_.Publish(PresentWithMessage("three"));
  hub_.WaitForMessage("three");
  EXPECT_EQ(hub_.host_reports(), 1);
}

TEST_F(SessionRunnerTest, RecordsTravelAsTheyAreCommitted) {
  runner_.Publish(PresentWithMessage("one"));
  for (int i = 1; i <= 50; ++i) {
    records_.Add();
    hub_.WaitForRecord(i);
  }
  EXPECT_GE(records_.acked(), 48) << "the last ones may be under way";
}

TEST_F(SessionRunnerTest, TheJournalMayAnswerWhenTheLoopHasEnded) {
  runner_.Publish(PresentWithMessage("one"));
  hub_.WaitForMessage("one");
  records_.Add();
  runner_.Stop(v1::GOODBYE_REASON_STOPPED);
  loop_.join();
  records_.Add();
}

TEST_F(SessionRunnerTest, StopSaysGoodbyeAndReturns) {
  runner_.Publish(PresentWithMessage("one"));
  hub_.WaitForMessage("one");
  runner_.Stop(v1::GOODBYE_REASON_STOPPED);
  loop_.join();
  EXPECT_EQ(hub_.last_goodbye(), v1::GOODBYE_REASON_STOPPED);
}

TEST_F(SessionRunnerTest, ANewSecretBringsANewSessionAndLateEventsOfTheOldLinkAreDropped) {
  runner_.Publish(PresentWithMessage("one"));
  hub_.WaitForMessage("one");
  housekeeping_.Offer(Secret("mst_second"));
  hub_.WaitForSecret("mst_second");
  EXPECT_EQ(hub_.last_goodbye(), v1::GOODBYE_REASON_NEW_SECRET);
  v1::SessionResponse late;
  late.mutable_farewell()->set_reason(v1::FAREWELL_REASON_SECRET_ROTATED);
  hub_.SendFromFirstLink(late);
  runner_.Publish(PresentWithMessage("after"));
  hub_.WaitForMessage("after");
  EXPECT_EQ(hub_.dials(), 2);
}

}  // namespace
}  // namespace muster::agent
