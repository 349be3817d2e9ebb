#include "hub/cli/fleet_client.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include <utility>

#include "common/status.h"
#include "hub/cli/connect_protocol.h"

namespace muster::cli {
namespace {

// From bytes to messages.
class StreamReader : public StreamHandler {
 public:
  StreamReader(std::string url, google::protobuf::Message* message, const FleetClient::StreamEvents& events)
      : url_(std::move(url)), message_(message), events_(events) {}

  absl::Status OnHead(const HttpHead& head) override {
    head_ = head;
    is_stream_ = head.status == 200 && HasMediaType(head.content_type, kStreamContentType);
    return absl::OkStatus();
  }
  absl::Status OnBytes(std::string_view bytes) override {
    if (is_stream_) {
      return parser_.Feed(bytes, [this](const Envelope& envelope) { return OnEnvelope(envelope); });
    }
    if (other_body_.size() < kMaxReplyBytes) other_body_ += bytes;
    return absl::OkStatus();
  }
  absl::Status OnTick() override { return is_stream_ && events_.on_tick ? events_.on_tick() : absl::OkStatus(); }

  // After the reply has ended.
  absl::Status Outcome() const {
    if (!is_stream_) return ErrorOfReply(head_, other_body_, url_);
    if (!parser_.ended()) {
      return MakeError(absl::StatusCode::kUnavailable, "STREAM_CUT",
                       fmt::format("the stream from {} broke off; the hub may be restarting, try again", url_));
    }
    return end_;
  }

 private:
  absl::Status OnEnvelope(const Envelope& envelope) {
    if (envelope.end_of_stream) {
      end_ = ParseEndOfStream(envelope.payload);
      return absl::OkStatus();
    }
    message_->Clear();
    RETURN_IF_ERROR(FromJson(envelope.payload, message_));
    return events_.on_message();
  }

  const std::string url_;
  google::protobuf::Message* const message_;
  const FleetClient::StreamEvents& events_;
  HttpHead head_;
  bool is_stream_ = false;
  std::string other_body_;
  EnvelopeParser parser_;
  absl::Status end_;
};

}  // namespace

absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  if (auto printed = google::protobuf::util::MessageToJsonString(message, &json, options); !printed.ok()) {
    return MakeError(absl::StatusCode::kInternal, "BAD_REPLY",
                     fmt::format("write {} as JSON: {}", message.GetTypeName(), printed.ToString()));
  }
  return json;
}

absl::Status FromJson(std::string_view json, google::protobuf::Message* message) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto parsed = google::protobuf::util::JsonStringToMessage(
      google::protobuf::StringPiece(json.data(), json.size()), message, options);
  if (parsed.ok()) return absl::OkStatus();
  return MakeError(absl::StatusCode::kInternal, "BAD_REPLY",
                   fmt::format("the reply is not the JSON of {}: {}; is --hub a Muster hub of this version?",
                               message->GetTypeName(), std::string(parsed.message()).substr(0, 200)));
}

absl::Status FleetClient::CheckToken() const {
  if (!settings_.token.empty()) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kUnauthenticated, "TOKEN_MISSING",
      "no API token was given; use --token-file FILE or MUSTER_TOKEN (the hub keeps its first one in its data "
      "folder, admin-token)");
}

HttpRequest FleetClient::MakeRequest(std::string_view method) const {
  return HttpRequest{.url = fmt::format("{}/muster.fleet.v1.FleetService/{}", settings_.hub_url, method),
                     .content_type = std::string(kUnaryContentType),
                     .token = settings_.token,
                     .body = "",
                     .ca_file = settings_.ca_file,
                     .connect_timeout = timeouts_.connect,
                     .timeout = timeouts_.call,
                     .max_reply_bytes = kMaxReplyBytes};
}

absl::Status FleetClient::Call(std::string_view method, const google::protobuf::Message& request,
                               google::protobuf::Message* response) {
  RETURN_IF_ERROR(CheckToken());
  HttpRequest http = MakeRequest(method);
  ASSIGN_OR_RETURN(http.body, ToJson(request));
  ASSIGN_OR_RETURN(const HttpReply reply, transport_->Post(http));
  NoteDate(reply.head);
  if (reply.head.status != 200 || !HasMediaType(reply.head.content_type, kUnaryContentType)) {
    return ErrorOfReply(reply.head, reply.body, settings_.hub_url);
  }
  return FromJson(reply.body, response);
}

absl::Status FleetClient::Stream(std::string_view method, const google::protobuf::Message& request,
                                 google::protobuf::Message* message, const StreamEvents& events) {
  RETURN_IF_ERROR(CheckToken());
  HttpRequest http = MakeRequest(method);
  http.content_type = kStreamContentType;
  http.timeout = events.idle;
  ASSIGN_OR_RETURN(const std::string json, ToJson(request));
  http.body = EncodeEnvelope(json);
  StreamReader reader(settings_.hub_url, message, events);
  RETURN_IF_ERROR(transport_->PostStream(http, &reader));
  return reader.Outcome();
}

absl::Time FleetClient::HubNow() const { return clock_->Now() + hub_clock_ahead_.value_or(absl::ZeroDuration()); }

void FleetClient::NoteDate(const HttpHead& head) {
  if (!head.date.has_value()) return;
  const absl::Duration ahead = *head.date - clock_->Now();
  // "Date" counts whole seconds, so a smaller difference is none.
  hub_clock_ahead_ = absl::AbsDuration(ahead) < absl::Seconds(2) ? absl::ZeroDuration() : ahead;
}

absl::Status FleetClient::PagesDoNotEnd(std::string_view method) {
  return MakeError(absl::StatusCode::kInternal, "BAD_REPLY",
                   fmt::format("{} gives page after page without an end; use a narrower filter", method));
}

}  // namespace muster::cli
