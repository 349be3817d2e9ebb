// The API's enums and times as people read and type them: "● connected", "docker", "3m 2s". Values only.
#ifndef MUSTER_HUB_CLI_WORDS_H_
#define MUSTER_HUB_CLI_WORDS_H_

#include <google/protobuf/timestamp.pb.h>

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

std::string TypeWord(types::v1::TargetType type);
std::string KindWord(types::v1::DeploymentKind kind);
std::string RoleWord(fleet::v1::Role role);

// Words that options accept, for help and completion.
std::vector<std::string> TypeWords();
std::vector<std::string> StateWords();
std::vector<std::string> StatusWords();
std::vector<std::string> RoleWords();

// Usage errors name the words there are.
absl::StatusOr<types::v1::TargetType> ParseType(const std::string& word);
absl::StatusOr<types::v1::TargetState> ParseState(const std::string& word);
absl::StatusOr<types::v1::DeploymentStatus> ParseStatus(const std::string& word);
absl::StatusOr<fleet::v1::Role> ParseRole(const std::string& word);

// "2026-11-21T05:24:21Z", whole seconds.
std::string TimeText(const google::protobuf::Timestamp& time);
// Time that has passed between `since` and `now`: "3m 2s".
std::string AgeText(const google::protobuf::Timestamp& since, absl::Time now);

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_WORDS_H_
