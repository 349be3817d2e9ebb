#include "hub/store/history_reads.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "hub/store/testing/fact_rows.h"

namespace muster::hub {
namespace {

using namespace types::v1;  // NOLINT(google-build-using-namespace): this file is about these words
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const HistorySubject kTarget{.target_id = "tgt_1", .deployment_id = "", .created = At(0), .ended = {}};
const HistorySubject kShop{.target_id = "tgt_1", .deployment_id = "dep_1", .created = At(0), .ended = {}};

// "10-20 2 reason": the number is the state's or the status's.
template <typename Period>
std::string Text(const Period& p) {
  const auto second = [](absl::Time t) {
    return t == absl::InfiniteFuture() ? "..." : std::to_string(absl::ToInt64Seconds(t - At(0)));
  };
  if constexpr (std::is_same_v<Period, TargetPeriod>) {
    return fmt::format("{}-{} {} {}", second(p.from), second(p.to), static_cast<int>(p.state), p.reason);
  } else {
    return fmt::format("{}-{} {} {}", second(p.from), second(p.to), static_cast<int>(p.status), p.message);
  }
}
template <typename Period>
std::vector<std::string> Texts(const std::vector<Period>& periods) {
  std::vector<std::string> texts;
  for (const Period& period : periods) texts.push_back(Text(period));
  return texts;
}

// ---- one history

// Ten intervals of the target, each 10 s long, [100,110) ... [180,190) and [190, ...); the deployment changes with
// them.
class PagesTest : public ::testing::Test {
 protected:
  PagesTest() {
    facts_.Target("tgt_1", "one");
    facts_.Deployment("dep_1", "tgt_1", "shop");
    for (int i = 0; i < 10; ++i) {
      const int from = 100 + i * 10;
      facts_.Interval("tgt_1", i % 2 == 0 ? TARGET_STATE_CONNECTED : TARGET_STATE_STALE, from,
                      i < 9 ? std::optional(from + 10) : std::nullopt);
      facts_.Change("dep_1", i % 2 == 0 ? DEPLOYMENT_STATUS_RUNNING : DEPLOYMENT_STATUS_ERROR, from);
    }
  }

  // The beginnings, of the target and of the deployment alike.
  std::vector<int> Starts(const HistoryWindow& window, bool* more = nullptr) {
    const auto target = facts_.Reader().ReadTarget(kTarget, window);
    const auto deployment = facts_.Reader().ReadDeployment(kShop, window);
    EXPECT_TRUE(target.ok() && deployment.ok()) << target.status() << deployment.status();
    std::vector<int> starts;
    for (const auto& p : target->periods) starts.push_back(static_cast<int>(absl::ToInt64Seconds(p.from - At(0))));
    std::vector<int> others;
    for (const auto& p : deployment->periods) others.push_back(static_cast<int>(absl::ToInt64Seconds(p.from - At(0))));
    EXPECT_EQ(starts, others);
    EXPECT_EQ(target->more, deployment->more);
    if (more != nullptr) *more = target->more;
    return starts;
  }

  FactRows facts_;
};

TEST_F(PagesTest, WithoutLimitsIsWholeAndNewestFirst) {
  EXPECT_THAT(Starts({}), ElementsAre(190, 180, 170, 160, 150, 140, 130, 120, 110, 100));
}

TEST_F(PagesTest, WindowCutsWhatOverlapsIt) {
  EXPECT_THAT(Starts({.from = At(125), .to = At(145)}), ElementsAre(140, 130, 125));
  EXPECT_THAT(Starts({.from = At(130), .to = At(140)}), ElementsAre(130)) << "half open: ends touch, nothing overlaps";
  EXPECT_THAT(Starts({.from = At(130), .to = At(140) + absl::Microseconds(1)}), ElementsAre(140, 130));
  EXPECT_THAT(Starts({.from = At(130), .to = At(140) + absl::Nanoseconds(999)}), ElementsAre(130))
      << "nothing is shorter than a microsecond";
  EXPECT_THAT(Starts({.from = At(1000), .to = At(2000)}), ElementsAre(1000)) << "the open one goes on";
  EXPECT_THAT(Starts({.from = At(-100), .to = At(100)}), IsEmpty());
}

TEST_F(PagesTest, LoseAndRepeatNothing) {
  // A presence a second makes many facts that change little.
  for (int i = 0; i < 90; ++i) facts_.Presence("tgt_1", 100 + i, 101 + i, false);
  for (int size = 1; size <= 11; ++size) {
    std::vector<int> all;
    HistoryWindow window{.from = At(115), .to = At(195), .limit = size};
    bool more = true;
    while (more) {
      const std::vector<int> page = Starts(window, &more);
      all.insert(all.end(), page.begin(), page.end());
      EXPECT_TRUE(!more || page.size() == static_cast<std::size_t>(size));
      if (!page.empty()) window.before = At(page.back());
    }
    EXPECT_THAT(all, ElementsAre(190, 180, 170, 160, 150, 140, 130, 120, 115)) << size;
  }
}

TEST_F(PagesTest, OfSomethingUnknownAreEmpty) {
  const HistorySubject nobody{.target_id = "tgt_9", .deployment_id = "dep_9", .created = At(0), .ended = {}};
  EXPECT_THAT(facts_.Reader().ReadTarget(nobody, {})->periods, IsEmpty());
  EXPECT_THAT(facts_.Reader().ReadDeployment(nobody, {})->periods, IsEmpty());
}

TEST(HistoryReader, ComposesFromAllFacts) {
  FactRows facts;
  facts.Target("tgt_1", "one");
  facts.Deployment("dep_1", "tgt_1", "shop");
  facts.HubRun(-5000, -3000, -3000);
  facts.HubRun(-2000, -1005);  // killed: taken to have run until -1000
  facts.Interval("tgt_1", TARGET_STATE_CONNECTED, -4000, {}, "live");
  facts.Presence("tgt_1", -3005, -2600);
  facts.Silence("tgt_1", -1500, -1400);
  facts.Change("dep_1", DEPLOYMENT_STATUS_RUNNING, -3900, "up", -3901);
  facts.Change("dep_1", DEPLOYMENT_STATUS_ERROR, -2700, "exited", -2702);
  const auto target = facts.Reader().ReadTarget(kTarget, {});
  ASSERT_TRUE(target.ok()) << target.status();
  EXPECT_THAT(Texts(target->periods),
              ElementsAre("60-... 2 live", "-1000-60 4 the hub was not running", "-1940--1000 2 live",
                          "-2600--1940 4 the hub was not running",
                          "-3000--2600 2 the hub was not running; the agent was", "-4000--3000 2 live"));
  const auto shop = facts.Reader().ReadDeployment(kShop, {});
  ASSERT_TRUE(shop.ok()) << shop.status();
  EXPECT_THAT(Texts(shop->periods),
              ElementsAre("60-... 3 exited", "-1000-60 7 the hub was not running", "-1400--1000 3 exited",
                          "-1500--1400 2 not reported", "-1940--1500 3 exited", "-2600--1940 7 the hub was not running",
                          "-2700--2600 3 exited", "-3900--2700 5 up"));
  EXPECT_EQ(shop->periods[6].agent_time, At(-2702));
  EXPECT_EQ(shop->periods[0].agent_time, std::nullopt);
  EXPECT_EQ(shop->periods[7].application_version, "1.0");
  EXPECT_EQ(shop->periods[7].revision, "r1");
}

TEST(HistoryReader, EndsWithWhatWasArchivedOrDeleted) {
  FactRows facts;
  facts.Target("tgt_1", "one");
  facts.Interval("tgt_1", TARGET_STATE_CONNECTED, 0);
  facts.Deployment("dep_1", "tgt_1", "shop", 500);
  facts.Change("dep_1", DEPLOYMENT_STATUS_RUNNING, 100);
  HistorySubject shop = kShop;
  shop.ended = At(500);
  EXPECT_THAT(Texts(facts.Reader().ReadDeployment(shop, {})->periods), ElementsAre("100-500 5 "));
  EXPECT_THAT(facts.Reader().ReadDeployment(shop, {.from = At(500)})->periods, IsEmpty());
}

// However a history is cut into pages and whatever is read for each, it is the history composed from all facts at once.
TEST(HistoryReader, PagesSayWhatTheWholeSays) {
  constexpr unsigned kSeed = 4711;
  std::mt19937 random(kSeed);
  const auto below = [&](int bound) { return std::uniform_int_distribution<int>(0, bound - 1)(random); };
  for (int round = 0; round < 30; ++round) {
    SCOPED_TRACE(fmt::format("seed {} round {}", kSeed, round));
    FactRows facts;
    facts.Target("tgt_1", "one");
    facts.Deployment("dep_1", "tgt_1", "shop");
    for (int t = -9000; t < -100;) {
      const int to = t + 1 + below(900);
      facts.HubRun(t, to, below(2) == 0 ? std::optional(to) : std::nullopt);
      t = to + 1 + below(200);
    }
    for (int t = -8000; t < 500;) {
      const int to = t + 1 + below(300);
      facts.Presence("tgt_1", t, to, below(3) > 0);
      t = to + below(400);
    }
    for (int t = -8000; t < 500;) {
      const int to = t + 1 + below(400);
      facts.Interval("tgt_1", static_cast<TargetState>(1 + below(3)), t, to);
      t = to;
    }
    for (int t = -8000; t < 500; t += 301 + below(900)) facts.Silence("tgt_1", t, t + 1 + below(300));
    for (int t = -8000; t < 500; t += 1 + below(200)) {
      facts.Change("dep_1", below(5) == 0 ? DEPLOYMENT_STATUS_UNSPECIFIED : DEPLOYMENT_STATUS_RUNNING, t,
                   below(3) == 0 ? "a" : "b");
    }
    const HistoryWindow all{.limit = 100'000};
    const auto target = facts.Reader().ReadTarget(kTarget, all);
    const auto shop = facts.Reader().ReadDeployment(kShop, all);
    ASSERT_TRUE(target.ok() && shop.ok()) << target.status() << shop.status();
    ASSERT_GT(target->periods.size(), 10U);
    for (const int size : {1, 2, 7}) {
      std::vector<std::string> targets;
      std::vector<std::string> shops;
      HistoryWindow window{.limit = size};
      for (bool more = true; more;) {
        const auto page = facts.Reader().ReadTarget(kTarget, window);
        ASSERT_TRUE(page.ok()) << page.status();
        for (const auto& p : page->periods) targets.push_back(Text(p));
        if ((more = page->more)) window.before = page->periods.back().from;
      }
      window = {.limit = size};
      for (bool more = true; more;) {
        const auto page = facts.Reader().ReadDeployment(kShop, window);
        ASSERT_TRUE(page.ok()) << page.status();
        for (const auto& p : page->periods) shops.push_back(Text(p));
        if ((more = page->more)) window.before = page->periods.back().from;
      }
      EXPECT_EQ(targets, Texts(target->periods)) << size;
      EXPECT_EQ(shops, Texts(shop->periods)) << size;
    }
    // And at any moment the fleet is what the history says of that moment.
    for (int i = 0; i < 20; ++i) {
      const absl::Time at = At(-8200 + below(9000));
      const auto fleet = facts.Reader().ReadFleetAt(at, "");
      ASSERT_TRUE(fleet.ok()) << fleet.status();
      const auto target_then = facts.Reader().ReadTarget(kTarget, {.from = at, .to = at + absl::Microseconds(1)});
      const auto shop_then = facts.Reader().ReadDeployment(kShop, {.from = at, .to = at + absl::Microseconds(1)});
      ASSERT_EQ(fleet->targets.size(), target_then->periods.size());
      if (!fleet->targets.empty()) {
        EXPECT_EQ(fleet->targets[0].period.state, target_then->periods[0].state);
        EXPECT_EQ(fleet->targets[0].period.reason, target_then->periods[0].reason);
      } else {
        EXPECT_THAT(fleet->deployments, IsEmpty());
        continue;
      }
      ASSERT_EQ(fleet->deployments.size(), shop_then->periods.size());
      if (fleet->deployments.empty()) continue;
      EXPECT_EQ(fleet->deployments[0].period.status, shop_then->periods[0].status);
      EXPECT_EQ(fleet->deployments[0].period.message, shop_then->periods[0].message);
    }
  }
}

// ---- gaps

TEST_F(PagesTest, TellEachGapOnceBesideTheTimeItIsIn) {
  facts_.Target("tgt_2", "two");
  facts_.Gap("tgt_1", 1, 10, 90, 95);     // before everything
  facts_.Gap("tgt_1", 11, 11, 105, 125);  // begins before the window below
  facts_.Gap("tgt_1", 12, 20, 150, 150);  // a moment, where one interval follows another
  facts_.Gap("tgt_1", 21, 22, 192, 193);
  facts_.Gap("tgt_1", 23, 24, 160, 170, agent::v1::LANE_LOGS);
  facts_.Gap("tgt_2", 1, 2, 160, 170);
  for (const int size : {1, 2, 3, 4, 100}) {
    std::vector<std::int64_t> records;
    HistoryWindow window{.from = At(115), .to = At(195), .limit = size};
    for (bool more = true; more;) {
      const auto page = facts_.Reader().ReadDeployment(kShop, window);
      ASSERT_TRUE(page.ok()) << page.status();
      for (const LostRecords& gap : page->gaps) {
        records.push_back(gap.records);
        EXPECT_GE(gap.to, page->periods.back().from) << "in the time of its page";
        EXPECT_EQ(gap.reason, agent::v1::GAP_REASON_JOURNAL_FULL);
      }
      if ((more = page->more)) window.before = page->periods.back().from;
    }
    EXPECT_THAT(records, ElementsAre(2, 9, 1)) << size;
  }
  EXPECT_EQ(facts_.Reader().ReadTarget(kTarget, {})->gaps.size(), 4U);
}

// ---- subjects

TEST(HistoryReader, FindsWhatIsGone) {
  FactRows facts;
  facts.Target("tgt_1", "web", "ACME", 100);
  facts.Target("tgt_2", "web", "ACME", 200);
  facts.Target("tgt_3", "shop-host", "Globex");
  facts.Deployment("dep_1", "tgt_1", "shop");
  facts.Deployment("dep_2", "tgt_2", "shop", 150);
  facts.Deployment("dep_3", "tgt_3", "a/b", 300);
  facts.Change("dep_3", DEPLOYMENT_STATUS_RUNNING, 5);
  HistoryReader reader = facts.Reader();
  const auto target = [&](const std::string& reference, const std::string& customer = "") {
    const auto found = reader.FindTarget(reference, customer);
    EXPECT_TRUE(found.ok()) << found.status();
    return *found ? (*found)->target_id : "";
  };
  EXPECT_EQ(target("tgt_1"), "tgt_1");
  EXPECT_EQ(target("web"), "tgt_2") << "the last to go";
  EXPECT_EQ(target("web", "Globex"), "");
  EXPECT_EQ(target("tgt_1", "Globex"), "");
  EXPECT_EQ(target("tgt_1", "ACME"), "tgt_1");
  EXPECT_EQ(target("nobody"), "");
  facts.Target("tgt_4", "web", "ACME");
  EXPECT_EQ(target("web"), "tgt_4") << "what is there comes first";

  const auto deployment = [&](const std::string& reference, const std::string& customer = "") {
    const auto found = reader.FindDeployment(reference, customer);
    EXPECT_TRUE(found.ok()) << found.status();
    return *found ? (*found)->deployment_id : "";
  };
  EXPECT_EQ(deployment("dep_1"), "dep_1");
  EXPECT_EQ(deployment("dep_1", "Globex"), "");
  EXPECT_EQ(deployment("web/shop"), "dep_2");
  EXPECT_EQ(deployment("web/shop", "Globex"), "");
  EXPECT_EQ(deployment("web/other"), "");
  EXPECT_EQ(deployment("shop-host/a/b"), "dep_3") << "a deployment's name may have a slash, a target's not";
  EXPECT_EQ(deployment("shop"), "");
  const HistorySubject gone = **reader.FindDeployment("dep_2", "");
  EXPECT_EQ(gone.ended, At(150));
  EXPECT_EQ(gone.created, At(10));
  EXPECT_EQ((**reader.FindDeployment("dep_1", "")).ended, At(100)) << "with its target";
  EXPECT_EQ((**reader.FindDeployment("dep_3", "")).created, At(5)) << "told of later than it began";
}

// ---- availability

TEST_F(PagesTest, AvailabilityAddsUpAllPages) {
  const auto target = facts_.Reader().ReadAvailability(kTarget, {.from = At(90), .to = At(200)});
  ASSERT_TRUE(target.ok()) << target.status();
  EXPECT_EQ(target->available(), absl::Seconds(50));
  EXPECT_EQ(target->unavailable(), absl::Seconds(50));
  EXPECT_EQ(target->unknown(), absl::Seconds(10));
  for (int i = 0; i < 2500; ++i) {
    facts_.Change("dep_1", i % 4 == 0 ? DEPLOYMENT_STATUS_ERROR : DEPLOYMENT_STATUS_HEALTHY, 1000 + i,
                  std::to_string(i));
  }
  const auto shop = facts_.Reader().ReadAvailability(kShop, {.from = At(1000), .to = At(3500)});
  ASSERT_TRUE(shop.ok()) << shop.status();
  EXPECT_EQ(shop->available(), absl::Seconds(1875));
  EXPECT_EQ(shop->unavailable(), absl::Seconds(625));
  EXPECT_DOUBLE_EQ(shop->Ratio().value(), 0.75);
}

}  // namespace
}  // namespace muster::hub
