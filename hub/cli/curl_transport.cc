#include "hub/cli/curl_transport.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "common/status.h"
#include "common/version.h"
#include "hub/cli/exit_code.h"

namespace muster::cli {
namespace {

// How long a wait may last before the handler's tick and the idle limit are looked at.
constexpr int kPollMilliseconds = 1000;
// A dead network is noticed after 15 s + 3 probes of 5 s, also while the hub has nothing to say.
constexpr long kKeepAliveIdleSeconds = 15;
constexpr long kKeepAliveIntervalSeconds = 5;

absl::Status Unreachable(std::string_view reason, std::string_view message) {
  return MakeError(absl::StatusCode::kUnavailable, reason, message);
}

// "https://hub:8080" of a longer URL: what people know the hub by.
std::string OriginOf(const std::string& url) {
  const std::size_t scheme = url.find("://");
  return scheme == std::string::npos ? url : url.substr(0, url.find('/', scheme + 3));
}

// One transfer: owns the curl handles and hands what comes to a StreamHandler.
class Transfer {
 public:
  Transfer(const HttpRequest& request, StreamHandler* handler, const Clock* clock)
      : request_(request), handler_(handler), clock_(clock), last_bytes_(clock->Monotonic()) {}
  ~Transfer() {
    if (multi_ != nullptr && easy_ != nullptr) curl_multi_remove_handle(multi_, easy_);
    curl_easy_cleanup(easy_);
    curl_multi_cleanup(multi_);
    curl_slist_free_all(headers_);
  }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // `total`: request.timeout bounds the whole transfer, else the silence between two pieces.
  absl::Status Run(const Interrupt& interrupt, bool total);

 private:
  absl::Status SetUp(bool total);
  void SetHeaders();
  absl::Status SetAuthorities();
  absl::Status Loop(const Interrupt& interrupt, bool total);
  absl::Status Outcome();
  absl::Status ErrorOf(CURLcode code) const;
  // Calls OnHead once, when the status and the headers are known.
  absl::Status ReportHead();

  static size_t OnBody(char* data, size_t size, size_t count, void* self);

  const HttpRequest& request_;
  StreamHandler* const handler_;
  const Clock* const clock_;
  CURL* easy_ = nullptr;
  CURLM* multi_ = nullptr;
  curl_slist* headers_ = nullptr;
  char error_text_[CURL_ERROR_SIZE] = {};
  bool head_reported_ = false;
  absl::Status handler_status_;
  Instant last_bytes_;
};

absl::Status Transfer::Run(const Interrupt& interrupt, bool total) {
  RETURN_IF_ERROR(SetUp(total));
  return Loop(interrupt, total);
}

absl::Status Transfer::SetUp(bool total) {
  easy_ = curl_easy_init();
  multi_ = curl_multi_init();
  if (easy_ == nullptr || multi_ == nullptr) return absl::InternalError("libcurl cannot start");
  curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, error_text_);
  if (curl_easy_setopt(easy_, CURLOPT_URL, request_.url.c_str()) != CURLE_OK) {
    return UsageError(fmt::format("\"{}\" is not a URL", request_.url));
  }
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy_, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy_, CURLOPT_USERAGENT, fmt::format("muster/{}", kVersion).c_str());
  curl_easy_setopt(easy_, CURLOPT_POST, 1L);
  curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, request_.body.data());
  curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &Transfer::OnBody);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(absl::ToInt64Milliseconds(request_.connect_timeout)));
  if (total) {
    curl_easy_setopt(easy_, CURLOPT_TIMEOUT_MS, static_cast<long>(absl::ToInt64Milliseconds(request_.timeout)));
  }
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPIDLE, kKeepAliveIdleSeconds);
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPINTVL, kKeepAliveIntervalSeconds);
  SetHeaders();
  return SetAuthorities();
}

void Transfer::SetHeaders() {
  headers_ = curl_slist_append(headers_, fmt::format("Content-Type: {}", request_.content_type).c_str());
  headers_ = curl_slist_append(headers_, "Connect-Protocol-Version: 1");
  headers_ = curl_slist_append(headers_, "Expect:");
  if (!request_.token.empty()) {
    const Secret header(fmt::format("Authorization: Bearer {}", request_.token.Reveal()));
    headers_ = curl_slist_append(headers_, header.Reveal().c_str());
  }
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_);
}

absl::Status Transfer::SetAuthorities() {
  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYHOST, 2L);
  curl_easy_setopt(easy_, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (request_.ca_file.empty()) return absl::OkStatus();
  curl_easy_setopt(easy_, CURLOPT_CAINFO, request_.ca_file.c_str());
  curl_easy_setopt(easy_, CURLOPT_CAPATH, nullptr);
  return absl::OkStatus();
}

absl::Status Transfer::Loop(const Interrupt& interrupt, bool total) {
  curl_multi_add_handle(multi_, easy_);
  Instant last_tick = clock_->Monotonic();
  int running = 1;
  while (true) {
    if (curl_multi_perform(multi_, &running) != CURLM_OK) return absl::InternalError("libcurl failed");
    if (interrupt.Raised()) return Interrupted();
    if (running == 0) return Outcome();
    curl_waitfd extra{.fd = interrupt.fd(), .events = CURL_WAIT_POLLIN, .revents = 0};
    curl_multi_poll(multi_, &extra, extra.fd >= 0 ? 1 : 0, kPollMilliseconds, nullptr);
    const Instant now = clock_->Monotonic();
    if (now - last_tick >= absl::Milliseconds(kPollMilliseconds)) {
      last_tick = now;
      RETURN_IF_ERROR(handler_->OnTick());
    }
    if (!total && now - last_bytes_ > request_.timeout) {
      return MakeError(
          absl::StatusCode::kDeadlineExceeded, "STREAM_IDLE",
          fmt::format("{} sent nothing for {}", OriginOf(request_.url), absl::FormatDuration(request_.timeout)));
    }
  }
}

absl::Status Transfer::Outcome() {
  if (!handler_status_.ok()) return handler_status_;
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    if (message->data.result != CURLE_OK) return ErrorOf(message->data.result);
    return ReportHead();
  }
  return absl::InternalError("libcurl ended a transfer without a result");
}

absl::Status Transfer::ReportHead() {
  if (head_reported_) return absl::OkStatus();
  head_reported_ = true;
  HttpHead head;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &head.status);
  const char* content_type = nullptr;
  curl_easy_getinfo(easy_, CURLINFO_CONTENT_TYPE, &content_type);
  if (content_type != nullptr) head.content_type = content_type;
  curl_header* date = nullptr;
  if (curl_easy_header(easy_, "Date", 0, CURLH_HEADER, -1, &date) == CURLHE_OK) {
    if (const time_t seconds = curl_getdate(date->value, nullptr); seconds > 0) head.date = absl::FromTimeT(seconds);
  }
  return handler_->OnHead(head);
}

size_t Transfer::OnBody(char* data, size_t size, size_t count, void* self_pointer) {
  auto* self = static_cast<Transfer*>(self_pointer);
  self->handler_status_ = self->ReportHead();
  if (self->handler_status_.ok()) self->handler_status_ = self->handler_->OnBytes({data, size * count});
  // Behind the handler: who reads our output may stop for long (`less`), and that is no silence of the hub.
  self->last_bytes_ = self->clock_->Monotonic();
  return self->handler_status_.ok() ? size * count : 0;
}

absl::Status Transfer::ErrorOf(CURLcode code) const {
  const std::string_view detail = error_text_[0] != '\0' ? error_text_ : curl_easy_strerror(code);
  const std::string url = OriginOf(request_.url);
  curl_off_t connected_after = 0;
  curl_easy_getinfo(easy_, CURLINFO_APPCONNECT_TIME_T, &connected_after);
  if (connected_after == 0) curl_easy_getinfo(easy_, CURLINFO_CONNECT_TIME_T, &connected_after);
  switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      // Also what curl says when the other side does not speak HTTP at all.
      if (connected_after == 0) return UsageError(fmt::format("\"{}\" is not an http or https URL: {}", url, detail));
      [[fallthrough]];
    case CURLE_WEIRD_SERVER_REPLY:
      return Unreachable("NOT_HTTP",
                         fmt::format("{} does not speak HTTP: {}; if the hub uses TLS, write https://", url, detail));
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return Unreachable("HUB_UNREACHABLE", fmt::format("reach {}: {}; check the name in --hub", url, detail));
    case CURLE_COULDNT_CONNECT:
      return Unreachable("HUB_UNREACHABLE",
                         fmt::format("reach {}: {}; is the hub running, and --hub right?", url, detail));
    case CURLE_PEER_FAILED_VERIFICATION:
      return Unreachable("TLS_NOT_TRUSTED",
                         fmt::format("trust {}: {}; give the hub's CA with --ca-file (the hub keeps it in its data "
                                     "folder, tls/ca.pem)",
                                     url, detail));
    case CURLE_SSL_CACERT_BADFILE:
      return UsageError(fmt::format("read the CA file {}: {}", request_.ca_file, detail));
    case CURLE_SSL_CONNECT_ERROR:
      return Unreachable("TLS_FAILED",
                         fmt::format("TLS with {}: {}; if the hub runs with --insecure, write http://", url, detail));
    case CURLE_OPERATION_TIMEDOUT:
      if (connected_after == 0) {
        return Unreachable("HUB_UNREACHABLE", fmt::format("reach {}: {}; check --hub and the firewall", url, detail));
      }
      return MakeError(
          absl::StatusCode::kDeadlineExceeded, "TIMED_OUT",
          fmt::format("wait for {}: no answer within {}; try again", url, absl::FormatDuration(request_.timeout)));
    default:
      return Unreachable("CONNECTION_BROKEN",
                         fmt::format("talk to {}: {}; the hub may be restarting, try again", url, detail));
  }
}

// Collects a unary reply.
class ReplyCollector : public StreamHandler {
 public:
  explicit ReplyCollector(std::size_t max_bytes) : max_bytes_(max_bytes) {}
  absl::Status OnHead(const HttpHead& head) override {
    reply.head = head;
    return absl::OkStatus();
  }
  absl::Status OnBytes(std::string_view bytes) override {
    if (reply.body.size() + bytes.size() > max_bytes_) {
      return MakeError(absl::StatusCode::kResourceExhausted, "REPLY_TOO_LARGE",
                       fmt::format("the reply is longer than {} bytes; ask for less", max_bytes_));
    }
    reply.body += bytes;
    return absl::OkStatus();
  }
  absl::Status OnTick() override { return absl::OkStatus(); }

  HttpReply reply;

 private:
  const std::size_t max_bytes_;
};

}  // namespace

CurlTransport::CurlTransport(const Clock* clock, const Interrupt* interrupt) : clock_(clock), interrupt_(interrupt) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
}

CurlTransport::~CurlTransport() { curl_global_cleanup(); }

absl::StatusOr<HttpReply> CurlTransport::Post(const HttpRequest& request) {
  ReplyCollector collector(request.max_reply_bytes);
  Transfer transfer(request, &collector, clock_);
  RETURN_IF_ERROR(transfer.Run(*interrupt_, /*total=*/true));
  return std::move(collector.reply);
}

absl::Status CurlTransport::PostStream(const HttpRequest& request, StreamHandler* handler) {
  Transfer transfer(request, handler, clock_);
  return transfer.Run(*interrupt_, /*total=*/false);
}

}  // namespace muster::cli
