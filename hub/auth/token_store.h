// The API tokens: kept in memory by hash for every request, made durable at every change. Thread-safe; Create and
// Revoke block until the store has committed.
#ifndef MUSTER_HUB_AUTH_TOKEN_STORE_H_
#define MUSTER_HUB_AUTH_TOKEN_STORE_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/mutex.h"
#include "common/secret.h"
#include "hub/api/caller.h"
#include "hub/store/records.h"
#include "hub/store/store.h"

namespace muster::hub {

class TokenStore : public Authenticator {
 public:
  // Bounds memory and the token list; a hub with more operators wants single sign-on in front. When it is reached, the
  // oldest revoked or expired tokens make room: they are then unknown.
  static constexpr std::size_t kMaxTokens = 10'000;

  TokenStore(Store* store, const Clock* clock, std::vector<StoredToken> tokens, std::size_t max_tokens = kMaxTokens);

  // UNAUTHENTICATED "TOKEN_MISSING", "TOKEN_UNKNOWN", "TOKEN_EXPIRED", "TOKEN_REVOKED".
  absl::StatusOr<Caller> Authenticate(std::string_view bearer_token) override ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether the token would still be accepted: long-lived streams ask again and again.
  bool StillValid(std::string_view token_id) const ABSL_LOCKS_EXCLUDED(mutex_);

  struct Created {
    StoredToken token;
    Secret secret;  // shown once
  };
  // Never wider than `creator`: a token limited to a customer makes only such tokens.
  absl::StatusOr<Created> Create(const std::string& name, fleet::v1::Role role, const std::string& customer,
                                 std::optional<absl::Duration> time_to_live, const Caller& creator)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // By id or name of a token that is not revoked. FAILED_PRECONDITION "LAST_ADMIN_TOKEN" for the one without which
  // nobody could make another.
  absl::Status Revoke(std::string_view id_or_name, const Caller& revoker) ABSL_LOCKS_EXCLUDED(mutex_);
  // Oldest first.
  std::vector<StoredToken> List() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  static bool IsAlive(const StoredToken& token, absl::Time now) {
    return !token.revoked && (!token.expires || *token.expires > now);
  }
  // What makes room for one more; an error when nothing can.
  absl::StatusOr<std::optional<StoredToken>> FindSurplus(absl::Time now) const ABSL_LOCKS_EXCLUDED(mutex_);

  Store* const store_;
  const Clock* const clock_;
  const std::size_t max_tokens_;
  mutable Mutex mutex_;
  std::map<SecretHash, StoredToken> tokens_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_AUTH_TOKEN_STORE_H_
