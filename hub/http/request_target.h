// The request target of HTTP/1.1 (RFC 9112 3.2), taken apart. Pure; fuzzed.
#ifndef MUSTER_HUB_HTTP_REQUEST_TARGET_H_
#define MUSTER_HUB_HTTP_REQUEST_TARGET_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace muster::hub {

struct RequestTarget {
  std::string path;   // decoded: valid UTF-8, no control characters, begins with '/'
  std::string query;  // behind '?', not decoded
};

// Takes "/path?query" and "http://host/path?query". Refuses broken percent signs, control characters and "." or ".." as
// a segment: no client of ours needs them, and no handler should have to think of them.
absl::StatusOr<RequestTarget> ParseRequestTarget(std::string_view target);

// True when `accept_encoding` lists gzip (or *) with a quality above 0.
bool AcceptsGzip(std::string_view accept_encoding);

}  // namespace muster::hub

#endif  // MUSTER_HUB_HTTP_REQUEST_TARGET_H_
