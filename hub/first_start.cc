#include "hub/first_start.h"

#include "common/files.h"
#include "common/log.h"
#include "common/secret.h"
#include "common/status.h"
#include "hub/jobs/job_writes.h"
#include "hub/store/reads.h"
#include "hub/store/writes.h"

namespace muster::hub {
namespace {

// For this long the agent of a deleted target is told so; afterwards the hub knows no such target. Bounds what short
// lived targets leave in memory: at a thousand a day 90 MB.
constexpr absl::Duration kRememberDeleted = absl::Hours(24 * 90);

// The file comes before the row: a hub that dies in between makes a new token at the next start, where the other order
// would lock everybody out.
absl::Status MakeAdminToken(Store& store, const std::string& token_file, absl::Time now) {
  const Secret secret = Secret::Random(kTokenPrefix);
  RETURN_IF_ERROR(WriteFileAtomically(token_file, secret.Reveal() + "\n", 0600));
  const StoredToken token{.id = NewId("tok_"),
                          .name = "admin",
                          .hash = HashSecret(secret.Reveal()),
                          .role = fleet::v1::ROLE_ADMIN,
                          .customer = "",
                          .created = now,
                          .expires = {},
                          .revoked = {}};
  RETURN_IF_ERROR(store.writer().Run([&](sqlite::Database& database) -> absl::Status {
    RETURN_IF_ERROR(InsertToken(database, token));
    return AppendAudit(database, {.sequence = 0,
                                  .at = now,
                                  .actor = "hub",
                                  .action = "token.create",
                                  .subject = token.id,
                                  .detail = "the first admin token"});
  }));
  log::Info("first start: the admin token is in {}", token_file);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<StoredToken>> ReadTokens(Store& store) {
  std::vector<StoredToken> tokens;
  RETURN_IF_ERROR(store.Read([&](sqlite::Database& database) -> absl::Status {
    ASSIGN_OR_RETURN(tokens, LoadTokens(database));
    return absl::OkStatus();
  }));
  return tokens;
}

}  // namespace

absl::StatusOr<Memory> LoadMemory(Store& store, const std::string& organization, const std::string& token_file,
                                  absl::Time started) {
  Memory memory;
  RETURN_IF_ERROR(store.writer().Run([&](sqlite::Database& database) -> absl::Status {
    ASSIGN_OR_RETURN(memory.hub_epoch, EnsureMeta(database, "hub_epoch", NewId("hub_")));
    ASSIGN_OR_RETURN(memory.organization, EnsureMeta(database, "organization", organization));
    return BeginRun(database, started);
  }));
  ASSIGN_OR_RETURN(memory.tokens, ReadTokens(store));
  if (memory.tokens.empty()) {
    RETURN_IF_ERROR(MakeAdminToken(store, token_file, started));
    ASSIGN_OR_RETURN(memory.tokens, ReadTokens(store));
  }
  RETURN_IF_ERROR(store.Read([&](sqlite::Database& database) -> absl::Status {
    ASSIGN_OR_RETURN(memory.targets, LoadTargets(database, started - kRememberDeleted));
    ASSIGN_OR_RETURN(memory.jobs, LoadJobs(database));
    return absl::OkStatus();
  }));
  return memory;
}

}  // namespace muster::hub
