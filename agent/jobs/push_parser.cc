#include "agent/jobs/push_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "agent/jobs/push_names.h"
#include "common/status.h"
#include "common/text.h"

namespace muster::agent {
namespace {

// Of a sample or a declaration beside its texts.
constexpr std::size_t kStatementCost = 192;
constexpr std::size_t kShownBytes = 60;

absl::Status Error(std::string_view reason, std::string_view sentence) {
  return MakeError(absl::StatusCode::kInvalidArgument, reason, sentence);
}

std::string Shown(std::string_view text) { return CleanUtf8(text.substr(0, kShownBytes * 4), kShownBytes); }

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

void SkipBlanks(std::string_view* text) {
  while (!text->empty() && IsBlank(text->front())) text->remove_prefix(1);
}

std::string_view NextWord(std::string_view* text) {
  SkipBlanks(text);
  const auto end = std::find_if(text->begin(), text->end(), IsBlank);
  const std::string_view word = text->substr(0, static_cast<std::size_t>(end - text->begin()));
  text->remove_prefix(word.size());
  return word;
}

absl::StatusOr<double> ParseNumber(std::string_view word) {
  std::string_view digits = word;
  if (digits.starts_with('+') && !digits.starts_with("+-")) digits.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc::result_out_of_range && end == digits.data() + digits.size()) {
    return Error("BAD_VALUE", fmt::format("\"{}\" is beyond what a 64-bit floating point number holds", Shown(word)));
  }
  if (error != std::errc() || end != digits.data() + digits.size()) {
    return Error("BAD_PUSH", fmt::format("\"{}\" is not a number", Shown(word)));
  }
  if (std::isnan(value)) return Error("BAD_VALUE", "NaN is not taken");
  return value;
}

absl::Status CheckValue(v1::JobMetricType type, double value) {
  if (type == v1::JOB_METRIC_TYPE_GAUGE) return absl::OkStatus();
  if (!std::isfinite(value)) return Error("BAD_VALUE", "an infinite number cannot be added");
  if (type == v1::JOB_METRIC_TYPE_COUNTER && value < 0) {
    return Error("BAD_VALUE", fmt::format("a counter does not go down: {} was to be added", value));
  }
  return absl::OkStatus();
}

// "\"" to the closing quote, which is consumed.
absl::StatusOr<std::string> TakeQuoted(std::string_view* text) {
  std::string value;
  for (std::size_t i = 0; i < text->size(); ++i) {
    char c = (*text)[i];
    if (c == '"') {
      text->remove_prefix(i + 1);
      return value;
    }
    if (c == '\\') {
      if (++i == text->size()) break;
      c = (*text)[i];
      if (c == 'n') {
        c = '\n';
      } else if (c != '\\' && c != '"') {
        return Error("BAD_PUSH", "in a label's value only \\\\, \\\" and \\n are written with a backslash");
      }
    }
    value.push_back(c);
  }
  return Error("BAD_PUSH", "a label's value does not end: the closing \" is missing");
}

// Behind "{", up to and with "}".
absl::Status TakeLabels(std::string_view* text, PushSample* sample) {
  while (true) {
    SkipBlanks(text);
    if (text->starts_with('}')) break;
    const std::size_t equals = std::min(text->find('='), text->size());
    std::string_view name = text->substr(0, equals);
    while (!name.empty() && IsBlank(name.back())) name.remove_suffix(1);
    text->remove_prefix(equals);
    if (!text->starts_with("="))
      return Error("BAD_PUSH", fmt::format("labels are written {{name=\"value\",...}}, not \"{}\"", Shown(name)));
    text->remove_prefix(1);
    SkipBlanks(text);
    if (!text->starts_with('"')) {
      return Error("BAD_PUSH", fmt::format("the value of label \"{}\" stands in double quotes", Shown(name)));
    }
    text->remove_prefix(1);
    ASSIGN_OR_RETURN(std::string value, TakeQuoted(text));
    RETURN_IF_ERROR(CheckLabelName(name));
    if (value.size() > kMaxLabelValueBytes) {
      return Error("TOO_LARGE", fmt::format("the value of label {} has {} bytes; at most {} are taken", name,
                                            value.size(), kMaxLabelValueBytes));
    }
    sample->labels.emplace_back(std::string(name), std::move(value));
    if (sample->labels.size() > kMaxMetricLabels)
      return Error("TOO_LARGE", fmt::format("more than {} labels", kMaxMetricLabels));
    SkipBlanks(text);
    if (text->starts_with(',')) {
      text->remove_prefix(1);
    } else if (!text->starts_with('}')) {
      return Error("BAD_PUSH", "between labels stands a comma, behind them }");
    }
  }
  text->remove_prefix(1);
  std::sort(sample->labels.begin(), sample->labels.end());
  for (std::size_t i = 1; i < sample->labels.size(); ++i) {
    if (sample->labels[i].first == sample->labels[i - 1].first) {
      return Error("BAD_NAME", fmt::format("the label {} is there twice", sample->labels[i].first));
    }
  }
  // To Prometheus an empty label is none.
  std::erase_if(sample->labels, [](const auto& label) { return label.second.empty(); });
  return absl::OkStatus();
}

}  // namespace

std::optional<absl::Duration> ParseJobDuration(std::string_view text) {
  absl::Duration duration;
  std::int64_t days = 0;
  const char* const end = text.data() + text.size();
  if (const auto parsed = std::from_chars(text.data(), end, days);
      text.ends_with('d') && parsed.ec == std::errc() && parsed.ptr == end - 1) {
    if (days < 0 || days > 10'000) return std::nullopt;
    duration = absl::Hours(24 * days);
  } else if (!absl::ParseDuration(absl::string_view(text.data(), text.size()), &duration)) {
    return std::nullopt;
  }
  if (duration < kMinJobDuration || duration > kMaxJobDuration) return std::nullopt;
  return duration;
}

void PushParser::Feed(std::string_view bytes, std::vector<PushRequest>* requests) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end);
    const bool fits = line_.size() + piece.size() <= kMaxPushLineBytes;
    line_too_long_ = line_too_long_ || !fits;
    if (line_too_long_) skipped_ += piece.size();
    if (end == std::string_view::npos) {
      if (fits) line_.append(piece);
      return;
    }
    bytes.remove_prefix(end + 1);
    if (line_.empty()) {
      TakeLine(line_too_long_ ? std::string_view() : piece, requests);
    } else {
      if (fits) line_.append(piece);
      TakeLine(line_, requests);
    }
    line_.clear();
    line_too_long_ = false;
  }
}

void PushParser::Refuse(const absl::Status& error) {
  if (state_ != State::kInPush) return;
  refusal_.Update(error);
  std::string group = std::move(push_.group);
  push_ = Push();
  push_.group = std::move(group);
}

absl::Status PushParser::BadPush(std::string_view why) const {
  return Error("BAD_PUSH", fmt::format("line {}: {}", line_number_, why));
}

void PushParser::Add(absl::Status error, std::string group, std::vector<PushRequest>* requests) {
  PushRequest& request = requests->emplace_back();
  request.kind = PushRequest::Kind::kRefused;
  request.push.group = std::move(group);
  request.error = std::move(error);
}

void PushParser::TakeLine(std::string_view line, std::vector<PushRequest>* requests) {
  ++line_number_;
  if (line.ends_with('\r')) line.remove_suffix(1);
  std::string_view rest = line;
  const std::string_view word = line_too_long_ ? std::string_view("?") : NextWord(&rest);
  if (word.empty() || word.starts_with('#')) return;
  if (state_ == State::kInPush && word != "push") {
    if (word == "end") return Finish(requests);
    push_bytes_ += line.size() + 1;
    if (!refusal_.ok()) {
      skipped_ += line.size() + 1;
      return;
    }
    absl::Status taken = absl::OkStatus();
    if (line_too_long_) {
      taken = Error("TOO_LARGE", fmt::format("line {}: more than {} bytes", line_number_, kMaxPushLineBytes));
    } else if (push_bytes_ > kMaxPushBytes) {
      taken = Error("TOO_LARGE", fmt::format("the push has more than {} bytes: send it in parts", kMaxPushBytes));
    } else if (push_.samples.size() + push_.declarations.size() == kMaxPushStatements) {
      taken =
          Error("TOO_LARGE", fmt::format("the push has more than {} statements: send it in parts", kMaxPushStatements));
    } else if (!IsValidUtf8(line)) {
      taken = BadPush("it is not UTF-8");
    } else {
      taken = TakeStatement(word, rest);
    }
    if (!taken.ok()) Refuse(taken);
    return;
  }
  if (word == "push") {
    if (state_ == State::kInPush) Add(BadPush("a push begins, and the one before has no end"), push_.group, requests);
    return Begin(rest);
  }
  const bool was_skipping = state_ == State::kSkipping;
  if (word == "ping" || word == "delete") {
    state_ = State::kBetween;
    line_number_ = 1;
    skipped_ = 0;
    if (word == "delete") return TakeDelete(rest, requests);
    requests->emplace_back().kind = PushRequest::Kind::kPing;
    return;
  }
  skipped_ += line.size() + 1;
  if (was_skipping) {
    if (word != "end") return;
    state_ = State::kBetween;
    line_number_ = 0;
    return;
  }
  line_number_ = 1;
  Add(line_too_long_ ? Error("TOO_LARGE", fmt::format("a line of more than {} bytes", kMaxPushLineBytes))
                     : BadPush(fmt::format("\"{}\" is not push, delete or ping", Shown(word))),
      "", requests);
  state_ = word == "end" ? State::kBetween : State::kSkipping;
}

void PushParser::Begin(std::string_view rest) {
  push_ = Push();
  push_bytes_ = 0;
  refusal_ = absl::OkStatus();
  line_number_ = 1;
  skipped_ = 0;
  state_ = State::kInPush;
  if (absl::Status header = TakeHeader(rest); !header.ok()) Refuse(header);
}

void PushParser::TakeDelete(std::string_view rest, std::vector<PushRequest>* requests) {
  const std::string_view group = NextWord(&rest);
  SkipBlanks(&rest);
  if (!IsPushWord(group) || !rest.empty()) return Add(BadPush("write: delete GROUP"), "", requests);
  PushRequest& request = requests->emplace_back();
  request.push.group = std::string(group);
  request.push.is_deletion = true;
}

absl::Status PushParser::TakeHeader(std::string_view rest) {
  const std::string_view group = NextWord(&rest);
  if (!IsPushWord(group)) {
    return BadPush(
        fmt::format("\"{}\" is not a group: at most {} letters, digits, -_.: are", Shown(group), kMaxPushWordBytes));
  }
  push_.group = std::string(group);
  while (true) {
    const std::string_view word = NextWord(&rest);
    if (word.empty()) return absl::OkStatus();
    const std::size_t equals = word.find('=');
    const std::string_view key = word.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? std::string_view() : word.substr(equals + 1);
    if (word == "success" || word == "failure") {
      if (push_.result != RunResult::kNone) return BadPush("a push is of one run: one success or failure");
      push_.result = word == "success" ? RunResult::kSuccess : RunResult::kFailure;
    } else if (key == "id") {
      if (!IsPushWord(value)) {
        return BadPush(
            fmt::format("\"{}\" is not an id: at most {} letters, digits, -_.: are", Shown(value), kMaxPushWordBytes));
      }
      push_.id = std::string(value);
    } else if (key == "ttl" || key == "period") {
      const std::optional<absl::Duration> duration = ParseJobDuration(value);
      if (!duration.has_value()) {
        return BadPush(fmt::format("\"{}\" is not a duration from 1s to 400d, such as 90s, 25h or 7d", Shown(value)));
      }
      (key == "ttl" ? push_.time_to_live : push_.period) = duration;
    } else {
      return BadPush(fmt::format("\"{}\" is not id=, ttl=, period=, success or failure", Shown(word)));
    }
  }
}

absl::Status PushParser::TakeStatement(std::string_view word, std::string_view rest) {
  absl::Status taken;
  if (word == "counter") {
    taken = TakeSample(v1::JOB_METRIC_TYPE_COUNTER, rest);
  } else if (word == "gauge") {
    taken = TakeSample(v1::JOB_METRIC_TYPE_GAUGE, rest);
  } else if (word == "histogram") {
    taken = TakeSample(v1::JOB_METRIC_TYPE_HISTOGRAM, rest);
  } else if (word == "buckets") {
    taken = TakeBuckets(rest);
  } else if (word == "help") {
    taken = TakeHelp(rest);
  } else if (word == "unit") {
    taken = TakeUnit(rest);
  } else {
    taken = Error("BAD_PUSH",
                  fmt::format("\"{}\" is not counter, gauge, histogram, buckets, help, unit or end", Shown(word)));
  }
  push_.cost += kStatementCost + 2 * rest.size();
  if (taken.ok()) return taken;
  return Annotate(taken, fmt::format("line {}", line_number_));
}

absl::Status PushParser::TakeSample(v1::JobMetricType type, std::string_view rest) {
  SkipBlanks(&rest);
  PushSample sample;
  sample.type = type;
  sample.name = std::string(rest.substr(0, rest.find_first_of("{ \t")));
  rest.remove_prefix(sample.name.size());
  RETURN_IF_ERROR(CheckMetricName(sample.name));
  if (type == v1::JOB_METRIC_TYPE_COUNTER && !sample.name.ends_with("_total")) {
    return Error("BAD_NAME", fmt::format("the name of a counter ends in _total: {}_total", sample.name));
  }
  if (rest.starts_with('{')) {
    rest.remove_prefix(1);
    RETURN_IF_ERROR(TakeLabels(&rest, &sample));
  }
  while (true) {
    const std::string_view word = NextWord(&rest);
    if (word.empty()) break;
    ASSIGN_OR_RETURN(const double value, ParseNumber(word));
    RETURN_IF_ERROR(CheckValue(type, value));
    sample.numbers.push_back(value);
  }
  if (sample.numbers.empty()) return Error("BAD_PUSH", fmt::format("behind {} stands no number", sample.name));
  if (sample.numbers.size() > 1 && type != v1::JOB_METRIC_TYPE_HISTOGRAM) {
    return Error("BAD_PUSH", fmt::format("behind {} stands more than one number", sample.name));
  }
  push_.cost += sample.numbers.size() * sizeof(double) + sample.labels.size() * sizeof(sample.labels[0]);
  push_.samples.push_back(std::move(sample));
  return absl::OkStatus();
}

absl::Status PushParser::TakeBuckets(std::string_view rest) {
  PushDeclaration declaration;
  declaration.name = std::string(NextWord(&rest));
  RETURN_IF_ERROR(CheckMetricName(declaration.name));
  while (true) {
    const std::string_view word = NextWord(&rest);
    if (word.empty()) break;
    ASSIGN_OR_RETURN(const double bound, ParseNumber(word));
    if (!std::isfinite(bound)) return Error("BAD_VALUE", "a bucket's bound is finite; +Inf is added by itself");
    if (!declaration.buckets.empty() && bound <= declaration.buckets.back()) {
      return Error("BAD_VALUE", fmt::format("buckets rise: {} stands behind {}", bound, declaration.buckets.back()));
    }
    declaration.buckets.push_back(bound);
    if (declaration.buckets.size() > kMaxBuckets)
      return Error("TOO_LARGE", fmt::format("more than {} buckets", kMaxBuckets));
  }
  if (declaration.buckets.empty()) return Error("BAD_PUSH", "buckets needs at least one bound");
  push_.declarations.push_back(std::move(declaration));
  return absl::OkStatus();
}

absl::Status PushParser::TakeHelp(std::string_view rest) {
  PushDeclaration declaration;
  declaration.name = std::string(NextWord(&rest));
  RETURN_IF_ERROR(CheckMetricName(declaration.name));
  SkipBlanks(&rest);
  if (rest.size() > kMaxMetricHelpBytes)
    return Error("TOO_LARGE",
                 fmt::format("a help of {} bytes; at most {} are taken", rest.size(), kMaxMetricHelpBytes));
  declaration.help = std::string(rest);
  push_.declarations.push_back(std::move(declaration));
  return absl::OkStatus();
}

absl::Status PushParser::TakeUnit(std::string_view rest) {
  PushDeclaration declaration;
  declaration.name = std::string(NextWord(&rest));
  RETURN_IF_ERROR(CheckMetricName(declaration.name));
  declaration.unit = std::string(NextWord(&rest));
  SkipBlanks(&rest);
  if (!rest.empty()) return Error("BAD_PUSH", "write: unit NAME WORD");
  RETURN_IF_ERROR(CheckUnit(declaration.name, *declaration.unit));
  push_.declarations.push_back(std::move(declaration));
  return absl::OkStatus();
}

void PushParser::Finish(std::vector<PushRequest>* requests) {
  state_ = State::kBetween;
  skipped_ = 0;
  line_number_ = 0;
  if (!refusal_.ok()) {
    Add(std::exchange(refusal_, absl::OkStatus()), std::move(push_.group), requests);
  } else {
    requests->emplace_back().push = std::move(push_);
  }
  push_ = Push();
}

}  // namespace muster::agent
