// The API's enums and times as people read and type them: "● connected", "docker", "3m 2s". Values only.
#ifndef MUSTER_HUB_CLI_WORDS_H_
#define MUSTER_HUB_CLI_WORDS_H_

#include <google/protobuf/timestamp.pb.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "hub/cli/page.h"
#include "muster/fleet/v1/fleet.pb.h"
#include "muster/types/v1/types.pb.h"

namespace muster::cli {

// A sign and a word, toned: never the colour alone.
Span StateSpan(types::v1::TargetState state);
Span StatusSpan(types::v1::DeploymentStatus status);
// The sign, the number and the word: "● 3 healthy".
Span CountSpan(types::v1::TargetState state, int count);
Span CountSpan(types::v1::DeploymentStatus status, int count);

// "E", toned; "-" for lines that name none.
Span LevelLetter(types::v1::LogLevel level);
// "E error".
Span LevelSpan(types::v1::LogLevel level);

std::string TypeWord(types::v1::TargetType type);
std::string KindWord(types::v1::DeploymentKind kind);
std::string RoleWord(fleet::v1::Role role);

// Words that options accept, for help and completion.
std::vector<std::string> TypeWords();
std::vector<std::string> StateWords();
std::vector<std::string> StatusWords();
std::vector<std::string> RoleWords();
std::vector<std::string> LogStreamWords();
std::vector<std::string> LogLevelWords();

// Usage errors name the words there are.
absl::StatusOr<types::v1::TargetType> ParseType(const std::string& word);
absl::StatusOr<types::v1::TargetState> ParseState(const std::string& word);
absl::StatusOr<types::v1::DeploymentStatus> ParseStatus(const std::string& word);
absl::StatusOr<fleet::v1::Role> ParseRole(const std::string& word);
absl::StatusOr<types::v1::LogStream> ParseLogStream(const std::string& word);
// One word is that level and all above it; "none", and words with commas between them, are just these.
absl::StatusOr<std::vector<types::v1::LogLevel>> ParseLogLevels(const std::string& words);

// "2026-11-21T05:24:21Z", whole seconds.
std::string TimeText(const google::protobuf::Timestamp& time);
// Time that has passed between `since` and `now`: "3m 2s".
std::string AgeText(const google::protobuf::Timestamp& since, absl::Time now);
// "512 B", "1.5 GiB".
std::string SizeText(std::int64_t bytes);

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_WORDS_H_
