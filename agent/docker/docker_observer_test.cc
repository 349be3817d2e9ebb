// The observer as it runs, with its thread and the real HTTP client, against an engine made of bytes.
#include "agent/docker/docker_observer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/http/testing/raw_unix_server.h"
#include "common/mutex.h"
#include "common/testing/temp_dir.h"

namespace muster::agent {
namespace {

using ::testing::HasSubstr;

std::string Ok(std::string_view body) {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
}

// Thread-safe; waits for a picture that the test looks for.
class WaitingSink : public PresentSink {
 public:
  void Publish(Present present) override {
    MutexLock lock(&mutex_);
    last_ = std::move(present);
    ++count_;
    changed_.NotifyAll();
  }
  // The first picture that fits. A test that waits for ever is ended by ctest.
  Present WaitFor(const std::function<bool(const Present&)>& fits) {
    MutexLock lock(&mutex_);
    while (count_ == 0 || !fits(last_)) changed_.Wait(&mutex_);
    return last_;
  }
  int count() {
    MutexLock lock(&mutex_);
    return count_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  Present last_ ABSL_GUARDED_BY(mutex_);
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
};

class DockerObserverTest : public testing::Test {
 protected:
  DockerObserver::Options Options() const {
    DockerObserver::Options options;
    options.socket_path = path_;
    options.backoff = {.initial = absl::Milliseconds(1), .maximum = absl::Milliseconds(10)};
    return options;
  }
  // Serves one container "web" and sends, when signalled, the event that it became unhealthy.
  void Serve(RawUnixServer::Peer& peer) {
    while (true) {
      const std::string request = peer.ReadRequest();
      if (request.empty()) return;
      {
        MutexLock lock(&mutex_);
        requests_.push_back(request.substr(0, request.find('\r')));
      }
      if (request.starts_with("GET /events")) {
        peer.Write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        peer.AwaitSignal();
        unhealthy_ = true;
        const std::string line = R"({"Type":"container","Action":"health_status: unhealthy","Actor":{"ID":"a1"}})"
                                 "\n";
        peer.Write(fmt::format("{:x}\r\n{}\r\n", line.size(), line));
        peer.WaitForClose();
        return;
      }
      if (request.starts_with("GET /containers/json"))
        peer.Write(Ok(R"([{"Id":"a1","Names":["/web"],"State":"running"}])"));
      if (request.starts_with("GET /containers/a1")) {
        peer.Write(
            Ok(fmt::format(R"({{"Id":"a1","Name":"/web","State":{{"Status":"running","Health":{{"Status":"{}"}}}}}})",
                           unhealthy_ ? "unhealthy" : "healthy")));
      }
      if (request.starts_with("GET /version")) peer.Write(Ok(R"({"Version":"20.10.24"})"));
    }
  }

  TempDir dir_;
  const std::string path_ = dir_.path() + "/d.sock";
  std::atomic<bool> unhealthy_ = false;
  WaitingSink sink_;
  Mutex mutex_;
  std::vector<std::string> requests_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(DockerObserverTest, PublishesPicturesAndChangesAndOnlyEverGets) {
  RawUnixServer server(path_);
  server.OnConnection([this](RawUnixServer::Peer& peer) { Serve(peer); });
  DockerObserver observer(Options(), Clock::System(), &sink_, nullptr);
  observer.Start();
  const auto has_status = [](types::v1::DeploymentStatus status) {
    return [status](const Present& p) { return p.deployments.size() == 1 && p.deployments[0].status() == status; };
  };
  sink_.WaitFor(has_status(types::v1::DEPLOYMENT_STATUS_HEALTHY));
  server.Signal();
  sink_.WaitFor(has_status(types::v1::DEPLOYMENT_STATUS_ERROR));
  observer.Stop();
  server.Stop();
  MutexLock lock(&mutex_);
  for (const std::string& request : requests_) EXPECT_TRUE(request.starts_with("GET /")) << request;
}

TEST_F(DockerObserverTest, AFaultEndsWhenTheEngineComes) {
  DockerObserver observer(Options(), Clock::System(), &sink_, nullptr);
  observer.Start();
  const Present fault = sink_.WaitFor([](const Present& p) { return p.fault.has_value(); });
  EXPECT_THAT(fault.fault->message(), HasSubstr("does not exist"));
  RawUnixServer server(path_);
  server.OnConnection([this](RawUnixServer::Peer& peer) { Serve(peer); });
  sink_.WaitFor([](const Present& p) { return !p.fault.has_value() && p.deployments.size() == 1; });
}

TEST_F(DockerObserverTest, StopEndsAnEngineThatNeverAnswers) {
  RawUnixServer server(path_);
  server.OnConnection([](RawUnixServer::Peer& peer) { peer.WaitForClose(); });
  DockerObserver observer(Options(), Clock::System(), &sink_, nullptr);
  observer.Start();
  while (server.connections() == 0) std::this_thread::yield();
  observer.Stop();
  EXPECT_EQ(sink_.count(), 0);
}

TEST_F(DockerObserverTest, TheProbeTellsWhetherThisIsADockerHost) {
  DockerProbe probe = ProbeDocker(path_);
  EXPECT_FALSE(probe.is_present);
  EXPECT_THAT(probe.problem, HasSubstr("does not exist"));
  RawUnixServer server(path_);
  server.OnConnection([](RawUnixServer::Peer& peer) { peer.WaitForClose(); });
  probe = ProbeDocker(path_, absl::Milliseconds(50));
  EXPECT_TRUE(probe.is_present);
  EXPECT_EQ(probe.runtime, "");
  EXPECT_THAT(probe.problem, HasSubstr("does not answer"));
  server.OnConnection([this](RawUnixServer::Peer& peer) { Serve(peer); });
  probe = ProbeDocker(path_);
  EXPECT_EQ(probe.runtime, "docker 20.10.24");
  EXPECT_EQ(probe.problem, "");
}

}  // namespace
}  // namespace muster::agent
