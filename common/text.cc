#include "common/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace muster {
namespace {

constexpr std::string_view kEllipsis = "\xE2\x80\xA6";

// Eight bytes at a time, as far as there are no others: most text is, and log lines come in megabytes.
std::size_t SkipAscii(std::string_view text, std::size_t pos) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  std::uint64_t word = 0;
  for (; pos + sizeof(word) <= text.size(); pos += sizeof(word)) {
    std::memcpy(&word, text.data() + pos, sizeof(word));
    if ((word & kHighBits) != 0) break;
  }
  return pos;
}

bool IsUnsafeToShow(std::uint32_t c) {
  return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x2028 || c == 0x2029 || c == 0x200E || c == 0x200F ||
         (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

void AppendEscaped(std::uint32_t c, std::string& out) {
  switch (c) {
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += c <= 0xFF ? fmt::format("\\x{:02x}", c) : fmt::format("\\u{:04x}", c);
  }
}

}  // namespace

Utf8Step NextUtf8(std::string_view text, std::size_t pos) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(pos);
  if (lead < 0x80) return {.valid = true, .size = 1, .code_point = lead};
  std::size_t length = 0;
  std::uint8_t low = 0x80;
  std::uint8_t high = 0xBF;
  std::uint32_t code_point = 0;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
    code_point = lead & 0x1F;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    code_point = lead & 0x0F;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;  // surrogates
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    code_point = lead & 0x07;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;  // above U+10FFFF
  } else {
    return {};
  }
  for (std::size_t i = 1; i < length; ++i) {
    if (pos + i >= text.size()) return {.cut = true, .size = i};
    if (byte(pos + i) < low || byte(pos + i) > high) return {.size = i};
    code_point = (code_point << 6) | (byte(pos + i) & 0x3F);
    low = 0x80;
    high = 0xBF;
  }
  return {.valid = true, .size = length, .code_point = code_point};
}

std::string CleanUtf8(std::string_view raw, std::size_t max_bytes) {
  // Nearly everything that comes; taken over as it is.
  const bool ascii = std::all_of(raw.begin(), raw.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (ascii && raw.size() <= max_bytes) return std::string(raw);
  std::string clean;
  std::size_t last_fit = 0;  // where a cut leaves room for the ellipsis
  for (std::size_t pos = 0; pos < raw.size();) {
    const Utf8Step step = NextUtf8(raw, pos);
    if (clean.size() + kEllipsis.size() <= max_bytes) last_fit = clean.size();
    clean += step.valid ? raw.substr(pos, step.size) : kReplacementCharacter;
    if (clean.size() > max_bytes) {
      clean.resize(last_fit);
      if (max_bytes >= kEllipsis.size()) clean += kEllipsis;
      return clean;
    }
    pos += step.size;
  }
  return clean;
}

std::string EscapeControl(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t pos = 0; pos < text.size();) {
    const Utf8Step step = NextUtf8(text, pos);
    if (!step.valid) {
      for (std::size_t i = 0; i < step.size; ++i) {
        out += fmt::format("\\x{:02x}", static_cast<std::uint8_t>(text[pos + i]));
      }
    } else if (IsUnsafeToShow(step.code_point)) {
      AppendEscaped(step.code_point, out);
    } else {
      out += text.substr(pos, step.size);
    }
    pos += step.size;
  }
  return out;
}

bool IsValidUtf8(std::string_view text) {
  for (std::size_t pos = SkipAscii(text, 0); pos < text.size();) {
    const Utf8Step step = NextUtf8(text, pos);
    if (!step.valid) return false;
    pos = SkipAscii(text, pos + step.size);
  }
  return true;
}

}  // namespace muster
