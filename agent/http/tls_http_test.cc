// BeastHttpClient and BeastStreamGroup against a server with TLS that misbehaves.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "agent/http/beast_http_client.h"
#include "agent/http/beast_stream_group.h"
#include "agent/http/testing/raw_tls_server.h"
#include "common/status.h"

namespace muster::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr absl::Duration kPatience = absl::Seconds(20);
constexpr absl::Duration kShort = absl::Milliseconds(100);
constexpr std::string_view kChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

std::string Chunk(std::string_view data) { return fmt::format("{:x}\r\n{}\r\n", data.size(), data); }
std::string Answer(std::string_view head, std::string_view body) {
  return fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\n\r\n{}", head, body.size(), body);
}

// Everything that a server says at once; then the connection is cut.
RawTlsServer::Behaviour Says(std::string text) {
  return [text = std::move(text)](RawTlsServer::Peer& peer) {
    peer.ReadRequest();
    peer.Write(text);
  };
}

class FakeTokens : public TokenSource {
 public:
  std::string Token() override { return token; }
  void Refused() override { ++refused; }
  std::string token = "a.secret-token_1";
  int refused = 0;
};

const TestAuthority& Authority() {
  static const TestAuthority authority;
  return authority;
}
const TestCertificate& GoodCertificate() {
  static const TestCertificate certificate = Authority().Issue("IP:127.0.0.1,DNS:localhost");
  return certificate;
}

HttpServer ServerAt(std::uint16_t port, std::shared_ptr<TokenSource> tokens = nullptr) {
  return {
      .host = "127.0.0.1", .port = port, .tls = {.ca_pem = Authority().certificate_pem()}, .tokens = std::move(tokens)};
}

absl::StatusOr<HttpResponse> Get(const HttpServer& server, absl::Duration deadline = kPatience) {
  BeastHttpClient client(server);
  return client.Get({.target = "/api", .deadline = deadline, .max_body_bytes = 1000});
}

struct Received {
  std::string bytes;
  StreamGroup::Event end;
};
Received Follow(StreamGroup& group, absl::Duration deadline = kPatience) {
  Received received;
  const StreamGroup::Id id = group.Open({.target = "/watch", .deadline = deadline});
  while (!received.end.is_end) {
    group.Wait(kPatience, [&](const StreamGroup::Event& event) {
      EXPECT_EQ(event.id, id);
      received.bytes += event.bytes;
      if (event.is_end) received.end = event;
    });
  }
  return received;
}
Received Follow(const HttpServer& server, absl::Duration deadline = kPatience) {
  BeastStreamGroup group(server);
  return Follow(group, deadline);
}

class TlsHttpTest : public testing::Test {
 protected:
  RawTlsServer server_{{.certificate = GoodCertificate()}};
  std::shared_ptr<FakeTokens> tokens_ = std::make_shared<FakeTokens>();
  const HttpServer address_ = ServerAt(server_.port(), tokens_);
};

TEST_F(TlsHttpTest, EachRequestCarriesTheTokenOfItsTime) {
  server_.OnConnection([](RawTlsServer::Peer& peer) {
    for (int i = 0; i < 3; ++i) peer.Write(Answer("200 OK", peer.ReadRequest()));
  });
  BeastHttpClient client(address_);
  const auto get = [&] {
    const auto response = client.Get({.target = "/x?y=1", .deadline = kPatience, .max_body_bytes = 1000});
    return response.ok() ? response->body : response.status().ToString();
  };
  const std::string host = fmt::format("GET /x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", server_.port());
  EXPECT_EQ(get(), host + "User-Agent: muster-agent\r\nAuthorization: Bearer a.secret-token_1\r\n\r\n");
  tokens_->token = "another";
  EXPECT_THAT(get(), HasSubstr("\r\nAuthorization: Bearer another\r\n"));
  tokens_->token = "no\r\nheader";
  EXPECT_EQ(get(), host + "User-Agent: muster-agent\r\n\r\n");
  EXPECT_EQ(server_.connections(), 1);
}

TEST_F(TlsHttpTest, ALaterConnectionTakesUpTheSession) {
  server_.OnConnection([](RawTlsServer::Peer& peer) {
    peer.ReadRequest();
    peer.Write(Answer("200 OK", peer.is_resumed() ? "resumed" : "new"));
    peer.SayGoodbye();
  });
  BeastHttpClient client(address_);
  const HttpGet request = {.target = "/", .deadline = kPatience, .max_body_bytes = 1000};
  EXPECT_EQ(client.Get(request)->body, "new");
  server_.WaitUntilClosed(1);
  EXPECT_EQ(client.Get(request)->body, "resumed");
  EXPECT_EQ(server_.connections(), 2);
}

TEST_F(TlsHttpTest, OpensANewConnectionWhenTheIdleOneWasCut) {
  server_.OnConnection(Says(Answer("200 OK", "1")));
  BeastHttpClient client(address_);
  const HttpGet request = {.target = "/", .deadline = kPatience, .max_body_bytes = 1000};
  ASSERT_TRUE(client.Get(request).ok());
  server_.WaitUntilClosed(1);
  EXPECT_TRUE(client.Get(request).ok());
  EXPECT_EQ(server_.connections(), 2);
}

TEST_F(TlsHttpTest, ANameIsLookedUpAndEachAddressTried) {
  server_.OnConnection(Says(Answer("200 OK", "1")));
  HttpServer named = address_;
  named.host = "localhost";
  const auto response = Get(named);
  EXPECT_TRUE(response.ok()) << response.status();
}

TEST_F(TlsHttpTest, A401IsToldToTheTokenSourceAndGivenOn) {
  server_.OnConnection(Says(Answer("401 Unauthorized", "who are you")));
  EXPECT_EQ(Get(address_)->code, 401);
  EXPECT_EQ(tokens_->refused, 1);
  const Received received = Follow(address_);
  EXPECT_EQ(received.end.http_code, 401);
  EXPECT_EQ(tokens_->refused, 2);
  EXPECT_THAT(received.end.status.ToString(), Not(HasSubstr("secret")));
  BeastHttpClient client(address_);
  const auto stream = client.OpenStream({.target = "/", .deadline = kPatience});
  EXPECT_EQ(stream.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(tokens_->refused, 3);
  EXPECT_THAT(stream.status().ToString(), Not(HasSubstr("secret")));
}

TEST_F(TlsHttpTest, AnAnswerThatRepeatsTheTokenIsNotShown) {
  server_.OnConnection([](RawTlsServer::Peer& peer) {
    const std::string request = peer.ReadRequest();
    peer.Write(Answer("400 Bad Request", request.substr(request.find("Authorization"))));
  });
  EXPECT_THAT(Follow(address_).end.status.ToString(), Not(HasSubstr("secret")));
  BeastHttpClient client(address_);
  const auto stream = client.OpenStream({.target = "/", .deadline = kPatience});
  EXPECT_THAT(stream.status().ToString(), testing::AllOf(HasSubstr("HTTP 400"), Not(HasSubstr("secret"))));
}

TEST_F(TlsHttpTest, RetryAfterIsToldInSeconds) {
  const std::vector<std::pair<std::string, std::optional<absl::Duration>>> cases = {
      {"429 Too Many Requests\r\nRetry-After: 7", absl::Seconds(7)},
      {"503 Service Unavailable\r\nretry-after: 0", absl::ZeroDuration()},
      {"429 Too Many Requests\r\nRetry-After: 86400", absl::Minutes(10)},
      {"429 Too Many Requests\r\nRetry-After: 99999999999999999999", absl::Minutes(10)},
      {"429 Too Many Requests\r\nRetry-After: -1", std::nullopt},
      {"429 Too Many Requests\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT", std::nullopt},
      {"429 Too Many Requests", std::nullopt},
      {"200 OK\r\nRetry-After: 7", std::nullopt},
  };
  for (const auto& [head, expected] : cases) {
    server_.OnConnection(Says(Answer(head, "slow down")));
    EXPECT_EQ(Get(address_)->retry_after, expected) << head;
    const Received received = Follow(address_);
    EXPECT_EQ(received.end.retry_after, expected) << head;
    const bool is_good = received.end.http_code == 200;
    EXPECT_THAT(is_good ? received.bytes : MessageOf(received.end.status), HasSubstr("slow down"));
  }
}

TEST_F(TlsHttpTest, BrokenBodiesGiveWhatCameThenAnError) {
  struct Case {
    std::string text;
    absl::StatusCode code;
    std::string bytes;
  };
  const std::string chunked(kChunked);
  const std::vector<Case> cases = {
      {"", absl::StatusCode::kUnavailable, ""},
      {chunked + "64\r\nhalf", absl::StatusCode::kUnavailable, "half"},
      {chunked + Chunk("ok\n"), absl::StatusCode::kUnavailable, "ok\n"},
      {chunked + Chunk("ok\n") + "no hex here\r\n", absl::StatusCode::kDataLoss, "ok\n"},
      {"220 mail.example.com ESMTP\r\n\r\n", absl::StatusCode::kDataLoss, ""},
      {chunked + "4;" + std::string(20'000, 'x'), absl::StatusCode::kResourceExhausted, ""},
      {chunked + Chunk("ok\n") + "0\r\n\r\n", absl::StatusCode::kOk, "ok\n"},
  };
  for (const Case& c : cases) {
    server_.OnConnection(Says(c.text));
    const Received received = Follow(address_);
    EXPECT_EQ(received.end.status.code(), c.code) << received.end.status << "\n" << c.text.substr(0, 100);
    EXPECT_EQ(received.bytes, c.bytes);
  }
  // A proper end of the connection in the middle of a chunk is no end of the body.
  server_.OnConnection([chunked](RawTlsServer::Peer& peer) {
    peer.ReadRequest();
    peer.Write(chunked + "64\r\nhalf");
    peer.SayGoodbye();
  });
  EXPECT_EQ(Follow(address_).end.status.code(), absl::StatusCode::kDataLoss);
}

TEST_F(TlsHttpTest, ALongBodyArrivesWholeThroughPauses) {
  std::string expected;
  for (int i = 0; i < 60'000; ++i) expected += fmt::format("line {}\n", i);
  server_.OnConnection([expected](RawTlsServer::Peer& peer) {
    peer.ReadRequest();
    peer.Write(std::string(kChunked) + Chunk(expected));
    peer.WaitForClose();
  });
  BeastStreamGroup group(address_);
  const StreamGroup::Id id = group.Open({.target = "/", .deadline = kPatience});
  std::string bytes;
  while (bytes.size() < expected.size()) {
    group.Wait(kPatience, [&](const StreamGroup::Event& event) {
      ASSERT_TRUE(event.status.ok()) << event.status;
      bytes += event.bytes;
      group.Pause(id);
    });
    // What TLS holds ready is not given either.
    group.Wait(absl::ZeroDuration(), [&](const StreamGroup::Event& /*event*/) { ADD_FAILURE() << "it is paused"; });
    group.Resume(id);
  }
  EXPECT_EQ(bytes, expected);
}

TEST_F(TlsHttpTest, AStreamOfTheClientIsReadAsItComes) {
  server_.OnConnection([](RawTlsServer::Peer& peer) {
    peer.ReadRequest();
    peer.Write(std::string(kChunked) + Chunk("first\n"));
    peer.AwaitSignal();
    peer.Write(Chunk("second\n") + "0\r\n\r\n");
    peer.WaitForClose();
  });
  BeastHttpClient client(address_);
  auto stream = client.OpenStream({.target = "/", .deadline = kPatience});
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_EQ(*(*stream)->Read(kPatience), "first\n");
  EXPECT_EQ(*(*stream)->Read(absl::ZeroDuration()), "");
  server_.Signal();
  EXPECT_EQ(*(*stream)->Read(kPatience), "second\n");
  EXPECT_EQ((*stream)->Read(kPatience).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(TlsHttpTest, CancelReachesWhatRuns) {
  server_.OnConnection([](RawTlsServer::Peer& peer) { peer.WaitForClose(); });
  BeastHttpClient client(address_);
  std::thread canceller([&] { client.Cancel(); });
  const auto response = client.Get({.target = "/", .deadline = absl::Hours(1), .max_body_bytes = 10});
  EXPECT_EQ(response.status().code(), absl::StatusCode::kCancelled);
  canceller.join();
}

TEST(TlsTrustTest, WhoAnswersIsVerified) {
  static const TestAuthority stranger;
  struct Case {
    std::string what;
    TestCertificate certificate;
    TlsSettings tls;
    std::string reason;  // empty: it is believed
    std::string says;
  };
  const std::string ca = Authority().certificate_pem();
  const std::vector<Case> cases = {
      {"address", Authority().Issue("IP:127.0.0.1"), {.ca_pem = ca}, "", ""},
      {"name", Authority().Issue("DNS:kubernetes"), {.ca_pem = ca, .server_name = "kubernetes"}, "", ""},
      {"other",
       Authority().Issue("DNS:a.test,IP:10.0.0.1"),
       {.ca_pem = ca},
       "TLS_WRONG_NAME",
       "a.test, 10.0.0.1, not for 127"},
      {"text", Authority().Issue("DNS:127.0.0.1"), {.ca_pem = ca}, "TLS_WRONG_NAME", "tls-server-name"},
      {"expired", Authority().Issue("IP:127.0.0.1", -absl::Hours(1)), {.ca_pem = ca}, "TLS_EXPIRED", "clock"},
      {"stranger", stranger.Issue("IP:127.0.0.1"), {.ca_pem = ca}, "TLS_UNTRUSTED", "give the CA certificate"},
      {"system", Authority().Issue("IP:127.0.0.1"), {}, "TLS_UNTRUSTED", "give the CA certificate"},
      {"two", Authority().Issue("IP:127.0.0.1"), {.ca_pem = GoodCertificate().certificate_pem + ca}, "", ""},
      {"itself", GoodCertificate(), {.ca_pem = GoodCertificate().certificate_pem}, "", ""},
      {"skipped", stranger.Issue("DNS:x", -absl::Hours(1)), {.skip_verify = true}, "", ""},
  };
  for (const Case& c : cases) {
    RawTlsServer server({.certificate = c.certificate});
    server.OnConnection(Says(Answer("200 OK", "hello")));
    HttpServer address = ServerAt(server.port());
    address.tls = c.tls;
    for (const absl::Status& status : {Get(address).status(), Follow(address).end.status}) {
      EXPECT_EQ(status.ok(), c.reason.empty()) << c.what << ": " << status;
      if (c.reason.empty()) continue;
      EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated) << c.what << ": " << status;
      EXPECT_EQ(ReasonOf(status), c.reason) << c.what << ": " << status;
      EXPECT_THAT(MessageOf(status), HasSubstr(c.says)) << c.what;
      EXPECT_THAT(MessageOf(status), HasSubstr(fmt::format("127.0.0.1:{}", server.port()))) << c.what;
    }
  }
}

TEST(TlsTrustTest, ClientCertificatesAreShown) {
  const TestAuthority clients;
  RawTlsServer server({.certificate = GoodCertificate(), .client_ca_pem = clients.certificate_pem()});
  server.OnConnection(Says(Answer("200 OK", "hello")));
  HttpServer address = ServerAt(server.port());
  EXPECT_EQ(ReasonOf(Get(address).status()), "TLS_CLIENT_REFUSED") << Get(address).status();
  const TestCertificate good = clients.Issue("DNS:agent");
  address.tls.client_certificate_pem = good.certificate_pem;
  address.tls.client_key_pem = good.key_pem;
  EXPECT_TRUE(Get(address).ok()) << Get(address).status();
  const TestCertificate bad = Authority().Issue("DNS:agent");
  address.tls.client_certificate_pem = bad.certificate_pem;
  address.tls.client_key_pem = bad.key_pem;
  EXPECT_EQ(ReasonOf(Follow(address).end.status), "TLS_CLIENT_REFUSED");
}

TEST(TlsTrustTest, SettingsThatCannotBeUsedSayWhy) {
  const TestCertificate one = Authority().Issue("DNS:one");
  const TestCertificate two = Authority().Issue("DNS:two");
  const std::vector<std::pair<TlsSettings, std::string>> cases = {
      {{.ca_pem = "garbage"}, "BEGIN CERTIFICATE"},
      {{.ca_pem = one.key_pem}, "BEGIN CERTIFICATE"},
      {{.client_certificate_pem = one.certificate_pem}, "one of them is missing"},
      {{.client_key_pem = one.key_pem}, "one of them is missing"},
      {{.client_certificate_pem = "garbage", .client_key_pem = one.key_pem}, "client certificate"},
      {{.client_certificate_pem = one.certificate_pem, .client_key_pem = "garbage"}, "client key"},
      {{.client_certificate_pem = one.certificate_pem, .client_key_pem = two.key_pem}, "does not belong"},
  };
  for (const auto& [tls, says] : cases) {
    const HttpServer address = {.host = "127.0.0.1", .port = 1, .tls = tls};
    for (const absl::Status& status : {Get(address).status(), Follow(address).end.status}) {
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
      EXPECT_THAT(MessageOf(status), HasSubstr(says));
    }
  }
}

TEST(TlsConnectTest, TellsWhyItCannotConnect) {
  std::uint16_t port = 0;
  {
    const RawTlsServer gone({});
    port = gone.port();
  }
  const std::string says = fmt::format("connect to 127.0.0.1:{}: Connection refused; nobody listens there", port);
  EXPECT_THAT(MessageOf(Get(ServerAt(port)).status()), HasSubstr(says));
  EXPECT_EQ(ReasonOf(Follow(ServerAt(port)).end.status), "CONNECT_FAILED");
  HttpServer nameless = ServerAt(port);
  nameless.host = "no..name";
  EXPECT_EQ(ReasonOf(Get(nameless).status()), "NAME_NOT_RESOLVED") << Get(nameless).status();
  EXPECT_EQ(ReasonOf(Follow(nameless).end.status), "NAME_NOT_RESOLVED");
  // Where DNS answers it is no name, where it does not it is late.
  nameless.host = "name.invalid";
  EXPECT_THAT(ReasonOf(Get(nameless, kShort).status()), testing::AnyOf("NAME_NOT_RESOLVED", "NO_ANSWER"));
  EXPECT_THAT(MessageOf(Follow(nameless, kShort).end.status), HasSubstr("look up name.invalid"));
}

TEST(TlsConnectTest, PlainHttpIsNotTakenForTls) {
  RawTlsServer server({});
  server.OnConnection([](RawTlsServer::Peer& peer) {
    peer.Write("HTTP/1.1 400 Bad Request\r\n\r\nspeak up");
    peer.WaitForClose();
  });
  for (const absl::Status& status :
       {Get(ServerAt(server.port())).status(), Follow(ServerAt(server.port())).end.status}) {
    EXPECT_EQ(ReasonOf(status), "TLS_NOT_SPOKEN") << status;
    EXPECT_THAT(MessageOf(status), HasSubstr("check that the address is an https one"));
  }
}

TEST(TlsConnectTest, AServerThatNeverAnswersMeetsTheDeadline) {
  RawTlsServer mute({.is_mute = true});
  const std::string says = fmt::format("TLS handshake with 127.0.0.1:{}: no answer", mute.port());
  EXPECT_THAT(MessageOf(Get(ServerAt(mute.port()), kShort).status()), HasSubstr(says));
  EXPECT_THAT(MessageOf(Follow(ServerAt(mute.port()), kShort).end.status), HasSubstr(says));
  RawTlsServer silent({.certificate = GoodCertificate()});
  silent.OnConnection([](RawTlsServer::Peer& peer) { peer.WaitForClose(); });
  EXPECT_EQ(Get(ServerAt(silent.port()), kShort).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ReasonOf(Follow(ServerAt(silent.port()), kShort).end.status), "NO_ANSWER");
}

}  // namespace
}  // namespace muster::agent
