#include "hub/http/error_response.h"

#include <sodium.h>

#include <nlohmann/json.hpp>

#include "common/status.h"
#include "muster/fleet/v1/fleet.pb.h"

namespace muster::hub {
namespace {

// Connect wants standard base64 without padding.
std::string Base64(const std::string& bytes) {
  std::string text(sodium_base64_ENCODED_LEN(bytes.size(), sodium_base64_VARIANT_ORIGINAL_NO_PADDING), '\0');
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                    sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
  text.resize(text.find('\0'));
  return text;
}

}  // namespace

std::string_view ConnectCode(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kCancelled:
      return "canceled";
    case absl::StatusCode::kInvalidArgument:
      return "invalid_argument";
    case absl::StatusCode::kDeadlineExceeded:
      return "deadline_exceeded";
    case absl::StatusCode::kNotFound:
      return "not_found";
    case absl::StatusCode::kAlreadyExists:
      return "already_exists";
    case absl::StatusCode::kPermissionDenied:
      return "permission_denied";
    case absl::StatusCode::kResourceExhausted:
      return "resource_exhausted";
    case absl::StatusCode::kFailedPrecondition:
      return "failed_precondition";
    case absl::StatusCode::kAborted:
      return "aborted";
    case absl::StatusCode::kOutOfRange:
      return "out_of_range";
    case absl::StatusCode::kUnimplemented:
      return "unimplemented";
    case absl::StatusCode::kInternal:
      return "internal";
    case absl::StatusCode::kUnavailable:
      return "unavailable";
    case absl::StatusCode::kDataLoss:
      return "data_loss";
    case absl::StatusCode::kUnauthenticated:
      return "unauthenticated";
    default:
      return "unknown";
  }
}

int HttpStatusOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kCancelled:
      return 499;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kAborted:
      return 409;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnimplemented:
      return 501;
    case absl::StatusCode::kUnavailable:
      return 503;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    default:
      return 500;
  }
}

std::string ErrorJson(const absl::Status& status) {
  fleet::v1::ErrorInfo info;
  info.set_reason(ReasonOf(status));
  info.set_domain("muster");
  const nlohmann::ordered_json json = {
      {"code", ConnectCode(status.code())},
      {"message", MessageOf(status)},
      {"details",
       {{{"type", "muster.fleet.v1.ErrorInfo"},
         {"value", Base64(info.SerializeAsString())},
         {"debug", {{"reason", info.reason()}, {"domain", info.domain()}, {"metadata", nlohmann::json::object()}}}}}}};
  // A message may quote what a client sent; bytes that are not UTF-8 are replaced, not thrown over.
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

HttpResponse ErrorResponse(const absl::Status& status) { return ErrorResponse(HttpStatusOf(status.code()), status); }

HttpResponse ErrorResponse(int http_status, const absl::Status& status) {
  HttpResponse response{.status = http_status, .content_type = "application/json", .body = ErrorJson(status)};
  if (http_status == 401) response.headers.push_back({"WWW-Authenticate", "Bearer"});
  return response;
}

}  // namespace muster::hub
