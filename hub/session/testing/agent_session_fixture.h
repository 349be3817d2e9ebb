// A session over a real store and a real fleet; only the transport and the clock are fakes. For tests.
#ifndef MUSTER_HUB_SESSION_TESTING_AGENT_SESSION_FIXTURE_H_
#define MUSTER_HUB_SESSION_TESTING_AGENT_SESSION_FIXTURE_H_

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/testing/fake_clock.h"
#include "common/testing/temp_dir.h"
#include "hub/session/agent_session.h"
#include "hub/store/store.h"
#include "hub/testing/fakes.h"

namespace muster::hub {

class FakeSink : public FrameSink {
 public:
  void Send(const agent::v1::SessionResponse& frame) override {
    MutexLock lock(&mutex_);
    if (!finished_) frames_.push_back(frame);
  }
  void Finish() override {
    MutexLock lock(&mutex_);
    finished_ = true;
  }
  std::vector<agent::v1::SessionResponse> frames() const {
    MutexLock lock(&mutex_);
    return frames_;
  }
  bool finished() const {
    MutexLock lock(&mutex_);
    return finished_;
  }

 private:
  mutable Mutex mutex_;
  std::vector<agent::v1::SessionResponse> frames_ ABSL_GUARDED_BY(mutex_);
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

class AgentSessionTest : public testing::Test {
 protected:
  AgentSessionTest() {
    store_ = *Store::Open(dir_.path() + "/hub.db");
    StoredTarget target = TestTarget("tgt_1", "host-1", "mst_one");
    EXPECT_TRUE(store_->writer().Run([&](sqlite::Database& database) { return InsertTarget(database, target); }).ok());
    history_ = std::make_unique<HistoryRecorder>(&store_->writer());
    fleet_ = std::make_unique<Fleet>("vendor", std::vector<StoredTarget>{target}, history_.get(), clock_.Read());
    counters_ = {.opened = [this] { Count("opened"); },
                 .ended = [this](std::string_view reason) { Count("ended " + std::string(reason)); },
                 .refused = [this](std::string_view reason) { Count("refused " + std::string(reason)); },
                 .heartbeat = [this] { Count("heartbeat"); },
                 .frame_refused = [this](std::string_view reason) { Count("frame " + std::string(reason)); },
                 .records_applied = [this](std::int64_t records) { Count("applied", static_cast<int>(records)); },
                 .batch_refused = [this](std::string_view reason) { Count("batch " + std::string(reason)); }};
    deps_ = {.fleet = fleet_.get(),
             .writer = &store_->writer(),
             .clock = &clock_,
             .counters = &counters_,
             .hub_epoch = "hub_1"};
  }

  // Its callbacks reach into everything below.
  ~AgentSessionTest() override {
    // A live session and its target hold each other; in the hub the end of the stream parts them.
    fleet_->Delete("tgt_1", clock_.Read());
    store_->writer().Stop();
  }

  void Count(const std::string& what, int by = 1) {
    MutexLock lock(&counts_mutex_);
    counts_[what] += by;
  }
  int CountOf(const std::string& what) {
    MutexLock lock(&counts_mutex_);
    return counts_[what];
  }
  // Everything submitted before has been committed and answered.
  void DrainWriter() {
    EXPECT_TRUE(store_->writer().Run([](sqlite::Database&) { return absl::OkStatus(); }).ok());
  }
  std::shared_ptr<AgentSession> NewSession(const std::shared_ptr<FakeSink>& sink) {
    return std::make_shared<AgentSession>(&deps_, "10.0.0.7:1", sink);
  }
  void SendHello(AgentSession& session, const agent::v1::Hello& hello) {
    agent::v1::SessionRequest frame;
    *frame.mutable_hello() = hello;
    session.OnFrame(frame);
    DrainWriter();
  }
  void SendBeat(AgentSession& session, const agent::v1::Heartbeat& heartbeat) {
    agent::v1::SessionRequest frame;
    *frame.mutable_heartbeat() = heartbeat;
    session.OnFrame(frame);
  }
  static agent::v1::FarewellReason FarewellOf(const FakeSink& sink) {
    const auto frames = sink.frames();
    return frames.empty() ? agent::v1::FAREWELL_REASON_UNSPECIFIED : frames.back().farewell().reason();
  }

  TempDir dir_;
  FakeClock clock_;
  Mutex counts_mutex_;
  std::map<std::string, int> counts_ ABSL_GUARDED_BY(counts_mutex_);
  std::unique_ptr<Store> store_;
  std::unique_ptr<HistoryRecorder> history_;
  std::unique_ptr<Fleet> fleet_;
  SessionCounters counters_;
  SessionDeps deps_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_SESSION_TESTING_AGENT_SESSION_FIXTURE_H_
