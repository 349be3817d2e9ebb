#include "hub/auth/token_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/status.h"
#include "hub/fleet/target_admin.h"
#include "hub/store/writes.h"

namespace muster::hub {
namespace {

constexpr std::string_view kTokenIdPrefix = "tok_";

absl::Status Unauthenticated(std::string_view reason, std::string_view message) {
  return MakeError(absl::StatusCode::kUnauthenticated, reason, message);
}

}  // namespace

TokenStore::TokenStore(Store* store, const Clock* clock, std::vector<StoredToken> tokens, std::size_t max_tokens)
    : store_(store), clock_(clock), max_tokens_(max_tokens) {
  for (StoredToken& token : tokens) tokens_.emplace(token.hash, std::move(token));
}

absl::StatusOr<Caller> TokenStore::Authenticate(std::string_view bearer_token) {
  if (bearer_token.empty()) {
    return Unauthenticated("TOKEN_MISSING", "an API token is needed: send it as \"Authorization: Bearer TOKEN\"");
  }
  // Looking up by hash leaks nothing about the token through time.
  const SecretHash hash = HashSecret(bearer_token);
  const absl::Time now = clock_->Now();
  MutexLock lock(&mutex_);
  const auto it = tokens_.find(hash);
  if (it == tokens_.end()) {
    return Unauthenticated("TOKEN_UNKNOWN", "the API token is not known to this hub; check the token file");
  }
  const StoredToken& token = it->second;
  if (token.revoked) return Unauthenticated("TOKEN_REVOKED", "the API token was revoked; ask an admin for a new one");
  if (token.expires && *token.expires <= now) {
    return Unauthenticated("TOKEN_EXPIRED", "the API token has expired; ask an admin for a new one");
  }
  return Caller{.token_id = token.id, .token_name = token.name, .role = token.role, .customer = token.customer};
}

bool TokenStore::StillValid(std::string_view token_id) const {
  const absl::Time now = clock_->Now();
  MutexLock lock(&mutex_);
  return std::any_of(tokens_.begin(), tokens_.end(),
                     [&](const auto& entry) { return entry.second.id == token_id && IsAlive(entry.second, now); });
}

absl::StatusOr<std::optional<StoredToken>> TokenStore::FindSurplus(absl::Time now) const {
  MutexLock lock(&mutex_);
  if (tokens_.size() < max_tokens_) return std::nullopt;
  const StoredToken* oldest = nullptr;
  for (const auto& [hash, token] : tokens_) {
    if (!IsAlive(token, now) && (oldest == nullptr || token.created < oldest->created)) oldest = &token;
  }
  if (oldest == nullptr) {
    return MakeError(absl::StatusCode::kResourceExhausted, "TOO_MANY_TOKENS",
                     fmt::format("this hub keeps at most {} tokens; revoke some that nobody uses", max_tokens_));
  }
  return *oldest;
}

absl::StatusOr<TokenStore::Created> TokenStore::Create(const std::string& name, fleet::v1::Role role,
                                                       const std::string& customer,
                                                       std::optional<absl::Duration> time_to_live,
                                                       const Caller& creator) {
  RETURN_IF_ERROR(CheckName("a token's name", name));
  if (name.starts_with(kTokenIdPrefix)) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_NAME",
                     fmt::format("a token's name must not begin with \"{}\" as the ids do", kTokenIdPrefix));
  }
  if (!customer.empty()) RETURN_IF_ERROR(CheckName("a customer's name", customer));
  if (role == fleet::v1::ROLE_UNSPECIFIED || !fleet::v1::Role_IsValid(role)) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_ROLE",
                     "a token's role must be viewer, operator, admin or metrics");
  }
  if (time_to_live && *time_to_live <= absl::ZeroDuration()) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_TIME_TO_LIVE", "a token must live longer than 0 s");
  }
  if (!creator.customer.empty() && customer != creator.customer) {
    return MakeError(absl::StatusCode::kPermissionDenied, "WIDER_TOKEN",
                     fmt::format("this token is limited to customer \"{}\" and can only make tokens that are, too",
                                 creator.customer));
  }
  Created created{.token = {}, .secret = Secret::Random(kTokenPrefix)};
  const absl::Time now = clock_->Now();
  ASSIGN_OR_RETURN(const std::optional<StoredToken> surplus, FindSurplus(now));
  created.token = {.id = NewId(kTokenIdPrefix),
                   .name = name,
                   .hash = HashSecret(created.secret.Reveal()),
                   .role = role,
                   .customer = customer,
                   .created = now,
                   .expires = time_to_live ? std::optional(now + *time_to_live) : std::nullopt,
                   .revoked = {}};
  const AuditRecord audit{.sequence = 0,
                          .at = now,
                          .actor = creator.token_name,
                          .action = "token.create",
                          .subject = created.token.id,
                          .detail = fmt::format("name \"{}\", {}", name, fleet::v1::Role_Name(role))};
  RETURN_IF_ERROR(store_->writer().Run([&](sqlite::Database& database) -> absl::Status {
    if (surplus) RETURN_IF_ERROR(DeleteToken(database, surplus->id));
    RETURN_IF_ERROR(InsertToken(database, created.token));
    return AppendAudit(database, audit);
  }));
  MutexLock lock(&mutex_);
  if (surplus) tokens_.erase(surplus->hash);
  tokens_.emplace(created.token.hash, created.token);
  return created;
}

absl::Status TokenStore::Revoke(std::string_view id_or_name, const Caller& revoker) {
  const absl::Time now = clock_->Now();
  const auto matches = [&](const StoredToken& token) {
    return !token.revoked && (revoker.customer.empty() || token.customer == revoker.customer) &&
           (token.id == id_or_name || token.name == id_or_name);
  };
  const auto rules_all = [&](const StoredToken& token) {
    return token.role == fleet::v1::ROLE_ADMIN && token.customer.empty() && IsAlive(token, now);
  };
  SecretHash hash{};
  std::string id;
  {
    MutexLock lock(&mutex_);
    const auto it =
        std::find_if(tokens_.begin(), tokens_.end(), [&](const auto& entry) { return matches(entry.second); });
    if (it == tokens_.end()) {
      return MakeError(absl::StatusCode::kNotFound, "TOKEN_NOT_FOUND",
                       fmt::format("there is no token \"{}\"; \"muster token list\" shows them all", id_or_name));
    }
    const auto rulers =
        std::count_if(tokens_.begin(), tokens_.end(), [&](const auto& entry) { return rules_all(entry.second); });
    if (rules_all(it->second) && rulers == 1) {
      return MakeError(absl::StatusCode::kFailedPrecondition, "LAST_ADMIN_TOKEN",
                       fmt::format("\"{}\" is the last admin token: create another one first", it->second.name));
    }
    hash = it->first;
    id = it->second.id;
  }
  const AuditRecord audit{
      .sequence = 0, .at = now, .actor = revoker.token_name, .action = "token.revoke", .subject = id, .detail = ""};
  RETURN_IF_ERROR(store_->writer().Run([&](sqlite::Database& database) -> absl::Status {
    RETURN_IF_ERROR(MarkTokenRevoked(database, id, now));
    return AppendAudit(database, audit);
  }));
  MutexLock lock(&mutex_);
  if (const auto it = tokens_.find(hash); it != tokens_.end()) it->second.revoked = now;
  return absl::OkStatus();
}

std::vector<StoredToken> TokenStore::List() const {
  std::vector<StoredToken> tokens;
  {
    MutexLock lock(&mutex_);
    for (const auto& [hash, token] : tokens_) tokens.push_back(token);
  }
  std::sort(tokens.begin(), tokens.end(),
            [](const StoredToken& a, const StoredToken& b) { return a.created < b.created; });
  return tokens;
}

}  // namespace muster::hub
