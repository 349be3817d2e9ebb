#include "agent/http/beast_http_client.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>

#include "agent/http/testing/raw_unix_server.h"
#include "common/status.h"
#include "common/testing/temp_dir.h"

namespace muster::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr absl::Duration kPatience = absl::Seconds(20);
constexpr absl::Duration kShort = absl::Milliseconds(100);
constexpr std::string_view kOkHeaders = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

std::string Ok(std::string_view body) {
  return fmt::format("{}Content-Length: {}\r\n\r\n{}", kOkHeaders, body.size(), body);
}

std::string Chunk(std::string_view data) { return fmt::format("{:x}\r\n{}\r\n", data.size(), data); }

std::string ChunkedHeaders() { return fmt::format("{}Transfer-Encoding: chunked\r\n\r\n", kOkHeaders); }

class BeastHttpClientTest : public testing::Test {
 protected:
  absl::StatusOr<HttpResponse> Get(absl::Duration deadline = kPatience, std::size_t max_body = 1000) {
    return client_.Get({.target = "/x?y=1", .deadline = deadline, .max_body_bytes = max_body});
  }
  absl::StatusOr<std::unique_ptr<HttpStream>> Open(absl::Duration deadline = kPatience) {
    return client_.OpenStream({.target = "/events", .deadline = deadline});
  }
  // Reads until `size` bytes came or something failed.
  static absl::StatusOr<std::string> ReadBytes(HttpStream& stream, std::size_t size) {
    std::string all;
    while (all.size() < size) {
      auto bytes = stream.Read(kPatience);
      if (!bytes.ok()) return bytes.status();
      all += *bytes;
    }
    return all;
  }

  TempDir dir_;
  const std::string path_ = dir_.path() + "/d.sock";
  RawUnixServer server_{path_};
  BeastHttpClient client_{HttpServer::AtSocket(path_)};
};

TEST_F(BeastHttpClientTest, GetsWithGetAndKeepsTheConnection) {
  server_.OnConnection([](RawUnixServer::Peer& peer) {
    for (int i = 0; i < 3; ++i) {
      const std::string request = peer.ReadRequest();
      peer.Write(Ok(request.substr(0, request.find('\r'))));
    }
  });
  for (int i = 0; i < 3; ++i) {
    const auto response = Get();
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->code, 200);
    EXPECT_EQ(response->body, "GET /x?y=1 HTTP/1.1");
  }
  EXPECT_EQ(server_.connections(), 1);
}

TEST_F(BeastHttpClientTest, OpensANewConnectionWhenTheServerClosedTheIdleOne) {
  server_.OnConnection([](RawUnixServer::Peer& peer) {
    peer.ReadRequest();
    peer.Write(Ok("1"));
  });
  ASSERT_TRUE(Get().ok());
  server_.WaitUntilClosed(1);
  const auto second = Get();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(server_.connections(), 2);
}

TEST_F(BeastHttpClientTest, AnyCodeIsAnAnswer) {
  server_.OnConnection([](RawUnixServer::Peer& peer) {
    peer.ReadRequest();
    peer.Write("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno");
  });
  const auto response = Get();
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->code, 404);
  EXPECT_EQ(response->body, "no");
}

TEST_F(BeastHttpClientTest, TellsWhyItCannotConnect) {
  BeastHttpClient missing(HttpServer::AtSocket(dir_.path() + "/none.sock"));
  EXPECT_EQ(ReasonOf(missing.Get({.target = "/", .deadline = kPatience}).status()), "SOCKET_MISSING");
  BeastHttpClient too_long(HttpServer::AtSocket("/" + std::string(200, 'x')));
  EXPECT_EQ(too_long.Get({.target = "/", .deadline = kPatience}).status().code(), absl::StatusCode::kNotFound);
  server_.Stop();
  EXPECT_EQ(Get().status().code(), absl::StatusCode::kUnavailable) << "the file is there, nobody listens";
}

TEST_F(BeastHttpClientTest, AServerThatNeverAnswersMeetsTheDeadline) {
  server_.OnConnection([](RawUnixServer::Peer& peer) { peer.WaitForClose(); });
  EXPECT_EQ(Get(kShort).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(Open(kShort).status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(BeastHttpClientTest, AServerThatStopsInTheMiddleMeetsTheDeadline) {
  server_.OnConnection([](RawUnixServer::Peer& peer) {
    peer.ReadRequest();
    peer.Write(std::string(kOkHeaders) + "Content-Length: 100\r\n\r\nhalf");
    peer.WaitForClose();
  });
  EXPECT_EQ(Get(kShort).status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(BeastHttpClientTest, AServerThatDripsMeetsTheDeadlineOfTheWholeCall) {
  server_.OnConnection([](RawUnixServer::Peer& peer) {
    peer.ReadRequest();
    peer.Write(std::string(kOkHeaders) + "Content-Length: 1000000\r\n\r\n");
    while (peer.Write("x")) {
    }
  });
  EXPECT_FALSE(Get(kShort, 10'000'000).ok());
}

TEST_F(BeastHttpClientTest, BodiesBeyondTheLimitAreRefused) {
  server_.OnConnection([](RawUnixServer::Peer& peer) {
    const std::string request = peer.ReadRequest();
    peer.Write(std::string(kOkHeaders) + "Content-Length: 52428800\r\n\r\n");
    while (peer.Write(std::string(65536, 'x'))) {
    }
  });
  EXPECT_EQ(ReasonOf(Get().status()), "ANSWER_TOO_LARGE");
}

TEST_F(BeastHttpClientTest, ChunkedBodiesBeyondTheLimitAreRefused) {
  server_.OnConnection([](RawUnixServer::Peer& peer) {
    peer.ReadRequest();
    peer.Write(ChunkedHeaders());
    while (peer.Write(Chunk(std::string(4096, 'x')))) {
    }
  });
  EXPECT_EQ(ReasonOf(Get().status()), "ANSWER_TOO_LARGE");
}

TEST_F(BeastHttpClientTest, HeadersBeyondTheLimitAreRefused) {
  server_.OnConnection([](RawUnixServer::Peer& peer) {
    peer.ReadRequest();
    peer.Write("HTTP/1.1 200 OK\r\n");
    while (peer.Write("X-More: " + std::string(1000, 'x') + "\r\n")) {
    }
  });
  EXPECT_EQ(ReasonOf(Get().status()), "ANSWER_TOO_LARGE");
  EXPECT_EQ(ReasonOf(Open().status()), "ANSWER_TOO_LARGE");
}

TEST_F(BeastHttpClientTest, GarbageAndCutAnswersAreErrors) {
  for (const std::string& answer :
       {std::string("220 mail.example.com ESMTP\r\n\r\n"), std::string("\x16\x03\x01\x02"), std::string(10'000, '\0'),
        std::string(kOkHeaders) + "Content-Length: 100\r\n\r\nhalf", ChunkedHeaders() + "zz\r\n", std::string()}) {
    server_.OnConnection([answer](RawUnixServer::Peer& peer) {
      peer.ReadRequest();
      peer.Write(answer);
    });
    const absl::Status status = Get().status();
    EXPECT_TRUE(status.code() == absl::StatusCode::kDataLoss || status.code() == absl::StatusCode::kUnavailable ||
                status.code() == absl::StatusCode::kResourceExhausted)
        << status;
  }
}

TEST_F(BeastHttpClientTest, StreamsAChunkedBodyAsItComes) {
  server_.OnConnection([](RawUnixServer::Peer& peer) {
    peer.ReadRequest();
    peer.Write(ChunkedHeaders());
    peer.Write(Chunk("first\n"));
    peer.AwaitSignal();
    const std::string second = Chunk("second\n");
    for (const char c : second) peer.Write(std::string(1, c));
    peer.Write("0\r\n\r\n");
    peer.WaitForClose();
  });
  auto stream = Open();
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_EQ(*ReadBytes(**stream, 6), "first\n");
  EXPECT_EQ(*(*stream)->Read(absl::ZeroDuration()), "") << "nothing yet";
  EXPECT_EQ(*(*stream)->Read(absl::Milliseconds(20)), "");
  server_.Signal();
  EXPECT_EQ(*ReadBytes(**stream, 7), "second\n");
  absl::Status end;
  while (end.ok()) end = (*stream)->Read(kPatience).status();
  EXPECT_EQ(end.code(), absl::StatusCode::kOutOfRange) << end;
}

TEST_F(BeastHttpClientTest, ALongStreamArrivesWhole) {
  std::string expected;
  for (int i = 0; i < 20'000; ++i) expected += fmt::format("line {}\n", i);
  server_.OnConnection([expected](RawUnixServer::Peer& peer) {
    peer.ReadRequest();
    peer.Write(ChunkedHeaders());
    for (std::size_t at = 0; at < expected.size(); at += 7000) peer.Write(Chunk(expected.substr(at, 7000)));
    peer.WaitForClose();
  });
  auto stream = Open();
  ASSERT_TRUE(stream.ok());
  EXPECT_EQ(*ReadBytes(**stream, expected.size()), expected);
  stream->reset();
}

TEST_F(BeastHttpClientTest, ACutChunkDeliversWhatCameThenFails) {
  server_.OnConnection([](RawUnixServer::Peer& peer) {
    peer.ReadRequest();
    peer.Write(ChunkedHeaders() + "64\r\nhalf of a chunk");
  });
  auto stream = Open();
  ASSERT_TRUE(stream.ok());
  EXPECT_EQ(*ReadBytes(**stream, 15), "half of a chunk");
  const absl::Status end = (*stream)->Read(kPatience).status();
  EXPECT_EQ(end.code(), absl::StatusCode::kDataLoss) << end;
  EXPECT_EQ((*stream)->Read(kPatience).status(), end) << "and stays so";
}

TEST_F(BeastHttpClientTest, AGarbageChunkHeaderFailsTheStream) {
  server_.OnConnection([](RawUnixServer::Peer& peer) {
    peer.ReadRequest();
    peer.Write(ChunkedHeaders() + Chunk("ok\n") + "no hex here\r\n");
    peer.WaitForClose();
  });
  auto stream = Open();
  ASSERT_TRUE(stream.ok());
  EXPECT_EQ(*ReadBytes(**stream, 3), "ok\n");
  EXPECT_EQ((*stream)->Read(kPatience).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(BeastHttpClientTest, AStreamThatIsRefusedSaysWhy) {
  server_.OnConnection([](RawUnixServer::Peer& peer) {
    peer.ReadRequest();
    peer.Write("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 6\r\n\r\nbroken");
    peer.WaitForClose();
  });
  const absl::Status status = Open().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(MessageOf(status), HasSubstr("HTTP 500 broken"));
}

TEST_F(BeastHttpClientTest, CancelEndsWhatRunsAndAllThatFollows) {
  server_.OnConnection([](RawUnixServer::Peer& peer) {
    peer.ReadRequest();
    peer.Write(ChunkedHeaders());
    peer.WaitForClose();
  });
  auto stream = Open();
  ASSERT_TRUE(stream.ok());
  std::thread canceller([this] { client_.Cancel(); });
  EXPECT_EQ((*stream)->Read(absl::Hours(1)).status().code(), absl::StatusCode::kCancelled);
  canceller.join();
  EXPECT_EQ(Get().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(Open().status().code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace muster::agent
