// The level of a log line, by the forms in which programs write it: docs/logs.md, "What happens to a line", 5. Pure
// function without allocations; any thread.
#ifndef MUSTER_AGENT_LOGS_LEVEL_PARSER_H_
#define MUSTER_AGENT_LOGS_LEVEL_PARSER_H_

#include <cstddef>
#include <string_view>

#include "common/logs/kinds.h"

namespace muster::agent {

// What lies behind is not looked at.
inline constexpr std::size_t kLevelBytes = 256;
// So far behind times and brackets a word may stand.
inline constexpr std::size_t kLevelWordBytes = 64;

// In this order: klog, JSON or logfmt, syslog's <N>, a word. `before` is the level of the line before in its stream:
// that of empty lines, and of those that begin with white space, unless a level in capitals comes right behind it.
LogLevel ParseLevel(std::string_view line, LogLevel before);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LOGS_LEVEL_PARSER_H_
