#include "agent/host/life_sign.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <optional>
#include <vector>

#include "common/files.h"
#include "common/status.h"
#include "common/testing/fake_clock.h"
#include "common/testing/temp_dir.h"

namespace muster::agent {
namespace {

// This process may write no byte into a file while it lives, as on a full or read-only disk.
class NothingCanBeWritten {
 public:
  NothingCanBeWritten() : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    EXPECT_EQ(getrlimit(RLIMIT_FSIZE, &before_), 0);
    const rlimit none{.rlim_cur = 0, .rlim_max = before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
  }
  ~NothingCanBeWritten() {
    setrlimit(RLIMIT_FSIZE, &before_);
    static_cast<void>(std::signal(SIGXFSZ, handler_));
  }
  NothingCanBeWritten(const NothingCanBeWritten&) = delete;
  NothingCanBeWritten& operator=(const NothingCanBeWritten&) = delete;

 private:
  const sighandler_t handler_;
  rlimit before_{};
};

class LifeSignTest : public testing::Test {
 protected:
  bool IsAliveNow() const {
    const auto life = ObserveLife(path_);
    return life.ok() && IsAlive(*life, clock_.Monotonic());
  }

  const TempDir temp_;
  const std::string path_ = temp_.path() + "/data";
  FakeClock clock_;
};

TEST(IsAlive, ByTheLastTurn) {
  const Instant now = Instant::FromDuration(absl::Hours(1));
  const struct {
    const char* what;
    ObservedLife life;
    bool alive;
  } cases[] = {
      {"nobody runs", {.agent_running = false}, false},
      {"one runs and has shown nothing", {.agent_running = true}, false},
      {"it turned just now", {.agent_running = true, .turned = now}, true},
      {"long ago, within the limit", {.agent_running = true, .turned = now - kAliveWithin}, true},
      {"too long ago", {.agent_running = true, .turned = now - kAliveWithin - absl::Milliseconds(1)}, false},
      {"days ago", {.agent_running = true, .turned = now - absl::Hours(50)}, false},
      {"later than now: its clock has another origin", {.agent_running = true, .turned = now + absl::Hours(1)}, true},
  };
  for (const auto& c : cases) EXPECT_EQ(IsAlive(c.life, now), c.alive) << c.what;
}

TEST_F(LifeSignTest, LastsAsLongAsTheLoopTurns) {
  const auto dir = DataDir::Open(path_);
  ASSERT_TRUE(dir.ok());
  EXPECT_TRUE(ObserveLife(path_)->agent_running);
  EXPECT_FALSE(ObserveLife(path_)->turned.has_value());
  LifeSign sign(&*dir, &clock_);
  EXPECT_TRUE(IsAliveNow()) << "it has just begun";

  const struct {
    const char* what;
    absl::Duration step;  // between two turns
    int turns;
    absl::Duration silence;  // after the last one
    bool alive;
  } cases[] = {
      {"idle", absl::Seconds(1), 100, absl::Seconds(1), true},
      {"busy", absl::Milliseconds(10), 1000, absl::Seconds(1), true},
      {"a slow disk", absl::Seconds(29), 5, absl::Seconds(29), true},
      {"stuck", absl::Seconds(1), 3, absl::Seconds(32), false},
      {"back again", absl::Seconds(1), 1, absl::ZeroDuration(), true},
      {"for months", absl::Hours(24), 100, absl::ZeroDuration(), true},
      {"then stuck for a day", absl::Seconds(1), 1, absl::Hours(24), false},
  };
  for (const auto& c : cases) {
    for (int i = 0; i < c.turns; ++i) {
      clock_.Advance(c.step);
      sign.Turn();
    }
    clock_.Advance(c.silence);
    EXPECT_EQ(IsAliveNow(), c.alive) << c.what;
  }
}

TEST_F(LifeSignTest, IsShownOnceASecond) {
  const auto dir = DataDir::Open(path_);
  LifeSign sign(&*dir, &clock_);
  const Instant first = clock_.Monotonic();
  clock_.Advance(absl::Milliseconds(999));
  sign.Turn();
  EXPECT_EQ(ObserveLife(path_)->turned, first);
  clock_.Advance(absl::Milliseconds(1));
  sign.Turn();
  EXPECT_EQ(ObserveLife(path_)->turned, first + absl::Seconds(1));
}

TEST_F(LifeSignTest, KnowsNoWallClock) {
  const auto dir = DataDir::Open(path_);
  LifeSign sign(&*dir, &clock_);
  for (const absl::Duration step : {absl::Hours(1000), -absl::Hours(5000)}) {
    clock_.StepWall(step);
    EXPECT_TRUE(IsAliveNow()) << step;
  }
}

TEST_F(LifeSignTest, EndsWithTheAgent) {
  EXPECT_EQ(ReasonOf(ObserveLife(path_).status()), "NO_AGENT_STATE");
  {
    const auto dir = DataDir::Open(path_);
    const LifeSign sign(&*dir, &clock_);
    EXPECT_TRUE(IsAliveNow());
    EXPECT_EQ(ReasonOf(DataDir::Open(path_).status()), "DATA_DIR_IN_USE") << "it is the same lock";
  }
  EXPECT_FALSE(ObserveLife(path_)->agent_running);
  EXPECT_FALSE(ObserveLife(path_)->turned.has_value());
  const auto next = DataDir::Open(path_);
  ASSERT_TRUE(next.ok());
  EXPECT_FALSE(ObserveLife(path_)->turned.has_value()) << "a former agent's sign is not the next one's";
}

TEST_F(LifeSignTest, NeedsNoByteOnTheDisk) {
  const auto dir = DataDir::Open(path_);
  LifeSign sign(&*dir, &clock_);
  {
    const NothingCanBeWritten full;
    EXPECT_FALSE(dir->SaveState({}).ok());
    clock_.Advance(absl::Minutes(5));
    EXPECT_FALSE(IsAliveNow());
    sign.Turn();
    EXPECT_TRUE(IsAliveNow());
  }
  EXPECT_EQ(std::filesystem::file_size(path_ + "/lock"), 0u);
  EXPECT_FALSE(std::filesystem::exists(path_ + "/state.json"));
}

}  // namespace
}  // namespace muster::agent
