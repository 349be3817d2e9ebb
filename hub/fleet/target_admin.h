// What operators do to targets and deployments, and the redeeming of connect codes: each made durable together with
// its audit entry, then brought to the live fleet. Used by the API and the connect endpoint; thread-safe; every call
// blocks until the store has committed, so not from gRPC reactions or I/O threads.
#ifndef MUSTER_HUB_FLEET_TARGET_ADMIN_H_
#define MUSTER_HUB_FLEET_TARGET_ADMIN_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/secret.h"
#include "hub/fleet/fleet.h"
#include "hub/store/store.h"

namespace muster::hub {

// A connect code is good for this long, or until the first session.
inline constexpr absl::Duration kConnectCodeLifetime = absl::Hours(24);
inline constexpr std::size_t kMaxTargetNameBytes = 128;

class TargetAdmin {
 public:
  TargetAdmin(Store* store, Fleet* fleet, const Clock* clock) : store_(store), fleet_(fleet), clock_(clock) {}

  // Credentials in clear, for this one answer.
  struct Credentials {
    std::string target_id;
    Secret secret;
    Secret connect_code;
    absl::Time connect_expires;
  };
  // ALREADY_EXISTS "TARGET_EXISTS"; INVALID_ARGUMENT "BAD_NAME", "BAD_TYPE".
  absl::StatusOr<Credentials> CreateTarget(std::string_view name, types::v1::TargetType type, std::string_view customer,
                                           std::string_view actor);
  // New secret and code in one transaction; when it returns the old secret is refused and its session told so.
  absl::StatusOr<Credentials> Reconnect(std::string_view target_id, std::string_view actor);
  absl::Status DeleteTarget(std::string_view target_id, std::string_view actor);
  // What is absent stays.
  absl::Status UpdateTarget(std::string_view target_id, const std::optional<std::string>& name,
                            std::optional<bool> metrics_enabled, std::string_view actor);

  struct Redeemed {
    std::string target_id;
    Secret secret;
  };
  // Mints a fresh secret; the last fetch wins, so the hub never keeps one in clear. Errors of FindConnectCode.
  absl::StatusOr<Redeemed> Redeem(std::string_view code);
  // The id of the code's target, without minting. Same errors.
  absl::StatusOr<std::string> TargetOf(std::string_view code);

  absl::Status UpdateDeployment(const fleet::v1::Deployment& current, std::optional<bool> logs_enabled,
                                const std::optional<std::string>& application,
                                const std::optional<std::string>& application_version, std::string_view actor);
  // FAILED_PRECONDITION "DEPLOYMENT_IN_USE" while its target reports it.
  absl::Status DeleteDeployment(const fleet::v1::Deployment& current, std::string_view actor);

 private:
  AuditRecord Audit(std::string_view actor, std::string_view action, std::string_view subject,
                    std::string detail) const;

  Store* const store_;
  Fleet* const fleet_;
  const Clock* const clock_;
};

// 1 to 128 bytes of UTF-8 without control characters and without '/', which separates a target from a deployment.
absl::Status CheckName(std::string_view what, std::string_view name);

}  // namespace muster::hub

#endif  // MUSTER_HUB_FLEET_TARGET_ADMIN_H_
