#include "hub/tls/authority.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "common/files.h"
#include "common/status.h"
#include "common/testing/temp_dir.h"

namespace muster::hub {
namespace {

using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
constexpr absl::Duration kDay = absl::Hours(24);

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
}

std::string OpenSsl(const std::string& dir, const std::string& what) {
  std::string out;
  FILE* pipe = popen(fmt::format("cd {} && openssl {} 2>&1", dir, what).c_str(), "r");
  char buffer[512];
  while (fgets(buffer, sizeof buffer, pipe) != nullptr) out += buffer;
  pclose(pipe);
  return out;
}

TEST(EnsureTls, MakesAnAuthorityAndACertificateThatOpenSslAccepts) {
  const TempDir dir;
  const auto tls = EnsureTls(dir.path() + "/tls", {"hub.example.com", "10.1.2.3", "Edge-Host"}, kNow);
  ASSERT_TRUE(tls.ok()) << tls.status();
  const std::string folder = dir.path() + "/tls";
  EXPECT_EQ(ModeOf(folder + "/ca.key"), 0600);
  EXPECT_EQ(ModeOf(folder + "/server.key"), 0600);
  EXPECT_EQ(ModeOf(folder), 0700);
  const std::string at = fmt::format("-attime {}", absl::ToUnixSeconds(kNow));
  for (const char* name : {"-verify_hostname hub.example.com", "-verify_ip 10.1.2.3", "-verify_ip ::1",
                           "-verify_hostname localhost", "-verify_hostname edge-host"}) {
    EXPECT_THAT(OpenSsl(folder, fmt::format("verify -x509_strict {} -CAfile ca.pem {} server.pem", at, name)),
                HasSubstr("server.pem: OK"))
        << name;
  }
  EXPECT_THAT(OpenSsl(folder, fmt::format("verify {} -CAfile ca.pem -verify_hostname other.example server.pem", at)),
              HasSubstr("ostname mismatch"));
  EXPECT_THAT(OpenSsl(folder, "x509 -in server.pem -noout -text"), HasSubstr("P-256"));
}

TEST(EnsureTls, GivesThePinThatOpenSslComputes) {
  const TempDir dir;
  const auto tls = EnsureTls(dir.path(), {}, kNow);
  ASSERT_TRUE(tls.ok());
  EXPECT_THAT(OpenSsl(dir.path(),
                      "x509 -in server.pem -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 "
                      "-binary | openssl base64"),
              HasSubstr(tls->spki_sha256_base64));
}

TEST(EnsureTls, ChangesNothingOnTheNextStart) {
  const TempDir dir;
  const auto first = EnsureTls(dir.path(), {"a.example"}, kNow);
  const auto second = EnsureTls(dir.path(), {"a.example"}, kNow + kDay);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->cert_chain_pem, second->cert_chain_pem);
  EXPECT_EQ(first->ca_pem, second->ca_pem);
}

TEST(EnsureTls, RenewsForANewNameAndKeepsThePin) {
  const TempDir dir;
  const auto first = EnsureTls(dir.path(), {"a.example"}, kNow);
  const auto second = EnsureTls(dir.path(), {"b.example"}, kNow);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_NE(first->cert_chain_pem, second->cert_chain_pem);
  EXPECT_EQ(first->spki_sha256_base64, second->spki_sha256_base64);
  EXPECT_EQ(first->ca_pem, second->ca_pem);
}

TEST(EnsureTls, RenewsThirtyDaysBeforeTheEndAndNotEarlier) {
  const TempDir dir;
  const auto first = EnsureTls(dir.path(), {}, kNow);
  ASSERT_TRUE(first.ok());
  const auto early = EnsureTls(dir.path(), {}, first->not_after - 31 * kDay);
  const auto late = EnsureTls(dir.path(), {}, first->not_after - 29 * kDay);
  ASSERT_TRUE(early.ok() && late.ok());
  EXPECT_EQ(early->cert_chain_pem, first->cert_chain_pem);
  EXPECT_NE(late->cert_chain_pem, first->cert_chain_pem);
  EXPECT_EQ(late->spki_sha256_base64, first->spki_sha256_base64);
}

TEST(EnsureTls, LeavesOutANameThatCouldForgeCertificateFields) {
  const TempDir dir;
  const auto tls = EnsureTls(dir.path(), {"x,DNS:evil.example"}, kNow);
  ASSERT_TRUE(tls.ok()) << tls.status();
  EXPECT_THAT(OpenSsl(dir.path(), "x509 -in server.pem -noout -text"), ::testing::Not(HasSubstr("evil")));
}

TEST(EnsureTls, RefusesHalfAnAuthorityInsteadOfReplacingIt) {
  const TempDir dir;
  ASSERT_TRUE(EnsureTls(dir.path(), {}, kNow).ok());
  std::filesystem::remove(dir.path() + "/ca.key");
  const auto tls = EnsureTls(dir.path(), {}, kNow);
  EXPECT_EQ(ReasonOf(tls.status()), "TLS_AUTHORITY_INCOMPLETE");
  EXPECT_THAT(MessageOf(tls.status()), HasSubstr("restore"));
}

TEST(EnsureTls, RefusesDamagedFilesByName) {
  for (const char* file : {"ca.pem", "ca.key", "server.key"}) {
    const TempDir dir;
    ASSERT_TRUE(EnsureTls(dir.path(), {}, kNow).ok());
    ASSERT_TRUE(WriteFileAtomically(dir.path() + "/" + file, "garbage", 0600).ok());
    const auto tls = EnsureTls(dir.path(), {}, kNow);
    EXPECT_EQ(ReasonOf(tls.status()), "TLS_FILE_DAMAGED") << file;
    EXPECT_THAT(MessageOf(tls.status()), HasSubstr(file));
  }
}

TEST(EnsureTls, MakesADamagedServerCertificateAnew) {
  const TempDir dir;
  const auto first = EnsureTls(dir.path(), {}, kNow);
  ASSERT_TRUE(WriteFileAtomically(dir.path() + "/server.pem", "garbage", 0600).ok());
  const auto second = EnsureTls(dir.path(), {}, kNow);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(first->spki_sha256_base64, second->spki_sha256_base64);
}

class LoadTlsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(EnsureTls(dir_.path() + "/a", {}, kNow).ok());
    ASSERT_TRUE(EnsureTls(dir_.path() + "/b", {}, kNow).ok());
  }
  std::string Path(const std::string& name) const { return dir_.path() + "/" + name; }
  TempDir dir_;
};

TEST_F(LoadTlsTest, AcceptsAPairThatFits) {
  const auto tls = LoadTls(Path("a/server.pem"), Path("a/server.key"), kNow);
  ASSERT_TRUE(tls.ok()) << tls.status();
  EXPECT_TRUE(tls->ca_pem.empty());
  EXPECT_FALSE(tls->spki_sha256_base64.empty());
}

TEST_F(LoadTlsTest, SaysWhatIsWrongAndWhatToDo) {
  ASSERT_TRUE(WriteFileAtomically(Path("text"), "not pem\n", 0644).ok());
  OpenSsl(dir_.path(), "pkey -in a/server.key -aes128 -passout pass:x -out locked");
  const struct {
    std::string cert, key;
    absl::Time now;
    std::string reason, message;
  } cases[] = {
      {"missing", "a/server.key", kNow, "TLS_FILE_UNREADABLE", "--tls-cert"},
      {"a/server.pem", "missing", kNow, "TLS_FILE_UNREADABLE", "--tls-key"},
      {"text", "a/server.key", kNow, "TLS_CERTIFICATE_NOT_PEM", "openssl x509"},
      {"a/server.pem", "text", kNow, "TLS_KEY_NOT_PEM", "openssl pkey"},
      {"a/server.pem", "locked", kNow, "TLS_KEY_NOT_PEM", "pass phrase"},
      {"a/server.pem", "b/server.key", kNow, "TLS_KEY_MISMATCH", "does not match"},
      {"a/server.pem", "a/server.key", kNow + 2000 * kDay, "TLS_CERTIFICATE_EXPIRED", "expired at"},
      {"a/server.pem", "a/server.key", kNow - 3 * kDay, "TLS_CERTIFICATE_NOT_YET_VALID", "clock"},
  };
  for (const auto& c : cases) {
    const auto tls = LoadTls(Path(c.cert), Path(c.key), c.now);
    EXPECT_EQ(ReasonOf(tls.status()), c.reason) << c.cert << ' ' << c.key;
    EXPECT_THAT(MessageOf(tls.status()), HasSubstr(c.message));
  }
}

TEST(HostOfUrl, FindsTheHost) {
  const struct {
    const char *url, *host;
  } cases[] = {{"https://hub.example.com:8080/x", "hub.example.com"},
               {"https://[2001:db8::1]:8080", "2001:db8::1"},
               {"http://user@10.0.0.1", "10.0.0.1"},
               {"https://h?x", "h"},
               {"hub.example.com", ""},
               {"https://[::1", ""},
               {"", ""}};
  for (const auto& c : cases) EXPECT_EQ(HostOfUrl(c.url), c.host) << c.url;
}

}  // namespace
}  // namespace muster::hub
