#include "agent/docker/observer_loop.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/status.h"
#include "common/testing/fake_clock.h"

namespace muster::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using types::v1::DEPLOYMENT_STATUS_ERROR;
using types::v1::DEPLOYMENT_STATUS_HEALTHY;
using types::v1::DEPLOYMENT_STATUS_RUNNING;

// An engine that does what the test says. Waiting in the stream moves the clock instead of sleeping.
class FakeEngine : public HttpClient {
 public:
  struct FakeContainer {
    std::string name = {};
    std::string state = "running";
    std::string health = {};
    int exit_code = 0;
    int restart_count = 0;
    std::string policy = "no";
  };

  explicit FakeEngine(FakeClock* clock) : clock_(clock) {}

  absl::StatusOr<HttpResponse> Get(const HttpGet& request) override {
    ++gets[request.target];
    if (!down.ok()) return down;
    if (const auto it = answers.find(request.target); it != answers.end()) return it->second;
    if (request.target == "/_ping") return HttpResponse{.code = 200, .body = "OK"};
    if (request.target == "/containers/json?all=1") return HttpResponse{.code = 200, .body = ListBody()};
    for (const auto& [id, c] : containers) {
      if (request.target == fmt::format("/containers/{}/json", id)) {
        ++inspects;
        return HttpResponse{.code = 200, .body = InspectBody(id, c)};
      }
    }
    ++inspects;
    return HttpResponse{.code = 404, .body = R"({"message":"No such container"})"};
  }

  absl::StatusOr<std::unique_ptr<HttpStream>> OpenStream(const HttpGet& request) override {
    ++streams_opened;
    EXPECT_THAT(request.target, HasSubstr("/events?filters="));
    if (!down.ok()) return down;
    to_send.clear();
    stream_end = absl::OkStatus();
    return std::make_unique<Stream>(this);
  }
  void Cancel() override {}

  void Send(std::string_view action, std::string_view id, int exit_code = 0) {
    to_send +=
        fmt::format(R"({{"Type":"container","Action":"{}","Actor":{{"ID":"{}","Attributes":{{"exitCode":"{}"}}}}}})",
                    action, id, exit_code);
    to_send += '\n';
  }

  std::map<std::string, FakeContainer> containers;
  // Whole answers instead of those made from `containers`.
  std::map<std::string, absl::StatusOr<HttpResponse>> answers;
  absl::Status down;
  std::string to_send;
  absl::Status stream_end;
  std::map<std::string, int> gets;
  int inspects = 0;
  // Time does not pass beyond it.
  Instant horizon = Instant::FromDuration(absl::InfiniteDuration());
  int streams_opened = 0;

 private:
  class Stream : public HttpStream {
   public:
    explicit Stream(FakeEngine* engine) : engine_(engine) {}
    absl::StatusOr<std::string> Read(absl::Duration wait) override {
      if (!engine_->to_send.empty()) return std::exchange(engine_->to_send, {});
      if (!engine_->stream_end.ok()) return engine_->stream_end;
      engine_->clock_->Advance(std::min(wait, engine_->horizon - engine_->clock_->Monotonic()));
      return std::string();
    }

   private:
    FakeEngine* const engine_;
  };

  std::string ListBody() const {
    std::string rows;
    for (const auto& [id, c] : containers) {
      if (!rows.empty()) rows += ',';
      rows += fmt::format(R"({{"Id":"{}","Names":["/{}"],"State":"{}","Status":"Exited ({}) ago"}})", id, c.name,
                          c.state, c.exit_code);
    }
    return fmt::format("[{}]", rows);
  }
  static std::string InspectBody(const std::string& id, const FakeContainer& c) {
    return fmt::format(R"({{"Id":"{}","Name":"/{}","RestartCount":{},"Image":"sha256:1","State":{{"Status":"{}",)"
                       R"("ExitCode":{},"Health":{{"Status":"{}"}}}},"Config":{{"Tty":true}},)"
                       R"("HostConfig":{{"LogConfig":{{"Type":"local"}},"RestartPolicy":{{"Name":"{}"}}}}}})",
                       id, c.name, c.restart_count, c.state, c.exit_code, c.health, c.policy);
  }

  FakeClock* const clock_;
};

class RecordingSink : public PresentSink {
 public:
  void Publish(Present present) override { published.push_back(std::move(present)); }
  std::vector<Present> published;
};

class RecordingContainers : public ContainerSink {
 public:
  void Publish(std::vector<LogContainer> containers) override { published.push_back(std::move(containers)); }
  void PublishCensus(const std::optional<ContainerCensus>& now) override { census = now; }
  std::vector<std::vector<LogContainer>> published;
  std::optional<ContainerCensus> census;
};

class ObserverLoopTest : public testing::Test {
 protected:
  ObserverLoopTest() {
    engine_.containers["a1"] = {.name = "web"};
    engine_.containers["a2"] = {.name = "db"};
  }

  // Turns until the loop has nothing to do but wait, or `limit` has passed.
  void RunFor(absl::Duration limit) {
    const Instant end = clock_.Monotonic() + limit;
    engine_.horizon = end;
    int turns = 0;
    while (clock_.Monotonic() < end) {
      ASSERT_LT(++turns, 100'000) << "a loop that never waits";
      clock_.Advance(std::min(loop_.Turn(), end - clock_.Monotonic()));
    }
    engine_.horizon = Instant::FromDuration(absl::InfiniteDuration());
  }
  const Present& Last() const { return sink_.published.back(); }
  std::string LastStatuses() const {
    std::string all;
    for (const v1::DeploymentState& d : Last().deployments) {
      all += fmt::format("{}={} ", d.name(), types::v1::DeploymentStatus_Name(d.status()).substr(18));
    }
    return all;
  }
  absl::Status Down(absl::StatusCode code, std::string_view reason) { return MakeError(code, reason, "it failed"); }

  FakeClock clock_;
  FakeEngine engine_{&clock_};
  RecordingSink sink_;
  RecordingContainers containers_;
  ObserverLoop loop_{{.socket_path = "/run/docker.sock",
                      .relist_interval = absl::Seconds(60),
                      .backoff = {.initial = absl::Milliseconds(500), .maximum = absl::Seconds(5)},
                      .deadlines = {}},
                     [] { return 0.5; },
                     &clock_,
                     &engine_,
                     &sink_,
                     &containers_};
};

TEST_F(ObserverLoopTest, PublishesOnlyWholePictures) {
  RunFor(absl::Milliseconds(1));
  ASSERT_EQ(sink_.published.size(), 1u);
  EXPECT_EQ(LastStatuses(), "db=RUNNING web=RUNNING ");
}

TEST_F(ObserverLoopTest, AnEventShowsWithinAFewHundredMilliseconds) {
  RunFor(absl::Seconds(1));
  const Instant event = clock_.Monotonic();
  engine_.containers["a1"].health = "unhealthy";
  engine_.Send("health_status: unhealthy", "a1");
  while (LastStatuses() != "db=RUNNING web=ERROR ") loop_.Turn();
  EXPECT_LE(clock_.Monotonic() - event, absl::Milliseconds(100));

  const Instant killed = clock_.Monotonic();
  engine_.containers["a2"] = {.name = "db", .state = "exited", .exit_code = 137};
  engine_.Send("kill", "a2");
  engine_.Send("die", "a2", 137);
  while (LastStatuses() != "db=ERROR web=ERROR ") loop_.Turn();
  EXPECT_LE(clock_.Monotonic() - killed, absl::Milliseconds(400));
  EXPECT_EQ(engine_.gets["/containers/json?all=1"], 1) << "events need no list";
}

TEST_F(ObserverLoopTest, ARestartByHandDoesNotFlash) {
  RunFor(absl::Seconds(1));
  const std::size_t before = sink_.published.size();
  engine_.Send("kill", "a1");
  engine_.Send("die", "a1", 137);
  engine_.containers["a1"].state = "exited";
  loop_.Turn();
  clock_.Advance(absl::Milliseconds(120));
  engine_.containers["a1"].state = "running";
  engine_.Send("stop", "a1");
  engine_.Send("start", "a1");
  engine_.Send("restart", "a1");
  RunFor(absl::Seconds(1));
  for (std::size_t i = before; i < sink_.published.size(); ++i) {
    for (const v1::DeploymentState& d : sink_.published[i].deployments)
      EXPECT_EQ(d.status(), DEPLOYMENT_STATUS_RUNNING);
  }
}

TEST_F(ObserverLoopTest, ARestartLoopIsSeenFromItsEvents) {
  engine_.containers["a1"].policy = "always";
  RunFor(absl::Seconds(1));
  for (int i = 1; i <= 3; ++i) {
    engine_.Send("die", "a1", 1);
    engine_.Send("start", "a1");
    engine_.containers["a1"].restart_count = i;
    RunFor(absl::Milliseconds(300));
  }
  EXPECT_EQ(LastStatuses(), "db=RUNNING web=ERROR ");
  EXPECT_THAT(Last().deployments[1].message(), HasSubstr("restart loop"));
  RunFor(kRestartWindow + kPingInterval);
  EXPECT_EQ(LastStatuses(), "db=RUNNING web=RUNNING ") << "ends without any event";
}

TEST_F(ObserverLoopTest, CreatedAndDestroyedContainersComeAndGo) {
  RunFor(absl::Seconds(1));
  engine_.containers["a3"] = {.name = "cache"};
  engine_.Send("create", "a3");
  engine_.Send("start", "a3");
  RunFor(absl::Milliseconds(200));
  EXPECT_EQ(LastStatuses(), "cache=RUNNING db=RUNNING web=RUNNING ");
  engine_.containers.erase("a3");
  engine_.Send("die", "a3", 137);
  engine_.Send("destroy", "a3");
  RunFor(absl::Milliseconds(500));
  EXPECT_EQ(LastStatuses(), "cache=ERROR db=RUNNING web=RUNNING ");
  EXPECT_EQ(Last().deployments[0].message(), "all containers are gone");
}

TEST_F(ObserverLoopTest, AFullLookFindsWhatNoEventTold) {
  RunFor(absl::Seconds(1));
  engine_.containers["a1"].health = "healthy";
  engine_.containers.erase("a2");
  RunFor(absl::Seconds(60));
  EXPECT_EQ(LastStatuses(), "db=ERROR web=HEALTHY ");
}

TEST_F(ObserverLoopTest, PublishesAfterEachFullLookEvenWithoutChange) {
  RunFor(absl::Seconds(1));
  sink_.published.clear();
  RunFor(absl::Seconds(180));
  EXPECT_EQ(sink_.published.size(), 3u);
}

TEST_F(ObserverLoopTest, TheRelistIntervalCanBeChanged) {
  loop_.SetRelistInterval(absl::Seconds(10));
  RunFor(absl::Seconds(1));
  sink_.published.clear();
  RunFor(absl::Seconds(30));
  EXPECT_EQ(sink_.published.size(), 3u);
}

TEST_F(ObserverLoopTest, HealthCheckCommandsCauseNoInspections) {
  RunFor(absl::Seconds(1));
  const int before = engine_.inspects;
  for (int i = 0; i < 1000; ++i) {
    engine_.Send("exec_create: /bin/sh -c true", "a1");
    engine_.Send("exec_die", "a1");
    loop_.Turn();
  }
  EXPECT_EQ(engine_.inspects, before);
}

TEST_F(ObserverLoopTest, ABurstIsInspectedOncePerContainerAndRound) {
  RunFor(absl::Seconds(1));
  const int before = engine_.inspects;
  for (int i = 0; i < 500; ++i) engine_.Send("update", "a1");
  RunFor(absl::Milliseconds(50));
  EXPECT_EQ(engine_.inspects - before, 1);
}

TEST_F(ObserverLoopTest, AChurnOfTenThousandContainersStaysBounded) {
  RunFor(absl::Seconds(1));
  const int before = engine_.inspects;
  for (int i = 0; i < 10'000; ++i) {
    const std::string id = fmt::format("c{}", i);
    for (const char* action : {"create", "start"}) engine_.Send(action, id);
    engine_.Send("die", id, 0);
    engine_.Send("destroy", id);
    if (i % 200 == 0) loop_.Turn();
  }
  engine_.containers["a1"].health = "unhealthy";
  engine_.Send("health_status: unhealthy", "a1");
  RunFor(absl::Seconds(10));
  EXPECT_LE(engine_.inspects - before, 6) << "what is destroyed again needs no inspection; only full looks do";
  EXPECT_EQ(LastStatuses(), "db=RUNNING web=ERROR ");
}

TEST_F(ObserverLoopTest, AnUnreadableEventIsCountedAndCausesAFullLook) {
  RunFor(absl::Seconds(10));
  engine_.containers["a1"].health = "unhealthy";
  engine_.to_send = "{\"Type\":\"cont\x01\n" + std::string(kMaxEventLineBytes + 5, 'x') + "\n";
  RunFor(absl::Seconds(1));
  EXPECT_EQ(loop_.bad_lines(), 2);
  EXPECT_EQ(LastStatuses(), "db=RUNNING web=ERROR ");
}

TEST_F(ObserverLoopTest, AStreamOfGarbageDoesNotCauseALookEach) {
  RunFor(absl::Seconds(1));
  for (int i = 0; i < 100; ++i) {
    engine_.to_send = "garbage\n";
    RunFor(absl::Milliseconds(100));
  }
  EXPECT_LE(engine_.gets["/containers/json?all=1"], 4) << "10 s at one in 5 s";
}

struct FaultCase {
  absl::StatusCode code;
  const char* reason;
  const char* what_to_do;
};

TEST_F(ObserverLoopTest, AFaultSaysWhatToDo) {
  const FaultCase cases[] = {
      {absl::StatusCode::kNotFound, "SOCKET_MISSING", "does not exist. Start the Docker engine"},
      {absl::StatusCode::kPermissionDenied, "SOCKET_FORBIDDEN", "usermod -aG docker"},
      {absl::StatusCode::kUnavailable, "CONNECTION_LOST", "systemctl start docker"},
      {absl::StatusCode::kDeadlineExceeded, "NO_ANSWER", "does not answer"},
      {absl::StatusCode::kResourceExhausted, "ANSWER_TOO_LARGE", "docker container prune"},
      {absl::StatusCode::kDataLoss, "BAD_HTTP", "Look at what listens there"},
      {absl::StatusCode::kFailedPrecondition, "HTTP_CODE", "journalctl -u docker"},
  };
  for (const FaultCase& c : cases) {
    engine_.down = Down(c.code, c.reason);
    engine_.stream_end = engine_.down;
    RunFor(absl::Seconds(70));
    ASSERT_TRUE(Last().fault.has_value()) << c.reason;
    EXPECT_THAT(Last().fault->message(), HasSubstr("docker socket /run/docker.sock"));
    EXPECT_THAT(Last().fault->message(), HasSubstr(c.what_to_do)) << c.reason;
    EXPECT_THAT(Last().deployments, IsEmpty());
  }
}

TEST_F(ObserverLoopTest, RecoversFromAFaultWithAFullLook) {
  RunFor(absl::Seconds(10));
  engine_.down = engine_.stream_end = Down(absl::StatusCode::kUnavailable, "CONNECTION_LOST");
  RunFor(absl::Minutes(10));
  EXPECT_TRUE(Last().fault.has_value());
  const std::size_t faults = sink_.published.size();
  RunFor(absl::Minutes(10));
  EXPECT_EQ(sink_.published.size(), faults) << "the same fault is published once";
  EXPECT_LE(engine_.streams_opened, 1000) << "20 min at 2.5 s on average";
  engine_.down = absl::OkStatus();
  engine_.containers["a1"].health = "healthy";
  RunFor(absl::Seconds(5));
  EXPECT_FALSE(Last().fault.has_value());
  EXPECT_EQ(LastStatuses(), "db=RUNNING web=HEALTHY ");
}

TEST_F(ObserverLoopTest, AnEngineThatRestartsAtOnceCausesAFullLookAndNoFault) {
  RunFor(absl::Seconds(10));
  sink_.published.clear();
  engine_.stream_end = Down(absl::StatusCode::kOutOfRange, "STREAM_ENDED");
  engine_.containers["a1"].health = "healthy";
  RunFor(absl::Milliseconds(100));
  ASSERT_EQ(sink_.published.size(), 1u);
  EXPECT_FALSE(Last().fault.has_value());
  EXPECT_EQ(LastStatuses(), "db=RUNNING web=HEALTHY ");
}

TEST_F(ObserverLoopTest, AnEngineThatEndsEveryStreamIsNotAskedInATightLoop) {
  const Instant begin = clock_.Monotonic();
  while (clock_.Monotonic() - begin < absl::Minutes(1)) {
    engine_.stream_end = Down(absl::StatusCode::kOutOfRange, "STREAM_ENDED");
    clock_.Advance(loop_.Turn());
  }
  EXPECT_LE(engine_.streams_opened, 40);
}

TEST_F(ObserverLoopTest, AHangingEngineIsFoundByThePing) {
  RunFor(absl::Seconds(30));
  engine_.down = Down(absl::StatusCode::kDeadlineExceeded, "NO_ANSWER");  // and the stream stays silent
  RunFor(absl::Seconds(11));
  ASSERT_TRUE(Last().fault.has_value());
  EXPECT_THAT(Last().fault->message(), HasSubstr("does not answer"));
}

TEST_F(ObserverLoopTest, ABrokenListIsAFault) {
  engine_.answers.emplace("/containers/json?all=1", HttpResponse{.code = 200, .body = "[{\"Id\":"});
  RunFor(absl::Seconds(1));
  ASSERT_TRUE(Last().fault.has_value());
  EXPECT_THAT(Last().fault->message(), HasSubstr("list of containers: not JSON"));
  engine_.answers.clear();
  engine_.answers.emplace("/containers/json?all=1", HttpResponse{.code = 500, .body = "{\"message\":\"broken\"}"});
  RunFor(absl::Seconds(10));
  EXPECT_THAT(Last().fault->message(), HasSubstr("HTTP 500"));
}

TEST_F(ObserverLoopTest, AContainerThatCannotBeInspectedCountsAsTheListShowsIt) {
  const absl::StatusOr<HttpResponse> failures[] = {HttpResponse{.code = 500, .body = "oops"},
                                                   HttpResponse{.code = 200, .body = "{broken"},
                                                   Down(absl::StatusCode::kResourceExhausted, "ANSWER_TOO_LARGE"),
                                                   Down(absl::StatusCode::kDeadlineExceeded, "NO_ANSWER")};
  for (const auto& failure : failures) {
    engine_.answers.clear();
    engine_.answers.emplace("/containers/a1/json", failure);
    engine_.containers["a1"].state = "running";
    RunFor(absl::Seconds(61));
    EXPECT_EQ(LastStatuses(), "db=RUNNING web=RUNNING ");
    engine_.containers["a1"].state = "exited";
    engine_.containers["a1"].exit_code = 2;
    engine_.Send("die", "a1", 2);
    RunFor(absl::Seconds(6));
    EXPECT_EQ(LastStatuses(), "db=RUNNING web=ERROR ");
    EXPECT_EQ(Last().deployments[1].message(), "web exited with code 2");
  }
}

TEST_F(ObserverLoopTest, InspectionsThatAllHangAreTheEnginesFault) {
  for (int i = 0; i < 5; ++i) {
    const std::string id = fmt::format("b{}", i);
    engine_.containers[id] = {.name = id};
    engine_.answers.emplace(fmt::format("/containers/{}/json", id),
                            Down(absl::StatusCode::kDeadlineExceeded, "NO_ANSWER"));
  }
  RunFor(absl::Seconds(1));
  ASSERT_TRUE(Last().fault.has_value());
}

TEST_F(ObserverLoopTest, EventsGoBeforeALongFullLook) {
  engine_.containers["a1"].name = "a web, first of all";
  for (int i = 0; i < 1000; ++i) engine_.containers[fmt::format("m{}", i)] = {.name = fmt::format("m{}", i)};
  RunFor(absl::Seconds(1));
  RunFor(absl::Seconds(59) - absl::Milliseconds(1));
  while (engine_.gets["/containers/json?all=1"] < 2) loop_.Turn();
  const int before = engine_.inspects;
  engine_.containers["a1"].health = "unhealthy";
  engine_.Send("health_status: unhealthy", "a1");
  const std::size_t published = sink_.published.size();
  while (sink_.published.size() == published) loop_.Turn();
  EXPECT_LE(engine_.inspects - before, 2 * static_cast<int>(kMaxInspectsPerRound));
  EXPECT_EQ(Last().deployments.size(), kMaxDeploymentsPerTarget);
}

TEST_F(ObserverLoopTest, PublishesContainersAfterEachFullLookAndEachChange) {
  RunFor(absl::Milliseconds(1));
  ASSERT_EQ(containers_.published.size(), 1U);
  const LogContainer web = containers_.published[0].at(0);
  EXPECT_EQ(web.id, "a1");
  EXPECT_EQ(web.name, "web");
  EXPECT_EQ(web.deployment_key, "container/web");
  EXPECT_EQ(web.revision, Last().deployments[1].revision());
  EXPECT_TRUE(web.has_tty);
  EXPECT_EQ(web.log_driver, "local");
  EXPECT_TRUE(web.is_running);

  engine_.containers["a1"].state = "exited";
  engine_.Send("die", "a1");
  RunFor(absl::Seconds(1));
  ASSERT_EQ(containers_.published.size(), 2U);
  EXPECT_FALSE(containers_.published[1].at(0).is_running);
  EXPECT_EQ(containers_.census->states, (std::map<std::string, int>{{"exited", 1}, {"running", 1}}));
  engine_.containers.erase("a1");
  engine_.Send("destroy", "a1");
  RunFor(absl::Seconds(1));
  ASSERT_EQ(containers_.published.size(), 3U);
  EXPECT_EQ(containers_.published[2].size(), 1U);
  RunFor(absl::Seconds(60));
  EXPECT_EQ(containers_.published.size(), 4U) << "a full look, and nothing in between";
}

TEST_F(ObserverLoopTest, AnEngineThatFailsDoesNotMakeItsContainersGo) {
  RunFor(absl::Milliseconds(1));
  engine_.down = Down(absl::StatusCode::kUnavailable, "CONNECTION_LOST");
  engine_.stream_end = engine_.down;
  RunFor(absl::Seconds(120));
  EXPECT_TRUE(Last().fault.has_value());
  EXPECT_EQ(containers_.published.size(), 1U);
  EXPECT_FALSE(containers_.census.has_value());
}

TEST_F(ObserverLoopTest, ALoopIsTrueWhateverTheWallClockDoes) {
  RunFor(absl::Seconds(1));
  clock_.StepWall(-absl::Hours(24));
  engine_.containers["a1"].health = "healthy";
  engine_.Send("health_status: healthy", "a1");
  RunFor(absl::Seconds(1));
  EXPECT_EQ(LastStatuses(), "db=RUNNING web=HEALTHY ");
  clock_.StepWall(absl::Hours(48));
  engine_.containers["a1"].health = "unhealthy";
  engine_.Send("health_status: unhealthy", "a1");
  RunFor(absl::Seconds(1));
  EXPECT_EQ(LastStatuses(), "db=RUNNING web=ERROR ");
}

}  // namespace
}  // namespace muster::agent
