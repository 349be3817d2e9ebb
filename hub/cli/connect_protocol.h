// The Connect protocol's JSON (https://connectrpc.com/docs/protocol), the client's half: error bodies of unary calls
// and the envelopes of server streams. Parses outside bytes; values only, no I/O. Not thread-safe.
#ifndef MUSTER_HUB_CLI_CONNECT_PROTOCOL_H_
#define MUSTER_HUB_CLI_CONNECT_PROTOCOL_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "hub/cli/http_transport.h"

namespace muster::cli {

inline constexpr std::string_view kUnaryContentType = "application/json";
inline constexpr std::string_view kStreamContentType = "application/connect+json";

// A message of a stream: 10,000 deployments with their resources are about 10 MiB of JSON. Also the limit of a unary
// reply.
inline constexpr std::size_t kMaxReplyBytes = 64u << 20;

struct Envelope {
  bool end_of_stream = false;
  std::string payload;
};

// Five bytes of header (flags, big-endian length) and the payload, both in an envelope: used for requests.
std::string EncodeEnvelope(std::string_view payload);

// Cuts a stream of bytes into envelopes, however the bytes were split on their way.
class EnvelopeParser {
 public:
  explicit EnvelopeParser(std::size_t max_payload_bytes = kMaxReplyBytes) : max_payload_bytes_(max_payload_bytes) {}

  // Calls `on_envelope` for each envelope that is complete now. Errors: an envelope that is compressed, too long or
  // comes after the end of the stream; or what the callback returned. After an error the parser is not used any more.
  absl::Status Feed(std::string_view bytes, const std::function<absl::Status(Envelope)>& on_envelope);

  bool ended() const { return ended_; }

 private:
  const std::size_t max_payload_bytes_;
  std::string buffer_;
  bool ended_ = false;
};

// {"code":"not_found","message":"...","details":[...]}: the error it describes; INTERNAL when it is not such a body.
absl::Status ParseErrorJson(std::string_view json);

// The end of a stream: {} or {"error":{...}}.
absl::Status ParseEndOfStream(std::string_view json);

// The error of a reply whose HTTP status is not 200: the Connect error in its body, or what can be said without one.
absl::Status ErrorOfReply(const HttpHead& head, std::string_view body, std::string_view url);

// "application/json; charset=utf-8" is "application/json".
bool HasMediaType(std::string_view content_type, std::string_view media_type);

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_CONNECT_PROTOCOL_H_
