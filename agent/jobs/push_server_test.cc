#include "agent/jobs/push_server.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <fstream>
#include <optional>

#include "agent/jobs/push_command.h"
#include "agent/jobs/push_parser.h"
#include "common/status.h"
#include "common/testing/fake_clock.h"
#include "common/testing/must.h"
#include "common/testing/temp_dir.h"

namespace muster::agent {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

constexpr int kPatienceMs = 10'000;

// One who speaks to the socket.
class Client {
 public:
  explicit Client(const std::string& path) : fd_(Must(ConnectUnix(path))) {}
  void Say(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t sent = send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void SayNoMore() const { shutdown(fd_.get(), SHUT_WR); }
  // The next lines, or what came until the end of the connection.
  std::string Hear(int lines) {
    while (std::count(heard_.begin(), heard_.end(), '\n') < lines && Read()) continue;
    return std::exchange(heard_, "");
  }
  std::string HearToTheEnd() {
    while (Read()) continue;
    return std::exchange(heard_, "");
  }

 private:
  bool Read() {
    pollfd poll_fd{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    std::array<char, 65536> bytes{};
    if (poll(&poll_fd, 1, kPatienceMs) <= 0) return false;
    const ssize_t got = recv(fd_.get(), bytes.data(), bytes.size(), 0);
    if (got <= 0) return false;
    heard_.append(bytes.data(), static_cast<std::size_t>(got));
    return true;
  }

  Descriptor fd_;
  std::string heard_;
};

class PushServerTest : public testing::Test {
 protected:
  PushServerTest() { Start(); }
  void Start() {
    server_.emplace(PushServer::Options{.path = path_, .mode = 0620}, &store_, &clock_);
    // The store's answers and the socket come from their own threads.
    for (int i = 0; i < kPatienceMs && !server_->Fault().empty(); ++i) poll(nullptr, 0, 1);
    ASSERT_EQ(server_->Fault(), "");
  }

  TempDir dir_{TempDir::InMemory()};
  FakeClock clock_;
  const std::string path_ = dir_.path() + "/push.sock";
  JobStore store_{{.path = dir_.path() + "/jobs.db", .boot_id = "b", .vfs = ""}, &clock_};
  std::optional<PushServer> server_;
};

TEST_F(PushServerTest, AnswersInOrderWhateverIsAnsweredFirst) {
  Client client(path_);
  client.Say(
      "push g id=1\ncounter a_total 1\nend\nping\npush g\ngauge a_total 1\nend\nrubbish\npush g id=1\ncounter a_total "
      "1\nend\n");
  const std::string answers = client.Hear(5);
  EXPECT_THAT(answers, StartsWith("ok\nok muster-agent "));
  EXPECT_THAT(answers, HasSubstr("\nerror TYPE_CLASH a_total is a counter on this host, not a gauge\nerror BAD_PUSH "));
  EXPECT_THAT(answers, EndsWith("\nok known\n"));
}

TEST_F(PushServerTest, AnswersWhoHasSaidAllAndThenHangsUp) {
  Client client(path_);
  client.Say("push g\ncounter a_total 1\nend\npush unfinished\n");
  client.SayNoMore();
  EXPECT_EQ(client.HearToTheEnd(), "ok\n");
}

TEST_F(PushServerTest, ManyPushesOnManyConnectionsAllCount) {
  constexpr int kClients = 8;
  constexpr int kPushes = 1000;  // more than may be in flight
  std::vector<Client> clients;
  for (int i = 0; i < kClients; ++i) clients.emplace_back(path_);
  std::string pushes;
  for (int i = 0; i < kPushes; ++i) pushes += "push g\ncounter a_total 1\nend\n";
  for (const Client& client : clients) client.Say(pushes);
  for (Client& client : clients) {
    const std::string answers = client.Hear(kPushes);
    EXPECT_EQ(answers.size(), std::string("ok\n").size() * kPushes);
  }
  store_.Flush();
  EXPECT_EQ(store_.Report(0, kMaxJobReportBytes, clock_.Read()).groups(0).families(0).series(0).value(),
            kClients * kPushes);
}

TEST_F(PushServerTest, TakesNoMoreConnectionsThanItsLimit) {
  std::vector<Client> clients;
  for (std::size_t i = 0; i < kMaxPushConnections; ++i) clients.emplace_back(path_);
  clients.back().Say("ping\n");
  EXPECT_THAT(clients.back().Hear(1), StartsWith("ok "));
  Client late(path_);
  EXPECT_THAT(late.HearToTheEnd(), StartsWith("error BUSY 256 connections"));
}

TEST_F(PushServerTest, HangsUpOnWhoSpeaksSomethingElse) {
  Client client(path_);
  client.Say(std::string(kMaxSkippedBytes + 2 * 65536, 'x'));
  EXPECT_EQ(client.HearToTheEnd(), "");
}

TEST_F(PushServerTest, AReaderThatTakesNoAnswersIsNotReadFrom) {
  Client client(path_);
  std::string pings;
  for (int i = 0; i < 20'000; ++i) pings += "ping\n";
  client.Say(pings);
  Client other(path_);
  other.Say("ping\n");
  EXPECT_THAT(other.Hear(1), StartsWith("ok "));
  const std::string answers = client.Hear(20'000);
  EXPECT_EQ(std::count(answers.begin(), answers.end(), '\n'), 20'000);
}

TEST_F(PushServerTest, TheSocketHasItsModeAndGoesWithTheServer) {
  struct stat found {};
  ASSERT_EQ(stat(path_.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0620u);
  server_.reset();
  EXPECT_NE(stat(path_.c_str(), &found), 0);
}

TEST_F(PushServerTest, ReplacesASocketThatNobodyListensOn) {
  server_.reset();
  { const Descriptor left = Must(ListenUnix(path_, 0600)); }
  Start();
  Client client(path_);
  client.Say("ping\n");
  EXPECT_THAT(client.Hear(1), StartsWith("ok "));
}

TEST_F(PushServerTest, LeavesAloneWhatIsNotItsOwn) {
  EXPECT_EQ(ReasonOf(ListenUnix(path_, 0600).status()), "SOCKET_IN_USE");
  const std::string file = dir_.path() + "/file";
  std::ofstream(file) << "precious";
  EXPECT_EQ(ReasonOf(ListenUnix(file, 0600).status()), "SOCKET_IN_USE");
  EXPECT_EQ(ReasonOf(ListenUnix("/tmp/" + std::string(110, 'x'), 0600).status()), "BAD_PUSH_SOCKET");
}

TEST_F(PushServerTest, TheCommandRepeatsItsPushUntilAnAgentIsThere) {
  RawPush raw;
  raw.group = "g";
  raw.counters = {"a_total{b=\"c=d\"}=1"};
  raw.observations = {"h=1,2"};
  raw.id = "1";
  const std::string request = Must(MakePushText(raw, "")).request;
  EXPECT_EQ(Must(SendPush({"/nowhere", path_}, request, absl::Seconds(10))), "ok");
  EXPECT_EQ(Must(SendPush({path_}, request, absl::Seconds(10))), "ok known");
  server_.reset();
  EXPECT_EQ(ReasonOf(SendPush({path_}, request, absl::ZeroDuration()).status()), "NO_AGENT");
  // It listens and never answers.
  const Descriptor deaf = Must(ListenUnix(path_, 0600));
  EXPECT_EQ(ReasonOf(SendPush({path_}, request, absl::Milliseconds(50)).status()), "TIMED_OUT");
}

struct Written {
  RawPush raw;
  std::string statements;
  std::string reason;
};

TEST(PushCommandTest, RefusesWhatIsNoPush) {
  const auto group = [](auto change) {
    RawPush raw;
    raw.group = "g";
    change(&raw);
    return raw;
  };
  const std::vector<Written> table = {
      {group([](RawPush* p) { p->counters = {"a"}; }), "", "USAGE"},
      {group([](RawPush* p) { p->counters = {"=1"}; }), "", "USAGE"},
      {group([](RawPush* p) { p->gauges = {"a=1\nend"}; }), "", "USAGE"},
      {group([](RawPush* p) { p->success = p->failure = true; }), "", "USAGE"},
      {group([](RawPush* p) { p->counters = {"a_total=-1"}; }), "", "BAD_VALUE"},
      {group([](RawPush* p) { p->group = "g h"; }), "", "BAD_PUSH"},
      {group([](RawPush* p) { p->time_to_live = "soon"; }), "", "BAD_PUSH"},
      {group([](RawPush*) {}), "counter a_total 1\nend\npush h\n", "BAD_PUSH"},
      {group([](RawPush*) {}), "nonsense\n", "BAD_PUSH"},
  };
  for (const Written& row : table) {
    EXPECT_EQ(ReasonOf(MakePushText(row.raw, row.statements).status()), row.reason) << row.statements;
  }
  const PushText text = Must(MakePushText(group([](RawPush* p) { p->success = true; }), "counter a_total 1"));
  EXPECT_EQ(text.request, fmt::format("push g id={} success\ncounter a_total 1\nend\n", text.id));
}

}  // namespace
}  // namespace muster::agent
