#include "agent/logs/line_cleaner.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "common/text.h"

namespace muster::agent {
namespace {

// From `pos` on, eight bytes at a time: nearly everything that comes.
std::size_t SkipAscii(std::string_view text, std::size_t pos) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  for (; pos + sizeof(std::uint64_t) <= text.size(); pos += sizeof(std::uint64_t)) {
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, text.data() + pos, sizeof(bytes));
    if ((bytes & kHighBits) != 0) break;
  }
  while (pos < text.size() && static_cast<unsigned char>(text[pos]) < 0x80) ++pos;
  return pos;
}

// How much of the end of a piece cannot be judged without the next one.
std::size_t UndecidedBytes(std::string_view text) {
  if (text.ends_with('\r')) return 1;
  for (std::size_t size = 1; size <= std::min(kMaxKeptBytes, text.size()); ++size) {
    const auto byte = static_cast<unsigned char>(text[text.size() - size]);
    if (byte < 0x80) return 0;
    if (byte >= 0xC0) return NextUtf8(text, text.size() - size).cut ? size : 0;
  }
  return 0;
}

// The first ill-formed part; the text's size when there is none.
std::size_t FindIllFormed(std::string_view text) {
  for (std::size_t pos = SkipAscii(text, 0); pos < text.size(); pos = SkipAscii(text, pos)) {
    const Utf8Step step = NextUtf8(text, pos);
    if (!step.valid) return pos;
    pos += step.size;
  }
  return text.size();
}

std::string Repaired(std::string_view text, std::size_t first_ill_formed) {
  std::string clean(text.substr(0, first_ill_formed));
  for (std::size_t pos = first_ill_formed; pos < text.size();) {
    const Utf8Step step = NextUtf8(text, pos);
    clean += step.valid ? text.substr(pos, step.size) : kReplacementCharacter;
    pos += step.size;
  }
  return clean;
}

}  // namespace

std::string_view CleanText(std::string_view text, bool ends_line, std::string* kept, std::string* buffer) {
  if (!kept->empty()) {
    *buffer = std::exchange(*kept, {});
    text = buffer->append(text);
  }
  if (!ends_line) {
    const std::size_t undecided = UndecidedBytes(text);
    kept->assign(text.substr(text.size() - undecided));
    text.remove_suffix(undecided);
  } else if (text.ends_with('\r')) {
    text.remove_suffix(1);
  }
  const std::size_t ill_formed = FindIllFormed(text);
  if (ill_formed == text.size()) return text;
  return *buffer = Repaired(text, ill_formed);
}

void SplitText(std::string_view text, std::size_t max_bytes,
               absl::FunctionRef<void(std::string_view part, bool is_last)> visit) {
  while (text.size() > max_bytes) {
    std::size_t end = max_bytes;
    while ((static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    visit(text.substr(0, end), false);
    text.remove_prefix(end);
  }
  visit(text, true);
}

}  // namespace muster::agent
