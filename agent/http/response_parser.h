// Feeding Beast's parsers by hand. Internal to BeastHttpClient and BeastStreamGroup; includes Beast.
#ifndef MUSTER_AGENT_HTTP_RESPONSE_PARSER_H_
#define MUSTER_AGENT_HTTP_RESPONSE_PARSER_H_

#include <boost/asio/buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/system/error_code.hpp>
#include <optional>
#include <string_view>

#include "agent/http/http_support.h"

namespace muster::agent {

// Gives the parser what is in `in`, and takes it out of there; what stays is the begin of a header or of a chunk's
// head. `at_end`: nothing follows.
template <typename Parser>
boost::system::error_code Feed(Parser& parser, std::string_view& in, bool at_end) {
  namespace http = boost::beast::http;
  boost::system::error_code error;
  while (!error && !in.empty() && !parser.is_done()) {
    in.remove_prefix(parser.put(boost::asio::buffer(in.data(), in.size()), error));
  }
  if (error == http::error::need_more) error = {};
  if (error || parser.is_done()) return error;
  // A chunk's head that never ends.
  if (in.size() > kMaxHeaderBytes) return http::error::buffer_overflow;
  if (!at_end) return error;
  if (!parser.got_some()) return http::error::end_of_stream;
  parser.put_eof(error);
  return error;
}

template <typename Parser>
std::optional<absl::Duration> RetryAfterOf(const Parser& parser) {
  if (parser.get().result_int() == 200) return std::nullopt;
  const auto value = parser.get()[boost::beast::http::field::retry_after];
  return ParseRetryAfter(std::string_view(value.data(), value.size()));
}

}  // namespace muster::agent

#endif  // MUSTER_AGENT_HTTP_RESPONSE_PARSER_H_
