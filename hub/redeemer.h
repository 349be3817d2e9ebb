// ConnectService over TargetAdmin and the live fleet: what a connect code is good for. Thread-safe.
#ifndef MUSTER_HUB_REDEEMER_H_
#define MUSTER_HUB_REDEEMER_H_

#include <string>
#include <string_view>
#include <utility>

#include "common/status.h"
#include "hub/connect/connect_endpoint.h"
#include "hub/fleet/fleet.h"
#include "hub/fleet/target_admin.h"

namespace muster::hub {

class Redeemer : public ConnectService {
 public:
  Redeemer(TargetAdmin* admin, Fleet* fleet) : admin_(admin), fleet_(fleet) {}
  absl::StatusOr<ConnectGrant> Redeem(std::string_view code) override {
    ASSIGN_OR_RETURN(TargetAdmin::Redeemed redeemed, admin_->Redeem(code));
    ASSIGN_OR_RETURN(const TargetSnapshot found, fleet_->FindTarget(redeemed.target_id, ""));
    return ConnectGrant{.target_id = redeemed.target_id,
                        .target_name = found.target.name(),
                        .type = found.target.type(),
                        .secret = std::move(redeemed.secret)};
  }
  absl::StatusOr<types::v1::TargetType> TypeOf(std::string_view code) override {
    ASSIGN_OR_RETURN(const std::string id, admin_->TargetOf(code));
    ASSIGN_OR_RETURN(const TargetSnapshot found, fleet_->FindTarget(id, ""));
    return found.target.type();
  }

 private:
  TargetAdmin* const admin_;
  Fleet* const fleet_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_REDEEMER_H_
