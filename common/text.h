// Text from outside, made safe to store, show and log.
#ifndef MUSTER_COMMON_TEXT_H_
#define MUSTER_COMMON_TEXT_H_

#include <string>
#include <string_view>

namespace muster {

// Invalid UTF-8 becomes U+FFFD, one for each maximal ill-formed part; the result is at most `max_bytes` long and does
// not end inside a character. A cut is marked by a final U+2026.
std::string CleanUtf8(std::string_view raw, std::size_t max_bytes);

// For terminals and log files: control characters (C0, C1, DEL), line separators and bidirectional overrides become
// visible escapes such as \n, \x1b or \u202e. Expects valid UTF-8; other bytes become \xNN.
std::string EscapeControl(std::string_view text);

bool IsValidUtf8(std::string_view text);

}  // namespace muster

#endif  // MUSTER_COMMON_TEXT_H_
