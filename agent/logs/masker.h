// Takes secrets out of log lines before anything is written to disk: docs/logs.md, "What happens to a line", 3, names
// all that is known; what matches becomes ***. A secret that a cut divides is not recognised.
#ifndef MUSTER_AGENT_LOGS_MASKER_H_
#define MUSTER_AGENT_LOGS_MASKER_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace re2 {
class RE2;
}  // namespace re2

namespace muster::agent {

// The host's own expressions. RE2's syntax: https://github.com/google/re2/wiki/Syntax
inline constexpr std::size_t kMaxMaskExpressions = 64;
inline constexpr std::size_t kMaxMaskExpressionBytes = 512;
// From its BEGIN on; the longest keys in use (RSA of 16,384 bits) have 200 lines of 64 characters.
inline constexpr int kMaxPrivateKeyLines = 200;

// Of one stream: a private key began in an earlier line and goes on.
struct PrivateKeyState {
  int lines_left = 0;
};

// Immutable: any thread, without locks.
class Masker {
 public:
  // With the host's own expressions beside the built-in ones. Where one has groups, what they match is masked, else the
  // whole match; an empty match is none. kInvalidArgument BAD_MASK: too many, too long, not an expression, one that
  // matches the empty text, or too large when compiled; the message names its place in the list and RE2's reason.
  static absl::StatusOr<Masker> Create(const std::vector<std::string>& own_expressions);

  Masker(Masker&&) noexcept;
  Masker& operator=(Masker&&) noexcept;
  ~Masker();

  // A line, or a piece of one, as valid UTF-8, without its secrets; valid UTF-8, too. Returns `text` where there is
  // nothing to mask, else a view of `buffer`, whose content is overwritten (and is not what `text` lies in).
  std::string_view Mask(std::string_view text, PrivateKeyState* key, std::string* buffer) const;
  // A line that is not kept: whether a private key begins or ends in it counts for those that come.
  void Skip(std::string_view text, PrivateKeyState* key) const;

 private:
  struct Rule {
    std::unique_ptr<re2::RE2> expression;
    // What stands behind a name: "null" and its kin are no secrets, and punctuation behind it does not belong to it.
    bool is_value = false;
  };

  Masker();
  bool MayHoldSecret(std::string_view text) const;
  std::string WithoutKeys(std::string_view text, PrivateKeyState* key) const;
  static void Apply(const Rule& rule, std::string* text);

  // What the built-in rules' matches begin with, in one: a line that this does not match has no secret.
  std::unique_ptr<re2::RE2> any_built_in_;
  // All own expressions in one; null when there are none.
  std::unique_ptr<re2::RE2> any_own_;
  std::unique_ptr<re2::RE2> key_begin_;
  std::unique_ptr<re2::RE2> key_end_;
  // In the order in which they are applied.
  std::vector<Rule> rules_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LOGS_MASKER_H_
