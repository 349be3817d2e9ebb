#include "hub/cli/page.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "common/text.h"

namespace muster::cli {
namespace {

constexpr std::string_view kEllipsis = "\xE2\x80\xA6";
constexpr std::size_t kGap = 2;

struct Range {
  std::uint32_t first;
  std::uint32_t last;
};

// Unicode 15's nonspacing marks of common scripts, joiners and variation selectors.
constexpr std::array<Range, 18> kZeroWidth = {{
    {0x0300, 0x036F},
    {0x0483, 0x0489},
    {0x0591, 0x05BD},
    {0x0610, 0x061A},
    {0x064B, 0x065F},
    {0x06D6, 0x06DC},
    {0x0900, 0x0902},
    {0x093C, 0x093C},
    {0x0941, 0x0948},
    {0x0E31, 0x0E31},
    {0x0E34, 0x0E3A},
    {0x1AB0, 0x1AFF},
    {0x1DC0, 0x1DFF},
    {0x200B, 0x200D},
    {0x20D0, 0x20FF},
    {0xFE00, 0xFE0F},
    {0xFE20, 0xFE2F},
    {0xE0100, 0xE01EF},
}};
// EastAsianWidth W and F.
constexpr std::array<Range, 14> kDoubleWidth = {{
    {0x1100, 0x115F},
    {0x231A, 0x231B},
    {0x2E80, 0x303E},
    {0x3041, 0x33FF},
    {0x3400, 0x4DBF},
    {0x4E00, 0x9FFF},
    {0xA000, 0xA4CF},
    {0xAC00, 0xD7A3},
    {0xF900, 0xFAFF},
    {0xFE30, 0xFE6F},
    {0xFF00, 0xFF60},
    {0xFFE0, 0xFFE6},
    {0x1F300, 0x1FAFF},
    {0x20000, 0x3FFFD},
}};

template <std::size_t kSize>
bool In(const std::array<Range, kSize>& ranges, std::uint32_t c) {
  return std::any_of(ranges.begin(), ranges.end(), [c](Range r) { return c >= r.first && c <= r.last; });
}

// The character at `pos` of valid UTF-8; a byte that begins none counts as one character.
std::pair<std::uint32_t, std::size_t> DecodeAt(std::string_view text, std::size_t pos) {
  const auto lead = static_cast<std::uint8_t>(text[pos]);
  const std::size_t size = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (size == 1 || pos + size > text.size()) return {lead, 1};
  std::uint32_t c = lead & (0x7Fu >> size);
  for (std::size_t i = 1; i < size; ++i) c = (c << 6) | (static_cast<std::uint8_t>(text[pos + i]) & 0x3F);
  return {c, size};
}

int WidthOf(std::uint32_t c) {
  if (c < 0x300) return 1;
  if (In(kZeroWidth, c)) return 0;
  return In(kDoubleWidth, c) ? 2 : 1;
}

std::string_view ColorCode(Tone tone) {
  switch (tone) {
    case Tone::kPlain:
      return "";
    case Tone::kStrong:
      return "\x1b[1m";
    case Tone::kQuiet:
      return "\x1b[2m";
    case Tone::kGood:
      return "\x1b[32m";
    case Tone::kBusy:
      return "\x1b[36m";
    case Tone::kWarning:
      return "\x1b[33m";
    case Tone::kBad:
      return "\x1b[31m";
  }
  return "";
}

int WidthOfSpans(const Spans& spans) {
  int width = 0;
  for (const Span& span : spans) width += DisplayWidth(span.text);
  return width;
}

// Spans whose last one is cut so that the whole takes at most `columns`.
Spans Fit(const Spans& spans, int columns) {
  if (columns <= 0 || WidthOfSpans(spans) <= columns) return spans;
  Spans fitting;
  int left = columns - 1;  // room for the ellipsis
  for (const Span& span : spans) {
    Span part = span;
    part.text = std::string(CutToWidth(span.text, left));
    left -= DisplayWidth(part.text);
    const bool cut = part.text.size() < span.text.size();
    fitting.push_back(std::move(part));
    if (cut || left <= 0) break;
  }
  fitting.back().text += kEllipsis;
  return fitting;
}

std::string RenderLine(const Spans& spans, const RenderOptions& options) {
  std::string out;
  for (const Span& span : Fit(spans, options.columns)) {
    const std::string_view code = options.color && !span.text.empty() ? ColorCode(span.tone) : "";
    out += code;
    out += span.text;
    if (!code.empty()) out += "\x1b[0m";
  }
  return out;
}

// Appends `cells`, each padded to its column's width, the last one with anything in it not.
Spans JoinCells(const std::vector<Spans>& cells, const std::vector<int>& widths) {
  std::size_t used = cells.size();
  while (used > 0 && WidthOfSpans(cells[used - 1]) == 0) --used;
  Spans line;
  for (std::size_t i = 0; i < used; ++i) {
    line.insert(line.end(), cells[i].begin(), cells[i].end());
    if (i + 1 == used) break;
    const int padding = widths[i] - WidthOfSpans(cells[i]);
    line.emplace_back(std::string(static_cast<std::size_t>(padding) + (widths[i] > 0 ? kGap : 0), ' '));
  }
  return line;
}

}  // namespace

Span::Span(std::string_view raw, Tone tone_in) : text(EscapeControl(raw)), tone(tone_in) {}

std::vector<Spans> Table::Lines() const {
  std::vector<int> widths(header_.size(), 0);
  for (std::size_t i = 0; i < header_.size(); ++i) {
    for (const auto& row : rows_) widths[i] = std::max(widths[i], WidthOfSpans(row[i]));
    // A column with nothing in it is not worth its header.
    if (widths[i] > 0) widths[i] = std::max(widths[i], DisplayWidth(header_[i]));
  }
  std::vector<Spans> lines;
  std::vector<Spans> header_cells;
  for (std::size_t i = 0; i < header_.size(); ++i) {
    header_cells.push_back({Span(widths[i] > 0 ? header_[i] : "", Tone::kQuiet)});
  }
  if (Spans header = JoinCells(header_cells, widths); !header.empty()) lines.push_back(std::move(header));
  for (const auto& row : rows_) lines.push_back(JoinCells(row, widths));
  return lines;
}

void Page::Add(const Table& table) {
  for (Spans& line : table.Lines()) lines_.push_back(std::move(line));
}

std::vector<std::string> Page::Lines(const RenderOptions& options) const {
  std::vector<std::string> lines;
  lines.reserve(lines_.size());
  for (const Spans& spans : lines_) lines.push_back(RenderLine(spans, options));
  return lines;
}

std::string Page::Render(const RenderOptions& options) const {
  std::string out;
  for (const std::string& line : Lines(options)) {
    out += line;
    out += '\n';
  }
  return out;
}

int DisplayWidth(std::string_view text) {
  int width = 0;
  for (std::size_t pos = 0; pos < text.size();) {
    const auto [c, size] = DecodeAt(text, pos);
    width += WidthOf(c);
    pos += size;
  }
  return width;
}

std::string_view CutToWidth(std::string_view text, int columns) {
  int width = 0;
  std::size_t pos = 0;
  while (pos < text.size()) {
    const auto [c, size] = DecodeAt(text, pos);
    width += WidthOf(c);
    if (width > columns) break;
    pos += size;
  }
  return text.substr(0, pos);
}

}  // namespace muster::cli
