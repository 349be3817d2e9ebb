// The query of a request target, taken apart: name=value pairs behind '?', as forms and Prometheus write them. Pure;
// takes any bytes; fuzzed with the request target.
#ifndef MUSTER_HUB_HTTP_QUERY_H_
#define MUSTER_HUB_HTTP_QUERY_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace muster::hub {

// In their order, decoded ('+' is a space); a percent sign without two hexadecimal digits stands for itself.
std::vector<std::pair<std::string, std::string>> ParseQuery(std::string_view query);

// The first value of that name; empty when absent.
std::string QueryValue(std::string_view query, std::string_view name);

}  // namespace muster::hub

#endif  // MUSTER_HUB_HTTP_QUERY_H_
