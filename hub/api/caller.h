// Who asks: the API token behind a request. Plain values, copied freely.
#ifndef MUSTER_HUB_API_CALLER_H_
#define MUSTER_HUB_API_CALLER_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "muster/fleet/v1/fleet.pb.h"

namespace muster::hub {

struct Caller {
  std::string token_id;
  std::string token_name;
  fleet::v1::Role role = fleet::v1::ROLE_UNSPECIFIED;
  // Limited to this customer organization; empty: all.
  std::string customer = {};
};

// Thread-safe. May read the store: called on worker threads only.
class Authenticator {
 public:
  virtual ~Authenticator() = default;
  // Unauthenticated for a missing (empty), unknown, expired or revoked token.
  virtual absl::StatusOr<Caller> Authenticate(std::string_view bearer_token) = 0;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_API_CALLER_H_
