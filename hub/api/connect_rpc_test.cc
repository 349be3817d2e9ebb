#include "hub/api/connect_rpc.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "common/status.h"
#include "hub/api/connect_rpc_codec.h"
#include "hub/http/error_response.h"
#include "hub/http/router.h"
#include "hub/http/server.h"
#include "hub/http/testing/raw_client.h"

namespace muster::hub {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class FakeAuthenticator : public Authenticator {
 public:
  absl::StatusOr<Caller> Authenticate(std::string_view token) override {
    if (token == "good") return Caller{.token_id = "tok_1", .token_name = "ci", .role = fleet::v1::ROLE_VIEWER};
    return MakeError(absl::StatusCode::kUnauthenticated, "BAD_TOKEN",
                     token.empty() ? "send Authorization: Bearer TOKEN" : "this token is not known");
  }
};

struct Answered {
  int status = 0;
  std::string head;
  std::string body;
  json error() const { return json::parse(body); }
  std::string reason() const { return error()["details"][0]["debug"]["reason"]; }
};

class ConnectRpcTest : public ::testing::Test {
 protected:
  ConnectRpcTest()
      : pool_(2, 4),
        rpc_({.service = "muster.fleet.v1.FleetService",
              .authenticator = &authenticator_,
              .workers = &pool_,
              .on_finished = [this](std::string_view method, absl::StatusCode code, absl::Duration) {
                MutexLock lock(&mutex_);
                ++finished_[fmt::format("{}/{}", method, code == absl::StatusCode::kOk ? "ok" : ConnectCode(code))];
                changed_.NotifyAll();
              }}) {}

  void SetUp() override {
    using fleet::v1::GetTargetRequest;
    using fleet::v1::GetTargetResponse;
    using fleet::v1::WatchFleetRequest;
    rpc_.Add(Unary<GetTargetRequest, GetTargetResponse>(
        "GetTarget", [](const Caller& caller, const GetTargetRequest& request,
                        const std::function<void(absl::StatusOr<GetTargetResponse>)>& done) {
          if (request.target() == "none") {
            return done(MakeError(absl::StatusCode::kNotFound, "TARGET_NOT_FOUND", "there is no target \"none\""));
          }
          GetTargetResponse response;
          response.mutable_target()->set_id(request.target());
          response.mutable_target()->set_customer(caller.token_name);
          response.mutable_target()->mutable_create_time()->set_seconds(1'800'000'000);
          std::thread([done, response] { done(response); }).detach();
        }));
    rpc_.Add(Unary<GetTargetRequest, GetTargetResponse>(
        "Never",
        [this](const Caller&, const GetTargetRequest&, std::function<void(absl::StatusOr<GetTargetResponse>)> done) {
          MutexLock lock(&mutex_);
          pending_.push_back(std::move(done));
          changed_.NotifyAll();
        }));
    rpc_.Add(
        Unary<GetTargetRequest, GetTargetResponse>("Drop", [](const Caller&, const GetTargetRequest&, const auto&) {}));
    rpc_.Add(Unary<GetTargetRequest, GetTargetResponse>(
        "Block", [this](const Caller&, const GetTargetRequest&,
                        const std::function<void(absl::StatusOr<GetTargetResponse>)>& done) {
          {
            MutexLock lock(&mutex_);
            ++blocked_;
            changed_.NotifyAll();
            while (!release_) changed_.Wait(&mutex_);
          }
          done(GetTargetResponse());
        }));
    rpc_.Add(Stream<WatchFleetRequest>(
        "WatchFleet", [this](const Caller&, const WatchFleetRequest& request, std::shared_ptr<StreamSink> sink) {
          sink->OnCancelled([this] {
            MutexLock lock(&mutex_);
            ++cancelled_;
            changed_.NotifyAll();
          });
          fleet::v1::WatchFleetResponse response;
          response.mutable_status()->set_organization(fmt::format("limit {}", request.target_limit()));
          sink->Write(response);
          if (request.target_limit() == 1) return sink->Finish(absl::OkStatus());
          if (request.target_limit() == 2) {
            return sink->Finish(MakeError(absl::StatusCode::kPermissionDenied, "ROLE_TOO_LOW", "no"));
          }
          if (request.target_limit() == 3) return;  // dropped
          MutexLock lock(&mutex_);
          sinks_.push_back(std::move(sink));
          changed_.NotifyAll();
        }));
    router_.Add("", rpc_.path(), &rpc_);
    auto server = HttpServer::Start({.address = {.host = "127.0.0.1", .port = 0}}, &router_);
    ASSERT_TRUE(server.ok());
    server_ = *std::move(server);
  }

  void TearDown() override {
    {
      MutexLock lock(&mutex_);
      release_ = true;
      changed_.NotifyAll();
    }
    pool_.Stop();
    server_.reset();
    std::vector<std::function<void(absl::StatusOr<fleet::v1::GetTargetResponse>)>> pending;
    std::vector<std::shared_ptr<StreamSink>> sinks;
    MutexLock lock(&mutex_);
    pending.swap(pending_);
    sinks.swap(sinks_);
  }

  static std::string Request(const std::string& method, const std::string& body, const std::string& type,
                             const std::string& headers, const std::string& verb = "POST") {
    return fmt::format(
        "{} /muster.fleet.v1.FleetService/{} HTTP/1.1\r\nHost: h\r\nContent-Type: {}\r\n{}Content-Length: "
        "{}\r\nConnection: close\r\n\r\n{}",
        verb, method, type, headers, body.size(), body);
  }

  Answered Call(const std::string& method, const std::string& body, const std::string& type = "application/json",
                const std::string& headers = "Authorization: Bearer good\r\n", const std::string& verb = "POST") {
    RawClient client(server_->address().port);
    client.Send(Request(method, body, type, headers, verb));
    const std::string all = client.ReadAll();
    const std::size_t split = all.find("\r\n\r\n");
    if (split == std::string::npos) return {};
    return {.status = static_cast<int>(std::strtol(all.c_str() + 9, nullptr, 10)),
            .head = all.substr(0, split),
            .body = all.substr(split + 4)};
  }

  template <typename Condition>
  bool Eventually(Condition condition) {
    MutexLock lock(&mutex_);
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (!condition() && absl::Now() < deadline) changed_.WaitFor(&mutex_, absl::Milliseconds(100));
    return condition();
  }

  FakeAuthenticator authenticator_;
  Mutex mutex_;
  CondVar changed_;
  std::map<std::string, int> finished_;
  std::vector<std::function<void(absl::StatusOr<fleet::v1::GetTargetResponse>)>> pending_;
  std::vector<std::shared_ptr<StreamSink>> sinks_;
  int cancelled_ = 0;
  int blocked_ = 0;
  bool release_ = false;
  WorkerPool pool_;
  ConnectRpc rpc_;
  HttpRouter router_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(ConnectRpcTest, AnswersJsonWithProtoNamesAndDefaults) {
  const Answered answer = Call("GetTarget", R"({"target":"tgt_1","later_field":{"x":[1]}})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.head, HasSubstr("Content-Type: application/json"));
  const json target = json::parse(answer.body)["target"];
  EXPECT_EQ(target["id"], "tgt_1");
  EXPECT_EQ(target["customer"], "ci");
  EXPECT_EQ(target["create_time"], "2027-01-15T08:00:00Z");
  EXPECT_EQ(target["state"], "TARGET_STATE_UNSPECIFIED");
  EXPECT_EQ(target["metrics_enabled"], false);
  EXPECT_EQ(target["deployments"], json::array());
}

TEST_F(ConnectRpcTest, TakesBothSpellingsOfAFieldAndAnEmptyBody) {
  EXPECT_EQ(Call("GetTarget", "").status, 200);
  EXPECT_EQ(Call("GetTarget", "{}", "application/json; charset=utf-8").status, 200);
}

TEST_F(ConnectRpcTest, AnswersBinaryProtobuf) {
  fleet::v1::GetTargetRequest request;
  request.set_target("tgt_2");
  const Answered answer = Call("GetTarget", request.SerializeAsString(), "application/proto");
  EXPECT_EQ(answer.status, 200);
  fleet::v1::GetTargetResponse response;
  ASSERT_TRUE(response.ParseFromString(answer.body));
  EXPECT_EQ(response.target().id(), "tgt_2");
}

TEST_F(ConnectRpcTest, EveryErrorIsJsonWithAReason) {
  const std::string good = "Authorization: Bearer good\r\n";
  const struct {
    std::string method, body, type, headers, verb;
    int status;
    std::string code, reason;
  } cases[] = {
      {"GetTarget", R"({"target":"none"})", "application/json", good, "POST", 404, "not_found", "TARGET_NOT_FOUND"},
      {"GetTarget", "{}", "application/json", "", "POST", 401, "unauthenticated", "BAD_TOKEN"},
      {"GetTarget", "{}", "application/json", "Authorization: Bearer bad\r\n", "POST", 401, "unauthenticated",
       "BAD_TOKEN"},
      {"GetTarget", "{}", "application/json", "Authorization: Basic good\r\n", "POST", 401, "unauthenticated",
       "BAD_TOKEN"},
      {"Nothing", "{}", "application/json", good, "POST", 404, "unimplemented", "METHOD_NOT_FOUND"},
      {"", "{}", "application/json", good, "POST", 404, "unimplemented", "METHOD_NOT_FOUND"},
      {"GetTarget", "{}", "text/plain", good, "POST", 415, "invalid_argument", "CONTENT_TYPE"},
      {"GetTarget", "{}", "application/connect+json", good, "POST", 415, "invalid_argument", "CONTENT_TYPE"},
      {"WatchFleet", "{}", "application/json", good, "POST", 415, "invalid_argument", "CONTENT_TYPE"},
      {"GetTarget", "{\"target\":", "application/json", good, "POST", 400, "invalid_argument", "BAD_JSON"},
      {"GetTarget", "{\"target\":7}x", "application/json", good, "POST", 400, "invalid_argument", "BAD_JSON"},
      {"GetTarget", "{\"target\":\"\xff\"}", "application/json", good, "POST", 400, "invalid_argument", "BAD_JSON"},
      {"GetTarget", std::string(5000, '['), "application/json", good, "POST", 400, "invalid_argument", "BAD_JSON"},
      {"GetTarget", "\xff\xff", "application/proto", good, "POST", 400, "invalid_argument", "BAD_PROTOBUF"},
      {"GetTarget", "{}", "application/json", good + "Connect-Protocol-Version: 2\r\n", "POST", 400, "invalid_argument",
       "CONNECT_VERSION"},
      {"GetTarget", "{}", "application/json", good + "Connect-Timeout-Ms: soon\r\n", "POST", 400, "invalid_argument",
       "BAD_TIMEOUT"},
      {"GetTarget", "{}", "application/json", good + "Content-Encoding: gzip\r\n", "POST", 501, "unimplemented",
       "COMPRESSION_UNSUPPORTED"},
      {"GetTarget", "", "application/json", good, "GET", 405, "unimplemented", "METHOD_NOT_ALLOWED"},
      {"Drop", "{}", "application/json", good, "POST", 500, "internal", "NO_ANSWER"},
      {"GetTarget", "{}", "application/json", good + "Connect-Timeout-Ms: 0\r\n", "POST", 504, "deadline_exceeded",
       "DEADLINE_EXCEEDED"},
      {"Never", "{}", "application/json", good + "Connect-Timeout-Ms: 50\r\n", "POST", 504, "deadline_exceeded",
       "DEADLINE_EXCEEDED"},
  };
  for (const auto& c : cases) {
    const Answered answer = Call(c.method, c.body, c.type, c.headers, c.verb);
    EXPECT_EQ(answer.status, c.status) << c.method << ' ' << c.reason;
    ASSERT_THAT(answer.head, HasSubstr("Content-Type: application/json")) << c.reason;
    EXPECT_EQ(answer.error()["code"], c.code);
    EXPECT_EQ(answer.reason(), c.reason);
    EXPECT_FALSE(answer.error()["message"].get<std::string>().empty());
    EXPECT_EQ(answer.error()["details"][0]["type"], "muster.fleet.v1.ErrorInfo");
  }
  EXPECT_THAT(Call("GetTarget", "{}", "application/json", "").head, HasSubstr("WWW-Authenticate: Bearer"));
}

TEST_F(ConnectRpcTest, CountsEveryCallOnce) {
  Call("GetTarget", "{}");
  Call("GetTarget", R"({"target":"none"})");
  Call("Nothing", "{}");
  Call("Drop", "{}");
  MutexLock lock(&mutex_);
  EXPECT_EQ(finished_["GetTarget/ok"], 1);
  EXPECT_EQ(finished_["GetTarget/not_found"], 1);
  EXPECT_EQ(finished_["unknown/unimplemented"], 1);
  EXPECT_EQ(finished_["Drop/internal"], 1);
}

TEST_F(ConnectRpcTest, AFullQueueAnswersResourceExhausted) {
  // Two workers block, four calls wait, the next is refused.
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 6; ++i) {
    clients.push_back(std::make_unique<RawClient>(server_->address().port));
    clients.back()->Send(Request("Block", "{}", "application/json", "Authorization: Bearer good\r\n"));
    if (i == 1) {
      ASSERT_TRUE(Eventually([this] { return blocked_ == 2; }));
    }
  }
  Answered refused;
  for (int i = 0; i < 100 && refused.status != 429; ++i) {
    RawClient client(server_->address().port);
    client.Send(Request("Block", "{}", "application/json", "Authorization: Bearer good\r\n"));
    timeval patience{.tv_sec = 0, .tv_usec = 50'000};
    setsockopt(client.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (client.ReadAll().find("API_BUSY") != std::string::npos) refused.status = 429;
  }
  EXPECT_EQ(refused.status, 429);
}

// ---- streams

std::vector<std::pair<int, std::string>> Envelopes(std::string_view chunked) {
  std::string bytes;
  while (!chunked.empty()) {
    const std::size_t line = chunked.find("\r\n");
    const auto size = static_cast<std::size_t>(std::stoul(std::string(chunked.substr(0, line)), nullptr, 16));
    bytes += chunked.substr(line + 2, size);
    chunked.remove_prefix(line + 2 + size + 2);
  }
  std::vector<std::pair<int, std::string>> envelopes;
  for (std::size_t at = 0; at + 5 <= bytes.size();) {
    std::size_t size = 0;
    for (std::size_t i = 1; i < 5; ++i) size = size << 8 | static_cast<unsigned char>(bytes[at + i]);
    envelopes.emplace_back(bytes[at], bytes.substr(at + 5, size));
    at += 5 + size;
  }
  return envelopes;
}

constexpr char kStreaming[] = "application/connect+json";

TEST_F(ConnectRpcTest, StreamsMessagesAndItsEnd) {
  const Answered answer = Call("WatchFleet", Envelope(R"({"target_limit":1})"), kStreaming);
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.head, HasSubstr("Content-Type: application/connect+json"));
  const auto envelopes = Envelopes(answer.body);
  ASSERT_EQ(envelopes.size(), 2u);
  EXPECT_EQ(envelopes[0].first, 0);
  EXPECT_EQ(json::parse(envelopes[0].second)["status"]["organization"], "limit 1");
  EXPECT_EQ(envelopes[1], std::pair(2, std::string("{}")));
}

TEST_F(ConnectRpcTest, ErrorsOfAStreamAreInItsLastEnvelope) {
  const struct {
    std::string body, headers, code, reason;
  } cases[] = {
      {Envelope(R"({"target_limit":2})"), "Authorization: Bearer good\r\n", "permission_denied", "ROLE_TOO_LOW"},
      {Envelope(R"({"target_limit":3})"), "Authorization: Bearer good\r\n", "internal", "NO_ANSWER"},
      {Envelope("{}"), "", "unauthenticated", "BAD_TOKEN"},
      {Envelope("{"), "Authorization: Bearer good\r\n", "invalid_argument", "BAD_JSON"},
      {"{}", "Authorization: Bearer good\r\n", "invalid_argument", "BAD_ENVELOPE"},
      {std::string("\x01\0\0\0\x02{}", 7), "Authorization: Bearer good\r\n", "unimplemented",
       "COMPRESSION_UNSUPPORTED"},
      {Envelope("{}") + "more", "Authorization: Bearer good\r\n", "invalid_argument", "BAD_ENVELOPE"},
      {Envelope("{}"), "Authorization: Bearer good\r\nConnect-Timeout-Ms: 50\r\n", "deadline_exceeded",
       "DEADLINE_EXCEEDED"},
  };
  for (const auto& c : cases) {
    const Answered answer = Call("WatchFleet", c.body, kStreaming, c.headers);
    EXPECT_EQ(answer.status, 200) << c.reason;
    const auto envelopes = Envelopes(answer.body);
    ASSERT_FALSE(envelopes.empty()) << c.reason;
    EXPECT_EQ(envelopes.back().first, 2);
    const json error = json::parse(envelopes.back().second)["error"];
    EXPECT_EQ(error["code"], c.code);
    EXPECT_EQ(error["details"][0]["debug"]["reason"], c.reason);
  }
}

TEST_F(ConnectRpcTest, AStreamLearnsThatItsClientIsGone) {
  RawClient client(server_->address().port);
  client.Send(Request("WatchFleet", Envelope("{}"), kStreaming, "Authorization: Bearer good\r\n"));
  ASSERT_TRUE(Eventually([this] { return sinks_.size() == 1; }));
  client.ReadUntil("\r\n\r\n");
  client.Close();
  EXPECT_TRUE(Eventually([this] { return cancelled_ == 1 && finished_["WatchFleet/canceled"] == 1; }));
  MutexLock lock(&mutex_);
  EXPECT_TRUE(sinks_[0]->cancelled());
  EXPECT_FALSE(sinks_[0]->Write(fleet::v1::WatchFleetResponse()));
}

// Writes `left` messages of 100 KB, each as soon as those before have gone out; on threads of the server.
void WriteWhenWritable(const std::shared_ptr<StreamSink>& sink, int left, const std::function<void()>& waits) {
  fleet::v1::WatchFleetResponse response;
  response.mutable_status()->set_organization(std::string(100'000, 'x'));
  while (left > 0 && sink->Write(response)) --left;
  if (left == 0) return sink->Finish(absl::OkStatus());
  waits();
  sink->OnWritable([sink, left, waits] { WriteWhenWritable(sink, left, waits); });
}

TEST_F(ConnectRpcTest, AStreamGoesOnWhenItsClientReads) {
  constexpr int kMessages = 200;
  int waited = 0;
  rpc_.Add(Stream<fleet::v1::WatchFleetRequest>(
      "Flood", [&](const Caller&, const fleet::v1::WatchFleetRequest&, const std::shared_ptr<StreamSink>& sink) {
        WriteWhenWritable(sink, kMessages, [&] {
          MutexLock lock(&mutex_);
          ++waited;
          changed_.NotifyAll();
        });
      }));
  RawClient client(server_->address().port);
  client.Send(Request("Flood", Envelope("{}"), kStreaming, "Authorization: Bearer good\r\n"));
  ASSERT_TRUE(Eventually([&] { return waited > 0; }));
  const std::string all = client.ReadAll();
  const auto envelopes = Envelopes(all.substr(all.find("\r\n\r\n") + 4));
  EXPECT_EQ(envelopes.size(), kMessages + 1U);
  EXPECT_EQ(envelopes.back(), std::pair(2, std::string("{}")));
}

TEST_F(ConnectRpcTest, AStreamIsCancelledWhenTheServerStops) {
  RawClient client(server_->address().port);
  client.Send(Request("WatchFleet", Envelope("{}"), kStreaming, "Authorization: Bearer good\r\n"));
  ASSERT_TRUE(Eventually([this] { return sinks_.size() == 1; }));
  server_->Stop(absl::Seconds(5));
  EXPECT_TRUE(Eventually([this] { return cancelled_ == 1; }));
}

// ---- codec

TEST(ParseConnectContentType, KnowsTheFour) {
  for (const char* type : {"application/json", "Application/JSON; charset=UTF-8", "application/connect+proto",
                           "application/connect+json", "application/proto", "application/json;"}) {
    EXPECT_TRUE(ParseConnectContentType(type).has_value()) << type;
  }
  for (const char* type :
       {"", "text/json", "application/json; charset=latin1", "application/grpc", "application/jsonx"}) {
    EXPECT_FALSE(ParseConnectContentType(type).has_value()) << type;
  }
}

TEST(ErrorJson, CarriesAnErrorInfoThatProtobufReads) {
  const json error = json::parse(ErrorJson(MakeError(absl::StatusCode::kNotFound, "TARGET_NOT_FOUND", "no")));
  EXPECT_EQ(error["code"], "not_found");
  // echo -n ChBUQVJHRVRfTk9UX0ZPVU5EEgZtdXN0ZXI= | base64 -d | protoc --decode_raw: 1: "TARGET_NOT_FOUND" 2: "muster"
  EXPECT_EQ(error["details"][0]["value"], "ChBUQVJHRVRfTk9UX0ZPVU5EEgZtdXN0ZXI");
}

}  // namespace
}  // namespace muster::hub
