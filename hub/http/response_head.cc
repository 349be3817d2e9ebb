#include "hub/http/response_head.h"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <iterator>
#include <string_view>

namespace muster::hub {
namespace {

// Nothing here is meant to be framed, cached by a proxy, sniffed or to load anything.
constexpr struct {
  std::string_view name, value;
} kDefaults[] = {
    {"Cache-Control", "no-store"},
    {"X-Content-Type-Options", "nosniff"},
    {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
};

std::string_view Reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "";
  }
}

bool Has(const HttpResponse& response, std::string_view name) {
  return std::any_of(response.headers.begin(), response.headers.end(), [&](const HttpHeader& header) {
    return header.name.size() == name.size() && strncasecmp(header.name.data(), name.data(), name.size()) == 0;
  });
}

void AppendField(std::string_view name, std::string_view value, std::string& out) {
  out += name;
  out += ": ";
  std::copy_if(value.begin(), value.end(), std::back_inserter(out),
               [](unsigned char c) { return (c >= 0x20 && c != 0x7F) || c == '\t'; });
  out += "\r\n";
}

}  // namespace

std::string WriteResponseHead(const HttpResponse& response, const Framing& framing, absl::Time now) {
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", response.status, Reason(response.status));
  AppendField("Date", absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", now, absl::UTCTimeZone()), head);
  if (!response.content_type.empty()) AppendField("Content-Type", response.content_type, head);
  if (framing.content_length.has_value()) {
    AppendField("Content-Length", fmt::format("{}", *framing.content_length), head);
  } else if (framing.chunked) {
    AppendField("Transfer-Encoding", "chunked", head);
  }
  AppendField("Connection", framing.keep_alive ? "keep-alive" : "close", head);
  for (const HttpHeader& header : response.headers) AppendField(header.name, header.value, head);
  for (const auto& field : kDefaults) {
    if (!Has(response, field.name)) AppendField(field.name, field.value, head);
  }
  head += "\r\n";
  return head;
}

}  // namespace muster::hub
