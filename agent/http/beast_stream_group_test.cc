#include "agent/http/beast_stream_group.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "agent/http/testing/hand_server.h"
#include "common/status.h"
#include "common/testing/temp_dir.h"

namespace muster::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr absl::Duration kPatience = absl::Seconds(20);
constexpr absl::Duration kShort = absl::Milliseconds(50);
constexpr std::string_view kChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
constexpr std::string_view kToTheEnd = "HTTP/1.1 200 OK\r\n\r\n";

std::string Chunk(std::string_view data) { return fmt::format("{:x}\r\n{}\r\n", data.size(), data); }

class BeastStreamGroupTest : public testing::Test {
 protected:
  struct Received {
    std::string bytes;
    int events = 0;
    bool has_ended = false;
    absl::Status status;
    int http_code = 0;
  };

  StreamGroup::Id Open(absl::Duration deadline = kPatience) {
    return group_.Open({.target = "/logs?x=1", .deadline = deadline});
  }
  // Returns how many events came.
  int Wait(absl::Duration wait) {
    int events = 0;
    group_.Wait(wait, [&](const StreamGroup::Event& event) {
      ++events;
      Received& received = all_[event.id];
      EXPECT_FALSE(received.has_ended) << "an event behind the last";
      EXPECT_EQ(event.bytes.empty(), event.is_end || event.is_open);
      EXPECT_FALSE(event.is_open && received.events > 0) << "it is opened once, before all bytes";
      ++received.events;
      received.bytes += event.bytes;
      received.has_ended = event.is_end;
      received.status = event.status;
      received.http_code = event.http_code;
      if (on_event_) on_event_(event);
    });
    return events;
  }
  // All that can be done at once.
  void Pump() {
    for (int quiet = 0; quiet < 3;) quiet = Wait(absl::ZeroDuration()) > 0 ? 0 : quiet + 1;
  }
  HandServer::Peer Accept() {
    Pump();
    return server_.Accept();
  }
  const Received& WaitForEnd(StreamGroup::Id id) {
    while (!all_[id].has_ended) Wait(kPatience);
    return all_[id];
  }
  // The whole answer in these parts, then the end of the connection.
  Received AnswerTo(const std::vector<std::string>& parts, bool close = true) {
    const StreamGroup::Id id = Open();
    HandServer::Peer peer = Accept();
    EXPECT_TRUE(peer.is_open());
    peer.ReadNow();
    for (const std::string& part : parts) {
      EXPECT_EQ(peer.Write(part), part.size());
      Pump();
    }
    if (close) peer.Close();
    return WaitForEnd(id);
  }

  TempDir dir_;
  const std::string path_ = dir_.path() + "/d.sock";
  HandServer server_{path_, 16};
  BeastStreamGroup group_{HttpServer::AtSocket(path_)};
  std::map<StreamGroup::Id, Received> all_;
  std::function<void(const StreamGroup::Event&)> on_event_;
};

TEST_F(BeastStreamGroupTest, GivesABodyAsItComes) {
  const StreamGroup::Id id = Open();
  HandServer::Peer peer = Accept();
  EXPECT_THAT(peer.ReadNow(), StartsWith("GET /logs?x=1 HTTP/1.1\r\nHost: "));
  peer.Write(kChunked);
  Pump();
  EXPECT_EQ(all_[id].events, 1) << "it is open";
  EXPECT_EQ(all_[id].bytes, "");
  peer.Write(Chunk("first\n"));
  EXPECT_EQ(Wait(kPatience), 1);
  EXPECT_EQ(all_[id].bytes, "first\n");
  peer.Write(Chunk("second\n") + Chunk("third\n"));
  Wait(kPatience);
  EXPECT_EQ(all_[id].bytes, "first\nsecond\nthird\n");
  peer.Write("0\r\n\r\n");
  const Received& received = WaitForEnd(id);
  EXPECT_TRUE(received.status.ok()) << received.status;
  EXPECT_EQ(received.http_code, 200);
  EXPECT_TRUE(peer.IsClosedByClient());
  EXPECT_EQ(Wait(absl::ZeroDuration()), 0);
}

TEST_F(BeastStreamGroupTest, BodiesOfEachKindEndWell) {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  for (const std::string& answer :
       {ok + "\r\nbody", ok + "Content-Length: 4\r\n\r\nbody", ok + "Content-Length: 4\r\n\r\nbodyand more",
        std::string(kChunked) + "2;a=b\r\nbo\r\n2\r\ndy\r\n0\r\nTrailer: x\r\n\r\n",
        std::string("HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nbody")}) {
    const Received received = AnswerTo({answer});
    EXPECT_TRUE(received.status.ok()) << received.status << "\n" << answer;
    EXPECT_EQ(received.bytes, "body") << answer;
  }
  EXPECT_TRUE(AnswerTo({ok + "Content-Length: 0\r\n\r\n"}, /*close=*/false).status.ok()) << "an empty body";
  EXPECT_TRUE(AnswerTo({ok + "\r\n"}).status.ok()) << "an empty body up to the end";
}

TEST_F(BeastStreamGroupTest, CutAnywhereTheBytesAreTheSame) {
  const std::string answer = std::string(kChunked) + Chunk("one\n") + Chunk("a longer second line\n") + "0\r\n\r\n";
  for (std::size_t cut = 1; cut < answer.size(); ++cut) {
    const Received received = AnswerTo({answer.substr(0, cut), answer.substr(cut)}, /*close=*/false);
    ASSERT_TRUE(received.status.ok()) << received.status << ", cut at " << cut;
    ASSERT_EQ(received.bytes, "one\na longer second line\n") << "cut at " << cut;
  }
  std::vector<std::string> bytes;
  for (const char c : answer) bytes.emplace_back(1, c);
  EXPECT_EQ(AnswerTo(bytes).bytes, "one\na longer second line\n");
}

TEST_F(BeastStreamGroupTest, ChunksOfAllSizesArriveWhole) {
  const StreamGroup::Id id = Open();
  HandServer::Peer peer = Accept();
  std::string expected;
  std::string wire(kChunked);
  for (const std::size_t size : {1, 15, 16, 4095, 4096, 65535, 65536, 65537, 300'000, 2}) {
    std::string data(size, static_cast<char>('a' + size % 26));
    wire += Chunk(data);
    expected += data;
  }
  wire += "0\r\n\r\n";
  for (std::string_view rest = wire; !all_[id].has_ended;) {
    rest.remove_prefix(peer.Write(rest));
    Pump();
  }
  EXPECT_EQ(all_[id].bytes, expected);
  EXPECT_TRUE(all_[id].status.ok()) << all_[id].status;
}

TEST_F(BeastStreamGroupTest, WhatIsWrongWithAnAnswerIsSaidBehindItsBytes) {
  struct Case {
    std::string answer;
    absl::StatusCode code;
    std::string reason;
    std::string bytes;
  };
  const std::string chunked(kChunked);
  const std::vector<Case> cases = {
      {"", absl::StatusCode::kUnavailable, "CONNECTION_LOST", ""},
      {"HTTP/1.1 20", absl::StatusCode::kDataLoss, "BAD_HTTP", ""},
      {"220 mail.example.com ESMTP\r\n\r\n", absl::StatusCode::kDataLoss, "BAD_HTTP", ""},
      {std::string("\x16\x03\x01\x02\x00\x01", 6), absl::StatusCode::kDataLoss, "BAD_HTTP", ""},
      {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", absl::StatusCode::kDataLoss, "BAD_HTTP", "half"},
      {chunked + "64\r\nhalf", absl::StatusCode::kDataLoss, "BAD_HTTP", "half"},
      {chunked + Chunk("ok\n"), absl::StatusCode::kDataLoss, "BAD_HTTP", "ok\n"},
      {chunked + Chunk("ok\n") + "no hex here\r\n", absl::StatusCode::kDataLoss, "BAD_HTTP", "ok\n"},
      {"HTTP/1.1 200 OK\r\nX: " + std::string(20'000, 'x'), absl::StatusCode::kResourceExhausted, "ANSWER_TOO_LARGE",
       ""},
      {chunked + "4;" + std::string(20'000, 'x'), absl::StatusCode::kResourceExhausted, "ANSWER_TOO_LARGE", ""},
  };
  for (const Case& c : cases) {
    const Received received = AnswerTo({c.answer});
    EXPECT_EQ(received.status.code(), c.code) << received.status << "\n" << c.answer.substr(0, 100);
    EXPECT_EQ(ReasonOf(received.status), c.reason) << c.answer.substr(0, 100);
    EXPECT_EQ(received.bytes, c.bytes);
  }
}

TEST_F(BeastStreamGroupTest, AResetInMidBodyIsALostConnection) {
  const StreamGroup::Id id = Open();
  HandServer::Peer peer = Accept();
  peer.Write(std::string(kChunked) + "64\r\nhalf");
  // With the request unread: a reset.
  peer.Close();
  const Received& received = WaitForEnd(id);
  EXPECT_EQ(received.bytes, "half");
  EXPECT_EQ(received.status.code(), absl::StatusCode::kUnavailable) << received.status;
}

TEST_F(BeastStreamGroupTest, OtherCodesEndWithTheCodeAndTheStartOfTheBody) {
  const std::vector<std::pair<int, std::string>> cases = {
      {404, "HTTP/1.1 404 Not Found\r\nContent-Length: 24\r\n\r\n{\"message\":\"no such one\"}"},
      {409, "HTTP/1.1 409 Conflict\r\nTransfer-Encoding: chunked\r\n\r\n" + Chunk("{\"message\":") +
                Chunk("\"no such one\"}") + "0\r\n\r\n"},
      {501, "HTTP/1.1 501 Not Implemented\r\n\r\n{\"message\":\"no such one\"}"},
      {500, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 900\r\n\r\n{\"message\":\"no such one"},
      {500, "HTTP/1.1 500 Internal Server Error\r\n\r\nno such one" + std::string(100'000, 'x')},
  };
  for (const auto& [code, answer] : cases) {
    const Received received = AnswerTo({answer});
    EXPECT_EQ(received.status.code(), absl::StatusCode::kFailedPrecondition) << received.status;
    EXPECT_EQ(received.http_code, code);
    EXPECT_EQ(received.bytes, "") << "no line of a log";
    EXPECT_THAT(MessageOf(received.status), HasSubstr(fmt::format("GET /logs?x=1: HTTP {} ", code)));
    EXPECT_THAT(MessageOf(received.status), HasSubstr("no such one"));
    EXPECT_LE(MessageOf(received.status).size(), 300U);
  }
  EXPECT_EQ(AnswerTo({"HTTP/1.1 204 No Content\r\n\r\n"}, /*close=*/false).http_code, 204);
}

TEST_F(BeastStreamGroupTest, TheBodyOfAnErrorIsNotWaitedForLong) {
  const Received received = AnswerTo({"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\npart"}, /*close=*/false);
  EXPECT_EQ(received.http_code, 404);
  EXPECT_THAT(MessageOf(received.status), HasSubstr("part"));
}

TEST_F(BeastStreamGroupTest, AServerThatNeverAnswersMeetsTheDeadline) {
  const StreamGroup::Id id = Open(kShort);
  const StreamGroup::Id half = Open(kShort);
  const StreamGroup::Id whole = Open(kShort);
  Pump();
  HandServer::Peer silent = server_.Accept();
  HandServer::Peer stops = server_.Accept();
  HandServer::Peer answers = server_.Accept();
  stops.Write("HTTP/1.1 200 OK\r\nX: ");
  answers.Write(kChunked);
  EXPECT_EQ(ReasonOf(WaitForEnd(id).status), "NO_ANSWER");
  EXPECT_EQ(WaitForEnd(half).status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(Wait(kShort), 0);
  EXPECT_FALSE(all_[whole].has_ended) << "a body has no deadline";
}

TEST_F(BeastStreamGroupTest, TellsWhyItCannotConnect) {
  const auto end_of = [](BeastStreamGroup& group) {
    absl::Status status;
    group.Open({.target = "/", .deadline = kPatience});
    group.Wait(kPatience, [&](const StreamGroup::Event& event) { status = event.status; });
    return status;
  };
  BeastStreamGroup missing(HttpServer::AtSocket(dir_.path() + "/none.sock"));
  EXPECT_EQ(ReasonOf(end_of(missing)), "SOCKET_MISSING");
  BeastStreamGroup too_long(HttpServer::AtSocket("/" + std::string(200, 'x')));
  EXPECT_EQ(end_of(too_long).code(), absl::StatusCode::kNotFound);
  server_.StopListening();
  EXPECT_EQ(end_of(group_).code(), absl::StatusCode::kUnavailable) << "the file is there, nobody listens";
}

// A unix socket whose listener has no room is not connecting: it took itself for connected and failed when it wrote.
TEST_F(BeastStreamGroupTest, AListenerWithoutRoomIsWaitedFor) {
  const std::string path = dir_.path() + "/small.sock";
  HandServer small(path, 0);
  BeastStreamGroup group(HttpServer::AtSocket(path));
  int ended = 0;
  std::string all;
  const auto pump = [&] {
    group.Wait(absl::Milliseconds(1), [&](const StreamGroup::Event& event) {
      all += event.bytes;
      if (event.is_end) ++ended;
      EXPECT_TRUE(event.status.ok()) << event.status;
    });
  };
  for (int i = 0; i < 5; ++i) group.Open({.target = "/", .deadline = kPatience});
  for (int i = 0; i < 20; ++i) pump();
  EXPECT_EQ(ended, 0);
  while (ended < 5) {
    if (HandServer::Peer peer = small.Accept(); peer.is_open()) {
      pump();
      peer.ReadNow();
      peer.Write(std::string(kToTheEnd) + "x");
    }
    pump();
  }
  EXPECT_EQ(all, "xxxxx");
  group.Open({.target = "/", .deadline = kShort});
  group.Open({.target = "/", .deadline = kShort});
  group.Open({.target = "/", .deadline = kShort});
  std::vector<absl::Status> late;
  while (late.size() < 3) {
    group.Wait(kPatience, [&](const StreamGroup::Event& event) { late.push_back(event.status); });
  }
  for (const absl::Status& status : late) EXPECT_EQ(ReasonOf(status), "NO_ANSWER");
}

TEST_F(BeastStreamGroupTest, ThreeHundredStreamsAtOnce) {
  constexpr int kCount = 300;
  for (int i = 0; i < kCount; ++i) Open();
  std::vector<HandServer::Peer> peers;
  std::vector<std::string> sent;
  while (peers.size() < kCount) {
    Wait(absl::Milliseconds(1));
    for (HandServer::Peer peer = server_.Accept(); peer.is_open(); peer = server_.Accept()) {
      peers.push_back(std::move(peer));
    }
  }
  for (HandServer::Peer& peer : peers) peer.Write(kChunked);
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < peers.size(); ++i) {
      peers[i].Write(Chunk(fmt::format("peer {} round {}\n", i, round)));
    }
    Pump();
  }
  for (std::size_t i = 0; i < peers.size(); ++i) {
    sent.push_back(fmt::format("peer {0} round 0\npeer {0} round 1\npeer {0} round 2\n", i));
    peers[i].Write("0\r\n\r\n");
  }
  std::vector<std::string> received;
  for (StreamGroup::Id id = 1; id <= kCount; ++id) {
    EXPECT_TRUE(WaitForEnd(id).status.ok()) << all_[id].status;
    received.push_back(all_[id].bytes);
  }
  EXPECT_THAT(received, testing::UnorderedElementsAreArray(sent));
}

TEST_F(BeastStreamGroupTest, APausedStreamIsNotReadUntilItGoesOn) {
  const StreamGroup::Id id = Open();
  on_event_ = [&](const StreamGroup::Event& event) { group_.Pause(event.id); };
  HandServer::Peer peer = Accept();
  peer.Write(kToTheEnd);
  Pump();
  std::string sent;
  const auto fill = [&] {
    const std::string more(10'000, static_cast<char>('a' + sent.size() / 10'000 % 26));
    std::size_t written = 1;
    while (written > 0) {
      written = peer.Write(more);
      sent += more.substr(0, written);
    }
  };
  fill();
  Pump();
  EXPECT_EQ(all_[id].events, 1);
  EXPECT_LE(all_[id].bytes.size(), 65536U) << "what was in hand when it was paused";
  fill();
  const std::size_t before = sent.size();
  Pump();
  fill();
  EXPECT_EQ(sent.size(), before) << "the socket is full and stays so";
  on_event_ = nullptr;
  group_.Resume(id);
  group_.Resume(id);
  Pump();
  peer.Close();
  WaitForEnd(id);
  EXPECT_EQ(all_[id].bytes, sent);
}

TEST_F(BeastStreamGroupTest, PausedBeforeItIsConnectedItStillMeetsNoDeadline) {
  const StreamGroup::Id id = Open(absl::Milliseconds(200));
  group_.Pause(id);
  HandServer::Peer peer = Accept();
  peer.Write(kChunked);
  Pump();
  peer.Write(Chunk("later\n"));
  EXPECT_EQ(Wait(absl::Milliseconds(300)), 0);
  group_.Resume(id);
  EXPECT_EQ(Wait(kPatience), 1);
  EXPECT_EQ(all_[id].bytes, "later\n");
}

TEST_F(BeastStreamGroupTest, StreamsMayBeClosedAndOpenedWhileEventsAreGiven) {
  const StreamGroup::Id first = Open();
  const StreamGroup::Id second = Open();
  StreamGroup::Id third = 0;
  on_event_ = [&](const StreamGroup::Event& /*event*/) {
    group_.Close(first);
    group_.Close(second);
    group_.Close(second);
    if (third == 0) third = Open();
  };
  Pump();
  std::vector<HandServer::Peer> peers;
  for (int i = 0; i < 2; ++i) {
    peers.push_back(server_.Accept());
    peers.back().ReadNow();
    peers.back().Write(std::string(kToTheEnd) + "x");
  }
  Pump();
  EXPECT_EQ(all_[first].events + all_[second].events, 1) << "and no end";
  for (HandServer::Peer& peer : peers) peer.Close();
  EXPECT_GT(third, second);
  HandServer::Peer peer = Accept();
  peer.ReadNow();
  EXPECT_TRUE(peer.is_open());
  group_.Close(third);
  EXPECT_TRUE(peer.IsClosedByClient());
  group_.Close(4711);
  group_.Pause(third);
  group_.Resume(third);
  EXPECT_EQ(Wait(kShort), 0);
}

TEST_F(BeastStreamGroupTest, AFloodDoesNotKeepTheCallerInWait) {
  const StreamGroup::Id id = Open();
  HandServer::Peer peer = Accept();
  peer.Write(kToTheEnd);
  Pump();
  // Each event makes room for the next, for ever.
  const std::string more(10'000, 'x');
  on_event_ = [&](const StreamGroup::Event& /*event*/) { peer.Write(more); };
  peer.Write(more);
  for (int i = 0; i < 10; ++i) {
    const int events = Wait(kPatience);
    EXPECT_GE(events, 1);
    EXPECT_LE(events, 100);
  }
  on_event_ = nullptr;
  group_.Close(id);
}

TEST_F(BeastStreamGroupTest, WakeEndsTheWaitThatRunsOrTheNext) {
  std::thread waker([this] { group_.Wake(); });
  EXPECT_EQ(Wait(absl::InfiniteDuration()), 0);
  waker.join();
  for (int i = 0; i < 1000; ++i) group_.Wake();
  const absl::Time begin = absl::Now();
  EXPECT_EQ(Wait(absl::Hours(1)), 0);
  EXPECT_LT(absl::Now() - begin, kPatience);
  const absl::Time quiet = absl::Now();
  EXPECT_EQ(Wait(kShort), 0);
  EXPECT_GE(absl::Now() - quiet, kShort) << "a thousand wakes are one";
}

TEST_F(BeastStreamGroupTest, NothingRunsWhileNothingHappens) {
  std::vector<HandServer::Peer> peers;
  for (int i = 0; i < 30; ++i) {
    const StreamGroup::Id id = Open();
    peers.push_back(Accept());
    peers.back().Write(std::string(kChunked) + Chunk("x"));
    Pump();
    if (i % 2 == 0) group_.Pause(id);
  }
  // Paused ones with something to read, and one that waits for its answer.
  for (int i = 0; i < 30; i += 2) peers[static_cast<std::size_t>(i)].Write(Chunk("waits"));
  Open(absl::Hours(1));
  HandServer::Peer silent = Accept();
  Pump();
  rusage before{};
  rusage after{};
  getrusage(RUSAGE_THREAD, &before);
  EXPECT_EQ(Wait(absl::Milliseconds(1100)), 0);
  getrusage(RUSAGE_THREAD, &after);
  EXPECT_LE(after.ru_nvcsw - before.ru_nvcsw, 1) << "times that the thread slept and was woken";
}

TEST_F(BeastStreamGroupTest, MayGoWithEverythingUnderWay) {
  std::vector<HandServer::Peer> peers;
  {
    BeastStreamGroup group(HttpServer::AtSocket(path_));
    for (int i = 0; i < 3; ++i) group.Open({.target = "/", .deadline = kPatience});
    group.Wait(absl::ZeroDuration(), [](const StreamGroup::Event& /*event*/) {});
    for (int i = 0; i < 3; ++i) peers.push_back(server_.Accept());
    peers[0].Write(kChunked);
    group.Wait(absl::ZeroDuration(), [](const StreamGroup::Event& /*event*/) {});
    group.Open({.target = "/", .deadline = kPatience});
    group.Wake();
  }
  for (HandServer::Peer& peer : peers) {
    peer.ReadNow();
    EXPECT_TRUE(peer.IsClosedByClient());
  }
}

}  // namespace
}  // namespace muster::agent
