// When BeastStreamGroup reads, for a caller that gathers what comes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "agent/http/beast_stream_group.h"
#include "agent/http/testing/hand_server.h"
#include "common/testing/temp_dir.h"

namespace muster::agent {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);
constexpr absl::Duration kShort = absl::Milliseconds(50);

std::string Chunk(std::string_view data) { return fmt::format("{:x}\r\n{}\r\n", data.size(), data); }

class StreamGroupRestTest : public testing::Test {
 protected:
  void Wait(absl::Duration wait) {
    group_.Wait(wait, [this](const StreamGroup::Event& event) {
      bytes_ += event.bytes;
      is_open_ = is_open_ || event.is_open;
    });
  }
  // A stream of which the headers have come.
  HandServer::Peer Open() {
    group_.Open({.target = "/logs?x=1", .deadline = kPatience});
    Wait(absl::ZeroDuration());
    Wait(absl::ZeroDuration());
    HandServer::Peer peer = server_.Accept();
    peer.Write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (!is_open_) Wait(kPatience);
    return peer;
  }

  TempDir dir_;
  const std::string path_ = dir_.path() + "/d.sock";
  HandServer server_{path_, 16};
  BeastStreamGroup group_{HttpServer::AtSocket(path_), kPatience};
  std::string bytes_;
  bool is_open_ = false;
};

TEST_F(StreamGroupRestTest, RestsAfterLittleAndGivesTheRestAtTheEndOfTheWait) {
  HandServer::Peer peer = Open();
  peer.Write(Chunk("first\n"));
  while (bytes_.empty()) Wait(kPatience);
  peer.Write(Chunk("second\n"));
  const absl::Time begin = absl::Now();
  Wait(kShort);
  EXPECT_GE(absl::Now() - begin, kShort);
  EXPECT_EQ(bytes_, "first\nsecond\n");
  group_.Wake();
  Wait(kPatience);
  EXPECT_LT(absl::Now() - begin, kPatience) << "it is woken all the same";
}

TEST_F(StreamGroupRestTest, ALineIsNotLateForALongWait) {
  HandServer::Peer peer = Open();
  peer.Write(Chunk("first\n"));
  while (bytes_.empty()) Wait(kPatience);
  peer.Write(Chunk("second\n"));
  const absl::Time begin = absl::Now();
  Wait(2 * kPatience);
  EXPECT_LT(absl::Now() - begin, kPatience) << "nothing is being gathered";
  EXPECT_EQ(bytes_, "first\nsecond\n");
}

TEST_F(StreamGroupRestTest, DoesNotRestAfterMuch) {
  HandServer::Peer peer = Open();
  peer.Write(Chunk(std::string(10'000, 'x')));
  Wait(kPatience);
  ASSERT_EQ(bytes_.size(), 10'000U);
  peer.Write(Chunk("y"));
  const absl::Time begin = absl::Now();
  Wait(kPatience);
  EXPECT_LT(absl::Now() - begin, kPatience);
  EXPECT_EQ(bytes_.back(), 'y');
}

// An engine writes each line by itself, and a socket takes only 278 writes while nobody reads.
TEST_F(StreamGroupRestTest, DoesNotRestWhileManyLinesComeOneByOne) {
  HandServer::Peer peer = Open();
  for (std::size_t i = 1; i <= 100; ++i) {
    peer.Write(Chunk(std::string(99, 'x') + "\n"));
    while (bytes_.size() < 100 * i) Wait(absl::Milliseconds(1));
  }
  peer.Write(Chunk("y"));
  const absl::Time begin = absl::Now();
  Wait(kPatience);
  EXPECT_LT(absl::Now() - begin, kPatience);
  EXPECT_EQ(bytes_.back(), 'y');
}

}  // namespace
}  // namespace muster::agent
