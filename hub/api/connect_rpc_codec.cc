#include "hub/api/connect_rpc_codec.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cctype>
#include <cstdint>

#include "common/files.h"
#include "common/status.h"
#include "common/text.h"
#include "hub/http/error_response.h"

namespace muster::hub {
namespace {

constexpr std::size_t kEnvelopeHead = 5;  // one byte of flags, four of length
constexpr char kFlagCompressed = 0x01;
constexpr char kFlagEndOfStream = 0x02;

absl::Status BadRequest(std::string_view reason, const std::string& message) {
  return MakeError(absl::StatusCode::kInvalidArgument, reason, message);
}

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string Seal(char flags, std::string_view data) {
  std::string envelope(1, flags);
  for (int shift = 24; shift >= 0; shift -= 8) envelope += static_cast<char>((data.size() >> shift) & 0xFF);
  envelope += data;
  return envelope;
}

// The parser's first line says what is wrong; those below repeat the input.
std::string FirstLine(const google::protobuf::util::Status& status) {
  const std::string text(status.message().data(), status.message().size());
  return EscapeControl(CleanUtf8(text.substr(0, text.find('\n')), 200));
}

}  // namespace

std::optional<ConnectContentType> ParseConnectContentType(std::string_view value) {
  const std::size_t semicolon = value.find(';');
  const std::string type = Lower(Trim(value.substr(0, semicolon)));
  if (semicolon != std::string_view::npos) {
    const std::string parameter = Lower(Trim(value.substr(semicolon + 1)));
    if (parameter != "charset=utf-8" && parameter != "charset=\"utf-8\"" && !parameter.empty()) return std::nullopt;
  }
  for (const bool streaming : {false, true}) {
    for (const ConnectEncoding encoding : {ConnectEncoding::kJson, ConnectEncoding::kProto}) {
      const ConnectContentType candidate{.encoding = encoding, .streaming = streaming};
      if (type == ToString(candidate)) return candidate;
    }
  }
  return std::nullopt;
}

std::string_view ToString(ConnectContentType type) {
  if (type.encoding == ConnectEncoding::kJson) {
    return type.streaming ? "application/connect+json" : "application/json";
  }
  return type.streaming ? "application/connect+proto" : "application/proto";
}

absl::StatusOr<absl::Duration> ParseConnectTimeout(std::string_view value) {
  if (value.empty()) return absl::InfiniteDuration();
  if (value.size() > 10 || value.find_first_not_of("0123456789") != std::string_view::npos) {
    return BadRequest("BAD_TIMEOUT", "Connect-Timeout-Ms must be 1 to 10 digits");
  }
  return absl::Milliseconds(std::stoll(std::string(value)));
}

absl::Status DecodeMessage(ConnectEncoding encoding, std::string_view bytes, google::protobuf::Message* message) {
  if (bytes.empty()) return absl::OkStatus();
  const google::protobuf::StringPiece input(bytes.data(), static_cast<std::ptrdiff_t>(bytes.size()));
  if (encoding == ConnectEncoding::kProto) {
    if (message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return absl::OkStatus();
    return BadRequest("BAD_PROTOBUF",
                      fmt::format("the body is not a {} in protobuf's binary form", message->GetDescriptor()->name()));
  }
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto status = google::protobuf::util::JsonStringToMessage(input, message, options);
  if (status.ok()) return absl::OkStatus();
  return BadRequest("BAD_JSON", fmt::format("the body is not the JSON of a {}: {}", message->GetDescriptor()->name(),
                                            FirstLine(status)));
}

absl::StatusOr<std::string> EncodeMessage(ConnectEncoding encoding, const google::protobuf::Message& message) {
  std::string bytes;
  if (encoding == ConnectEncoding::kProto) {
    if (message.SerializeToString(&bytes)) return bytes;
  } else {
    google::protobuf::util::JsonPrintOptions options;
    options.preserve_proto_field_names = true;
    options.always_print_primitive_fields = true;
    if (google::protobuf::util::MessageToJsonString(message, &bytes, options).ok()) return bytes;
  }
  return MakeError(absl::StatusCode::kInternal, "ENCODING_FAILED",
                   fmt::format("cannot encode a {}", message.GetDescriptor()->name()));
}

absl::StatusOr<std::string_view> OpenEnvelope(std::string_view body) {
  if (body.size() < kEnvelopeHead) {
    return BadRequest("BAD_ENVELOPE", "a streaming request's body begins with 5 bytes: flags and the message's length");
  }
  const char flags = body.front();
  if ((flags & kFlagCompressed) != 0) {
    return MakeError(absl::StatusCode::kUnimplemented, "COMPRESSION_UNSUPPORTED", "compressed requests are not taken");
  }
  if (flags != 0) return BadRequest("BAD_ENVELOPE", "a request's envelope must have flags 0");
  std::uint32_t length = 0;
  for (std::size_t i = 1; i < kEnvelopeHead; ++i) length = (length << 8) | static_cast<std::uint8_t>(body[i]);
  if (length != body.size() - kEnvelopeHead) {
    return BadRequest("BAD_ENVELOPE", fmt::format("the envelope announces {} bytes, and {} follow: send one message",
                                                  length, body.size() - kEnvelopeHead));
  }
  return body.substr(kEnvelopeHead);
}

std::string Envelope(std::string_view message) { return Seal(0, message); }

std::string EndOfStream(const absl::Status& status) {
  return Seal(kFlagEndOfStream, status.ok() ? "{}" : fmt::format("{{\"error\":{}}}", ErrorJson(status)));
}

}  // namespace muster::hub
