// The FleetService as the commands see it: protobuf messages in and out, errors as absl::Status with the hub's reason.
// Owns nothing of the network: bytes go through HttpTransport. Called from one thread.
#ifndef MUSTER_HUB_CLI_FLEET_CLIENT_H_
#define MUSTER_HUB_CLI_FLEET_CLIENT_H_

#include <google/protobuf/message.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "hub/cli/http_transport.h"
#include "hub/cli/settings.h"
#include "muster/fleet/v1/fleet.pb.h"

namespace muster::cli {

// proto3 JSON with the proto's field names, one line.
absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message);
// Unknown fields are ignored: the hub may be newer.
absl::Status FromJson(std::string_view json, google::protobuf::Message* message);

class FleetClient {
 public:
  struct Timeouts {
    absl::Duration connect = absl::Seconds(10);
    // Of a unary call.
    absl::Duration call = absl::Seconds(60);
  };
  FleetClient(Settings settings, HttpTransport* transport, const Clock* clock, Timeouts timeouts)
      : settings_(std::move(settings)), transport_(transport), clock_(clock), timeouts_(timeouts) {}

  // `method` is a name in FleetService, such as "GetTarget".
  absl::Status Call(std::string_view method, const google::protobuf::Message& request,
                    google::protobuf::Message* response);

  // Asks for page after page and merges them into `all`, until there are no more or `count(*all)` reaches `limit`
  // (0: no limit). `Request` has page_size and page_token, `Response` next_page_token.
  template <typename Request, typename Response, typename Count>
  absl::Status List(std::string_view method, Request request, Response* all, Count count, int limit = 0);

  struct StreamEvents {
    std::function<absl::Status()> on_message;
    // About once a second; may be empty.
    std::function<absl::Status()> on_tick = nullptr;
    // A stream that is silent for longer ends as STREAM_IDLE. The hub answers a new stream at once, so opening a silent
    // one anew costs little and finds a hub that hangs.
    absl::Duration idle = absl::Seconds(30);
  };
  // `method` is a name of a server stream; `message` holds what came whenever `on_message` is called. Until the stream
  // ends or a callback fails. OK: the hub ended it in order.
  absl::Status Stream(std::string_view method, const google::protobuf::Message& request,
                      google::protobuf::Message* message, const StreamEvents& events);

  // Now on the hub's clock as far as its last reply told it, else on this machine's.
  absl::Time HubNow() const;

  const Settings& settings() const { return settings_; }

 private:
  absl::Status CheckToken() const;
  HttpRequest MakeRequest(std::string_view method) const;
  void NoteDate(const HttpHead& head);
  static absl::Status PagesDoNotEnd(std::string_view method);

  const Settings settings_;
  HttpTransport* const transport_;
  const Clock* const clock_;
  const Timeouts timeouts_;
  std::optional<absl::Duration> hub_clock_ahead_;
};

// A page as the CLI asks for it: 500 targets with their facts are about 500 KiB.
inline constexpr int kPageSize = 500;
// More than this is no list for a command line; 100 times the 10,000 deployments a hub is built for.
inline constexpr int kMaxPages = 2000;

template <typename Request, typename Response, typename Count>
absl::Status FleetClient::List(std::string_view method, Request request, Response* all, Count count, int limit) {
  for (int page = 0; page < kMaxPages; ++page) {
    request.set_page_size(limit > 0 ? std::min(limit - count(*all), kPageSize) : kPageSize);
    Response response;
    if (absl::Status called = Call(method, request, &response); !called.ok()) return called;
    const std::string next = response.next_page_token();
    response.clear_next_page_token();
    all->MergeFrom(response);
    if (next.empty() || (limit > 0 && count(*all) >= limit)) return absl::OkStatus();
    if (next == request.page_token()) break;
    request.set_page_token(next);
  }
  return PagesDoNotEnd(method);
}

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_FLEET_CLIENT_H_
