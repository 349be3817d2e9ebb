#include "hub/metrics/scrape_desk.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "common/status.h"
#include "common/testing/fake_clock.h"

namespace muster::hub {
namespace {

// Lets the desk's thread go on by the test's word.
class Gate {
 public:
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void Enter() {
    std::unique_lock lock(mutex_);
    ++inside_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
  }
  void AwaitInside(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return inside_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  int inside_ = 0;
};

class ScrapeDeskTest : public testing::Test {
 protected:
  ScrapeDesk::Options MakeOptions() {
    return {.make =
                [this](const PageKey& key) {
                  const int number = ++made_;
                  if (gate_ != nullptr) gate_->Enter();
                  return std::string(key.gzip ? "z" : "p") + std::to_string(number);
                },
            .version = [this] { return version_.load(); },
            .clock = &clock_};
  }
  // Waits for the answer.
  std::string Ask(ScrapeDesk& desk, const PageKey& key = {}) {
    std::mutex mutex;
    std::condition_variable answered;
    std::string text;
    bool done = false;
    desk.Ask(key, [&](const absl::StatusOr<ScrapeDesk::Page>& page) {
      const std::lock_guard lock(mutex);
      text = page.ok() ? **page : ReasonOf(page.status());
      done = true;
      answered.notify_all();
    });
    std::unique_lock lock(mutex);
    answered.wait(lock, [&] { return done; });
    return text;
  }

  FakeClock clock_;
  Gate* gate_ = nullptr;
  std::atomic<int> made_{0};
  std::atomic<std::int64_t> version_{1};
};

TEST_F(ScrapeDeskTest, APageIsSharedForASecondWhileNothingChanges) {
  ScrapeDesk desk(MakeOptions());
  EXPECT_EQ(Ask(desk), "p1");
  EXPECT_EQ(Ask(desk), "p1");
  EXPECT_EQ(Ask(desk, {.gzip = true}), "z2") << "another page";
  ++version_;
  EXPECT_EQ(Ask(desk), "p3") << "something is gone";
  clock_.Advance(ScrapeDesk::kShared);
  EXPECT_EQ(Ask(desk), "p4") << "too old";
}

TEST_F(ScrapeDeskTest, WhoAsksWhileAPageIsMadeGetsTheNextOneTogether) {
  Gate gate;
  gate_ = &gate;
  std::mutex mutex;
  std::vector<std::string> answers;
  {
    ScrapeDesk desk(MakeOptions());
    const auto ask = [&] {
      desk.Ask({}, [&](const absl::StatusOr<ScrapeDesk::Page>& page) {
        const std::lock_guard lock(mutex);
        answers.push_back(**page);
      });
    };
    ask();
    gate.AwaitInside(1);
    ++version_;  // what the first looks at is not what these may see
    for (int i = 0; i < 20; ++i) ask();
    gate.Open();
  }
  ASSERT_EQ(answers.size(), 21u);
  EXPECT_EQ(answers[0], "p1");
  for (std::size_t i = 1; i < answers.size(); ++i) EXPECT_EQ(answers[i], "p2");
}

TEST_F(ScrapeDeskTest, TooManyDifferentPagesAtOnceAreRefused) {
  Gate gate;
  gate_ = &gate;
  std::atomic<int> refused{0};
  std::atomic<int> answered{0};
  {
    ScrapeDesk desk(MakeOptions());
    for (unsigned i = 0; i < 1 + ScrapeDesk::kMaxWaiting + 5; ++i) {
      desk.Ask({.groups = i}, [&](const absl::StatusOr<ScrapeDesk::Page>& page) {
        ++(page.ok() ? answered : refused);
        EXPECT_TRUE(page.ok() || ReasonOf(page.status()) == "SCRAPES_BUSY");
      });
      if (i == 0) gate.AwaitInside(1);
    }
    EXPECT_EQ(refused.load(), 5);
    gate.Open();
  }
  EXPECT_EQ(answered.load(), 1 + static_cast<int>(ScrapeDesk::kMaxWaiting));
}

TEST_F(ScrapeDeskTest, OldPagesAreForgotten) {
  ScrapeDesk desk(MakeOptions());
  std::weak_ptr<const std::string> page;
  Ask(desk);
  Ask(desk, {.gzip = true});  // the thread is done with the first
  desk.Ask({}, [&](const absl::StatusOr<ScrapeDesk::Page>& shared) { page = *shared; });
  desk.Tick();
  EXPECT_FALSE(page.expired());
  clock_.Advance(ScrapeDesk::kShared);
  desk.Tick();
  EXPECT_TRUE(page.expired());
}

TEST_F(ScrapeDeskTest, PagesThatSlowReadersHoldAreBounded) {
  ScrapeDesk::Options options = MakeOptions();
  // 65 MiB that are never touched.
  options.make = [](const PageKey&) {
    std::string text;
    text.reserve(std::size_t{65} << 20);
    return text;
  };
  ScrapeDesk desk(options);
  std::vector<ScrapeDesk::Page> held;
  std::string refused;
  for (int i = 0; i < 9; ++i) {
    ++version_;
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
    desk.Ask({}, [&](const absl::StatusOr<ScrapeDesk::Page>& page) {
      const std::lock_guard lock(mutex);
      if (page.ok())
        held.push_back(*page);
      else
        refused = ReasonOf(page.status());
      done = true;
      changed.notify_all();
    });
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return done; });
  }
  EXPECT_EQ(held.size(), 8u);
  EXPECT_EQ(refused, "SCRAPES_BUSY");
  held.clear();
  ++version_;
  EXPECT_EQ(Ask(desk), "") << "room again";
}

}  // namespace
}  // namespace muster::hub
