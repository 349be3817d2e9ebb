// A FleetHandlers over a real store and fleet, called through its method table; for its tests only.
#ifndef MUSTER_HUB_API_TESTING_FLEET_HANDLERS_FIXTURE_H_
#define MUSTER_HUB_API_TESTING_FLEET_HANDLERS_FIXTURE_H_

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/status.h"
#include "common/testing/fake_clock.h"
#include "common/testing/temp_dir.h"
#include "common/time_format.h"
#include "hub/api/fleet_handlers.h"
#include "hub/api/testing/fake_stream.h"
#include "hub/logs/testing/fake_log_reader.h"
#include "hub/samples/testing/fake_sample_reader.h"
#include "hub/store/reads.h"
#include "hub/testing/fakes.h"

namespace muster::hub {

using namespace fleet::v1;  // NOLINT(google-build-using-namespace): the tests are about these messages
using google::protobuf::Message;

inline Caller CallerOf(Role role, const std::string& customer = "") {
  return {.token_id = "tok_test", .token_name = "tester", .role = role, .customer = customer};
}

using FakeStream = FakeStreamOf<WatchFleetResponse>;

class FleetHandlersTest : public ::testing::Test {
 protected:
  FleetHandlersTest() {
    auto opened = Store::Open(dir_.path() + "/hub.db");
    EXPECT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
    history_ = std::make_unique<HistoryRecorder>(&store_->writer());
    fleet_ = std::make_unique<Fleet>("vendor", std::vector<StoredTarget>{}, history_.get(), clock_.Read());
    admin_ = std::make_unique<TargetAdmin>(store_.get(), fleet_.get(), &clock_);
    tokens_ = std::make_unique<TokenStore>(store_.get(), &clock_, std::vector<StoredToken>{});
    handlers_ = std::make_unique<FleetHandlers>(FleetHandlersDeps{
        .fleet = fleet_.get(),
        .admin = admin_.get(),
        .tokens = tokens_.get(),
        .store = store_.get(),
        .clock = &clock_,
        .started = clock_.Now(),
        .public_url = "https://hub.test:8080",
        .connect_command =
            [](types::v1::TargetType type, const Secret& code) {
              return (type == types::v1::TARGET_TYPE_KUBERNETES ? "apply with " : "connect with ") + code.Reveal();
            },
        .log_fault = [this] { return log_fault_; },
        .logs = &log_reader_,
        .scans = &scans_,
        .log_observer = {.scanned = [this](std::string_view end, absl::Duration,
                                           std::int64_t) { scan_ends_.emplace_back(end); },
                         .tails = [this](std::size_t open) { open_tails_ = open; }},
        .samples = &sample_reader_,
        .host_present = [this](std::string_view id) -> std::optional<StoredSample> {
          const auto it = present_.find(std::string(id));
          return it == present_.end() ? std::nullopt : std::optional(it->second);
        },
        .jobs = [this] { return jobs_; }});
  }
  ~FleetHandlersTest() override {
    handlers_->Stop();
    scans_.Stop();
    store_->writer().Stop();
  }

  const UnaryMethod& Method(const std::string& name) {
    for (const UnaryMethod& method : handlers_->unary()) {
      if (method.name == name) return method;
    }
    ADD_FAILURE() << "no method " << name;
    std::abort();
  }
  absl::StatusOr<std::unique_ptr<Message>> CallAny(const UnaryMethod& method, const Caller& caller,
                                                   const Message& request) {
    absl::StatusOr<std::unique_ptr<Message>> result = absl::UnknownError("never answered");
    method.handle(caller, request, [&](const absl::Status& status, std::unique_ptr<Message> answer) {
      if (status.ok()) {
        result = std::move(answer);
      } else {
        result = status;
      }
    });
    FinishScans();
    return result;
  }
  template <typename Response, typename Request>
  absl::StatusOr<Response> Call(const std::string& name, const Request& request,
                                const Caller& caller = CallerOf(ROLE_ADMIN)) {
    auto answer = CallAny(Method(name), caller, request);
    if (!answer.ok()) return answer.status();
    return static_cast<const Response&>(**answer);
  }

  CreateTargetResponse Create(const std::string& name, const std::string& customer = "") {
    CreateTargetRequest request;
    request.set_name(name);
    request.set_type(types::v1::TARGET_TYPE_DOCKER);
    request.set_customer(customer);
    auto created = Call<CreateTargetResponse>("CreateTarget", request);
    EXPECT_TRUE(created.ok()) << created.status();
    return *created;
  }
  std::string Connect(const std::string& id, const std::string& secret) {
    auto admitted = fleet_->Admit(TestHello(id, secret), clock_.Now());
    if (const auto* refusal = std::get_if<Refusal>(&admitted)) return FarewellReason_Name(refusal->reason);
    auto opened = fleet_->OpenSession(std::get<Fleet::Admission>(admitted), "ses_1", "192.0.2.1:1",
                                      std::make_shared<FakeHandle>(), clock_.Read());
    keys_[id] = std::get<Fleet::SessionKey>(opened);
    return "";
  }
  void Report(const std::string& id, const std::vector<agent::v1::DeploymentState>& deployments) {
    ++beats_;
    EXPECT_FALSE(fleet_->Heartbeat(keys_.at(id), SnapshotBeat(beats_, beats_, deployments), clock_.Read()));
    history_->Drain();
  }
  // A target of `customer` with one deployment on it.
  CreateTargetResponse MakeBusy(const std::string& name, const std::string& customer, const std::string& deployment) {
    const auto created = Create(name, customer);
    EXPECT_EQ(Connect(created.target_id(), created.target_secret()), "");
    Report(created.target_id(), {TestDeployment("compose/" + deployment, types::v1::DEPLOYMENT_STATUS_RUNNING)});
    return created;
  }
  // Questions that wait are answered, and streams have nothing more to do. There is one thread for scans: behind the
  // first barrier a step that was running has ended and its next one waits, behind the second that has asked the
  // reader.
  void FinishScans() {
    for (int before = -1; before != log_reader_.calls();) {
      before = log_reader_.calls();
      for (int i = 0; i < 2; ++i) {
        std::promise<void> reached;
        scans_.Submit([&] { reached.set_value(); });
        reached.get_future().wait();
      }
    }
  }
  template <typename Response, typename Request>
  std::shared_ptr<FakeStreamOf<Response>> Open(const std::string& name, const Request& request, const Caller& caller,
                                               std::shared_ptr<FakeStreamOf<Response>> stream = nullptr) {
    if (stream == nullptr) stream = std::make_shared<FakeStreamOf<Response>>();
    for (const StreamMethod& method : handlers_->streams()) {
      if (method.name == name) method.start(caller, request, stream);
    }
    FinishScans();
    return stream;
  }
  std::shared_ptr<FakeStream> Watch(const Caller& caller) {
    auto stream = std::make_shared<FakeStream>();
    handlers_->streams().front().start(caller, WatchFleetRequest(), stream);
    return stream;
  }
  Caller RealCaller(const std::string& name, Role role, const std::string& customer = "") {
    auto created = tokens_->Create(name, role, customer, {}, CallerOf(ROLE_ADMIN));
    EXPECT_TRUE(created.ok()) << created.status();
    return *tokens_->Authenticate(created->secret.Reveal());
  }

  TempDir dir_;
  FakeClock clock_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<HistoryRecorder> history_;
  std::unique_ptr<Fleet> fleet_;
  std::unique_ptr<TargetAdmin> admin_;
  std::unique_ptr<TokenStore> tokens_;
  absl::Status log_fault_;
  FakeLogReader log_reader_;
  FakeSampleReader sample_reader_;
  std::map<std::string, StoredSample> present_;  // by target id
  std::vector<Job> jobs_;
  std::vector<std::string> scan_ends_;
  std::size_t open_tails_ = 0;
  WorkerPool scans_{1, kMaxWaitingScans};
  std::unique_ptr<FleetHandlers> handlers_;
  std::map<std::string, Fleet::SessionKey> keys_;
  std::int64_t beats_ = 0;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_API_TESTING_FLEET_HANDLERS_FIXTURE_H_
