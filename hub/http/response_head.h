// Status line and header fields of a response, as text. Pure.
#ifndef MUSTER_HUB_HTTP_RESPONSE_HEAD_H_
#define MUSTER_HUB_HTTP_RESPONSE_HEAD_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "hub/http/http.h"

namespace muster::hub {

struct Framing {
  // Absent: of unknown length.
  std::optional<std::uint64_t> content_length = std::nullopt;
  // With unknown length: chunked, or (HTTP/1.0) until the connection closes.
  bool chunked = false;
  bool keep_alive = true;
};

// Adds Date and the security headers, unless the response has them. Control characters in values are left out: no value
// can begin a header of its own.
std::string WriteResponseHead(const HttpResponse& response, const Framing& framing, absl::Time now);

}  // namespace muster::hub

#endif  // MUSTER_HUB_HTTP_RESPONSE_HEAD_H_
