#include "hub/cli/words.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "common/status.h"
#include "common/time_format.h"
#include "hub/cli/exit_code.h"

namespace muster::cli {
namespace {

using types::v1::DeploymentKind;
using types::v1::DeploymentStatus;
using types::v1::LogLevel;
using types::v1::LogStream;
using types::v1::TargetState;
using types::v1::TargetType;

template <typename Enum>
struct Entry {
  Enum value;
  const char* word;  // as typed; shown with spaces for underscores
  const char* sign;
  Tone tone;
};

constexpr std::array<Entry<TargetState>, 4> kStates = {{
    {types::v1::TARGET_STATE_CONNECTED, "connected", "●", Tone::kGood},
    {types::v1::TARGET_STATE_STALE, "stale", "▲", Tone::kWarning},
    {types::v1::TARGET_STATE_NOT_CONNECTED, "not_connected", "○", Tone::kQuiet},
    {types::v1::TARGET_STATE_UNKNOWN, "unknown", "?", Tone::kQuiet},
}};

constexpr std::array<Entry<DeploymentStatus>, 7> kStatuses = {{
    {types::v1::DEPLOYMENT_STATUS_HEALTHY, "healthy", "●", Tone::kGood},
    {types::v1::DEPLOYMENT_STATUS_RUNNING, "running", "▶", Tone::kGood},
    {types::v1::DEPLOYMENT_STATUS_PROGRESSING, "progressing", "◌", Tone::kBusy},
    {types::v1::DEPLOYMENT_STATUS_ERROR, "error", "✖", Tone::kBad},
    {types::v1::DEPLOYMENT_STATUS_STALE, "stale", "▲", Tone::kWarning},
    {types::v1::DEPLOYMENT_STATUS_NO_STATUS, "no_status", "○", Tone::kQuiet},
    {types::v1::DEPLOYMENT_STATUS_UNKNOWN, "unknown", "?", Tone::kQuiet},
}};

constexpr std::array<Entry<TargetType>, 3> kTypes = {{
    {types::v1::TARGET_TYPE_DOCKER, "docker", "", Tone::kPlain},
    {types::v1::TARGET_TYPE_KUBERNETES, "kubernetes", "", Tone::kPlain},
    {types::v1::TARGET_TYPE_HOST, "host", "", Tone::kPlain},
}};

constexpr std::array<Entry<DeploymentKind>, 5> kKinds = {{
    {types::v1::DEPLOYMENT_KIND_COMPOSE_PROJECT, "compose", "", Tone::kPlain},
    {types::v1::DEPLOYMENT_KIND_CONTAINER, "container", "", Tone::kPlain},
    {types::v1::DEPLOYMENT_KIND_SWARM_STACK, "swarm", "", Tone::kPlain},
    {types::v1::DEPLOYMENT_KIND_HELM_RELEASE, "helm", "", Tone::kPlain},
    {types::v1::DEPLOYMENT_KIND_WORKLOAD, "workload", "", Tone::kPlain},
}};

constexpr std::array<Entry<fleet::v1::Role>, 4> kRoles = {{
    {fleet::v1::ROLE_VIEWER, "viewer", "", Tone::kPlain},
    {fleet::v1::ROLE_OPERATOR, "operator", "", Tone::kPlain},
    {fleet::v1::ROLE_ADMIN, "admin", "", Tone::kPlain},
    {fleet::v1::ROLE_METRICS, "metrics", "", Tone::kPlain},
}};

// From the least to the worst.
constexpr std::array<Entry<LogLevel>, 7> kLevels = {{
    {types::v1::LOG_LEVEL_UNSPECIFIED, "none", "-", Tone::kQuiet},
    {types::v1::LOG_LEVEL_TRACE, "trace", "T", Tone::kQuiet},
    {types::v1::LOG_LEVEL_DEBUG, "debug", "D", Tone::kQuiet},
    {types::v1::LOG_LEVEL_INFO, "info", "I", Tone::kGood},
    {types::v1::LOG_LEVEL_WARN, "warn", "W", Tone::kWarning},
    {types::v1::LOG_LEVEL_ERROR, "error", "E", Tone::kBad},
    {types::v1::LOG_LEVEL_FATAL, "fatal", "F", Tone::kBad},
}};

// The agent's own is a question of its own.
constexpr std::array<Entry<LogStream>, 2> kStreams = {{
    {types::v1::LOG_STREAM_STDOUT, "stdout", "", Tone::kPlain},
    {types::v1::LOG_STREAM_STDERR, "stderr", "", Tone::kPlain},
}};

template <typename Enum, std::size_t kSize>
Entry<Enum> Find(const std::array<Entry<Enum>, kSize>& entries, Enum value) {
  for (const auto& entry : entries) {
    if (entry.value == value) return entry;
  }
  return {value, "unknown", "?", Tone::kQuiet};
}

std::string Shown(std::string word) {
  for (char& c : word) c = c == '_' ? ' ' : c;
  return word;
}

template <typename Enum>
Span SpanOf(const Entry<Enum>& entry) {
  return {fmt::format("{} {}", entry.sign, Shown(entry.word)), entry.tone};
}

template <typename Enum>
Span CountOf(const Entry<Enum>& entry, int count) {
  return {fmt::format("{} {} {}", entry.sign, count, Shown(entry.word)), entry.tone};
}

template <typename Entries>
std::vector<std::string> WordsOf(const Entries& entries) {
  std::vector<std::string> words;
  words.reserve(entries.size());
  for (const auto& entry : entries) words.emplace_back(entry.word);
  return words;
}

template <typename Enum, std::size_t kSize>
absl::StatusOr<Enum> Parse(const std::array<Entry<Enum>, kSize>& entries, const std::string& word, const char* what) {
  std::string wanted = word;
  for (char& c : wanted) c = c == '-' || c == ' ' ? '_' : c;
  for (const auto& entry : entries) {
    if (wanted == entry.word) return entry.value;
  }
  return UsageError(fmt::format("\"{}\" is no {}; choose one of {}", word, what, fmt::join(WordsOf(entries), ", ")));
}

}  // namespace

Span StateSpan(TargetState state) { return SpanOf(Find(kStates, state)); }
Span StatusSpan(DeploymentStatus status) { return SpanOf(Find(kStatuses, status)); }
Span CountSpan(TargetState state, int count) { return CountOf(Find(kStates, state), count); }
Span CountSpan(DeploymentStatus status, int count) { return CountOf(Find(kStatuses, status), count); }

Span LevelLetter(LogLevel level) {
  const auto entry = Find(kLevels, level);
  return {entry.sign, entry.tone};
}
Span LevelSpan(LogLevel level) { return SpanOf(Find(kLevels, level)); }

std::string TypeWord(TargetType type) { return Find(kTypes, type).word; }
std::string KindWord(DeploymentKind kind) { return Find(kKinds, kind).word; }
std::string RoleWord(fleet::v1::Role role) { return Find(kRoles, role).word; }

std::vector<std::string> TypeWords() { return WordsOf(kTypes); }
std::vector<std::string> StateWords() { return WordsOf(kStates); }
std::vector<std::string> StatusWords() { return WordsOf(kStatuses); }
std::vector<std::string> RoleWords() { return WordsOf(kRoles); }
std::vector<std::string> LogStreamWords() { return WordsOf(kStreams); }
std::vector<std::string> LogLevelWords() { return WordsOf(kLevels); }

absl::StatusOr<TargetType> ParseType(const std::string& word) { return Parse(kTypes, word, "target type"); }
absl::StatusOr<TargetState> ParseState(const std::string& word) { return Parse(kStates, word, "target state"); }
absl::StatusOr<DeploymentStatus> ParseStatus(const std::string& word) {
  return Parse(kStatuses, word, "deployment status");
}
absl::StatusOr<fleet::v1::Role> ParseRole(const std::string& word) { return Parse(kRoles, word, "role"); }
absl::StatusOr<LogStream> ParseLogStream(const std::string& word) { return Parse(kStreams, word, "stream of a log"); }
absl::StatusOr<std::vector<LogLevel>> ParseLogLevels(const std::string& words) {
  std::vector<LogLevel> levels;
  for (std::size_t pos = 0; pos <= words.size();) {
    const std::size_t end = std::min(words.find(',', pos), words.size());
    ASSIGN_OR_RETURN(const LogLevel level, Parse(kLevels, words.substr(pos, end - pos), "level"));
    levels.push_back(level);
    pos = end + 1;
  }
  if (levels.size() > 1 || levels.front() == types::v1::LOG_LEVEL_UNSPECIFIED) return levels;
  const LogLevel least = levels.front();
  levels.clear();
  for (const auto& entry : kLevels) {
    if (entry.value >= least) levels.push_back(entry.value);
  }
  return levels;
}

std::string TimeText(const google::protobuf::Timestamp& time) {
  return FormatRfc3339(absl::FromUnixSeconds(absl::ToUnixSeconds(FromProto(time))));
}

std::string SizeText(std::int64_t bytes) {
  constexpr std::array<const char*, 4> kUnits = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string AgeText(const google::protobuf::Timestamp& since, absl::Time now) {
  return FormatAge(now - FromProto(since));
}

}  // namespace muster::cli
