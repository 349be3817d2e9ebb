// Text from outside, made safe to store, show and log.
#ifndef MUSTER_COMMON_TEXT_H_
#define MUSTER_COMMON_TEXT_H_

#include <cstdint>
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

// One step through text that should be UTF-8 (RFC 3629): the character at `pos`, or the maximal ill-formed part there
// (The Unicode Standard, 3.9, "U+FFFD Substitution of Maximal Subparts"). `pos` lies within the text.
struct Utf8Step {
  bool valid = false;
  // Not valid, but only because the text ends here.
  bool cut = false;
  std::size_t size = 1;
  std::uint32_t code_point = 0;
};
Utf8Step NextUtf8(std::string_view text, std::size_t pos);

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

}  // namespace muster

#endif  // MUSTER_COMMON_TEXT_H_
