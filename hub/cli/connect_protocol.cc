#include "hub/cli/connect_protocol.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "common/status.h"
#include "common/text.h"
#include "muster/fleet/v1/fleet.pb.h"

namespace muster::cli {
namespace {

using nlohmann::json;

constexpr std::size_t kHeaderBytes = 5;
constexpr std::uint8_t kCompressedFlag = 0x01;
constexpr std::uint8_t kEndOfStreamFlag = 0x02;
// A sentence for a terminal; anything longer is not one.
constexpr std::size_t kMaxMessageBytes = 2000;

constexpr std::array<std::pair<std::string_view, absl::StatusCode>, 16> kCodes = {{
    {"canceled", absl::StatusCode::kCancelled},
    {"unknown", absl::StatusCode::kUnknown},
    {"invalid_argument", absl::StatusCode::kInvalidArgument},
    {"deadline_exceeded", absl::StatusCode::kDeadlineExceeded},
    {"not_found", absl::StatusCode::kNotFound},
    {"already_exists", absl::StatusCode::kAlreadyExists},
    {"permission_denied", absl::StatusCode::kPermissionDenied},
    {"resource_exhausted", absl::StatusCode::kResourceExhausted},
    {"failed_precondition", absl::StatusCode::kFailedPrecondition},
    {"aborted", absl::StatusCode::kAborted},
    {"out_of_range", absl::StatusCode::kOutOfRange},
    {"unimplemented", absl::StatusCode::kUnimplemented},
    {"internal", absl::StatusCode::kInternal},
    {"unavailable", absl::StatusCode::kUnavailable},
    {"data_loss", absl::StatusCode::kDataLoss},
    {"unauthenticated", absl::StatusCode::kUnauthenticated},
}};

std::optional<absl::StatusCode> CodeNamed(std::string_view name) {
  for (const auto& [known, code] : kCodes) {
    if (known == name) return code;
  }
  return std::nullopt;
}

std::string StringField(const json& object, const char* key) {
  if (!object.is_object()) return "";
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

// The stable reason in an ErrorInfo detail, read from its readable form or from the protobuf bytes.
std::string ReasonInDetail(const json& detail) {
  if (StringField(detail, "type") != "muster.fleet.v1.ErrorInfo") return "";
  if (const auto debug = detail.find("debug"); debug != detail.end()) {
    if (std::string reason = StringField(*debug, "reason"); !reason.empty()) return reason;
  }
  std::string bytes;
  fleet::v1::ErrorInfo info;
  if (absl::Base64Unescape(StringField(detail, "value"), &bytes) && info.ParseFromString(bytes)) return info.reason();
  return "";
}

std::string UpperSnake(std::string_view code) {
  std::string upper;
  for (const char c : code) upper += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return upper;
}

absl::Status NotConnect() { return MakeError(absl::StatusCode::kInternal, "BAD_REPLY", "not a Connect error"); }

absl::Status ErrorFromJson(const json& body) {
  const std::string name = StringField(body, "code");
  const auto code = CodeNamed(name);
  if (!code.has_value()) return NotConnect();
  std::string reason;
  if (const auto details = body.find("details"); details != body.end() && details->is_array()) {
    for (const json& detail : *details) {
      if (reason = ReasonInDetail(detail); !reason.empty()) break;
    }
  }
  std::string message = CleanUtf8(StringField(body, "message"), kMaxMessageBytes);
  if (message.empty()) message = fmt::format("the hub answered {}", name);
  return MakeError(*code, reason.empty() ? UpperSnake(name) : CleanUtf8(reason, 100), message);
}

absl::Status CheckFlags(std::uint8_t flags) {
  if ((flags & kCompressedFlag) != 0) {
    return MakeError(absl::StatusCode::kInternal, "BAD_REPLY",
                     "the hub sent a compressed message, which was not asked for");
  }
  if ((flags & ~kEndOfStreamFlag) != 0) {
    return MakeError(absl::StatusCode::kInternal, "BAD_REPLY",
                     fmt::format("the stream holds a message with unknown flags {:#04x}", flags));
  }
  return absl::OkStatus();
}

// https://connectrpc.com/docs/protocol#http-to-error-code, for replies of something that is no hub.
absl::StatusCode CodeOfHttpStatus(long status) {
  switch (status) {
    case 401:
      return absl::StatusCode::kUnauthenticated;
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 404:
      return absl::StatusCode::kUnimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

std::string EncodeEnvelope(std::string_view payload) {
  const auto size = static_cast<std::uint32_t>(payload.size());
  std::string out(1, '\0');
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>((size >> shift) & 0xFF);
  out += payload;
  return out;
}

absl::Status EnvelopeParser::Feed(std::string_view bytes, const std::function<absl::Status(Envelope)>& on_envelope) {
  buffer_ += bytes;
  std::size_t pos = 0;
  while (pos < buffer_.size()) {
    if (ended_) return MakeError(absl::StatusCode::kInternal, "BAD_REPLY", "the stream goes on after its end");
    const std::string_view rest = std::string_view(buffer_).substr(pos);
    const auto flags = static_cast<std::uint8_t>(rest[0]);
    RETURN_IF_ERROR(CheckFlags(flags));
    if (rest.size() < kHeaderBytes) break;
    std::uint32_t length = 0;
    for (std::size_t i = 1; i < kHeaderBytes; ++i) length = (length << 8) | static_cast<std::uint8_t>(rest[i]);
    if (length > max_payload_bytes_) {
      return MakeError(
          absl::StatusCode::kResourceExhausted, "REPLY_TOO_LARGE",
          fmt::format("the hub announced a message of {} bytes; at most {} are read", length, max_payload_bytes_));
    }
    if (rest.size() < kHeaderBytes + length) break;
    ended_ = (flags & kEndOfStreamFlag) != 0;
    pos += kHeaderBytes + length;
    RETURN_IF_ERROR(
        on_envelope(Envelope{.end_of_stream = ended_, .payload = std::string(rest.substr(kHeaderBytes, length))}));
  }
  buffer_.erase(0, pos);
  return absl::OkStatus();
}

absl::Status ParseErrorJson(std::string_view text) {
  const json body = json::parse(text, nullptr, /*allow_exceptions=*/false);
  return body.is_object() ? ErrorFromJson(body) : NotConnect();
}

absl::Status ParseEndOfStream(std::string_view text) {
  const json body = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!body.is_object()) {
    return MakeError(absl::StatusCode::kInternal, "BAD_REPLY", "the end of the stream is not JSON");
  }
  const auto error = body.find("error");
  if (error == body.end() || error->is_null()) return absl::OkStatus();
  return ErrorFromJson(*error);
}

absl::Status ErrorOfReply(const HttpHead& head, std::string_view body, std::string_view url) {
  if (HasMediaType(head.content_type, kUnaryContentType)) {
    if (absl::Status error = ParseErrorJson(body); ReasonOf(error) != "BAD_REPLY") return error;
  }
  return MakeError(
      CodeOfHttpStatus(head.status), "NOT_A_HUB_REPLY",
      fmt::format("{} answered HTTP {} with {}, which is not a hub's reply; check --hub, and any proxy in between", url,
                  head.status, head.content_type.empty() ? "no content type" : head.content_type));
}

bool HasMediaType(std::string_view content_type, std::string_view media_type) {
  content_type = content_type.substr(0, content_type.find(';'));
  while (!content_type.empty() && content_type.back() == ' ') content_type.remove_suffix(1);
  return std::equal(content_type.begin(), content_type.end(), media_type.begin(), media_type.end(), [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
  });
}

}  // namespace muster::cli
