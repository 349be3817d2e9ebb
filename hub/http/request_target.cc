#include "hub/http/request_target.h"

#include <algorithm>
#include <cctype>

#include "common/files.h"
#include "common/status.h"
#include "common/text.h"

namespace muster::hub {
namespace {

absl::Status BadTarget(std::string_view message) {
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_REQUEST_TARGET", message);
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

absl::StatusOr<std::string> PercentDecode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (i + 2 >= text.size() || HexValue(text[i + 1]) < 0 || HexValue(text[i + 2]) < 0) {
      return BadTarget("the path has a percent sign without two hexadecimal digits");
    }
    decoded += static_cast<char>(HexValue(text[i + 1]) * 16 + HexValue(text[i + 2]));
    i += 2;
  }
  return decoded;
}

bool HasDotSegment(std::string_view path) {
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const std::string_view segment = path.substr(0, path.find('/'));
    if (segment == "." || segment == "..") return true;
    path.remove_prefix(segment.size());
  }
  return false;
}

bool IsControl(unsigned char c) { return c < 0x20 || c == 0x7F; }

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// ";q=0", "; q=0.000" and nothing else.
bool HasQualityZero(std::string_view parameters) {
  const std::string text = Lower(std::string(parameters));
  const std::size_t q = text.find("q=");
  if (q == std::string::npos) return false;
  const std::string value = Trim(std::string_view(text).substr(q + 2));
  return !value.empty() && value.find_first_not_of("0.") == std::string::npos;
}

}  // namespace

absl::StatusOr<RequestTarget> ParseRequestTarget(std::string_view target) {
  if (target.substr(0, 7) == "http://" || target.substr(0, 8) == "https://") {
    const std::size_t slash = target.find('/', 8);
    target = slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
  }
  if (target.empty() || target.front() != '/') return BadTarget("the request target must begin with a slash");
  target = target.substr(0, target.find('#'));
  const std::size_t question = target.find('?');
  RequestTarget parsed;
  if (question != std::string_view::npos) parsed.query = target.substr(question + 1);
  ASSIGN_OR_RETURN(parsed.path, PercentDecode(target.substr(0, question)));
  if (!IsValidUtf8(parsed.path)) return BadTarget("the path is not valid UTF-8");
  if (std::any_of(parsed.path.begin(), parsed.path.end(), IsControl) ||
      std::any_of(parsed.query.begin(), parsed.query.end(), IsControl)) {
    return BadTarget("the request target has control characters");
  }
  if (HasDotSegment(parsed.path)) return BadTarget("the path has \".\" or \"..\" as a segment");
  return parsed;
}

bool AcceptsGzip(std::string_view accept_encoding) {
  bool any = false;
  while (!accept_encoding.empty()) {
    const std::size_t comma = accept_encoding.find(',');
    const std::string_view item = accept_encoding.substr(0, comma);
    accept_encoding = comma == std::string_view::npos ? std::string_view() : accept_encoding.substr(comma + 1);
    const std::size_t semicolon = item.find(';');
    const std::string coding = Lower(Trim(item.substr(0, semicolon)));
    const bool refused = semicolon != std::string_view::npos && HasQualityZero(item.substr(semicolon));
    if (coding == "gzip" || coding == "x-gzip") return !refused;
    if (coding == "*") any = !refused;
  }
  return any;
}

}  // namespace muster::hub
