#include "agent/logs/log_collector.h"

#include <gtest/gtest.h>

#include "agent/logs/testing/loop_fixture.h"

namespace muster::agent {
namespace {

// Waits for Wake, as a connection without events does, and counts what was opened.
class QuietStreamGroup : public StreamGroup {
 public:
  struct Seen {
    Mutex mutex;
    CondVar changed;
    int opened ABSL_GUARDED_BY(mutex) = 0;
    int waits ABSL_GUARDED_BY(mutex) = 0;
    bool is_woken ABSL_GUARDED_BY(mutex) = false;
  };

  explicit QuietStreamGroup(Seen* seen) : seen_(seen) {}

  Id Open(const HttpGet& /*request*/) override {
    MutexLock lock(&seen_->mutex);
    seen_->changed.NotifyAll();
    return ++seen_->opened;
  }
  void Close(Id /*id*/) override {}
  void Pause(Id /*id*/) override {}
  void Resume(Id /*id*/) override {}
  void Wait(absl::Duration /*wait*/, absl::FunctionRef<void(const Event&)> /*visit*/) override {
    MutexLock lock(&seen_->mutex);
    ++seen_->waits;
    seen_->changed.NotifyAll();
    while (!seen_->is_woken) seen_->changed.Wait(&seen_->mutex);
    seen_->is_woken = false;
  }
  void Wake() override {
    MutexLock lock(&seen_->mutex);
    seen_->is_woken = true;
    seen_->changed.NotifyAll();
  }

 private:
  Seen* const seen_;
};

class LogCollectorTest : public testing::Test {
 protected:
  void Start() {
    collector_ = std::make_unique<LogCollector>(
        LogCollector::Options{.collects_containers = true, .boot_id = "boot-1", .uniform = [] { return 0.5; }}, &clock_,
        std::make_unique<QuietStreamGroup>(&seen_), &masker_, &journal_, &own_log_);
    AwaitTurn(1);
  }
  // Until the thread waits for the so many-th time.
  void AwaitTurn(int turn) {
    MutexLock lock(&seen_.mutex);
    while (seen_.waits < turn) seen_.changed.Wait(&seen_.mutex);
  }
  int Opened() {
    MutexLock lock(&seen_.mutex);
    return seen_.opened;
  }

  FakeClock clock_;
  QuietStreamGroup::Seen seen_;
  FakeLogJournal journal_;
  FakeOwnLog own_log_;
  const Masker masker_ = *Masker::Create({});
  std::unique_ptr<LogCollector> collector_;
};

TEST_F(LogCollectorTest, WhatIsToldWakesTheThread) {
  Start();
  collector_->Publish({{.id = "abc",
                        .name = "web",
                        .deployment_key = "compose/shop",
                        .revision = "1",
                        .log_driver = "json-file",
                        .created = clock_.Now(),
                        .is_running = true}});
  AwaitTurn(2);
  EXPECT_EQ(Opened(), 0) << "no settings yet";
  collector_->SetLogsOff({});
  AwaitTurn(3);
  EXPECT_EQ(Opened(), 1);
  EXPECT_EQ(journal_.waiting(), 1U) << "the settings";
}

TEST_F(LogCollectorTest, WhatWasReadIsAppendedAtTheEnd) {
  Start();
  own_log_.next.lines = {{.time = clock_.Now(), .level = LogLevel::kInfo, .text = "hello"}};
  collector_->Wake();
  AwaitTurn(2);
  EXPECT_EQ(journal_.waiting(), 0U) << "its 200 ms are not over";
  collector_.reset();
  journal_.Commit();
  EXPECT_EQ(TextsOf(journal_.records(), "muster-agent"), std::vector<std::string>{"hello"});
}

}  // namespace
}  // namespace muster::agent
