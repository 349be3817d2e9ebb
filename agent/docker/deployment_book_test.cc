#include "agent/docker/deployment_book.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/testing/fake_clock.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using types::v1::DEPLOYMENT_STATUS_ERROR;
using types::v1::DEPLOYMENT_STATUS_HEALTHY;
using types::v1::DEPLOYMENT_STATUS_PROGRESSING;
using types::v1::DEPLOYMENT_STATUS_RUNNING;

class DeploymentBookTest : public testing::Test {
 protected:
  Container Make(std::string id, std::string project = "", std::string service = "") {
    Container c;
    c.id = id;
    c.name = project.empty() ? id : fmt::format("{}-{}-1", project, service);
    c.image = "shop/web:1.2";
    c.image_id = "sha256:1";
    c.labels.compose_project = std::move(project);
    c.labels.compose_service = std::move(service);
    c.config_hash = "config";
    c.state = ContainerState::kRunning;
    c.state_word = "running";
    c.created = clock_.Now();
    c.started = clock_.Now();
    return c;
  }
  void Put(Container c) { book_.Put(std::move(c), clock_.Read()); }
  Present Look() { return book_.Look(clock_.Read()); }
  v1::DeploymentState Only() {
    const Present present = Look();
    EXPECT_EQ(present.deployments.size(), 1u);
    return present.deployments.empty() ? v1::DeploymentState() : present.deployments.front();
  }
  std::vector<std::string> Keys() {
    std::vector<std::string> keys;
    for (const v1::DeploymentState& d : Look().deployments) keys.push_back(d.key());
    return keys;
  }
  void Event(EventAction action, const std::string& id, int exit_code = 0) {
    book_.OnEvent({.action = action, .container_id = id, .exit_code = exit_code, .time = clock_.Now()}, clock_.Read());
  }

  FakeClock clock_;
  DeploymentBook book_;
};

TEST_F(DeploymentBookTest, GroupsProjectsAndStandAloneContainers) {
  Put(Make("a1", "shop", "web"));
  Put(Make("a2", "shop", "db"));
  Put(Make("solo"));
  EXPECT_THAT(Keys(), ElementsAre("compose/shop", "container/solo"));
  const v1::DeploymentState shop = Look().deployments.front();
  EXPECT_EQ(shop.kind(), types::v1::DEPLOYMENT_KIND_COMPOSE_PROJECT);
  EXPECT_EQ(shop.status(), DEPLOYMENT_STATUS_RUNNING);
  EXPECT_EQ(shop.application(), "shop");
  EXPECT_EQ(shop.application_version(), "1.2");
  ASSERT_EQ(shop.resources_size(), 2);
  EXPECT_EQ(shop.resources(0).name(), "shop-db-1");
  EXPECT_EQ(shop.resources(1).id(), "a1");
  EXPECT_EQ(shop.resources(1).state(), "running");
}

TEST_F(DeploymentBookTest, OneOffContainersDoNotDisturbTheirProject) {
  Put(Make("a1", "shop", "web"));
  const std::string revision = Only().revision();
  Container oneoff = Make("a2", "shop", "web");
  oneoff.labels.compose_oneoff = true;
  oneoff.config_hash = "other";
  oneoff.state = ContainerState::kExited;
  oneoff.exit_code = 1;
  Put(oneoff);
  EXPECT_EQ(Only().status(), DEPLOYMENT_STATUS_RUNNING);
  EXPECT_EQ(Only().revision(), revision);
  book_.Remove("a1");
  EXPECT_EQ(Only().message(), "all containers are gone");
}

TEST_F(DeploymentBookTest, AllContainersGoneIsAnErrorUntilTheyReturn) {
  Put(Make("a1", "shop", "web"));
  const std::string revision = Only().revision();
  clock_.Advance(absl::Hours(1));
  book_.Remove("a1");
  v1::DeploymentState gone = Only();
  EXPECT_EQ(gone.status(), DEPLOYMENT_STATUS_ERROR);
  EXPECT_EQ(gone.message(), "all containers are gone");
  EXPECT_EQ(FromProto(gone.status_time()), clock_.Now());
  EXPECT_EQ(gone.application_version(), "1.2");
  EXPECT_EQ(gone.revision(), revision);
  EXPECT_THAT(gone.resources(), IsEmpty());
  clock_.Advance(absl::Hours(100));
  EXPECT_EQ(Only().message(), "all containers are gone");
  Put(Make("a2", "shop", "web"));
  EXPECT_EQ(Only().status(), DEPLOYMENT_STATUS_RUNNING);
  EXPECT_EQ(Only().revision(), revision);
}

TEST_F(DeploymentBookTest, AStandAloneContainerWhoseWorkIsDoneLeavesNoTrace) {
  Put(Make("job"));
  Only();
  Event(EventAction::kDie, "job", 0);
  book_.Remove("job");
  EXPECT_THAT(Keys(), IsEmpty());

  Put(Make("killed"));
  Only();
  Event(EventAction::kDie, "killed", 137);
  book_.Remove("killed");
  EXPECT_EQ(Only().message(), "all containers are gone");
}

TEST_F(DeploymentBookTest, AServiceThatShouldAlwaysRunIsMissedEvenAfterACleanExit) {
  Container c = Make("web");
  c.policy = RestartPolicy::kUnlessStopped;
  Put(c);
  Only();
  Event(EventAction::kDie, "web", 0);
  book_.Remove("web");
  EXPECT_EQ(Only().message(), "all containers are gone");
}

TEST_F(DeploymentBookTest, AutoRemovedContainersAppearWhenTheyStay) {
  Container c = Make("tool");
  c.auto_remove = true;
  Put(c);
  EXPECT_THAT(Keys(), IsEmpty());
  clock_.Advance(kMinAutoRemoveAge);
  EXPECT_THAT(Keys(), ElementsAre("container/tool"));
}

TEST_F(DeploymentBookTest, ARenamedContainerMovesWithoutAnError) {
  Put(Make("a1"));
  EXPECT_THAT(Keys(), ElementsAre("container/a1"));
  Container renamed = Make("a1");
  renamed.name = "new";
  Put(renamed);
  EXPECT_THAT(Keys(), ElementsAre("container/new"));
}

TEST_F(DeploymentBookTest, OfASwarmSlotTheNewestContainerCounts) {
  for (int i = 0; i < 3; ++i) {
    Container task = Make(fmt::format("t{}", i));
    task.labels.stack_namespace = "shop";
    task.labels.swarm_service = "shop_web";
    task.labels.swarm_task = fmt::format("shop_web.1.task{}", i);
    task.created += absl::Minutes(i);
    task.state = i == 2 ? ContainerState::kRunning : ContainerState::kExited;
    task.exit_code = i == 2 ? 0 : 143;
    Put(task);
  }
  EXPECT_EQ(Only().key(), "swarm/shop");
  EXPECT_EQ(Only().status(), DEPLOYMENT_STATUS_RUNNING);
}

TEST_F(DeploymentBookTest, RevisionSurvivesRestartsScalingAndIdenticalReplacement) {
  Put(Make("a1", "shop", "web"));
  Put(Make("b1", "shop", "db"));
  const std::string revision = Only().revision();
  EXPECT_EQ(revision.size(), 12u);

  Container restarted = Make("a1", "shop", "web");
  restarted.restart_count = 1;
  restarted.started += absl::Hours(1);
  Put(restarted);
  EXPECT_EQ(Only().revision(), revision) << "restart";

  Container second = Make("a2", "shop", "web");
  second.name = "shop-web-2";
  Put(second);
  EXPECT_EQ(Only().revision(), revision) << "scaled up";

  book_.Remove("a1");
  book_.Remove("a2");
  EXPECT_EQ(Only().revision(), revision) << "between the old and the new one";
  clock_.Advance(absl::Seconds(30));
  Put(Make("a3", "shop", "web"));
  EXPECT_EQ(Only().revision(), revision) << "replaced";
}

TEST_F(DeploymentBookTest, RevisionChangesWithImageConfigurationAndServices) {
  Put(Make("a1", "shop", "web"));
  Put(Make("b1", "shop", "db"));
  const std::string first = Only().revision();

  clock_.Advance(absl::Seconds(1));
  Container upgraded = Make("a2", "shop", "web");
  upgraded.image_id = "sha256:2";
  Put(upgraded);
  const std::string second = Only().revision();
  EXPECT_NE(second, first) << "another image; the newest container speaks";

  upgraded.labels.compose_config_hash = "changed";
  Put(upgraded);
  const std::string third = Only().revision();
  EXPECT_NE(third, second);

  book_.Remove("b1");
  EXPECT_EQ(Only().revision(), third);
  clock_.Advance(kRevisionGrace);
  EXPECT_NE(Only().revision(), third) << "the service was taken out";
}

TEST_F(DeploymentBookTest, AListRowDoesNotChangeRevisionPolicyOrRestarts) {
  Container c = Make("a1");
  c.policy = RestartPolicy::kAlways;
  c.restart_count = 2;
  Put(c);
  const v1::DeploymentState before = Only();
  Container row = Make("a1");
  row.partial = true;
  row.config_hash = "";
  row.state = ContainerState::kExited;
  Put(row);
  const v1::DeploymentState after = Only();
  EXPECT_EQ(after.revision(), before.revision());
  EXPECT_EQ(after.message(), "a1 was stopped (exited with code 0)");
  EXPECT_EQ(after.resources(0).restart_count(), 2);
}

TEST_F(DeploymentBookTest, StatusTimeIsWhenItTookEffectAndStays) {
  Container c = Make("a1");
  const absl::Time started = c.started;
  clock_.Advance(absl::Minutes(5));
  Put(c);
  EXPECT_EQ(FromProto(Only().status_time()), started) << "from the container";
  clock_.Advance(absl::Minutes(5));
  c.state = ContainerState::kExited;
  c.exit_code = 1;
  c.finished = clock_.Now() - absl::Seconds(2);
  Put(c);
  EXPECT_EQ(FromProto(Only().status_time()), c.finished);
  const absl::Time failed = c.finished;
  c.state = ContainerState::kDead;
  c.finished = clock_.Now();
  Put(c);
  EXPECT_EQ(FromProto(Only().status_time()), failed) << "still an error";
}

TEST_F(DeploymentBookTest, StatusTimeIsTheObservationWhereTheContainerTellsTooMuchOrNothing) {
  Container c = Make("a1");
  Put(c);
  Only();
  clock_.Advance(absl::Minutes(1));
  c.state = ContainerState::kPaused;
  Put(c);
  EXPECT_EQ(FromProto(Only().status_time()), clock_.Now());
  clock_.Advance(absl::Minutes(1));
  c.state = ContainerState::kRunning;
  Put(c);
  EXPECT_EQ(FromProto(Only().status_time()), clock_.Now()) << "not since its start: it was paused";
  Container future = Make("b1", "shop", "web");
  future.started = clock_.Now() + absl::Hours(1);
  Put(future);
  EXPECT_EQ(FromProto(Look().deployments.front().status_time()), clock_.Now()) << "never in the future";
}

TEST_F(DeploymentBookTest, ALoopIsAnErrorAndEndsByTimeAlone) {
  Container c = Make("a1");
  c.policy = RestartPolicy::kAlways;
  c.health = ContainerHealth::kHealthy;
  c.health_since = c.started;
  Put(c);
  c.restart_count = 3;
  c.started = clock_.Now();
  Put(c);
  EXPECT_EQ(Only().status(), DEPLOYMENT_STATUS_ERROR);
  clock_.Advance(kRestartWindow);
  EXPECT_EQ(Only().status(), DEPLOYMENT_STATUS_HEALTHY);
  EXPECT_EQ(FromProto(Only().status_time()), clock_.Now());
}

TEST_F(DeploymentBookTest, MoreDeploymentsThanTheLimitAreSortedCutAndCounted) {
  for (int i = 0; i < 700; ++i) Put(Make(fmt::format("c{:04}", i)));
  const Present present = Look();
  ASSERT_EQ(present.deployments.size(), kMaxDeploymentsPerTarget);
  EXPECT_EQ(present.omitted, 200);
  EXPECT_EQ(present.deployments.front().key(), "container/c0000");
  EXPECT_EQ(present.deployments.back().key(), "container/c0499");
}

TEST_F(DeploymentBookTest, GoneDeploymentsAreBoundedAndNeverCrowdOutLivingOnes) {
  for (int i = 0; i < 10'000; ++i) {
    const std::string id = fmt::format("c{:05}", i);
    Put(Make(id));
    Event(EventAction::kDie, id, 137);
    if (i % 100 == 0) Look();
    book_.Remove(id);
    if (i % 100 == 0) Look();
    clock_.Advance(absl::Milliseconds(1));
  }
  EXPECT_LE(Look().deployments.size(), kMaxGoneDeployments);
  for (int i = 0; i < 450; ++i) Put(Make(fmt::format("z{:04}", i)));
  const Present present = Look();
  EXPECT_EQ(present.omitted, 0);
  EXPECT_EQ(present.deployments.back().key(), "container/z0449");
}

TEST_F(DeploymentBookTest, ResourcesAndThePictureAreBounded) {
  const std::string long_text(240, 'n');
  for (int p = 0; p < 15; ++p) {
    for (int i = 0; i < 300; ++i) {
      Container c = Make(fmt::format("p{:02}c{:03}", p, i), fmt::format("project{:02}", p), fmt::format("s{:03}", i));
      c.image = long_text;
      c.image_id = long_text;
      c.name = fmt::format("{}{:02}{:03}", long_text.substr(10), p, i);
      Put(c);
    }
  }
  const Present present = Look();
  ASSERT_EQ(present.deployments.size(), 15u);
  std::size_t bytes = 0;
  for (const v1::DeploymentState& d : present.deployments) {
    bytes += d.ByteSizeLong();
    EXPECT_LE(d.resources_size(), kMaxResourcesPerDeployment);
    EXPECT_GT(d.resources_size(), 0);
  }
  EXPECT_LE(bytes, kMaxPictureBytes);
}

TEST_F(DeploymentBookTest, NamesTheContainersOfItsDeploymentsForTheirLogs) {
  Container web = Make("a1", "shop", "web");
  web.has_tty = true;
  web.log_driver = "local";
  Put(web);
  Container db = Make("a2", "shop", "db");
  db.state = ContainerState::kExited;
  Put(db);
  Container oneoff = Make("a3", "shop", "web");
  oneoff.labels.compose_oneoff = true;
  Put(oneoff);
  Container command = Make("a4");
  command.auto_remove = true;
  Put(command);
  Container row = Make("a5");
  row.partial = true;
  row.config_hash.clear();
  Put(row);
  Container paused = Make("solo");
  paused.state = ContainerState::kPaused;
  Put(paused);

  const auto containers = [this] {
    const Present present = Look();
    return book_.LogContainers(present, clock_.Read());
  };
  const LogContainer expected_web = {.id = "a1",
                                     .name = "shop-web-1",
                                     .deployment_key = "compose/shop",
                                     .revision = Look().deployments.front().revision(),
                                     .has_tty = true,
                                     .log_driver = "local",
                                     .created = clock_.Now(),
                                     .is_running = true};
  std::vector<LogContainer> all = containers();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0], expected_web);
  EXPECT_EQ(all[1].id, "a2");
  EXPECT_EQ(all[1].revision, expected_web.revision);
  EXPECT_FALSE(all[1].is_running) << "its last lines may not have been read";
  EXPECT_EQ(all[2].deployment_key, "container/solo");
  EXPECT_TRUE(all[2].is_running);

  // Only the list's row came this time: what the inspection said stays.
  web.partial = true;
  web.config_hash.clear();
  web.has_tty = false;
  web.log_driver.clear();
  Put(web);
  EXPECT_EQ(containers()[0], expected_web);

  clock_.Advance(kMinAutoRemoveAge);
  book_.Remove("a2");
  all = containers();
  ASSERT_EQ(all.size(), 3U) << "the one that ran long enough has become a deployment";
  EXPECT_EQ(all[1].id, "a4");
}

// A task that another one replaced is not in the picture any more, but its last lines are still there.
TEST_F(DeploymentBookTest, ReplacedTaskOfASwarmServiceIsStillNamedForItsLogs) {
  for (const std::string id : {"t1", "t2"}) {
    Container task = Make(id);
    task.labels.stack_namespace = "shop";
    task.labels.swarm_service = "shop_web";
    task.labels.swarm_task = "shop_web.1." + id;
    clock_.Advance(absl::Seconds(1));
    task.created = clock_.Now();
    Put(task);
  }
  const Present present = Look();
  EXPECT_EQ(present.deployments.at(0).resources_size(), 1);
  const std::vector<LogContainer> all = book_.LogContainers(present, clock_.Read());
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].deployment_key, all[1].deployment_key);
}

TEST_F(DeploymentBookTest, CensusCountsAllContainersWhateverTheyBelongTo) {
  EXPECT_EQ(book_.Census(), ContainerCensus());
  Container oneoff = Make("a1");
  oneoff.labels.compose_project = "shop";
  oneoff.labels.compose_oneoff = true;
  oneoff.restart_count = 2;
  Put(oneoff);
  Container unknown = Make("a2");
  unknown.state = ContainerState::kUnknown;
  Put(unknown);
  Container dead = Make("a3");
  dead.state = ContainerState::kDead;
  dead.restart_count = 3;
  Put(dead);
  EXPECT_EQ(book_.Census(), (ContainerCensus{.states = {{"dead", 1}, {"other", 1}, {"running", 1}}, .restarts = 5}));
  book_.Remove("a3");
  EXPECT_EQ(book_.Census(), (ContainerCensus{.states = {{"other", 1}, {"running", 1}}, .restarts = 2}));
}

}  // namespace
}  // namespace muster::agent
