// Answers that share one large body, and readers that take their time.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

#include "hub/http/router.h"
#include "hub/http/server.h"
#include "hub/http/testing/raw_client.h"

namespace muster::hub {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class SharedBodyTest : public testing::Test {
 protected:
  void Start(absl::Duration send_timeout) {
    router_.Add("GET", "/", [this](const HttpRequest& /*request*/, const std::unique_ptr<HttpResponder>& responder) {
      HttpResponse response;
      response.shared_body = body_;
      responder->Send(std::move(response));
    });
    HttpServerOptions options{.address = {.host = "127.0.0.1", .port = 0}};
    options.limits.send_timeout = send_timeout;
    server_ = *HttpServer::Start(std::move(options), &router_);
  }

  // More than the kernel's buffers take.
  std::shared_ptr<const std::string> body_ = std::make_shared<const std::string>(32 << 20, 'x');
  HttpRouter router_;
  std::unique_ptr<HttpServer> server_;
};

constexpr char kGet[] = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

TEST_F(SharedBodyTest, EveryReaderGetsAllOfIt) {
  Start(absl::InfiniteDuration());
  for (int i = 0; i < 2; ++i) {
    RawClient client(server_->address().port);
    client.Send(kGet);
    const std::string answer = client.ReadAll();
    EXPECT_THAT(answer.substr(0, 300), StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(answer.substr(0, 300), HasSubstr(fmt::format("Content-Length: {}\r\n", body_->size())));
    EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, body_->size());
  }
  RawClient head(server_->address().port);
  head.Send("HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const std::string answer = head.ReadAll();
  EXPECT_THAT(answer, HasSubstr(fmt::format("Content-Length: {}\r\n", body_->size())));
  EXPECT_LT(answer.size(), 1000u);
}

TEST_F(SharedBodyTest, AReaderThatTakesTooLongIsGivenUpAndHoldsNothing) {
  Start(absl::Milliseconds(100));
  RawClient client(server_->address().port);
  client.Send(kGet);
  const std::string head = client.ReadUntil("\r\n\r\n");
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200"));
  while (server_->stats().connections_open > 0) client.Read(1);  // it reads on, a byte at a time
  // The connection is out of the server's list a moment before it is gone; one that kept the body would hang here.
  while (body_.use_count() > 1) std::this_thread::yield();
}

}  // namespace
}  // namespace muster::hub
