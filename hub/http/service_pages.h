// The pages every hub has: "/" says what this is, /healthz is 200 while the process serves, /readyz is 200, or 503 with
// the reason as text. Registered once on the API's router.
#ifndef MUSTER_HUB_HTTP_SERVICE_PAGES_H_
#define MUSTER_HUB_HTTP_SERVICE_PAGES_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "hub/http/router.h"

namespace muster::hub {

// `ready` must not block and is called on any thread; its message is shown to anybody who asks.
void AddServicePages(HttpRouter* router, const std::string& version, std::function<absl::Status()> ready);

}  // namespace muster::hub

#endif  // MUSTER_HUB_HTTP_SERVICE_PAGES_H_
