#include "hub/cli/ansi_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "common/text.h"

namespace muster::cli {
namespace {

TEST(AnsiText, ColoursPassOrGoAndNothingElseDoes) {
  const struct {
    const char* what;
    std::string line;
    std::string kept;
    std::string stripped;
  } cases[] = {
      {"nothing", "", "", ""},
      {"plain", "GET /x 200", "GET /x 200", "GET /x 200"},
      {"other scripts", "日本 é 🙂", "日本 é 🙂", "日本 é 🙂"},
      {"a colour", "\x1b[31mred", "\x1b[31mred\x1b[0m", "red"},
      {"a colour and its end", "\x1b[31mred\x1b[0m x", "\x1b[31mred\x1b[0m x", "red x"},
      {"short reset", "\x1b[1mx\x1b[m", "\x1b[1mx\x1b[m", "x"},
      {"reset in many words", "\x1b[1mx\x1b[0;0m", "\x1b[1mx\x1b[0;0m", "x"},
      {"reset and a colour", "\x1b[0;31mx", "\x1b[0;31mx\x1b[0m", "x"},
      {"a colour behind a reset", "\x1b[0m\x1b[4mx", "\x1b[0m\x1b[4mx\x1b[0m", "x"},
      {"256 colours", "\x1b[38;5;208mx\x1b[0m", "\x1b[38;5;208mx\x1b[0m", "x"},
      {"true colours with colons", "\x1b[38:2::1:2:3mx\x1b[0m", "\x1b[38:2::1:2:3mx\x1b[0m", "x"},
      {"a private sequence that ends in m", "\x1b[>4;1mx", "\\x1b[>4;1mx", "\\x1b[>4;1mx"},
      {"another one", "\x1b[?25mx", "\\x1b[?25mx", "\\x1b[?25mx"},
      {"intermediate bytes", "\x1b[1 mx", "\\x1b[1 mx", "\\x1b[1 mx"},
      {"longer than any colour", "\x1b[" + std::string(62, '1') + "m", "\\x1b[" + std::string(62, '1') + "m",
       "\\x1b[" + std::string(62, '1') + "m"},
      {"as long as may be", "\x1b[" + std::string(61, '0') + "m", "\x1b[" + std::string(61, '0') + "m", ""},
      {"cursor", "\x1b[2J\x1b[H", "\\x1b[2J\\x1b[H", "\\x1b[2J\\x1b[H"},
      {"erased line", "50%\x1b[2K\r60%", "50%\\x1b[2K\\r60%", "50%\\x1b[2K\\r60%"},
      {"title", "\x1b]0;title\x07x", "\\x1b]0;title\\x07x", "\\x1b]0;title\\x07x"},
      {"link", "\x1b]8;;http://x\x1b\\y", "\\x1b]8;;http://x\\x1b\\y", "\\x1b]8;;http://x\\x1b\\y"},
      {"device control", "\x1bP$q\"p\x1b\\", "\\x1bP$q\"p\\x1b\\", "\\x1bP$q\"p\\x1b\\"},
      {"asked for an answer", "\x1b[6n\x1b[c\x05", "\\x1b[6n\\x1b[c\\x05", "\\x1b[6n\\x1b[c\\x05"},
      {"other character set", "\x1b(0\x0e", "\\x1b(0\\x0e", "\\x1b(0\\x0e"},
      {"reset of the terminal",
       "\x1b"
       "c",
       "\\x1b"
       "c",
       "\\x1b"
       "c"},
      {"bell, backspace, delete, nul", std::string("\x07\x08\x7f\0", 4), "\\x07\\x08\\x7f\\x00",
       "\\x07\\x08\\x7f\\x00"},
      {"incomplete: escape", "x\x1b", "x\\x1b", "x\\x1b"},
      {"incomplete: bracket", "x\x1b[", "x\\x1b[", "x\\x1b["},
      {"incomplete: numbers", "x\x1b[31", "x\\x1b[31", "x\\x1b[31"},
      {"incomplete within a colour", "\x1b[32mx\x1b[3", "\x1b[32mx\\x1b[3\x1b[0m", "x\\x1b[3"},
      {"made of two when the inner one goes", "\x1b\x1b[0m[31mx", "\\x1b\x1b[0m[31mx", "\\x1b[31mx"},
      {"C1 in UTF-8",
       "\xc2\x9b"
       "31mx",
       "\\x9b31mx", "\\x9b31mx"},
      {"C1 as a byte",
       "\x9b"
       "31mx",
       "\\x9b31mx", "\\x9b31mx"},
      {"bidirectional override", "\xe2\x80\xaetxt", "\\u202etxt", "\\u202etxt"},
      {"isolate", "\xe2\x81\xa6x", "\\u2066x", "\\u2066x"},
      {"line separator",
       "a\xe2\x80\xa8"
       "b",
       "a\\u2028b", "a\\u2028b"},
      {"newline", "a\nb", "a\\nb", "a\\nb"},
      {"half a character", "a\xe6\x97", "a\\xe6\\x97", "a\\xe6\\x97"},
      {"half a character and a colour", "\xe6\x97\x1b[1mx", "\\xe6\\x97\x1b[1mx\x1b[0m", "\\xe6\\x97x"},
      {"tabs", "\tat x\ty", "        at x    y", "        at x    y"},
      {"a tab at its place", "12345678\tx", "12345678        x", "12345678        x"},
      {"a tab behind wide characters and colours", "日\x1b[1m本\x1b[m\tx", "日\x1b[1m本\x1b[m    x", "日本    x"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(AnsiText(c.line, AnsiColors::kKeep), c.kept) << c.what;
    EXPECT_EQ(AnsiText(c.line, AnsiColors::kStrip), c.stripped) << c.what;
  }
}

// What made-up lines of dangerous parts become: printable, and in the kept ones colours.
TEST(AnsiText, NoLineWritesToTheTerminal) {
  const std::vector<std::string> parts = {
      "\x1b", "[", "31", ";",  "m",  "]0;", "\x07", "\x9b", "\xc2", "\x9b", "\xe2\x80",
      "\xae", "x", "\t", "\r", "\n", "0",   "?",    ">",    "\x7f", "日",   std::string(1, '\0')};
  for (unsigned seed = 0; seed < 5000; ++seed) {
    std::mt19937 random(seed);
    std::string line;
    for (auto i = random() % 12; i > 0; --i) line += parts[random() % parts.size()];
    const std::string stripped = AnsiText(line, AnsiColors::kStrip);
    EXPECT_EQ(EscapeControl(stripped), stripped) << "seed " << seed;
    EXPECT_EQ(AnsiText(AnsiText(line, AnsiColors::kKeep), AnsiColors::kStrip), stripped) << "seed " << seed;
  }
}

}  // namespace
}  // namespace muster::cli
