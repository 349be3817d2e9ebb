#include "agent/logs/mask_rules.h"

#include <fmt/format.h>

namespace muster::agent {
namespace {

// What follows a quote, up to the closing one: plain, and where the quoted text stands in a quoted text itself,
// \"...\".
constexpr std::string_view kQuoted = R"re("((?:[^"\\]|\\.)*)|'((?:[^'\\]|\\.)*))re";
constexpr std::string_view kEscapedQuoted = R"re(\\"((?:[^"\\]|\\[^"\\]|\\\\(?:\\"|[^"]))*)|\\+["']([^"'\\]+))re";

constexpr std::string_view kAuthorizationBegins = R"re((?i)authorization(?:\\*["'])?\s*[:=])re";

// Everything behind the colon: up to the closing quote or bracket; of the usual schemes the one word; of schemes with
// parameters, and of unknown ones, the rest of the line. What was masked already stays.
std::string Authorization() {
  return fmt::format(
      R"re({}\s*(?:\*\*\*|(?:\[\s*)?(?:{}|{})|\[([^\]]*)|{}|{}|{}))re", kAuthorizationBegins, kEscapedQuoted, kQuoted,
      R"re(((?:bearer|basic|token|apikey|negotiate|ntlm)\s+[^\s"',;\\)\]}]+))re",
      R"re(((?:digest|aws4-hmac-sha256|hawk|oauth|signature|mac)\s.*))re", R"re(([^\s"'\\\[][^"'\\]*))re");
}

// "name": and name=>, or name=
constexpr std::string_view kNames = "(?i)(?:password|passwd|secret(?:[_-]?key)?|token|api[_-]?key|access[_-]?key)";
constexpr std::string_view kBehindNameInJson = R"re((?:\\*["']\s*(?::|=>)|\s*=>))re";

std::string NamedValuesBegin() { return fmt::format("{}(?:{}|=)", kNames, kBehindNameInJson); }

// "name": "value" of JSON (and name => "value", form values in brackets); name=value of logfmt and of query strings.
std::string NamedValues() {
  return fmt::format(R"re({}(?:{}\s*(?:(?:\[\s*)?(?:{}|{})|{})|=(?:{}|{}|{})))re", kNames, kBehindNameInJson,
                     kEscapedQuoted, kQuoted, R"re(([^\s"'\\{\[][^\s"']*))re", kEscapedQuoted, kQuoted,
                     R"re(([^\s"'&\\][^\s"'&]*))re");
}

}  // namespace

std::vector<MaskRule> BuiltInMaskRules() {
  return {
      {.begins = std::string(kAuthorizationBegins), .expression = Authorization(), .is_value = true},
      {.begins = NamedValuesBegin(), .expression = NamedValues(), .is_value = true},
      // https://user:password@host
      {.begins = R"re(://[^\s/"'<>\\]*@)re", .expression = R"re(://([^\s/"'<>\\]+)@)re"},
      // This project's own: common/secret.h. Twenty characters are enough to know a key.
      {.begins = "m(?:st|tk|cc)_", .expression = "(m(?:st|tk|cc)_[A-Za-z0-9_-]{20,})"},
      // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
      {.begins = "AKIA|ASIA|ABIA|ACCA", .expression = "((?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16})"},
      // https://github.blog/engineering/behind-githubs-new-authentication-token-formats/
      {.begins = "gh[opusr]_|github_pat_", .expression = "(gh[opusr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})"},
      // https://docs.gitlab.com/security/tokens/#token-prefixes
      {.begins = "gl[a-z]{2,5}-",
       .expression = "(gl(?:pat|oas|dt|rt|rtr|cbt|ptt|ft|imt|agent|wt|soat|ffct)-[A-Za-z0-9_.-]{20,})"},
      // https://docs.slack.dev/authentication/tokens/, and the addresses of incoming webhooks
      {.begins = "xox[a-z]|xapp-",
       .expression =
           R"re((xox[a-z](?:\.xox[a-z])?-(?:\d[A-Za-z0-9-]{9,}|[A-Za-z0-9%/+]{20,})|xapp-\d[A-Za-z0-9-]{9,}))re"},
      {.begins = R"re(hooks\.slack)re",
       .expression = R"re(hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9/_-]{20,}))re"},
      // https://docs.stripe.com/keys: secret and restricted ones, and those of webhooks
      {.begins = "[sr]k_(?:live|test)_|whsec_",
       .expression = "([sr]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{20,})"},
      // https://cloud.google.com/docs/authentication/api-keys; OAuth clients, access and refresh tokens
      {.begins = R"re(AIza|GOCSPX-|ya29\.|1//0)re",
       .expression = R"re(((?:AIza|GOCSPX-|1//0)[A-Za-z0-9_-]{20,}|ya29\.[A-Za-z0-9_.-]{20,}))re"},
      // JWS and JWE in their compact form: RFC 7515, 7516. A header in JSON begins with {" as eyJ does.
      {.begins = "eyJ", .expression = R"re((eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){2,4}))re"},
  };
}

}  // namespace muster::agent
