#include "hub/cli/ansi_text.h"

#include "common/text.h"
#include "hub/cli/page.h"

namespace muster::cli {
namespace {

constexpr std::size_t kTabColumns = 8;
// Foreground, background and attributes in full are 40 bytes.
constexpr std::size_t kMaxColorBytes = 64;

// How long the colour sequence at `pos` is; 0: there is none.
std::size_t ColorAt(std::string_view line, std::size_t pos) {
  if (line.substr(pos, 2) != "\x1b[") return 0;
  const std::size_t end = line.find_first_not_of("0123456789;:", pos + 2);
  if (end >= line.size() || line[end] != 'm') return 0;
  const std::size_t size = end + 1 - pos;
  return size <= kMaxColorBytes ? size : 0;
}

bool IsReset(std::string_view sequence) {
  return sequence.substr(2, sequence.size() - 3).find_first_not_of("0;") == std::string_view::npos;
}

}  // namespace

std::string AnsiText(std::string_view line, AnsiColors colors) {
  std::string out;
  std::size_t column = 0;
  bool colored = false;
  std::size_t plain = 0;  // what comes from here on is not written yet
  const auto write_plain = [&](std::size_t end) {
    const std::string text = EscapeControl(line.substr(plain, end - plain));
    column += static_cast<std::size_t>(DisplayWidth(text));
    out += text;
  };
  for (std::size_t pos = line.find_first_of("\x1b\t"); pos < line.size(); pos = line.find_first_of("\x1b\t", pos)) {
    const std::size_t color = ColorAt(line, pos);
    if (line[pos] == '\t') {
      write_plain(pos);
      const std::size_t spaces = kTabColumns - column % kTabColumns;
      out.append(spaces, ' ');
      column += spaces;
      plain = ++pos;
    } else if (color > 0) {
      write_plain(pos);
      const std::string_view sequence = line.substr(pos, color);
      if (colors == AnsiColors::kKeep) {
        out += sequence;
        colored = !IsReset(sequence);
      }
      plain = pos += color;
    } else {
      ++pos;
    }
  }
  write_plain(line.size());
  if (colored) out += "\x1b[0m";
  return out;
}

}  // namespace muster::cli
