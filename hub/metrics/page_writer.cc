#include "hub/metrics/page_writer.h"

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "common/text.h"

namespace muster::hub {
namespace {

constexpr std::string_view kTotal = "_total";
// "-2.2250738585072014e-308" has 24.
constexpr std::size_t kMaxNumberBytes = 32;
// Of a line: braces, a comma, a space, the number and the newline.
constexpr std::size_t kMaxAroundBytes = kMaxNumberBytes + 5;
// Integers up to here are exact in a double.
constexpr double kExactIntegers = 9007199254740992.0;  // 2^53

inline char* Put(std::string_view text, char* out) {
  return out + text.copy(out, text.size());  // memcpy may not be given a text without data
}

// "00" to "99".
constexpr auto kPairs = [] {
  std::array<char, 200> pairs{};
  for (std::size_t i = 0; i < 100; ++i) {
    pairs[2 * i] = static_cast<char>('0' + i / 10);
    pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return pairs;
}();

char* PutPair(std::uint64_t pair, char* out) {
  std::memcpy(out, kPairs.data() + 2 * pair, 2);
  return out + 2;
}

int DigitsOf(std::uint64_t value) {
  static constexpr auto kPowers = [] {
    std::array<std::uint64_t, 20> powers{};  // the first: 0, so that 0 has a digit
    for (std::uint64_t i = 1, power = 10; i < powers.size(); ++i, power *= 10) powers[i] = power;
    return powers;
  }();
  const auto digits = static_cast<std::size_t>(std::bit_width(value | 1) * 1233 >> 12);  // 1233 / 4096: log10 of 2
  return static_cast<int>(digits) + (value >= kPowers[digits] ? 1 : 0);
}

char* PutInteger(std::uint64_t value, char* out) {
  char* const end = out + DigitsOf(value);
  char* at = end;
  while (value >= 10'000) {
    const auto four = static_cast<std::uint32_t>(value % 10'000);
    value /= 10'000;
    at -= 4;
    PutPair(four % 100, PutPair(four / 100, at));
  }
  if (value >= 100) {
    at -= 2;
    PutPair(value % 100, at);
    value /= 100;
  }
  if (value >= 10) {
    PutPair(value, at - 2);
  } else {
    at[-1] = static_cast<char>('0' + value);
  }
  return end;
}

// Six decimals without trailing zeros; not 0.
char* PutDecimals(std::uint64_t millionths, char* out) {
  *out++ = '.';
  out = PutPair(millionths / 10'000, out);
  out = PutPair(millionths / 100 % 100, out);
  out = PutPair(millionths % 100, out);
  while (out[-1] == '0') --out;
  return out;
}

// What parses back to the same value, as short as it goes: integers as such, what has at most six decimals (times,
// ratios) without the search for the shortest digits, which takes five times as long.
char* PutNumber(double value, char* out) {
  constexpr std::uint64_t kMillion = 1'000'000;
  const double size = std::abs(value);
  if (size < kExactIntegers) {
    const auto whole = static_cast<std::uint64_t>(size);
    if (static_cast<double>(whole) == size) {
      if (value < 0) *out++ = '-';
      return PutInteger(whole, out);
    }
    // Both are exact integers, so that the quotient is the double nearest to the decimal fraction.
    const double scaled = size * static_cast<double>(kMillion) + 0.5;
    const std::uint64_t millionths = scaled < kExactIntegers ? static_cast<std::uint64_t>(scaled) : 0;
    if (millionths % kMillion != 0 && static_cast<double>(millionths) / static_cast<double>(kMillion) == size) {
      if (value < 0) *out++ = '-';
      return PutDecimals(millionths % kMillion, PutInteger(millionths / kMillion, out));
    }
  }
  if (std::isnan(value)) return Put("NaN", out);
  if (std::isinf(value)) return Put(value > 0 ? "+Inf" : "-Inf", out);
  return std::to_chars(out, out + kMaxNumberBytes, value).ptr;
}

}  // namespace

std::string Label(std::string_view name, std::string_view value, std::size_t max_bytes) {
  std::string label(name);
  label += "=\"";
  for (const char c : CleanUtf8(value, max_bytes)) {
    switch (c) {
      case '\\':
        label += "\\\\";
        break;
      case '"':
        label += "\\\"";
        break;
      case '\n':
        label += "\\n";
        break;
      case '\0':  // Prometheus' scanner takes it for the end of the page
        label += kReplacementCharacter;
        break;
      default:
        label += c;
    }
  }
  label += '"';
  return label;
}

PageWriter::PageWriter(PageFormat format, Sink sink)
    : format_(format), sink_(std::move(sink)), block_(kBlockBytes, '\0') {}

char* PageWriter::Room(std::size_t bytes) {
  if (used_ + bytes > block_.size()) {
    if (used_ > 0) sink_(std::string_view(block_).substr(0, used_));
    used_ = 0;
    if (bytes > block_.size()) block_.resize(bytes);
  }
  return block_.data() + used_;
}

void PageWriter::Comment(std::string_view keyword, std::string_view family, std::string_view text) {
  char* const begin = Room(keyword.size() + family.size() + 2 * text.size() + 2);
  char* out = Put(family, Put(keyword, begin));
  *out++ = ' ';
  for (const char c : text) {
    // OpenMetrics escapes quotes here, too.
    const bool escaped = c == '\\' || c == '\n' || (c == '"' && format_ == PageFormat::kOpenMetrics);
    if (escaped) *out++ = '\\';
    *out++ = c == '\n' ? 'n' : c;
  }
  *out++ = '\n';
  used_ += static_cast<std::size_t>(out - begin);
}

void PageWriter::Family(std::string_view name, FamilyType type, std::string_view help, std::string_view unit) {
  const std::string_view type_name = type == FamilyType::kGauge     ? "gauge"
                                     : type == FamilyType::kCounter ? "counter"
                                                                    : "histogram";
  name_ = name;
  if (format_ == PageFormat::kText) {
    Comment("# HELP ", name, help);
    Comment("# TYPE ", name, type_name);
    return;
  }
  std::string_view family = name;
  if (type == FamilyType::kCounter) {
    if (family.ends_with(kTotal)) {
      family.remove_suffix(kTotal.size());
    } else {
      name_ += kTotal;
    }
  }
  Comment("# TYPE ", family, type_name);
  const bool has_unit = !unit.empty() && family.size() > unit.size() && family.ends_with(unit) &&
                        family[family.size() - unit.size() - 1] == '_';
  if (has_unit) Comment("# UNIT ", family, unit);
  Comment("# HELP ", family, help);
}

inline char* PageWriter::Labels(std::string_view labels, std::string_view more, char* out) {
  *out++ = '{';
  out = Put(labels, out);
  if (!labels.empty() && !more.empty()) *out++ = ',';
  out = Put(more, out);
  *out++ = '}';
  return out;
}

inline void PageWriter::Value(double value, char* out) {
  *out++ = ' ';
  // Most samples say yes or no.
  if (value == 0 || value == 1) {
    *out++ = value == 0 ? '0' : '1';
  } else {
    out = PutNumber(value, out);
  }
  *out++ = '\n';
  used_ = static_cast<std::size_t>(out - block_.data());
}

void PageWriter::Sample(std::string_view labels, double value) {
  char* out = Put(name_, Room(name_.size() + labels.size() + kMaxAroundBytes));
  if (!labels.empty()) {
    *out++ = '{';
    out = Put(labels, out);
    *out++ = '}';
  }
  Value(value, out);
}

void PageWriter::Sample(std::string_view labels, std::string_view more, double value) {
  char* const out = Put(name_, Room(name_.size() + labels.size() + more.size() + kMaxAroundBytes));
  Value(value, Labels(labels, more, out));
}

void PageWriter::Part(std::string_view suffix, std::string_view labels, std::string_view more, double value) {
  char* out = Room(name_.size() + suffix.size() + labels.size() + more.size() + kMaxAroundBytes);
  out = Put(suffix, Put(name_, out));
  if (!labels.empty() || !more.empty()) out = Labels(labels, more, out);
  Value(value, out);
}

std::string PageWriter::BucketLabel(double bound) const {
  char number[kMaxNumberBytes];
  std::string_view text = std::isinf(bound) ? "+Inf" : "";
  if (text.empty()) {
    // As Go writes it: dashboards and rules name bounds in these words.
    const char* const end = std::to_chars(number, number + kMaxNumberBytes, bound, std::chars_format::general).ptr;
    text = {number, static_cast<std::size_t>(end - number)};
  }
  std::string label = "le=\"";
  label += text;
  // OpenMetrics asks for a float.
  if (format_ == PageFormat::kOpenMetrics && text.find_first_not_of("-0123456789") == std::string_view::npos) {
    label += ".0";
  }
  label += '"';
  return label;
}

void PageWriter::Finish() {
  if (format_ == PageFormat::kOpenMetrics) {
    constexpr std::string_view kEnd = "# EOF\n";
    Put(kEnd, Room(kEnd.size()));
    used_ += kEnd.size();
  }
  if (used_ > 0) sink_(std::string_view(block_).substr(0, used_));
  used_ = 0;
}

}  // namespace muster::hub
