#include "hub/connect/yaml_text.h"

#include <gtest/gtest.h>

#include <string>

namespace muster::hub {
namespace {

TEST(YamlQuote, IsOneLineWhateverTheTextHolds) {
  const struct {
    std::string text, quoted;
  } cases[] = {
      {"", R"("")"},
      {"plain", R"("plain")"},
      // Not a boolean, a null or a number.
      {"on", R"("on")"},
      {"null", R"("null")"},
      {"1e3", R"("1e3")"},
      {"say \"hi\"", R"("say \"hi\"")"},
      {"back\\slash", R"("back\\slash")"},
      {"ends with \\", R"("ends with \\")"},
      {"'single' #comment: x", R"("'single' #comment: x")"},
      {"a\n---\nkind: ClusterRoleBinding", R"("a\\n---\\nkind: ClusterRoleBinding")"},
      {"a\r\nb\tc", R"("a\\r\\nb\\tc")"},
      {std::string("nul\0byte", 8), R"("nul\\x00byte")"},
      {"\x1b[31mred", R"("\\x1b[31mred")"},
      {"del\x7f", R"("del\\x7f")"},
      {"Bäckerei 蓝色", "\"Bäckerei 蓝色\""},
      {"\xF0\x9F\x8D\x9E", "\"\xF0\x9F\x8D\x9E\""},
      {"next\xC2\x85line", R"("next\\x85line")"},
      {"line\xE2\x80\xA8separator", R"("line\\u2028separator")"},
      {"\xE2\x80\xAEover", R"("\\u202eover")"},
      {"bom\xEF\xBB\xBF", R"("bom\U0000FEFF")"},
      {"\xEF\xBF\xBE", R"("\U0000FFFE")"},
      {"\xEF\xBF\xBF", R"("\U0000FFFF")"},
      {"bad\xFFutf", "\"bad\xEF\xBF\xBDutf\""},
      {"half\xC3", "\"half\xEF\xBF\xBD\""},
      {"{{ .Values.x }} $(POD) @SECRET@ &a *b !!python", R"("{{ .Values.x }} $(POD) @SECRET@ &a *b !!python")"},
  };
  for (const auto& c : cases) EXPECT_EQ(YamlQuote(c.text), c.quoted);
}

TEST(YamlQuote, IsCutWhereATextIsTooLong) { EXPECT_EQ(YamlQuote(std::string(50, 'x'), 10), "\"xxxxxxx\xE2\x80\xA6\""); }

}  // namespace
}  // namespace muster::hub
