// Errors over HTTP, in the one form every client of the hub may rely on: the Connect protocol's error JSON with an
// ErrorInfo detail, under the status that belongs to the code. docs/api.md shows it.
#ifndef MUSTER_HUB_HTTP_ERROR_RESPONSE_H_
#define MUSTER_HUB_HTTP_ERROR_RESPONSE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "hub/http/http.h"

namespace muster::hub {

// The Connect code of a status: "not_found"; and the HTTP status that goes with it: 404.
std::string_view ConnectCode(absl::StatusCode code);
int HttpStatusOf(absl::StatusCode code);

// {"code":"not_found","message":"...","details":[{"type":"muster.fleet.v1.ErrorInfo","value":"...","debug":{...}}]}
std::string ErrorJson(const absl::Status& status);

HttpResponse ErrorResponse(const absl::Status& status);
// Under another HTTP status than the code's own: 405, 413, 415, 431.
HttpResponse ErrorResponse(int http_status, const absl::Status& status);

}  // namespace muster::hub

#endif  // MUSTER_HUB_HTTP_ERROR_RESPONSE_H_
