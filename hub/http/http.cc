#include "hub/http/http.h"

#include <strings.h>

namespace muster::hub {
namespace {

bool SameIgnoringCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

std::string_view HttpRequest::Header(std::string_view name) const {
  for (const HttpHeader& header : headers) {
    if (SameIgnoringCase(header.name, name)) return header.value;
  }
  return {};
}

std::string_view HttpRequest::BearerToken() const {
  constexpr std::string_view kScheme = "Bearer ";
  std::string_view value = Header("Authorization");
  if (value.size() < kScheme.size() || !SameIgnoringCase(value.substr(0, kScheme.size()), kScheme)) return {};
  value.remove_prefix(kScheme.size());
  while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  while (!value.empty() && value.back() == ' ') value.remove_suffix(1);
  return value;
}

}  // namespace muster::hub
