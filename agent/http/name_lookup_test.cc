#include "agent/http/name_lookup.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <boost/asio/ip/udp.hpp>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "common/status.h"

namespace muster::agent {
namespace {

using boost::asio::ip::udp;
using ::testing::HasSubstr;

// Answers in the test's own loop. https://www.rfc-editor.org/rfc/rfc1035 4.1
class FakeDns {
 public:
  explicit FakeDns(boost::asio::io_context& loop)
      : socket_(loop, udp::endpoint(boost::asio::ip::address_v4::loopback(), 0)) {
    Receive();
  }
  std::string address() const { return fmt::format("127.0.0.1:{}", socket_.local_endpoint().port()); }

  // Of a name that there is.
  std::string ip = std::string("\x0a\x00\x00\x01", 4);
  // 3: no such name; 2: the server failed; negative: no answer.
  int code = 0;
  int queries = 0;

 private:
  void Receive() {
    socket_.async_receive_from(
        boost::asio::buffer(in_), peer_, [this](boost::system::error_code error, std::size_t size) {
          if (error) return;
          ++queries;
          if (code >= 0) socket_.send_to(boost::asio::buffer(Answer(std::string_view(in_.data(), size))), peer_);
          Receive();
        });
  }
  std::string Answer(std::string_view query) const {
    const std::size_t name_end = query.find('\0', 12);
    const std::string_view question = query.substr(12, name_end + 5 - 12);
    const bool is_a = query[name_end + 2] == 1;
    const bool has_answer = code == 0 && is_a;
    std::string text(query.substr(0, 2));
    text += std::string("\x81", 1) + static_cast<char>(0x80 + code);
    text += std::string("\0\1\0", 3) + static_cast<char>(has_answer ? 1 : 0) + std::string(4, '\0');
    text += question;
    if (has_answer) text += std::string("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4", 12) + ip;
    return text;
  }

  udp::socket socket_;
  udp::endpoint peer_;
  std::array<char, 2048> in_;
};

class NameLookupTest : public testing::Test {
 protected:
  absl::StatusOr<NameLookup::Endpoints> Find(const std::string& name) {
    std::optional<absl::StatusOr<NameLookup::Endpoints>> result;
    const auto lookup = std::make_shared<NameLookup>(loop_, dns_.address());
    lookup->Start(name, 6443, [&](absl::StatusOr<NameLookup::Endpoints> endpoints) { result = std::move(endpoints); });
    while (!result.has_value()) loop_.run_one();
    return *std::move(result);
  }

  boost::asio::io_context loop_{1};
  FakeDns dns_{loop_};
};

TEST_F(NameLookupTest, ANameHasItsAddresses) {
  const auto endpoints = Find("api.cluster.test.");
  ASSERT_TRUE(endpoints.ok()) << endpoints.status();
  ASSERT_EQ(endpoints->size(), 1U);
  EXPECT_EQ(endpoints->front().address().to_string(), "10.0.0.1");
  EXPECT_EQ(endpoints->front().port(), 6443);
  EXPECT_EQ(dns_.queries, 2) << "A and AAAA";
}

TEST_F(NameLookupTest, WhatDnsDoesNotKnowSaysWhatToCheck) {
  dns_.code = 3;
  EXPECT_EQ(ReasonOf(Find("none.test.").status()), "NAME_NOT_RESOLVED");
  EXPECT_THAT(MessageOf(Find("none.test.").status()), HasSubstr("neither DNS nor /etc/hosts knows this name"));
  dns_.code = 2;
  EXPECT_THAT(MessageOf(Find("none.test.").status()), HasSubstr("check the name servers in /etc/resolv.conf"));
}

TEST_F(NameLookupTest, CancelledItSaysNothingMore) {
  dns_.code = -1;
  auto lookup = std::make_shared<NameLookup>(loop_, dns_.address());
  lookup->Start("slow.test.", 6443, [](absl::StatusOr<NameLookup::Endpoints>) { ADD_FAILURE() << "it was cancelled"; });
  while (dns_.queries == 0) loop_.run_one();
  lookup->Cancel();
  loop_.run_for(std::chrono::milliseconds(20));
  lookup = nullptr;
  loop_.run_for(std::chrono::milliseconds(20));
}

TEST_F(NameLookupTest, MayGoWithEverythingUnderWay) {
  dns_.code = -1;
  const auto lookup = std::make_shared<NameLookup>(loop_, dns_.address());
  lookup->Start("slow.test.", 6443, [](absl::StatusOr<NameLookup::Endpoints>) {});
  while (dns_.queries == 0) loop_.run_one();
}

}  // namespace
}  // namespace muster::agent
