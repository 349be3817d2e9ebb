#include "agent/host/data_dir.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <utility>

#include "agent/host/state_keeper.h"
#include "common/files.h"
#include "common/status.h"
#include "common/testing/fake_clock.h"
#include "common/testing/temp_dir.h"

namespace muster::agent {
namespace {

AgentState FullState() {
  AgentState state;
  state.session_counter = 9'007'199'254'740'993;  // above what a double can hold
  state.target_id = "tgt_1";
  state.hub = "hub:7443";
  state.agent_version = "0.1.0";
  state.pid = 42;
  state.start_time = absl::FromUnixSeconds(1'800'000'000);
  state.update_time = absl::FromUnixMillis(1'800'000'000'123);
  state.session.connected = true;
  state.session.session_id = "s1";
  state.session.target_name = "edge \"1\" \xE2\x9C\x93";
  state.session.last_ack_time = absl::FromUnixSeconds(1'800'000'100);
  state.session.last_farewell_reason = "DRAINING";
  state.session.last_farewell_message = "back soon";
  state.session.last_farewell_time = absl::FromUnixSeconds(1'800'000'050);
  state.session.last_error = "e";
  return state;
}

class DataDirTest : public testing::Test {
 protected:
  TempDir temp_;
  const std::string path_ = temp_.path() + "/deep/agent";
};

TEST_F(DataDirTest, StateComesBackAsItWasSaved) {
  const auto dir = DataDir::Open(path_);
  ASSERT_TRUE(dir.ok());
  const AgentState saved = FullState();
  ASSERT_TRUE(dir->SaveState(saved).ok());
  const AgentState loaded = dir->LoadState();
  EXPECT_EQ(loaded.session_counter, saved.session_counter);
  EXPECT_EQ(FormatAgentState(loaded), FormatAgentState(saved));
}

TEST_F(DataDirTest, IsForItsOwnerAlone) {
  const auto dir = DataDir::Open(path_);
  ASSERT_TRUE(dir.ok());
  ASSERT_TRUE(dir->SaveState({}).ok());
  struct stat info {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  ASSERT_EQ(stat((path_ + "/state.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(DataDirTest, RefusesASecondAgentAndIsFreeAfterTheFirst) {
  {
    const auto first = DataDir::Open(path_);
    ASSERT_TRUE(first.ok());
    const auto second = DataDir::Open(path_);
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(ReasonOf(second.status()), "DATA_DIR_IN_USE");
    EXPECT_NE(MessageOf(second.status()).find("--data-dir"), std::string::npos);
  }
  EXPECT_TRUE(DataDir::Open(path_).ok());
}

TEST_F(DataDirTest, RefusesAPathThatIsNoFolder) {
  ASSERT_TRUE(WriteFileAtomically(temp_.path() + "/file", "", 0600).ok());
  const auto dir = DataDir::Open(temp_.path() + "/file");
  ASSERT_FALSE(dir.ok());
  EXPECT_EQ(ReasonOf(dir.status()), "DATA_DIR_UNUSABLE");
}

TEST_F(DataDirTest, BrokenStateIsMovedAside) {
  const auto dir = DataDir::Open(path_);
  ASSERT_TRUE(dir.ok());
  const std::string file = path_ + "/state.json";
  for (const char* broken : {"", "{", "[]", "null", "{}", "{\"session_counter\":\"7\"}", "{\"session_counter\":-1}",
                             "{\"session_counter\":1.5}", "\xff\xfe", "{\"session_counter\":7}garbage"}) {
    ASSERT_TRUE(WriteFileAtomically(file, broken, 0600).ok());
    EXPECT_EQ(dir->LoadState().session_counter, 0) << broken;
    EXPECT_FALSE(std::filesystem::exists(file)) << broken;
    EXPECT_EQ(*ReadFile(file + ".broken"), broken);
  }
  ASSERT_TRUE(WriteFileAtomically(file, std::string(100'000, 'x'), 0600).ok());
  EXPECT_EQ(dir->LoadState().session_counter, 0);
}

TEST_F(DataDirTest, UnknownAndMistypedMembersDoNoHarm) {
  const auto state = ParseAgentState(R"({"session_counter": 7, "new": {"a": 1}, "hub": 5, "connected": "yes",
                                         "last_ack_time": "yesterday", "pid": 99999999999999999999})");
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->session_counter, 7);
  EXPECT_EQ(state->hub, "");
  EXPECT_FALSE(state->session.connected);
  EXPECT_FALSE(state->session.last_ack_time.has_value());
}

TEST_F(DataDirTest, TellsWhetherTheAgentRuns) {
  EXPECT_EQ(ReasonOf(ObserveState(path_).status()), "NO_AGENT_STATE");
  {
    const auto dir = DataDir::Open(path_);
    ASSERT_TRUE(dir.ok());
    ASSERT_TRUE(dir->SaveState(FullState()).ok());
    const auto running = ObserveState(path_);
    ASSERT_TRUE(running.ok());
    EXPECT_TRUE(running->agent_running);
    EXPECT_EQ(running->state.target_id, "tgt_1");
  }
  EXPECT_FALSE(ObserveState(path_)->agent_running);
}

TEST_F(DataDirTest, KeeperHasTheCounterOnDiskWhenItReturns) {
  const FakeClock clock;
  const auto dir = DataDir::Open(path_);
  ASSERT_TRUE(dir.ok());
  StateKeeper keeper(&*dir, &clock, {});
  for (int counter = 1; counter <= 20; ++counter) {
    keeper.KeepSessionCounter(counter);
    EXPECT_EQ(dir->LoadState().session_counter, counter);
  }
}

TEST_F(DataDirTest, KeeperWritesTheLastStatusBeforeItEnds) {
  const FakeClock clock;
  const auto dir = DataDir::Open(path_);
  ASSERT_TRUE(dir.ok());
  {
    StateKeeper keeper(&*dir, &clock, {});
    SessionStatus status;
    for (status.changes = 1; status.changes <= 100; ++status.changes) {
      status.last_ack_time = absl::FromUnixSeconds(static_cast<std::int64_t>(status.changes));
      keeper.Update(status);
    }
  }
  EXPECT_EQ(dir->LoadState().session.last_ack_time, absl::FromUnixSeconds(100));
}

}  // namespace
}  // namespace muster::agent
