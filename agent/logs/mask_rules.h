// The secrets that the masker knows by itself: the list of docs/logs.md, "What happens to a line", 3, as expressions of
// RE2 over bytes. Values only.
#ifndef MUSTER_AGENT_LOGS_MASK_RULES_H_
#define MUSTER_AGENT_LOGS_MASK_RULES_H_

#include <string>
#include <string_view>
#include <vector>

namespace muster::agent {

struct MaskRule {
  // Matches wherever `expression` begins to match, and is much smaller: nearly no line has it. All of these are looked
  // for at once; counts and open ends in there would cost memory and time.
  std::string begins;
  // Its groups are what is masked.
  std::string expression;
  // What stands behind a name: "null" and its kin are no secrets, and punctuation behind it does not belong to it.
  bool is_value = false;
};

// In the order in which they are applied: what has a name, or a place, goes before what is known by its form.
std::vector<MaskRule> BuiltInMaskRules();

// RFC 7468 and its kin (OpenSSH, PGP, SSH2). A line without the hint has neither.
inline constexpr std::string_view kPrivateKeyHint = "PRIVATE KEY";
inline constexpr std::string_view kPrivateKeyBegin = "-{4,5} ?BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)? ?-{4,5}";
inline constexpr std::string_view kPrivateKeyEnd = "-{4,5} ?END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)? ?-{4,5}";

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LOGS_MASK_RULES_H_
