// Kubernetes: a log's path shows whichever run of a container is there (docs/kubernetes.md, "Logs").
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/logs/collector_loop.h"
#include "agent/logs/testing/loop_fixture.h"

namespace muster::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

constexpr char kPath[] = "/api/v1/namespaces/shop/pods/web-0/log?container=web";
constexpr char kPrevious[] = "/api/v1/namespaces/shop/pods/web-0/log?container=web&previous=true";
constexpr char kName[] = "web/web-0/web";
// More than it takes until a list that is new counts as such.
const absl::Duration kListed = kRunSeen + absl::Seconds(1);

class CollectorRunsTest : public LoopTest {
 protected:
  CollectorRunsTest() {
    for (const char* run : {"run-0", "run-1", "run-2"}) {
      engine_.Add(run, false);
      created_[run] = clock_.Now();
    }
  }

  // The next run begins. What the paths show is so at once; the observer sees it when it looks.
  void Runs(const std::string& present, const std::string& previous = "") {
    if (!previous.empty()) engine_.Stop(previous);
    engine_.Show(kPath, present);
    engine_.Show(kPrevious, previous);
  }
  // The observer looks.
  void See(const std::string& present, const std::string& previous = "") {
    containers_.clear();
    if (!previous.empty()) containers_.push_back(Run(previous, kPrevious, false));
    containers_.push_back(Run(present, kPath, true));
    if (loop_ != nullptr) loop_->SetContainers(containers_);
  }
  LogContainer Run(const std::string& id, const std::string& path, bool is_running) {
    return {.id = id,
            .name = kName,
            .deployment_key = "deployment/shop/web",
            .revision = "1",
            .has_tty = true,
            .log_driver = "kubernetes",
            .created = created_[id],
            .is_running = is_running,
            .log_path = path};
  }
  std::vector<std::string> Told() { return Texts(kName); }

  std::map<std::string, absl::Time> created_;
};

TEST_F(CollectorRunsTest, EachRunIsToldOnceWhenTheObserverSeesTheNextOne) {
  Runs("run-0");
  See("run-0");
  Write("run-0", "a");
  StartAgent();
  EXPECT_THAT(Told(), ElementsAre("a"));
  Write("run-0", "b");
  Runs("run-1", "run-0");
  Write("run-1", "c");
  Pass(absl::Seconds(5));
  See("run-1", "run-0");
  Pass(absl::Minutes(3));
  EXPECT_THAT(Told(), UnorderedElementsAre("a", "b", "c"));
}

TEST_F(CollectorRunsTest, AnObserverThatCannotLookForLongDoesNotMakeTheNextRunsLinesThoseOfTheOneBefore) {
  Runs("run-0");
  See("run-0");
  Write("run-0", "a");
  StartAgent();
  EXPECT_THAT(Told(), ElementsAre("a"));
  engine_.CutAll();
  Write("run-0", "b");
  Runs("run-1", "run-0");
  Write("run-1", "c");
  Pass(absl::Minutes(3));
  EXPECT_THAT(Told(), ElementsAre("a")) << "whose lines are there is not known";
  See("run-1", "run-0");
  EXPECT_THAT(Told(), UnorderedElementsAre("a", "b", "c"));
  Pass(absl::Minutes(3));
  EXPECT_THAT(Told(), UnorderedElementsAre("a", "b", "c"));
}

TEST_F(CollectorRunsTest, ALogThatWasRotatedIsToldOnceTheObserverSaysThatItIsThatRuns) {
  Runs("run-0");
  See("run-0");
  Write("run-0", "a");
  StartAgent();
  EXPECT_THAT(Told(), ElementsAre("a"));
  engine_.CutAll();
  clock_.Advance(absl::Seconds(2));
  Write("run-0", "b");
  Write("run-0", "c");
  engine_.Rotate("run-0", 1);
  Pass(kListed);
  EXPECT_THAT(Told(), ElementsAre("a"));
  See("run-0");
  EXPECT_THAT(Told(), ElementsAre("a", "<ROTATED 0>", "c"));
}

}  // namespace
}  // namespace muster::agent
