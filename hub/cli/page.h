// What a command shows to a person: lines and tables, aligned by display width, cut to the terminal, coloured where
// wanted. This is the only way to the terminal for text from the hub: everything added here is escaped. Not
// thread-safe.
#ifndef MUSTER_HUB_CLI_PAGE_H_
#define MUSTER_HUB_CLI_PAGE_H_

#include <string>
#include <string_view>
#include <vector>

namespace muster::cli {

enum class Tone { kPlain, kStrong, kQuiet, kGood, kBusy, kWarning, kBad };

struct Span {
  Span(std::string_view text, Tone tone = Tone::kPlain);  // NOLINT(google-explicit-constructor): "text" is a span
  Span(const std::string& text, Tone tone = Tone::kPlain) : Span(std::string_view(text), tone) {}  // NOLINT
  Span(const char* text, Tone tone = Tone::kPlain) : Span(std::string_view(text), tone) {}         // NOLINT
  std::string text;                                                                                // escaped
  Tone tone;
};
// Spans that stand side by side, in a line or in one cell of a table.
using Spans = std::vector<Span>;

struct RenderOptions {
  bool color = false;
  // Longer lines end in an ellipsis. 0: nothing is cut.
  int columns = 0;
};

class Table {
 public:
  explicit Table(std::vector<std::string> header) : header_(std::move(header)) {}
  // As many cells as the header has; a header of empty strings is not shown.
  void Add(std::vector<Spans> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.empty(); }
  // Two spaces between columns, no space at the end of a line.
  std::vector<Spans> Lines() const;

 private:
  const std::vector<std::string> header_;
  std::vector<std::vector<Spans>> rows_;
};

class Page {
 public:
  void Line(Spans spans) { lines_.push_back(std::move(spans)); }
  void Line(std::string_view text) { lines_.push_back({Span(text)}); }
  void Blank() { lines_.emplace_back(); }
  void Add(const Table& table);

  // Each ends in no newline.
  std::vector<std::string> Lines(const RenderOptions& options) const;
  std::string Render(const RenderOptions& options) const;

 private:
  std::vector<Spans> lines_;
};

// Columns that UTF-8 text takes on a terminal: 2 for East Asian wide characters and emoji, 0 for combining marks.
int DisplayWidth(std::string_view text);
// The longest beginning that takes at most `columns`.
std::string_view CutToWidth(std::string_view text, int columns);

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_PAGE_H_
