#include "hub/metrics/page_writer.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>

#include "common/text.h"

namespace muster::hub {
namespace {

constexpr std::string_view kTotal = "_total";
// "-2.2250738585072014e-308" has 24.
constexpr std::size_t kMaxNumberBytes = 32;
// Integers up to here are exact in a double.
constexpr double kExactIntegers = 9007199254740992.0;  // 2^53
constexpr double kMillion = 1e6;

char* Put(std::string_view text, char* out) {
  return out + text.copy(out, text.size());  // memcpy may not be given a text without data
}

// `millionths` as a decimal fraction without trailing zeros; not a whole number.
char* PutMillionths(std::int64_t millionths, char* out) {
  constexpr std::int64_t kOne = 1'000'000;
  if (millionths < 0) {
    *out++ = '-';
    millionths = -millionths;
  }
  out = std::to_chars(out, out + kMaxNumberBytes, millionths / kOne).ptr;
  *out++ = '.';
  std::int64_t rest = millionths % kOne;
  for (std::int64_t unit = kOne / 10; rest > 0; unit /= 10) {
    *out++ = static_cast<char>('0' + rest / unit);
    rest %= unit;
  }
  return out;
}

// What parses back to the same value, as short as it goes: integers as such, what has at most six decimals (times,
// ratios) without the search for the shortest digits, which takes five times as long.
char* PutNumber(double value, char* out) {
  if (value >= 0 && value < 10 && value == static_cast<int>(value)) {
    *out++ = static_cast<char>('0' + static_cast<int>(value));
    return out;
  }
  if (std::isnan(value)) return Put("NaN", out);
  if (std::isinf(value)) return Put(value > 0 ? "+Inf" : "-Inf", out);
  char* const end = out + kMaxNumberBytes;
  if (std::abs(value) < kExactIntegers && value == std::trunc(value)) {
    return std::to_chars(out, end, static_cast<std::int64_t>(value)).ptr;
  }
  // Both are exact integers, so that the quotient is the double nearest to the decimal fraction.
  if (const double millionths = std::nearbyint(value * kMillion);
      std::abs(millionths) < kExactIntegers && millionths / kMillion == value) {
    return PutMillionths(static_cast<std::int64_t>(millionths), out);
  }
  return std::to_chars(out, end, value).ptr;
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

void PageWriter::Line(std::string_view suffix, std::string_view labels, std::string_view more, double value) {
  // Braces, a comma, a space and the newline.
  char* const begin = Room(name_.size() + suffix.size() + labels.size() + more.size() + kMaxNumberBytes + 5);
  char* out = Put(suffix, Put(name_, begin));
  if (!labels.empty() || !more.empty()) {
    *out++ = '{';
    out = Put(labels, out);
    if (!labels.empty() && !more.empty()) *out++ = ',';
    out = Put(more, out);
    *out++ = '}';
  }
  *out++ = ' ';
  out = PutNumber(value, out);
  *out++ = '\n';
  used_ += static_cast<std::size_t>(out - begin);
}

void PageWriter::Sample(std::string_view labels, double value) { Line({}, labels, {}, value); }

void PageWriter::Sample(std::string_view labels, std::string_view more, double value) { Line({}, labels, more, value); }

void PageWriter::Part(std::string_view suffix, std::string_view labels, std::string_view more, double value) {
  Line(suffix, labels, more, value);
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
