#include "hub/api/fleet_handlers.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hub/api/testing/fleet_handlers_fixture.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// ---- rules over all methods

TEST_F(FleetHandlersTest, ServesEveryMethodOfTheProto) {
  std::set<std::string> served;
  for (const UnaryMethod& method : handlers_->unary()) EXPECT_TRUE(served.insert(method.name).second) << method.name;
  for (const StreamMethod& method : handlers_->streams()) EXPECT_TRUE(served.insert(method.name).second) << method.name;
  const auto* service = GetHubRequest::descriptor()->file()->FindServiceByName("FleetService");
  ASSERT_NE(service, nullptr);
  std::set<std::string> promised;
  for (int i = 0; i < service->method_count(); ++i) promised.insert(service->method(i)->name());
  EXPECT_EQ(served, promised);
  EXPECT_EQ(FleetHandlers::kServiceName, service->full_name());
}

TEST_F(FleetHandlersTest, EveryMethodAsksForItsRole) {
  const std::map<std::string, Role> needed = {
      {"GetHub", ROLE_VIEWER},
      {"ListTargets", ROLE_VIEWER},
      {"GetTarget", ROLE_VIEWER},
      {"ListDeployments", ROLE_VIEWER},
      {"GetDeployment", ROLE_VIEWER},
      {"GetFleetStatus", ROLE_VIEWER},
      {"ListTargetHistory", ROLE_VIEWER},
      {"ListDeploymentHistory", ROLE_VIEWER},
      {"GetFleetAt", ROLE_VIEWER},
      {"GetAvailability", ROLE_VIEWER},
      {"QueryLogs", ROLE_VIEWER},
      {"GetLogVolume", ROLE_VIEWER},
      {"ListLogResources", ROLE_VIEWER},
      {"GetHostMetrics", ROLE_VIEWER},
      {"QueryHostMetrics", ROLE_VIEWER},
      {"ListJobs", ROLE_VIEWER},
      {"CreateTarget", ROLE_OPERATOR},
      {"UpdateTarget", ROLE_OPERATOR},
      {"ReconnectTarget", ROLE_OPERATOR},
      {"DeleteTarget", ROLE_OPERATOR},
      {"UpdateDeployment", ROLE_OPERATOR},
      {"DeleteDeployment", ROLE_OPERATOR},
      {"CreateToken", ROLE_ADMIN},
      {"ListTokens", ROLE_ADMIN},
      {"RevokeToken", ROLE_ADMIN},
      {"ListAuditEntries", ROLE_ADMIN},
      {"VerifyAuditLog", ROLE_ADMIN},
  };
  for (const UnaryMethod& method : handlers_->unary()) {
    ASSERT_TRUE(needed.contains(method.name)) << method.name << " is new: say here who may call it";
    for (const Role role : {ROLE_UNSPECIFIED, ROLE_METRICS, ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN}) {
      const auto answer = CallAny(method, CallerOf(role), *method.request_prototype);
      const bool allowed = role != ROLE_METRICS && role >= needed.at(method.name);
      EXPECT_EQ(ReasonOf(answer.status()) != "ROLE_TOO_LOW", allowed) << method.name << " as " << Role_Name(role);
    }
  }
  for (const Role role : {ROLE_UNSPECIFIED, ROLE_METRICS}) {
    const auto stream = Watch(CallerOf(role));
    ASSERT_TRUE(stream->ended);
    EXPECT_EQ(ReasonOf(*stream->ended), "ROLE_TOO_LOW");
    EXPECT_THAT(stream->written, IsEmpty());
  }
}

TEST_F(FleetHandlersTest, CustomersTokensNeitherSeeNorTouchOthers) {
  const auto own = MakeBusy("acme-host", "ACME", "acme-shop");
  const auto other = MakeBusy("globex-host", "Globex", "globex-shop");
  const std::string other_deployment = fleet_->FindDeployment("globex-shop", "")->id();
  RealCaller("globex-token", ROLE_ADMIN, "Globex");
  Job job;
  job.set_target_id(other.target_id());
  job.set_target_name("globex-host");
  job.set_customer("Globex");
  jobs_.push_back(job);
  const Caller acme = CallerOf(ROLE_ADMIN, "ACME");

  for (const UnaryMethod& method : handlers_->unary()) {
    const auto* descriptor = method.request_prototype->GetDescriptor();
    // Whatever names a target, deployment or token is asked for the other customer's, by id and by name; questions
    // about logs name it in their selection.
    const auto* selection = descriptor->FindFieldByName("selection");
    for (const auto& [field, references] : std::map<std::string, std::vector<std::string>>{
             {"target", {other.target_id(), "globex-host"}},
             {"deployment", {other_deployment, "globex-shop", "globex-host/globex-shop"}},
             {"token", {"globex-token", tokens_->List().front().id}}}) {
      const auto* named = (selection != nullptr ? selection->message_type() : descriptor)->FindFieldByName(field);
      if (named == nullptr) continue;
      for (const std::string& reference : references) {
        std::unique_ptr<Message> request(method.request_prototype->New());
        Message* holder = request.get();
        if (selection != nullptr) holder = request->GetReflection()->MutableMessage(holder, selection);
        holder->GetReflection()->SetString(holder, named, reference);
        const auto answer = CallAny(method, acme, *request);
        EXPECT_TRUE(absl::IsNotFound(answer.status())) << method.name << " " << reference << ": " << answer.status();
      }
    }
    // And no list shows anything of theirs, even when it is asked for it.
    std::unique_ptr<Message> request(method.request_prototype->New());
    if (const auto* customer = descriptor->FindFieldByName("customer")) {
      request->GetReflection()->SetString(request.get(), customer, "Globex");
    }
    if (const auto* time = descriptor->FindFieldByName("time")) {
      request->GetReflection()->MutableMessage(request.get(), time)->CopyFrom(ToProto(clock_.Now()));
    }
    const auto answer = CallAny(method, acme, *request);
    const std::string text = answer.ok() ? (*answer)->DebugString() : MessageOf(answer.status());
    for (const std::string& theirs :
         {std::string("globex"), std::string("Globex"), other.target_id(), other_deployment}) {
      EXPECT_THAT(text, Not(HasSubstr(theirs))) << method.name;
    }
  }
  const auto stream = Watch(acme);
  ASSERT_EQ(stream->written.size(), 1U);
  EXPECT_THAT(stream->written[0].DebugString(), Not(HasSubstr("globex")));
  EXPECT_THAT(stream->written[0].DebugString(), HasSubstr("acme-host"));
  for (const char* method : {"ListAuditEntries", "VerifyAuditLog"}) {
    EXPECT_EQ(ReasonOf(CallAny(Method(method), acme, *Method(method).request_prototype).status()), "CUSTOMER_TOKEN");
  }

  const auto untouched = fleet_->FindTarget(other.target_id(), "Globex");
  ASSERT_TRUE(untouched.ok()) << untouched.status();
  EXPECT_EQ(untouched->target.name(), "globex-host");
  EXPECT_TRUE(untouched->target.has_session());
  EXPECT_EQ(untouched->deployments.size(), 1U);
  EXPECT_TRUE(tokens_->StillValid(tokens_->List().front().id));
  EXPECT_TRUE(fleet_->FindTarget(own.target_id(), "ACME").ok());
}

TEST_F(FleetHandlersTest, CustomersTokenCreatesForItsCustomerOnly) {
  CreateTargetRequest request;
  request.set_name("one");
  request.set_type(types::v1::TARGET_TYPE_HOST);
  request.set_customer("Globex");
  const auto created = Call<CreateTargetResponse>("CreateTarget", request, CallerOf(ROLE_OPERATOR, "ACME"));
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->target().customer(), "ACME");
}

// ---- targets

TEST_F(FleetHandlersTest, CreateTargetTellsAllThatIsNeededToConnect) {
  const auto created = Create("one", "ACME");
  EXPECT_EQ(created.target_id().substr(0, 4), "tgt_");
  EXPECT_EQ(created.target_secret().substr(0, 4), "mst_");
  EXPECT_THAT(created.connect_command(), HasSubstr("connect with mcc_"));
  EXPECT_THAT(created.connect_command(), Not(HasSubstr(created.target_secret())));
  EXPECT_EQ(FromProto(created.connect_expire_time()), clock_.Now() + kConnectCodeLifetime);
  EXPECT_EQ(created.target().name(), "one");
  EXPECT_EQ(created.target().state(), types::v1::TARGET_STATE_NOT_CONNECTED);
  EXPECT_EQ(Connect(created.target_id(), created.target_secret()), "");
}

TEST_F(FleetHandlersTest, TheCommandIsThatOfTheTargetsType) {
  CreateTargetRequest request;
  request.set_name("prod");
  request.set_type(types::v1::TARGET_TYPE_KUBERNETES);
  const auto created = Call<CreateTargetResponse>("CreateTarget", request);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_THAT(created->connect_command(), HasSubstr("apply with mcc_"));
  ReconnectTargetRequest again;
  again.set_target("prod");
  const auto renewed = Call<ReconnectTargetResponse>("ReconnectTarget", again);
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  EXPECT_THAT(renewed->connect_command(), HasSubstr("apply with mcc_"));
}

TEST_F(FleetHandlersTest, ReconnectChangesTheSecret) {
  const auto created = Create("one");
  ASSERT_EQ(Connect(created.target_id(), created.target_secret()), "");
  ReconnectTargetRequest request;
  request.set_target("one");
  const auto renewed = Call<ReconnectTargetResponse>("ReconnectTarget", request);
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  EXPECT_EQ(renewed->target_id(), created.target_id());
  EXPECT_NE(renewed->target_secret(), created.target_secret());
  EXPECT_NE(renewed->connect_command(), created.connect_command());
  EXPECT_EQ(fleet_->FindTarget("one", "")->target.state(), types::v1::TARGET_STATE_NOT_CONNECTED);
  EXPECT_EQ(Connect(created.target_id(), created.target_secret()), "FAREWELL_REASON_SECRET_ROTATED");
  EXPECT_EQ(Connect(created.target_id(), renewed->target_secret()), "");
}

TEST_F(FleetHandlersTest, PagesOverTargetsLoseAndRepeatNone) {
  std::vector<std::string> wanted;
  for (int i = 0; i < 250; ++i) wanted.push_back(Create(fmt::format("target-{:03}", i)).target().name());
  for (const int size : {0, 1, 7, 100, 125, 249, 250, 251, 100'000}) {
    std::vector<std::string> found;
    ListTargetsRequest request;
    request.set_page_size(size);
    do {
      const auto page = Call<ListTargetsResponse>("ListTargets", request);
      ASSERT_TRUE(page.ok()) << page.status();
      EXPECT_EQ(page->total_size(), 250);
      for (const auto& target : page->targets()) found.push_back(target.name());
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    EXPECT_EQ(found, wanted) << size;
  }
  ListTargetsRequest beyond;
  beyond.set_page_token("9999");
  EXPECT_EQ(Call<ListTargetsResponse>("ListTargets", beyond)->targets_size(), 0);
}

TEST_F(FleetHandlersTest, ListsAreFiltered) {
  MakeBusy("acme-host", "ACME", "shop");
  Create("new", "Globex");
  ListTargetsRequest targets;
  targets.set_customer("Globex");
  EXPECT_EQ(Call<ListTargetsResponse>("ListTargets", targets)->targets(0).name(), "new");
  targets.clear_customer();
  targets.set_state(types::v1::TARGET_STATE_CONNECTED);
  EXPECT_EQ(Call<ListTargetsResponse>("ListTargets", targets)->total_size(), 1);
  ListDeploymentsRequest deployments;
  deployments.set_status(types::v1::DEPLOYMENT_STATUS_RUNNING);
  EXPECT_EQ(Call<ListDeploymentsResponse>("ListDeployments", deployments)->total_size(), 1);
  deployments.set_target("new");
  EXPECT_EQ(Call<ListDeploymentsResponse>("ListDeployments", deployments)->total_size(), 0);
  deployments.clear_target();
  deployments.set_status(types::v1::DEPLOYMENT_STATUS_ERROR);
  EXPECT_EQ(Call<ListDeploymentsResponse>("ListDeployments", deployments)->total_size(), 0);
}

TEST_F(FleetHandlersTest, UpdateAndDeleteTarget) {
  Create("one");
  UpdateTargetRequest update;
  update.set_target("one");
  update.set_name("uno");
  update.set_metrics_enabled(false);
  const auto updated = Call<UpdateTargetResponse>("UpdateTarget", update);
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->target().name(), "uno");
  EXPECT_FALSE(updated->target().metrics_enabled());
  DeleteTargetRequest remove;
  remove.set_target("uno");
  ASSERT_TRUE(Call<DeleteTargetResponse>("DeleteTarget", remove).ok());
  EXPECT_EQ(ReasonOf(Call<DeleteTargetResponse>("DeleteTarget", remove).status()), "TARGET_NOT_FOUND");
}

TEST_F(FleetHandlersTest, UpdateAndDeleteDeployment) {
  const auto host = MakeBusy("one", "", "shop");
  UpdateDeploymentRequest update;
  update.set_deployment("one/shop");
  update.set_logs_enabled(false);
  update.set_application_version("9.9");
  const auto updated = Call<UpdateDeploymentResponse>("UpdateDeployment", update);
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_FALSE(updated->deployment().logs_enabled());
  EXPECT_EQ(updated->deployment().application_version(), "9.9");
  DeleteDeploymentRequest remove;
  remove.set_deployment("shop");
  EXPECT_EQ(ReasonOf(Call<DeleteDeploymentResponse>("DeleteDeployment", remove).status()), "DEPLOYMENT_IN_USE");
  auto gone = TestDeployment("compose/shop", types::v1::DEPLOYMENT_STATUS_ERROR);
  gone.set_gone(true);
  Report(host.target_id(), {gone});
  EXPECT_TRUE(Call<DeleteDeploymentResponse>("DeleteDeployment", remove).ok());
  EXPECT_EQ(ReasonOf(Call<DeleteDeploymentResponse>("DeleteDeployment", remove).status()), "DEPLOYMENT_NOT_FOUND");
}

// ---- history

TEST_F(FleetHandlersTest, HistoryPagesLoseAndRepeatNone) {
  const auto created = MakeBusy("one", "", "shop");
  for (int i = 0; i < 9; ++i) {
    clock_.Advance(absl::Seconds(1));
    Report(created.target_id(),
           {TestDeployment("compose/shop", types::v1::DEPLOYMENT_STATUS_RUNNING, fmt::format("{}", i))});
  }
  for (const int size : {1, 3, 5, 10, 11}) {
    std::vector<std::string> versions;
    ListDeploymentHistoryRequest request;
    request.set_deployment("shop");
    request.set_page_size(size);
    do {
      const auto page = Call<ListDeploymentHistoryResponse>("ListDeploymentHistory", request);
      ASSERT_TRUE(page.ok()) << page.status();
      EXPECT_LE(page->intervals_size(), size);
      for (const auto& interval : page->intervals()) versions.push_back(interval.application_version());
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    EXPECT_THAT(versions, ElementsAre("8", "7", "6", "5", "4", "3", "2", "1", "0", "1.0")) << size;
  }
  ListTargetHistoryRequest request;
  request.set_target("one");
  EXPECT_EQ(Call<ListTargetHistoryResponse>("ListTargetHistory", request)->intervals_size(), 2);
}

TEST_F(FleetHandlersTest, FleetAtATimeIsAsItWas) {
  const absl::Time before = clock_.Now() - absl::Seconds(1);
  MakeBusy("one", "ACME", "shop");
  clock_.Advance(absl::Seconds(10));
  GetFleetAtRequest request;
  *request.mutable_time() = ToProto(before);
  EXPECT_EQ(Call<GetFleetAtResponse>("GetFleetAt", request)->targets_size(), 0);
  *request.mutable_time() = ToProto(clock_.Now());
  const auto now = Call<GetFleetAtResponse>("GetFleetAt", request);
  ASSERT_TRUE(now.ok()) << now.status();
  ASSERT_EQ(now->targets_size(), 1);
  EXPECT_EQ(now->targets(0).interval().state(), types::v1::TARGET_STATE_CONNECTED);
  ASSERT_EQ(now->deployments_size(), 1);
  EXPECT_EQ(now->deployments(0).name(), "shop");
}

// ---- errors

TEST_F(FleetHandlersTest, ErrorsCarryTheirReason) {
  Create("one");
  const auto reason = [&](const std::string& method, const Message& request) {
    return ReasonOf(CallAny(Method(method), CallerOf(ROLE_ADMIN), request).status());
  };
  EXPECT_EQ(reason("GetTarget", GetTargetRequest()), "TARGET_NOT_FOUND");
  EXPECT_EQ(reason("GetDeployment", GetDeploymentRequest()), "DEPLOYMENT_NOT_FOUND");
  EXPECT_EQ(reason("GetFleetAt", GetFleetAtRequest()), "TIME_MISSING");
  EXPECT_EQ(reason("CreateTarget", CreateTargetRequest()), "BAD_NAME");
  EXPECT_EQ(reason("CreateToken", CreateTokenRequest()), "BAD_NAME");
  EXPECT_EQ(reason("RevokeToken", RevokeTokenRequest()), "TOKEN_NOT_FOUND");
  CreateTargetRequest again;
  again.set_name("one");
  EXPECT_EQ(reason("CreateTarget", again), "BAD_TYPE");
  again.set_type(types::v1::TARGET_TYPE_DOCKER);
  EXPECT_EQ(reason("CreateTarget", again), "TARGET_EXISTS");
  ListTargetsRequest page;
  page.set_page_token("forged");
  EXPECT_EQ(reason("ListTargets", page), "BAD_PAGE");
  ListTargetHistoryRequest window;
  window.set_target("one");
  *window.mutable_from_time() = ToProto(clock_.Now());
  *window.mutable_to_time() = ToProto(clock_.Now());
  EXPECT_EQ(reason("ListTargetHistory", window), "BAD_WINDOW");
  store_->writer().Stop();
  again.set_name("two");
  EXPECT_EQ(reason("CreateTarget", again), "HUB_STOPPING");
}

// ---- tokens, audit, hub

TEST_F(FleetHandlersTest, TokensAreMadeListedAndRevoked) {
  CreateTokenRequest create;
  create.set_name("ci");
  create.set_role(ROLE_OPERATOR);
  create.mutable_time_to_live()->set_seconds(3600);
  const auto created = Call<CreateTokenResponse>("CreateToken", create);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_TRUE(tokens_->Authenticate(created->secret()).ok());
  EXPECT_EQ(FromProto(created->token().expire_time()), clock_.Now() + absl::Hours(1));
  const auto list = Call<ListTokensResponse>("ListTokens", ListTokensRequest());
  ASSERT_EQ(list->tokens_size(), 1);
  EXPECT_THAT(list->DebugString(), Not(HasSubstr(created->secret())));
  RevokeTokenRequest revoke;
  revoke.set_token("ci");
  ASSERT_TRUE(Call<RevokeTokenResponse>("RevokeToken", revoke).ok());
  EXPECT_EQ(ReasonOf(tokens_->Authenticate(created->secret()).status()), "TOKEN_REVOKED");
}

TEST_F(FleetHandlersTest, AuditPagesAndVerifies) {
  for (int i = 0; i < 10; ++i) Create(fmt::format("t{}", i));
  for (const int size : {1, 3, 5, 10, 11}) {
    std::vector<std::int64_t> found;
    ListAuditEntriesRequest request;
    request.set_page_size(size);
    do {
      const auto page = Call<ListAuditEntriesResponse>("ListAuditEntries", request);
      ASSERT_TRUE(page.ok()) << page.status();
      for (const AuditEntry& entry : page->entries()) found.push_back(entry.sequence());
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    EXPECT_THAT(found, ElementsAre(10, 9, 8, 7, 6, 5, 4, 3, 2, 1)) << size;
  }
  const auto verdict = Call<VerifyAuditLogResponse>("VerifyAuditLog", VerifyAuditLogRequest());
  EXPECT_TRUE(verdict->intact());
  EXPECT_EQ(verdict->entries(), 10);
  ASSERT_TRUE(store_->writer()
                  .Run([](sqlite::Database& database) {
                    return database.Execute("UPDATE audit SET actor='nobody' WHERE sequence=4");
                  })
                  .ok());
  const auto forged = Call<VerifyAuditLogResponse>("VerifyAuditLog", VerifyAuditLogRequest());
  EXPECT_FALSE(forged->intact());
  EXPECT_EQ(forged->first_bad_sequence(), 4);
}

TEST_F(FleetHandlersTest, HubTellsWhoAsks) {
  const auto hub = Call<GetHubResponse>("GetHub", GetHubRequest(), CallerOf(ROLE_VIEWER));
  ASSERT_TRUE(hub.ok()) << hub.status();
  EXPECT_EQ(hub->role(), ROLE_VIEWER);
  EXPECT_EQ(hub->organization(), "vendor");
  EXPECT_EQ(hub->public_url(), "https://hub.test:8080");
}

TEST_F(FleetHandlersTest, FleetStatusSaysWhyLogLinesCannotBeStored) {
  const auto ask = [&] { return *Call<GetFleetStatusResponse>("GetFleetStatus", GetFleetStatusRequest()); };
  EXPECT_EQ(ask().status().log_store_fault(), "");
  log_fault_ = absl::DataLossError("fsync failed");
  EXPECT_EQ(ask().status().log_store_fault(), "fsync failed");
  EXPECT_EQ(ask().status().store_fault(), "");
}

TEST_F(FleetHandlersTest, FleetStatusSaysWhatHistoryCannotBeStored) {
  EXPECT_EQ(Call<GetFleetStatusResponse>("GetFleetStatus", GetFleetStatusRequest())->status().store_fault(), "");
  EXPECT_TRUE(Call<GetFleetStatusResponse>("GetFleetStatus", GetFleetStatusRequest())->status().has_grace_until());
  ASSERT_FALSE(store_->writer().Run([](sqlite::Database&) { return absl::DataLossError("fsync failed"); }).ok());
  clock_.Advance(absl::Seconds(61));
  const auto status = Call<GetFleetStatusResponse>("GetFleetStatus", GetFleetStatusRequest())->status();
  EXPECT_THAT(status.store_fault(), HasSubstr("fsync failed"));
  EXPECT_FALSE(status.has_grace_until());
}

}  // namespace
}  // namespace muster::hub
