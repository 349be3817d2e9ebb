#include "agent/logs/masker.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "agent/logs/testing/allocation_count.h"
#include "common/secret.h"
#include "common/status.h"
#include "common/text.h"

namespace muster::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const Masker& BuiltInMasker() {
  static const auto* masker = new Masker(*Masker::Create({}));
  return *masker;
}

std::string MaskWith(const Masker& masker, std::string_view text) {
  PrivateKeyState key;
  std::string buffer;
  std::string masked(masker.Mask(text, &key, &buffer));
  EXPECT_TRUE(IsValidUtf8(masked)) << masked;
  PrivateKeyState again;
  std::string other;
  EXPECT_EQ(masker.Mask(masked, &again, &other), masked) << "twice is not as once";
  return masked;
}

std::string Mask(std::string_view text) { return MaskWith(BuiltInMasker(), text); }

std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// Made up, and put together here so that no scanner of secrets takes them for real ones.
std::string Letters(std::size_t count) {
  std::string letters;
  for (std::size_t i = 0; i < count; ++i) letters += "aB3dE5gH7jK9mN1pQ"[i % 17];
  return letters;
}

std::vector<std::string> KnownKeys() {
  const std::string jwt = "eyJ" + Letters(17) + ".eyJ" + Letters(40) + "." + Letters(43);
  return {
      Secret::Random(kTargetSecretPrefix).Reveal(),
      Secret::Random(kTokenPrefix).Reveal(),
      Secret::Random(kConnectCodePrefix).Reveal(),
      std::string("AKIA") + "IOSFODNN7EXAMPLE",
      std::string("ASIA") + "IOSFODNN7EXAMPLE",
      "ghp_" + Letters(36),
      "gho_" + Letters(36),
      "ghs_" + Letters(36),
      "github_pat_" + Letters(22) + "_" + Letters(59),
      "glpat-" + Letters(20),
      "glrt-" + Letters(20),
      "glpat-" + Letters(27) + ".01." + Letters(9),
      std::string("xox") + "b-1234567890-1234567890123-" + Letters(24),
      std::string("xox") + "e.xoxp-1-" + Letters(60),
      std::string("xapp") + "-1-A1-" + Letters(64),
      std::string("sk_") + "live_" + Letters(24),
      std::string("rk_") + "test_" + Letters(24),
      std::string("whsec") + "_" + Letters(32),
      "AIza" + Letters(35),
      "GOCSPX-" + Letters(28),
      "ya29." + Letters(60),
      jwt,
      "eyJ" + Letters(30) + "." + Letters(40) + "." + Letters(16) + "." + Letters(50) + "." + Letters(22),
  };
}

TEST(Masker, KnownKeysAreFoundWhereverTheyStand) {
  for (const std::string& key : KnownKeys()) {
    for (const char* line : {"{}", "key {} is used", "\"{}\"", "{{\"x\":\"{}\"}}", "a={}&b=1", "\u00FC{}\u00FC",
                             "({}),", "{}\r", "/srv/{}?x", "\\\"{}\\\""}) {
      const std::string text = fmt::format(fmt::runtime(line), key);
      EXPECT_EQ(Mask(text), fmt::format(fmt::runtime(line), "***"));
    }
  }
  const std::string hook = std::string("https://hooks.slack") + ".com/services/T0000/B0000/" + Letters(24);
  EXPECT_EQ(Mask("POST " + hook + " 200"), "POST https://hooks.slack.com/services/*** 200");
}

TEST(Masker, SeveralInALineAreAllFound) {
  std::string text;
  std::string masked;
  for (const std::string& key : KnownKeys()) {
    text += key + " and ";
    masked += "*** and ";
  }
  EXPECT_EQ(Mask(text), masked);
}

struct Case {
  std::string text;
  std::string masked;
};

TEST(Masker, ValuesByTheirNames) {
  for (const std::string name : {"password",
                                 "passwd",
                                 "secret",
                                 "token",
                                 "api_key",
                                 "access_key",
                                 "apikey",
                                 "api-key",
                                 "apiKey",
                                 "accessKey",
                                 "secret_key",
                                 "PASSWORD",
                                 "Token",
                                 "db_password",
                                 "client_secret",
                                 "access_token",
                                 "accessToken",
                                 "X-Api-Key",
                                 "AWS_SECRET_ACCESS_KEY",
                                 "user.password",
                                 "--password"}) {
    for (const Case& c : std::vector<Case>{
             // JSON
             {R"({"NAME":"hunter2","x":1})", R"({"NAME":"***","x":1})"},
             {R"({"NAME" : "hunter2"})", R"({"NAME" : "***"})"},
             {R"({"NAME":"hun\"ter2\\","x":"y"})", R"({"NAME":"***","x":"y"})"},
             {R"({"NAME":"hunter2 with, (signs)]"})", R"({"NAME":"***"})"},
             {R"({"NAME":12345678,"x":"y"})", R"({"NAME":***,"x":"y"})"},
             {R"({"a":{"NAME":12345678}})", R"({"a":{"NAME":***}})"},
             {R"({"NAME":["hunter2"]})", R"({"NAME":["***"]})"},
             {R"({"NAME":"hunter2, cut by a li)", R"({"NAME":"***)"},
             // JSON in JSON
             {R"({"body":"{\"NAME\":\"hunter2\",\"x\":1}"})", R"({"body":"{\"NAME\":\"***\",\"x\":1}"})"},
             {R"({"body":"{\"NAME\":\"hun\\\"ter2\",\"x\":1}"})", R"({"body":"{\"NAME\":\"***\",\"x\":1}"})"},
             {R"({"body":"{\\\"NAME\\\":\\\"hunter2\\\"}"})", R"({"body":"{\\\"NAME\\\":\\\"***\\\"}"})"},
             // Python, Ruby
             {R"({'NAME': 'hunter2', 'x': 1})", R"({'NAME': '***', 'x': 1})"},
             {R"({"NAME"=>"hunter2", "x"=>1})", R"({"NAME"=>"***", "x"=>1})"},
             {R"({:NAME=>"hunter2", :x=>1})", R"({:NAME=>"***", :x=>1})"},
             // logfmt
             {R"(NAME=hunter2 x=1)", R"(NAME=*** x=1)"},
             {R"(a=1 NAME="hunter2 and \"3" x=1)", R"(a=1 NAME="***" x=1)"},
             {R"(msg="login NAME=\"hunter2\" x" y=1)", R"(msg="login NAME=\"***\" x" y=1)"},
             {R"(NAME='hunter2' x=1)", R"(NAME='***' x=1)"},
             {R"(User{NAME=hunter2, x=1})", R"(User{NAME=***, x=1})"},
             {R"({"msg":"NAME=hunter2"})", R"({"msg":"NAME=***"})"},
             // query strings
             {R"(GET /a?NAME=hunter2&x=1 HTTP/1.1)", R"(GET /a?NAME=***&x=1 HTTP/1.1)"},
             {R"({"msg":"\"/a?x=1&NAME=hunter%202\" 200"})", R"({"msg":"\"/a?x=1&NAME=***\" 200"})"},
         }) {
      EXPECT_EQ(Mask(Replaced(c.text, "NAME", name)), Replaced(c.masked, "NAME", name));
    }
  }
}

TEST(Masker, WhatAuthorizationSays) {
  for (const Case& c : std::vector<Case>{
           {"Authorization: Bearer hunter2", "Authorization: ***"},
           {"authorization: Basic aHVudGVyMg== (accepted)", "authorization: *** (accepted)"},
           {"Proxy-Authorization: Basic aHVudGVyMg==", "Proxy-Authorization: ***"},
           {"curl -H \"Authorization: token hunter2\" https://x", "curl -H \"Authorization: ***\" https://x"},
           {"curl -H 'Authorization: hunter2' https://x", "curl -H 'Authorization: ***' https://x"},
           {"Authorization: Digest username=\"Mufasa\", response=\"hunter2\"", "Authorization: ***"},
           {"Authorization: AWS4-HMAC-SHA256 Credential=x/s3, Signature=hunter2", "Authorization: ***"},
           {"Authorization: hunter2", "Authorization: ***"},
           {R"({"Authorization":"Bearer hunter2","x":1})", R"({"Authorization":"***","x":1})"},
           {R"({"authorization":["Bearer hunter2"],"x":1})", R"({"authorization":["***"],"x":1})"},
           {R"({"h":"{\"Authorization\":\"Bearer hunter2\"}"})", R"({"h":"{\"Authorization\":\"***\"}"})"},
           {"{'Authorization': 'Bearer hunter2', 'x': 1}", "{'Authorization': '***', 'x': 1}"},
           {"map[Accept:[*/*] Authorization:[Bearer hunter2] X:[1]]", "map[Accept:[*/*] Authorization:[***] X:[1]]"},
           {"authorization=\"Bearer hunter2\" x=1", "authorization=\"***\" x=1"},
           {"> Authorization: Bearer hunter2\\r\\n> Accept: */*", "> Authorization: ***\\r\\n> Accept: */*"},
       }) {
    EXPECT_EQ(Mask(c.text), c.masked);
  }
}

TEST(Masker, UserinfoInUrls) {
  for (const Case& c : std::vector<Case>{
           {"postgres://shop:hunter2@db:5432/shop?sslmode=off", "postgres://***@db:5432/shop?sslmode=off"},
           {"redis://:hunter2@cache", "redis://***@cache"},
           {"https://hunter2@github.com/x.git", "https://***@github.com/x.git"},
           {"amqp://a:hunt@er2@mq/v and http://c:hunter2@d", "amqp://***@mq/v and http://***@d"},
           {"parse \"mysql://u:hunt#er?2@db/x\": invalid port", "parse \"mysql://***@db/x\": invalid port"},
           {"jdbc:postgresql://u:hunter2@db/x", "jdbc:postgresql://***@db/x"},
       }) {
    EXPECT_EQ(Mask(c.text), c.masked);
  }
}

TEST(Masker, LeavesHarmlessLinesWhereTheyAre) {
  PrivateKeyState key;
  std::string buffer;
  for (const std::string_view text :
       {"",
        "ready",
        "2026-11-21T05:24:21.123456Z INFO shop: started in 12 ms",
        R"({"level":"info","msg":"login","user":"ann","took":0.012,"id":"3f0c9a7e-1b2d-4c5e-8f90-a1b2c3d4e5f6"})",
        R"(10.0.0.1 - - [21/Nov/2026:05:24:21 +0000] "GET /token?x=1 HTTP/1.1" 200 512 "https://a.com/" "curl/8")",
        "invalid token: unexpected end of input",
        "the secret of good logs is order",
        "password changed for user ann",
        "Password: must have 12 characters",
        "forgot your password?",
        R"({"token_type":"bearer","expires_in":3600})",
        R"({"prompt_tokens":512,"max_tokens":100})",
        R"({"password_reset":true})",
        "tokens=512",
        "passwords=3",
        "authorization failed for ann",
        "authorization required",
        "https://a.com/@ann/posts?mail=ann@a.com",
        "mail to ann@example.com",
        "git@github.com:ann/x.git",
        "http://[::1]:8080/a",
        "sha256:9f86d081884c7d659a2feaa0c55ad015",
        "commit 4f0d95fa6ee7f865597c03b9e63702cdcb0f7067",
        "gh_pages",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----",
        "gr\u00FC\u00DFe, \U0001F642",
        "basket-token-service listens on :8080",
        "java.lang.IllegalStateException: token",
        "    at com.shop.auth.TokenFilter.doFilter(TokenFilter.java:42)"}) {
    const std::string_view masked = BuiltInMasker().Mask(text, &key, &buffer);
    EXPECT_EQ(masked, text);
    EXPECT_EQ(masked.data(), text.data()) << "not recognised as harmless at once: " << text;
    EXPECT_EQ(key.lines_left, 0) << text;
  }
}

TEST(Masker, LeavesWhatOnlyBeginsAsASecretDoes) {
  for (const std::string_view text :
       {"AKIA is what a key begins with", "eyJ alone", "eyJzb21lIGpzb24gaW4gYmFzZTY0In0", "sk_live_", "mst_ and mtk_",
        "PRIVATE KEY not found", "xoxo-hugs-and-kisses", "glance-api started", "ghs_short", "https://hooks.slack.com/",
        "http://@host", "token=, x=1", "http://localhost:1//0"}) {
    EXPECT_EQ(Mask(text), text);
  }
}

TEST(Masker, LeavesValuesThatAreNone) {
  for (const std::string_view text :
       {R"({"token":null,"x":1})", R"({"secret":false})", R"({"password":""})", "{'token': None, 'x': 1}",
        "token=nil x=1", "has_token=true", "password=\"\" x=1", "password=, x=1", "Authorization: none"}) {
    EXPECT_EQ(Mask(text), text);
  }
}

std::vector<std::string> PrivateKey(std::string_view kind, int body_lines) {
  std::vector<std::string> lines = {fmt::format("-----BEGIN {}PRIVATE KEY-----", kind)};
  for (int i = 0; i < body_lines; ++i) lines.push_back(fmt::format("{}{:04}", Letters(60), i));
  lines.push_back(fmt::format("-----END {}PRIVATE KEY-----", kind));
  return lines;
}

std::vector<std::string> MaskLines(const std::vector<std::string>& lines) {
  PrivateKeyState key;
  std::string buffer;
  std::vector<std::string> masked;
  for (const std::string& line : lines) masked.emplace_back(BuiltInMasker().Mask(line, &key, &buffer));
  return masked;
}

TEST(Masker, PrivateKeysOverSeveralLines) {
  for (const char* kind : {"", "RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED "}) {
    std::vector<std::string> lines = PrivateKey(kind, 25);
    lines.front() = "loaded " + lines.front();
    lines.back() += " from /etc/tls";
    lines.emplace_back("ready");
    const std::vector<std::string> masked = MaskLines(lines);
    EXPECT_EQ(masked.front(), "loaded ***");
    for (std::size_t i = 1; i + 2 < lines.size(); ++i) EXPECT_EQ(masked[i], "***");
    EXPECT_EQ(masked[lines.size() - 2], "*** from /etc/tls");
    EXPECT_EQ(masked.back(), "ready");
  }
  EXPECT_EQ(
      MaskLines({"-----BEGIN PGP PRIVATE KEY BLOCK-----", "x", "-----END PGP PRIVATE KEY BLOCK-----", "y"}).back(),
      "y");
}

TEST(Masker, APrivateKeyWithoutAnEndIsMaskedForTwoHundredLines) {
  std::vector<std::string> lines = PrivateKey("", 300);
  const std::vector<std::string> masked = MaskLines(lines);
  for (std::size_t i = 0; i < 200; ++i) EXPECT_EQ(masked[i], "***") << i;
  for (std::size_t i = 200; i < 301; ++i) EXPECT_EQ(masked[i], lines[i]) << i;
}

TEST(Masker, PrivateKeysWithinALine) {
  const std::string key = fmt::format("{}", fmt::join(PrivateKey("RSA ", 3), "\\n"));
  EXPECT_EQ(Mask(R"({"private_key":")" + key + R"(\n","x":1})"), R"({"private_key":"***\n","x":1})");
  EXPECT_EQ(Mask(key + " and " + key), "*** and ***");
  EXPECT_EQ(Mask(key + " token=hunter2"), "*** token=***");
}

TEST(Masker, AKeyThatBeginsInALineThatIsNotKeptIsMaskedFromThereOn) {
  const std::vector<std::string> lines = PrivateKey("EC ", 3);
  PrivateKeyState key;
  std::string buffer;
  BuiltInMasker().Skip("ready", &key);
  BuiltInMasker().Skip("PRIVATE KEY not found", &key);
  EXPECT_EQ(key.lines_left, 0);
  BuiltInMasker().Skip(lines[0], &key);
  EXPECT_EQ(BuiltInMasker().Mask(lines[1], &key, &buffer), "***");
  BuiltInMasker().Skip(lines[2], &key);
  EXPECT_EQ(key.lines_left, kMaxPrivateKeyLines - 3);
  BuiltInMasker().Skip(lines.back(), &key);
  EXPECT_EQ(BuiltInMasker().Mask("ready", &key, &buffer), "ready");
}

TEST(Masker, OwnExpressionsAreLimitedToTheirGroups) {
  const auto masker = Masker::Create({"iban=([A-Z]{2}\\d+)", "card \\d{4}", "(?i)pin: (\\d+), puk: (\\d+)",
                                      "ge(hei)m|offen", "\\b|\\bgib\\b", "Stra\u00DFe (\\pL+)"});
  ASSERT_TRUE(masker.ok()) << masker.status();
  EXPECT_EQ(MaskWith(*masker, "iban=DE0012345 ok"), "iban=*** ok");
  EXPECT_EQ(MaskWith(*masker, "card 1234 5678"), "*** 5678");
  EXPECT_EQ(MaskWith(*masker, "PIN: 1234, PUK: 5678."), "PIN: ***, PUK: ***.");
  EXPECT_EQ(MaskWith(*masker, "geheim"), "ge***m");
  EXPECT_EQ(MaskWith(*masker, "offen"), "offen") << "its group took no part";
  EXPECT_EQ(MaskWith(*masker, "\u00FC\U0001F642 abc"), "\u00FC\U0001F642 abc") << "an empty match is none";
  EXPECT_EQ(MaskWith(*masker, "Stra\u00DFe \u00C4cker 5"), "Stra\u00DFe *** 5");
  EXPECT_EQ(MaskWith(*masker, "token=hunter2 card 1234"), "token=*** ***") << "beside the built-in ones";
}

TEST(Masker, RefusesExpressionsThatItCannotUse) {
  const auto reason = [](const std::vector<std::string>& expressions) {
    const absl::Status status = Masker::Create(expressions).status();
    EXPECT_EQ(ReasonOf(status), "BAD_MASK");
    return MessageOf(status);
  };
  EXPECT_THAT(reason({"fine", "a("}), HasSubstr("expression 2: missing )"));
  EXPECT_THAT(reason({"a)(b"}), HasSubstr("expression 1"));
  EXPECT_THAT(reason({"(\\pL{1,50}){1,20}"}), HasSubstr("expression 1: "));
  EXPECT_THAT(reason({"x*"}), HasSubstr("expression 1 matches where nothing is"));
  EXPECT_THAT(reason({"a\\Cb"}), HasSubstr("\\C"));
  EXPECT_THAT(reason({std::string(513, 'a')}), HasSubstr("513 bytes; at most 512"));
  EXPECT_THAT(reason(std::vector<std::string>(65, "a")), HasSubstr("65 expressions; at most 64"));
  EXPECT_TRUE(Masker::Create(std::vector<std::string>(64, std::string(512, 'a'))).ok());
  EXPECT_TRUE(Masker::Create({"\\\\C", "a\\\\"}).ok()) << "a backslash and a C";
}

TEST(Masker, HarmlessLinesCostOnePassWithoutAllocations) {
  // RE2's fast way keeps its states; when it has too little memory for them it takes a slow one, which allocates.
  constexpr std::uint32_t kSeed = 5;
  std::mt19937 random(kSeed);
  const std::vector<std::string> parts = {"authorization", "token",   "secret_key", "api-",   ". ",    "\"",
                                          "\\\"",          "://",     "ey",         "AKI",    "gho",   "xo",
                                          "PRIVATE",       "sk_live", " ",          "A1b2C3", "\u00FC"};
  std::vector<std::string> lines;
  PrivateKeyState key;
  std::string buffer;
  while (lines.size() < 1000) {
    std::string text;
    while (text.size() < 120) text += parts[random() % parts.size()];
    if (BuiltInMasker().Mask(text, &key, &buffer).data() == text.data()) lines.push_back(text);
  }
  const std::int64_t before = AllocationCount();
  for (const std::string& line : lines) BuiltInMasker().Mask(line, &key, &buffer);
  EXPECT_EQ(AllocationCount(), before) << "seed " << kSeed;
}

TEST(Masker, ALongLineCostsLinearTime) {
  std::string text;
  while (text.size() < 1024 * 1024) text += "token=\"a\\\" authorization: ://eyJ";
  EXPECT_THAT(Mask(text), Not(HasSubstr("token=\"a")));
}

}  // namespace
}  // namespace muster::agent
