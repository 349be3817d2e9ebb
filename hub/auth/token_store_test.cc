#include "hub/auth/token_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/status.h"
#include "common/testing/fake_clock.h"
#include "common/testing/temp_dir.h"
#include "hub/store/reads.h"

namespace muster::hub {
namespace {

using fleet::v1::ROLE_ADMIN;
using fleet::v1::ROLE_METRICS;
using fleet::v1::ROLE_OPERATOR;
using fleet::v1::ROLE_VIEWER;
using ::testing::ElementsAre;

const Caller kAdmin{.token_id = "tok_root", .token_name = "root", .role = ROLE_ADMIN, .customer = ""};
const Caller kAcmeAdmin{.token_id = "tok_acme", .token_name = "acme", .role = ROLE_ADMIN, .customer = "ACME"};

class TokenStoreTest : public ::testing::Test {
 protected:
  TokenStoreTest() { Open(); }

  // As a restart does: everything from the database.
  void Open(std::size_t max_tokens = TokenStore::kMaxTokens) {
    tokens_.reset();
    store_.reset();
    auto opened = Store::Open(dir_.path() + "/hub.db");
    EXPECT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
    std::vector<StoredToken> stored;
    const absl::Status read = store_->Read([&](sqlite::Database& database) -> absl::Status {
      ASSIGN_OR_RETURN(stored, LoadTokens(database));
      return absl::OkStatus();
    });
    EXPECT_TRUE(read.ok()) << read;
    tokens_ = std::make_unique<TokenStore>(store_.get(), &clock_, std::move(stored), max_tokens);
  }

  std::string Create(const std::string& name, fleet::v1::Role role = ROLE_VIEWER, const std::string& customer = "",
                     std::optional<absl::Duration> time_to_live = {}, const Caller& creator = kAdmin) {
    auto created = tokens_->Create(name, role, customer, time_to_live, creator);
    return created.ok() ? created->secret.Reveal() : ReasonOf(created.status());
  }
  std::string Refusal(const std::string& secret) { return ReasonOf(tokens_->Authenticate(secret).status()); }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    for (const StoredToken& token : tokens_->List()) names.push_back(token.name);
    return names;
  }
  std::vector<std::string> AuditActions() {
    std::vector<std::string> actions;
    const absl::Status read = store_->Read([&](sqlite::Database& database) -> absl::Status {
      ASSIGN_OR_RETURN(const auto records, ReadAudit(database, 1'000'000, 100));
      for (const AuditRecord& record : records) actions.push_back(record.actor + " " + record.action);
      return absl::OkStatus();
    });
    EXPECT_TRUE(read.ok()) << read;
    return actions;
  }

  TempDir dir_;
  FakeClock clock_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<TokenStore> tokens_;
};

TEST_F(TokenStoreTest, TellsMissingUnknownRevokedAndExpiredApart) {
  EXPECT_EQ(Refusal(""), "TOKEN_MISSING");
  EXPECT_EQ(Refusal("mtk_guessed"), "TOKEN_UNKNOWN");
  const std::string revoked = Create("revoked");
  ASSERT_TRUE(tokens_->Revoke("revoked", kAdmin).ok());
  EXPECT_EQ(Refusal(revoked), "TOKEN_REVOKED");
  const std::string brief = Create("brief", ROLE_VIEWER, "", absl::Hours(1));
  EXPECT_EQ(Refusal(brief), "OK");
  clock_.Advance(absl::Hours(1) - absl::Nanoseconds(1000));
  EXPECT_EQ(Refusal(brief), "OK");
  clock_.Advance(absl::Nanoseconds(1000));
  EXPECT_EQ(Refusal(brief), "TOKEN_EXPIRED");
  for (const char* secret : {"", "mtk_guessed"}) {
    EXPECT_TRUE(absl::IsUnauthenticated(tokens_->Authenticate(secret).status()));
  }
}

TEST_F(TokenStoreTest, CallerIsWhatTheTokenAllows) {
  const auto caller = tokens_->Authenticate(Create("ops", ROLE_OPERATOR, "ACME"));
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ(caller->token_name, "ops");
  EXPECT_EQ(caller->role, ROLE_OPERATOR);
  EXPECT_EQ(caller->customer, "ACME");
  EXPECT_TRUE(tokens_->StillValid(caller->token_id));
}

TEST_F(TokenStoreTest, SecretIsRecognisableAndKeptAsAHashOnly) {
  const std::string secret = Create("ops");
  EXPECT_EQ(secret.substr(0, 4), "mtk_");
  EXPECT_EQ(secret.size(), 4U + 43U);
  ASSERT_EQ(tokens_->List().size(), 1U);
  EXPECT_EQ(tokens_->List()[0].hash, HashSecret(secret));
}

TEST_F(TokenStoreTest, RefusesBadTokens) {
  EXPECT_EQ(Create(""), "BAD_NAME");
  EXPECT_EQ(Create("with\nnewline"), "BAD_NAME");
  EXPECT_EQ(Create("x", fleet::v1::ROLE_UNSPECIFIED), "BAD_ROLE");
  EXPECT_EQ(Create("x", static_cast<fleet::v1::Role>(99)), "BAD_ROLE");
  EXPECT_EQ(Create("x", ROLE_VIEWER, "", absl::ZeroDuration()), "BAD_TIME_TO_LIVE");
  EXPECT_EQ(Create("x", ROLE_VIEWER, "", -absl::Hours(1)), "BAD_TIME_TO_LIVE");
  EXPECT_EQ(Create("x", ROLE_VIEWER, "a/b"), "BAD_NAME");
  EXPECT_TRUE(tokens_->List().empty());
}

// A token named like another's id was revoked in its place.
TEST_F(TokenStoreTest, NameCannotBeAnotherTokensId) {
  Create("ops");
  EXPECT_EQ(Create(tokens_->List()[0].id), "BAD_NAME");
}

TEST_F(TokenStoreTest, CustomersTokenMakesNoWiderOne) {
  EXPECT_EQ(Create("x", ROLE_VIEWER, "", {}, kAcmeAdmin), "WIDER_TOKEN");
  EXPECT_EQ(Create("x", ROLE_VIEWER, "Globex", {}, kAcmeAdmin), "WIDER_TOKEN");
  EXPECT_EQ(Refusal(Create("x", ROLE_VIEWER, "ACME", {}, kAcmeAdmin)), "OK");
}

TEST_F(TokenStoreTest, CustomersTokenRevokesItsOwnOnly) {
  Create("vendor");
  Create("globex", ROLE_VIEWER, "Globex");
  const std::string own = Create("own", ROLE_VIEWER, "ACME");
  EXPECT_EQ(ReasonOf(tokens_->Revoke("vendor", kAcmeAdmin)), "TOKEN_NOT_FOUND");
  EXPECT_EQ(ReasonOf(tokens_->Revoke("globex", kAcmeAdmin)), "TOKEN_NOT_FOUND");
  EXPECT_TRUE(tokens_->Revoke("own", kAcmeAdmin).ok());
  EXPECT_EQ(Refusal(own), "TOKEN_REVOKED");
}

TEST_F(TokenStoreTest, NameIsFreeAgainAfterRevoking) {
  const std::string first = Create("ci");
  EXPECT_EQ(Create("ci"), "TOKEN_EXISTS");
  ASSERT_TRUE(tokens_->Revoke("ci", kAdmin).ok());
  EXPECT_EQ(ReasonOf(tokens_->Revoke("ci", kAdmin)), "TOKEN_NOT_FOUND");
  const std::string second = Create("ci");
  EXPECT_EQ(Refusal(first), "TOKEN_REVOKED");
  EXPECT_EQ(Refusal(second), "OK");
  ASSERT_TRUE(tokens_->Revoke(tokens_->Authenticate(second)->token_id, kAdmin).ok()) << "by id";
  EXPECT_EQ(Refusal(second), "TOKEN_REVOKED");
}

TEST_F(TokenStoreTest, EverythingSurvivesReopening) {
  const std::string good = Create("good", ROLE_OPERATOR, "ACME");
  clock_.Advance(absl::Seconds(1));
  const std::string revoked = Create("revoked");
  clock_.Advance(absl::Seconds(1));
  const std::string brief = Create("brief", ROLE_METRICS, "", absl::Hours(1));
  ASSERT_TRUE(tokens_->Revoke("revoked", kAdmin).ok());
  Open();
  EXPECT_THAT(Names(), ElementsAre("good", "revoked", "brief")) << "oldest first";
  const auto caller = tokens_->Authenticate(good);
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ(caller->role, ROLE_OPERATOR);
  EXPECT_EQ(caller->customer, "ACME");
  EXPECT_EQ(Refusal(revoked), "TOKEN_REVOKED");
  EXPECT_EQ(Refusal(brief), "OK");
  clock_.Advance(absl::Hours(2));
  EXPECT_EQ(Refusal(brief), "TOKEN_EXPIRED");
}

TEST_F(TokenStoreTest, StillValidEndsWithTheToken) {
  const std::string id = tokens_->Authenticate(Create("a", ROLE_VIEWER, "", absl::Hours(1)))->token_id;
  EXPECT_TRUE(tokens_->StillValid(id));
  clock_.Advance(absl::Hours(1));
  EXPECT_FALSE(tokens_->StillValid(id));
  const std::string other = tokens_->Authenticate(Create("b"))->token_id;
  ASSERT_TRUE(tokens_->Revoke("b", kAdmin).ok());
  EXPECT_FALSE(tokens_->StillValid(other));
  EXPECT_FALSE(tokens_->StillValid("tok_never_was"));
}

TEST_F(TokenStoreTest, ChangesAreAudited) {
  Create("a");
  Create("");
  ASSERT_TRUE(tokens_->Revoke("a", kAdmin).ok());
  EXPECT_THAT(AuditActions(), ElementsAre("root token.revoke", "root token.create"));
}

TEST_F(TokenStoreTest, ChangesNothingThatCouldNotBeStored) {
  const std::string kept = Create("kept");
  store_->writer().Stop();
  EXPECT_EQ(Create("late"), "HUB_STOPPING");
  EXPECT_EQ(ReasonOf(tokens_->Revoke("kept", kAdmin)), "HUB_STOPPING");
  EXPECT_EQ(Refusal(kept), "OK");
  EXPECT_THAT(Names(), ElementsAre("kept"));
}

// With the last admin token gone nobody could ever make another.
TEST_F(TokenStoreTest, LastAdminTokenCannotBeRevoked) {
  const std::string admin = Create("admin", ROLE_ADMIN);
  Create("acme", ROLE_ADMIN, "ACME");
  Create("brief", ROLE_ADMIN, "", absl::Hours(1));
  Create("ops", ROLE_OPERATOR);
  clock_.Advance(absl::Hours(2));
  EXPECT_EQ(ReasonOf(tokens_->Revoke("admin", kAdmin)), "LAST_ADMIN_TOKEN");
  EXPECT_EQ(Refusal(admin), "OK");
  EXPECT_TRUE(tokens_->Revoke("brief", kAdmin).ok()) << "it has expired: nothing is lost with it";
  EXPECT_TRUE(tokens_->Revoke("acme", kAdmin).ok());
  Create("second", ROLE_ADMIN);
  EXPECT_TRUE(tokens_->Revoke("admin", kAdmin).ok());
}

// Short-lived tokens of a CI filled the list for good, though all of them were dead.
TEST_F(TokenStoreTest, DeadTokensMakeRoomForNewOnes) {
  Open(3);
  const std::string lives = Create("lives");
  const std::string revoked = Create("revoked");
  Create("brief", ROLE_VIEWER, "", absl::Hours(1));
  EXPECT_EQ(Create("fourth"), "TOO_MANY_TOKENS");
  ASSERT_TRUE(tokens_->Revoke("revoked", kAdmin).ok());
  EXPECT_EQ(Refusal(Create("fourth")), "OK");
  EXPECT_EQ(Refusal(revoked), "TOKEN_UNKNOWN");
  EXPECT_EQ(Create("fifth"), "TOO_MANY_TOKENS");
  clock_.Advance(absl::Hours(2));
  EXPECT_EQ(Refusal(Create("fifth")), "OK");
  EXPECT_EQ(Refusal(lives), "OK");
  Open(3);
  EXPECT_EQ(tokens_->List().size(), 3U);
  EXPECT_EQ(Refusal(lives), "OK");
}

TEST_F(TokenStoreTest, TokenThatLivesForEverStaysGood) {
  const std::string secret = Create("ever", ROLE_VIEWER, "", absl::Seconds(std::numeric_limits<std::int64_t>::max()));
  EXPECT_EQ(Refusal(secret), "OK");
  Open();
  EXPECT_EQ(Refusal(secret), "OK");
}

}  // namespace
}  // namespace muster::hub
