#include "agent/logs/masker.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "agent/logs/mask_rules.h"
#include "common/status.h"

namespace muster::agent {
namespace {

constexpr std::string_view kMask = "***";
// At most, for a program and the states that it has met; an expression that needs more is refused. With too little for
// its states RE2 falls back to a way that is 40 times slower.
constexpr std::int64_t kExpressionMemory = 256 * 1024;
constexpr std::int64_t kGateMemory = 2 * 1024 * 1024;

RE2::Options OptionsFor(RE2::Options::Encoding encoding, std::int64_t memory) {
  RE2::Options options;
  options.set_encoding(encoding);
  options.set_log_errors(false);
  options.set_max_mem(memory);
  return options;
}

// Bytes, not characters: all that is looked for is ASCII, so a match never ends within a character, and the programs
// are smaller.
std::unique_ptr<RE2> BuiltIn(const std::string& expression) {
  return std::make_unique<RE2>(expression, OptionsFor(RE2::Options::EncodingLatin1, kExpressionMemory));
}

std::unique_ptr<RE2> AnyOf(const std::vector<std::string>& expressions, RE2::Options::Encoding encoding) {
  std::string any;
  for (const std::string& expression : expressions) any += fmt::format("{}(?:{})", any.empty() ? "" : "|", expression);
  RE2::Options options = OptionsFor(encoding, kGateMemory);
  options.set_never_capture(true);
  return std::make_unique<RE2>(any, options);
}

re2::StringPiece Piece(std::string_view text) { return {text.data(), text.size()}; }

absl::Status BadMask(std::string_view problem) {
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_MASK", problem);
}

// \C matches a byte where all else matches characters, and would leave half of one.
bool MatchesBytes(std::string_view expression) {
  for (std::size_t at = expression.find('\\'); at < expression.size(); at = expression.find('\\', at + 2)) {
    if (expression.substr(at, 2) == "\\C") return true;
  }
  return false;
}

// Nothing that anybody would hide.
bool IsNoSecret(std::string_view value) {
  constexpr std::array kWords = {"", "null", "nil", "none", "true", "false", "undefined", "***"};
  return std::any_of(kWords.begin(), kWords.end(), [&](const char* word) {
    return absl::EqualsIgnoreCase(absl::string_view(value.data(), value.size()), word);
  });
}

// Moves `text` behind the next match; absent: there is none. Returns what stood before it.
std::optional<std::string_view> TakeBefore(const RE2& expression, std::string_view* text) {
  re2::StringPiece match;
  if (!expression.Match(Piece(*text), 0, text->size(), RE2::UNANCHORED, &match, 1)) return std::nullopt;
  const auto at = static_cast<std::size_t>(match.data() - text->data());
  const std::string_view before = text->substr(0, at);
  text->remove_prefix(at + match.size());
  return before;
}

}  // namespace

Masker::Masker() = default;
Masker::Masker(Masker&&) noexcept = default;
Masker& Masker::operator=(Masker&&) noexcept = default;
Masker::~Masker() = default;

absl::StatusOr<Masker> Masker::Create(const std::vector<std::string>& own_expressions) {
  Masker masker;
  masker.key_begin_ = BuiltIn(std::string(kPrivateKeyBegin));
  masker.key_end_ = BuiltIn(std::string(kPrivateKeyEnd));
  std::vector<std::string> beginnings = {std::string(kPrivateKeyHint)};
  for (const MaskRule& rule : BuiltInMaskRules()) {
    beginnings.push_back(rule.begins);
    masker.rules_.push_back({.expression = BuiltIn(rule.expression), .is_value = rule.is_value});
  }
  masker.any_built_in_ = AnyOf(beginnings, RE2::Options::EncodingLatin1);

  if (own_expressions.empty()) return masker;
  if (own_expressions.size() > kMaxMaskExpressions) {
    return BadMask(fmt::format("{} expressions; at most {} are taken", own_expressions.size(), kMaxMaskExpressions));
  }
  const RE2::Options options = OptionsFor(RE2::Options::EncodingUTF8, kExpressionMemory);
  for (std::size_t i = 0; i < own_expressions.size(); ++i) {
    const std::string& expression = own_expressions[i];
    if (expression.size() > kMaxMaskExpressionBytes) {
      return BadMask(fmt::format("expression {} has {} bytes; at most {} are taken", i + 1, expression.size(),
                                 kMaxMaskExpressionBytes));
    }
    if (MatchesBytes(expression)) return BadMask(fmt::format("expression {}: \\C is not taken", i + 1));
    auto compiled = std::make_unique<RE2>(expression, options);
    if (!compiled->ok()) return BadMask(fmt::format("expression {}: {}", i + 1, compiled->error()));
    if (RE2::PartialMatch("", *compiled)) {
      return BadMask(fmt::format("expression {} matches where nothing is, so everywhere", i + 1));
    }
    masker.rules_.push_back({.expression = std::move(compiled)});
  }
  masker.any_own_ = AnyOf(own_expressions, RE2::Options::EncodingUTF8);
  if (!masker.any_own_->ok()) {
    return BadMask(fmt::format("the expressions are too large together: {}", masker.any_own_->error()));
  }
  return masker;
}

std::string_view Masker::Mask(std::string_view text, PrivateKeyState* key, std::string* buffer) const {
  if (key->lines_left == 0 && !MayHoldSecret(text)) return text;
  *buffer = WithoutKeys(text, key);
  for (const Rule& rule : rules_) Apply(rule, buffer);
  return *buffer;
}

void Masker::Skip(std::string_view text, PrivateKeyState* key) const {
  const bool names_key = text.find(kPrivateKeyHint) != std::string_view::npos;
  if (names_key || key->lines_left > 0) WithoutKeys(text, key);
}

bool Masker::MayHoldSecret(std::string_view text) const {
  const auto matches = [&](const RE2& any) {
    return any.Match(Piece(text), 0, text.size(), RE2::UNANCHORED, nullptr, 0);
  };
  return matches(*any_built_in_) || (any_own_ != nullptr && matches(*any_own_));
}

std::string Masker::WithoutKeys(std::string_view text, PrivateKeyState* key) const {
  std::string kept;
  while (true) {
    if (key->lines_left > 0) {
      kept += kMask;
      if (!TakeBefore(*key_end_, &text).has_value()) {
        --key->lines_left;
        return kept;
      }
      key->lines_left = 0;
    }
    const std::optional<std::string_view> before = TakeBefore(*key_begin_, &text);
    kept += before.value_or(text);
    if (!before.has_value()) return kept;
    key->lines_left = kMaxPrivateKeyLines;
  }
}

void Masker::Apply(const Rule& rule, std::string* text) {
  std::vector<re2::StringPiece> groups(1 + static_cast<std::size_t>(rule.expression->NumberOfCapturingGroups()));
  const std::string_view all = *text;
  std::string masked;
  std::size_t copied = 0;
  const auto mask = [&](std::string_view secret) {
    const auto at = static_cast<std::size_t>(secret.data() - all.data());
    const bool is_quoted = at > 0 && (all[at - 1] == '"' || all[at - 1] == '\'');
    if (rule.is_value && !is_quoted) secret = secret.substr(0, secret.find_last_not_of(",;)]}>\\") + 1);
    if (secret.empty() || at < copied || (rule.is_value && IsNoSecret(secret))) return;
    masked.append(all.substr(copied, at - copied)).append(kMask);
    copied = at + secret.size();
  };
  std::size_t pos = 0;
  while (pos <= all.size() && rule.expression->Match(Piece(all), pos, all.size(), RE2::UNANCHORED, groups.data(),
                                                     static_cast<int>(groups.size()))) {
    const auto end = static_cast<std::size_t>(groups[0].data() - all.data()) + groups[0].size();
    if (groups.size() == 1) mask({groups[0].data(), groups[0].size()});
    for (std::size_t i = 1; i < groups.size(); ++i) {
      if (groups[i].data() != nullptr) mask({groups[i].data(), groups[i].size()});
    }
    pos = groups[0].empty() ? end + 1 : end;
  }
  if (copied > 0) *text = masked.append(all.substr(copied));
}

}  // namespace muster::agent
