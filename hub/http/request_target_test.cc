#include "hub/http/request_target.h"

#include <gtest/gtest.h>

#include "hub/http/error_response.h"
#include "hub/http/http.h"
#include "hub/http/response_head.h"

namespace muster::hub {
namespace {

TEST(ParseRequestTarget, TakesPathsApart) {
  const struct {
    const char *target, *path, *query;
  } cases[] = {{"/", "/", ""},           {"/a%20b?x=%41", "/a b", "x=%41"}, {"http://hub:8080/p?q", "/p", "q"},
               {"https://hub", "/", ""}, {"/%C3%A9", "/\xC3\xA9", ""},      {"/a..b/.x", "/a..b/.x", ""},
               {"/a?b?c", "/a", "b?c"}};
  for (const auto& c : cases) {
    const auto parsed = ParseRequestTarget(c.target);
    ASSERT_TRUE(parsed.ok()) << c.target;
    EXPECT_EQ(parsed->path, c.path);
    EXPECT_EQ(parsed->query, c.query);
  }
}

TEST(ParseRequestTarget, RefusesWhatNoClientOfOursSends) {
  for (const char* target : {"", "*", "x", "/%", "/%4", "/%zz", "/%00", "/a%0d%0ab", "/%ff", "/..", "/a/../b", "/./a",
                             "/%2e%2e/x", "hub:443", "/\x01"}) {
    EXPECT_FALSE(ParseRequestTarget(target).ok()) << target;
  }
}

TEST(AcceptsGzip, FollowsTheQualities) {
  for (const char* value : {"gzip", "GZIP", "deflate, gzip", "gzip;q=0.1", "*", "x-gzip", "br , gzip ; q=1"}) {
    EXPECT_TRUE(AcceptsGzip(value)) << value;
  }
  for (const char* value : {"", "identity", "gzip;q=0", "gzip; q=0.000", "*;q=0", "gzip;q=0, *", "deflate"}) {
    EXPECT_FALSE(AcceptsGzip(value)) << value;
  }
}

TEST(BearerToken, IsReadWhateverTheCaseOfTheScheme) {
  HttpRequest request;
  EXPECT_EQ(request.BearerToken(), "");
  request.headers = {{"authorization", "bearer  abc "}};
  EXPECT_EQ(request.BearerToken(), "abc");
  request.headers = {{"Authorization", "Basic abc"}};
  EXPECT_EQ(request.BearerToken(), "");
  request.headers = {{"Authorization", "Bearer"}};
  EXPECT_EQ(request.BearerToken(), "");
}

TEST(WriteResponseHead, AValueCannotBeginAnotherField) {
  HttpResponse response;
  response.headers.push_back({"X-Name", "a\r\nSet-Cookie: b"});
  const std::string head = WriteResponseHead(response, {.content_length = 0}, absl::UnixEpoch());
  EXPECT_NE(head.find("X-Name: aSet-Cookie: b\r\n"), std::string::npos) << head;
  EXPECT_NE(head.find("Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"), std::string::npos) << head;
}

TEST(WriteResponseHead, KeepsWhatTheHandlerSet) {
  HttpResponse response;
  response.headers.push_back({"cache-control", "max-age=60"});
  const std::string head = WriteResponseHead(response, {.chunked = true}, absl::UnixEpoch());
  EXPECT_EQ(head.find("no-store"), std::string::npos);
  EXPECT_NE(head.find("Transfer-Encoding: chunked\r\n"), std::string::npos);
}

TEST(ErrorJson, SurvivesAMessageThatIsNotUtf8) {
  EXPECT_NE(ErrorJson(absl::InvalidArgumentError("bad \xff byte")).find("\"code\":\"invalid_argument\""),
            std::string::npos);
}

}  // namespace
}  // namespace muster::hub
