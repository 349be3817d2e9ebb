// The bytes of the Connect protocol: content types, envelopes, timeouts, messages in JSON and in protobuf's binary
// form. Pure; what comes from outside is fuzzed.
#ifndef MUSTER_HUB_API_CONNECT_RPC_CODEC_H_
#define MUSTER_HUB_API_CONNECT_RPC_CODEC_H_

#include <google/protobuf/message.h>

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace muster::hub {

enum class ConnectEncoding { kJson, kProto };

struct ConnectContentType {
  ConnectEncoding encoding = ConnectEncoding::kJson;
  bool streaming = false;
};

// "application/json", "application/proto", "application/connect+json", "application/connect+proto", with parameters
// (only charset=utf-8 for JSON). Nothing for any other.
std::optional<ConnectContentType> ParseConnectContentType(std::string_view value);
std::string_view ToString(ConnectContentType type);

// Connect-Timeout-Ms: 1 to 10 digits. Infinite for an empty header.
absl::StatusOr<absl::Duration> ParseConnectTimeout(std::string_view value);

// Unknown JSON fields are ignored. An empty body is an empty message.
absl::Status DecodeMessage(ConnectEncoding encoding, std::string_view bytes, google::protobuf::Message* message);

// JSON keeps proto field names and prints fields with default values, so that scripts find every field.
absl::StatusOr<std::string> EncodeMessage(ConnectEncoding encoding, const google::protobuf::Message& message);

// The one message in the body of a server-streaming request.
absl::StatusOr<std::string_view> OpenEnvelope(std::string_view body);

// One message of a stream, and the end of one.
std::string Envelope(std::string_view message);
std::string EndOfStream(const absl::Status& status);

}  // namespace muster::hub

#endif  // MUSTER_HUB_API_CONNECT_RPC_CODEC_H_
