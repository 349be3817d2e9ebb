// Text as YAML, whatever it holds. Pure.
#ifndef MUSTER_HUB_CONNECT_YAML_TEXT_H_
#define MUSTER_HUB_CONNECT_YAML_TEXT_H_

#include <string>
#include <string_view>

namespace muster::hub {

// A double-quoted scalar on one line, always a string: "on", "null" and "1e3" too. What one cannot see (control
// characters, line separators, bidirectional overrides) and invalid UTF-8 are visible in it as EscapeControl and
// CleanUtf8 write them; letters of any script stay readable. At most `max_bytes` of the text.
std::string YamlQuote(std::string_view text, std::size_t max_bytes = 4096);

}  // namespace muster::hub

#endif  // MUSTER_HUB_CONNECT_YAML_TEXT_H_
