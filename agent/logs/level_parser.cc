#include "agent/logs/level_parser.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace muster::agent {
namespace {

constexpr char kEscape = '\x1b';

struct LevelName {
  std::string_view name;
  LogLevel level;
};

// Of log4j, syslog (RFC 5424), Python, Go, Rust, .NET, zerolog, Serilog, java.util.logging and PostgreSQL.
constexpr std::array kLevelNames = std::to_array<LevelName>({
    {"info", LogLevel::kInfo},          {"error", LogLevel::kError},      {"warn", LogLevel::kWarn},
    {"debug", LogLevel::kDebug},        {"warning", LogLevel::kWarn},     {"trace", LogLevel::kTrace},
    {"fatal", LogLevel::kFatal},        {"err", LogLevel::kError},        {"notice", LogLevel::kInfo},
    {"critical", LogLevel::kFatal},     {"information", LogLevel::kInfo}, {"verbose", LogLevel::kTrace},
    {"inf", LogLevel::kInfo},           {"wrn", LogLevel::kWarn},         {"dbg", LogLevel::kDebug},
    {"trc", LogLevel::kTrace},          {"ftl", LogLevel::kFatal},        {"vrb", LogLevel::kTrace},
    {"panic", LogLevel::kFatal},        {"pnc", LogLevel::kFatal},        {"dpanic", LogLevel::kFatal},
    {"crit", LogLevel::kFatal},         {"alert", LogLevel::kFatal},      {"emerg", LogLevel::kFatal},
    {"emergency", LogLevel::kFatal},    {"fail", LogLevel::kError},       {"dbug", LogLevel::kDebug},
    {"trce", LogLevel::kTrace},         {"severe", LogLevel::kError},     {"note", LogLevel::kInfo},
    {"informational", LogLevel::kInfo}, {"log", LogLevel::kInfo},
});

constexpr std::array kLogfmtKeys = std::to_array<std::string_view>({"level", "lvl", "severity", "log.level"});
constexpr std::array kJsonKeys =
    std::to_array<std::string_view>({"level", "lvl", "severity", "log.level", "loglevel", "log_level", "levelname"});

// Parts of times that do not begin with a digit.
constexpr std::array kTimeWords = std::to_array<std::string_view>(
    {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct",  "nov", "dec", "mon",
     "tue", "wed", "thu", "fri", "sat", "sun", "utc", "gmt", "cet", "cest", "am",  "pm"});

bool SameWord(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         absl::EqualsIgnoreCase(absl::string_view(a.data(), a.size()), absl::string_view(b.data(), b.size()));
}

LogLevel LevelOfName(std::string_view word) {
  for (const LevelName& known : kLevelNames) {
    if (SameWord(word, known.name)) return known.level;
  }
  return LogLevel::kNone;
}

template <typename Words>
bool IsOneOf(std::string_view word, const Words& words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view known) { return SameWord(word, known); });
}

bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }
bool IsLetter(char c) { return absl::ascii_isalpha(static_cast<unsigned char>(c)); }
bool IsUpper(char c) { return absl::ascii_isupper(static_cast<unsigned char>(c)); }
bool IsBlank(char c) { return c == ' ' || c == '\t'; }
// Of any form of name: what a word must not be a part of.
bool IsNamePart(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_'; }

class CharSet {
 public:
  explicit constexpr CharSet(std::string_view chars) {
    for (const char c : chars) has_[static_cast<unsigned char>(c)] = true;
  }
  constexpr bool Has(char c) const { return has_[static_cast<unsigned char>(c)]; }

 private:
  std::array<bool, 256> has_{};
};

// In front of a time or a word, and between its parts.
constexpr CharSet kRules(" \t|-,*#>");
constexpr CharSet kBeforeKey(" \t[({,|");
constexpr CharSet kBeforeWord(" \t[(|:<,");
// "ERROR:", "ERR!", "INFO[0000]", "INFO/main".
constexpr CharSet kBehindWord(" \t:]|,!)>[/;\x1b");
constexpr CharSet kBehindIndentedWord(" \t:\x1b");
constexpr CharSet kBehindTimePart(" \t|[]\x1b");

template <typename Predicate>
std::string_view TakeWhile(std::string_view text, Predicate is_part) {
  std::size_t size = 0;
  while (size < text.size() && is_part(text[size])) ++size;
  return text.substr(0, size);
}

std::string_view SkipBlanks(std::string_view text) {
  text.remove_prefix(TakeWhile(text, IsBlank).size());
  return text;
}

// Of a colour and the like at the front (ESC [ ... letter), 0 when there is none.
std::size_t ColourBytes(std::string_view text) {
  if (text.empty() || text[0] != kEscape || !text.starts_with("\x1b[")) return 0;
  const std::size_t size = 2 + TakeWhile(text.substr(2), [](char c) { return IsDigit(c) || c == ';'; }).size();
  return std::min(size + 1, text.size());
}

std::string_view SkipBlanksAndColours(std::string_view text) {
  while (!text.empty() && (IsBlank(text[0]) || text[0] == kEscape)) {
    text.remove_prefix(std::max<std::size_t>(1, ColourBytes(text)));
  }
  return text;
}

// "I1121 05:24:21", https://github.com/kubernetes/klog; also with a year.
LogLevel KlogLevel(std::string_view line) {
  constexpr std::string_view kTime = " dd:dd:dd";
  const std::size_t digits = TakeWhile(line.substr(1), IsDigit).size();
  const std::string_view time = line.substr(1 + digits).substr(0, kTime.size());
  const bool is_klog =
      (digits == 4 || digits == 8) && std::equal(kTime.begin(), kTime.end(), time.begin(), time.end(),
                                                 [](char d, char c) { return d == 'd' ? IsDigit(c) : d == c; });
  if (!is_klog) return LogLevel::kNone;
  switch (line[0]) {
    case 'I':
      return LogLevel::kInfo;
    case 'W':
      return LogLevel::kWarn;
    case 'E':
      return LogLevel::kError;
    case 'F':
      return LogLevel::kFatal;
    default:
      return LogLevel::kNone;
  }
}

// "error", or 50: https://github.com/trentm/node-bunyan#levels, https://getpino.io/#/docs/api?id=logger-level
LogLevel LevelOfJsonValue(std::string_view value) {
  if (value.starts_with('"')) return LevelOfName(TakeWhile(value.substr(1), IsLetter));
  const std::string_view number = TakeWhile(value, IsDigit);
  if (number.size() != 2 || number[0] > '6') return LogLevel::kNone;
  return static_cast<LogLevel>(number[0] - '0');
}

// The bytes of the string at the front, with its quotes; npos when its end is not there.
std::size_t JsonStringBytes(std::string_view text) {
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') return i + 1;
    if (text[i] == '\\') ++i;
  }
  return std::string_view::npos;
}

LogLevel JsonLevel(std::string_view line) {
  for (std::size_t quote = line.find('"'); quote != std::string_view::npos; quote = line.find('"')) {
    line.remove_prefix(quote);
    const std::size_t size = JsonStringBytes(line);
    if (size == std::string_view::npos) break;
    const std::string_view name = line.substr(1, size - 2);
    line = SkipBlanks(line.substr(size));
    if (!line.starts_with(':') || !IsOneOf(name, kJsonKeys)) continue;
    line = SkipBlanks(line.substr(1));
    const LogLevel level = LevelOfJsonValue(line);
    if (level != LogLevel::kNone) return level;
  }
  return LogLevel::kNone;
}

LogLevel LogfmtLevel(std::string_view line) {
  for (std::size_t equals = line.find('='); equals != std::string_view::npos; equals = line.find('=', equals + 1)) {
    std::size_t start = equals;
    while (start > 0 && (IsNamePart(line[start - 1]) || line[start - 1] == '.')) --start;
    if (start > 0 && !kBeforeKey.Has(line[start - 1])) continue;
    if (!IsOneOf(line.substr(start, equals - start), kLogfmtKeys)) continue;
    std::string_view value = line.substr(equals + 1);
    if (value.starts_with('"')) value.remove_prefix(1);
    const LogLevel level = LevelOfName(TakeWhile(value, IsLetter));
    if (level != LogLevel::kNone) return level;
  }
  return LogLevel::kNone;
}

// "<N>" of facility times 8 and severity: RFC 5424, 6.2.1; sd-daemon(3) writes the severity alone.
LogLevel SyslogLevel(std::string_view line) {
  if (!line.starts_with('<')) return LogLevel::kNone;
  const std::string_view number = TakeWhile(line.substr(1), IsDigit);
  if (number.empty() || number.size() > 3 || !line.substr(1 + number.size()).starts_with('>')) return LogLevel::kNone;
  int priority = 0;
  for (const char digit : number) priority = priority * 10 + (digit - '0');
  constexpr std::array kBySeverity = {LogLevel::kFatal, LogLevel::kFatal, LogLevel::kFatal, LogLevel::kError,
                                      LogLevel::kWarn,  LogLevel::kInfo,  LogLevel::kInfo,  LogLevel::kDebug};
  return priority < 24 * 8 ? kBySeverity[static_cast<std::size_t>(priority % 8)] : LogLevel::kNone;
}

bool EndsWord(std::string_view rest) { return rest.empty() || kBehindWord.Has(rest[0]); }

// A level in capitals as a word of its own.
LogLevel FindCapitals(std::string_view text) {
  bool may_begin = true;
  for (std::size_t i = 0; i < text.size();) {
    if (const std::size_t colour = ColourBytes(text.substr(i)); colour > 0) {
      may_begin = true;
      i += colour;
    } else if (!IsUpper(text[i])) {
      may_begin = kBeforeWord.Has(text[i]);
      ++i;
    } else {
      const std::string_view word = TakeWhile(text.substr(i), IsUpper);
      i += word.size();
      if (!may_begin || !EndsWord(text.substr(i))) continue;
      const LogLevel level = LevelOfName(word);
      if (level != LogLevel::kNone) return level;
    }
  }
  return LogLevel::kNone;
}

// What stands in brackets: "warn", "INFO ", "core:error", "2026-11-21T05:24:21Z INFO app".
LogLevel BracketLevel(std::string_view content) {
  const LogLevel capitals = FindCapitals(content);
  if (capitals != LogLevel::kNone) return capitals;
  const std::string_view start = SkipBlanksAndColours(content);
  const std::string_view name = start.substr(start.rfind(':') + 1);
  const std::string_view word = TakeWhile(name, IsLetter);
  return SkipBlanksAndColours(name.substr(word.size())).empty() ? LevelOfName(word) : LogLevel::kNone;
}

// The words of a line, as far as they are looked at.
class WordScan {
 public:
  explicit WordScan(std::string_view line) : rest_(line) {}

  LogLevel Find() {
    while (!rest_.empty() && SkipOne()) {
      if (found_ != LogLevel::kNone) return found_;
    }
    rest_ = rest_.substr(0, kLevelWordBytes);
    const LogLevel first = FirstWord();
    if (first != LogLevel::kNone) return first;
    // A bracket further on counts only when nothing but a level stands in it.
    const LogLevel capitals = FindCapitals(rest_);
    return capitals != LogLevel::kNone ? capitals : LaterBracket();
  }

 private:
  // Takes one part of what may stand in front: white space and rules, a colour, a bracket, a part of a time.
  bool SkipOne() {
    if (const std::size_t colour = ColourBytes(rest_); colour > 0) return Skip(colour);
    if (kRules.Has(rest_[0])) return Skip(1);
    if (rest_[0] == '[' || rest_[0] == '(') return SkipBracket();
    const std::string_view word = TakeWhile(rest_, IsLetter);
    const bool is_time = IsDigit(rest_[0]) || (!word.empty() && IsOneOf(word, kTimeWords));
    if (!is_time) return false;
    const std::string_view part = TakeWhile(rest_, [](char c) { return !kBehindTimePart.Has(c); });
    // Not a mere count, as in "5 info lines".
    has_prefix_ = has_prefix_ || part.size() > TakeWhile(part, IsDigit).size();
    return Skip(part.size());
  }

  bool SkipBracket() {
    const std::size_t end = rest_.find(rest_[0] == '[' ? "]" : ")");
    if (end == std::string_view::npos) return Skip(1);
    found_ = BracketLevel(rest_.substr(1, end - 1));
    has_prefix_ = true;
    return Skip(end + 1);
  }

  bool Skip(std::size_t size) {
    rest_.remove_prefix(size);
    return true;
  }

  // Behind a time or a bracket in any case; alone at the front "error: ...", "info - ...", but not "Error pages are
  // ...".
  LogLevel FirstWord() const {
    const std::string_view word = TakeWhile(rest_, IsLetter);
    const std::string_view behind = rest_.substr(word.size());
    if (word.empty() || !EndsWord(behind)) return LogLevel::kNone;
    const bool is_label = behind.starts_with(':') || behind.starts_with('\t') || SkipBlanks(behind).starts_with("- ");
    return has_prefix_ || is_label ? LevelOfName(word) : LogLevel::kNone;
  }

  LogLevel LaterBracket() const {
    for (std::size_t open = rest_.find('['); open != std::string_view::npos; open = rest_.find('[', open + 1)) {
      const std::string_view word = TakeWhile(rest_.substr(open + 1), IsLetter);
      if (!rest_.substr(open + 1 + word.size()).starts_with(']')) continue;
      const LogLevel level = LevelOfName(word);
      if (level != LogLevel::kNone) return level;
    }
    return LogLevel::kNone;
  }

  std::string_view rest_;
  // A time or a bracket was skipped.
  bool has_prefix_ = false;
  LogLevel found_ = LogLevel::kNone;
};

// A stack trace goes with its error; but some loggers align their levels to the right: "   INFO ...".
LogLevel IndentedLevel(std::string_view line, LogLevel before) {
  const std::string_view text = SkipBlanksAndColours(line);
  const std::string_view word = TakeWhile(text, IsUpper);
  const std::string_view behind = text.substr(word.size());
  const LogLevel level = behind.empty() || kBehindIndentedWord.Has(behind[0]) ? LevelOfName(word) : LogLevel::kNone;
  return level != LogLevel::kNone ? level : before;
}

}  // namespace

LogLevel ParseLevel(std::string_view line, LogLevel before) {
  line = line.substr(0, kLevelBytes);
  if (line.empty() || IsBlank(line[0])) return IndentedLevel(line, before);
  LogLevel level = KlogLevel(line);
  if (level == LogLevel::kNone) level = line[0] == '{' ? JsonLevel(line) : LogfmtLevel(line);
  if (level == LogLevel::kNone) level = SyslogLevel(line);
  if (level == LogLevel::kNone) level = WordScan(line).Find();
  return level;
}

}  // namespace muster::agent
