#include "agent/deployments/names.h"

#include <fmt/format.h>

#include "agent/present.h"
#include "common/secret.h"
#include "common/text.h"

namespace muster::agent {
namespace {

constexpr std::size_t kShortDigestDigits = 12;
constexpr std::size_t kNameHashDigits = 8;

}  // namespace

std::string ImageTag(std::string_view image) {
  const std::size_t at = image.find('@');
  const std::string_view name = image.substr(0, at);
  const std::size_t slash = name.rfind('/');
  const std::size_t colon = name.find(':', slash == std::string_view::npos ? 0 : slash);
  if (name != "sha256" && !name.starts_with("sha256:") && colon != std::string_view::npos) {
    return CleanUtf8(name.substr(colon + 1), kMaxNameBytes);
  }
  const std::size_t digest = image.find("sha256:");
  if (digest != std::string_view::npos) {
    return CleanUtf8(image.substr(digest + std::string_view("sha256:").size(), kShortDigestDigits), kMaxNameBytes);
  }
  return image.empty() ? "" : "latest";
}

std::string BoundedIdentity(std::string_view raw, std::size_t max_bytes) {
  if (raw.size() <= max_bytes) return std::string(raw);
  return fmt::format("{}~{}", CleanUtf8(raw, max_bytes - kNameHashDigits - 1),
                     DerivedId("", "name", raw).substr(0, kNameHashDigits));
}

std::string FirstLine(std::string_view text, std::size_t max_bytes) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return "";
  text.remove_prefix(begin);
  text = text.substr(0, text.find_first_of("\r\n"));
  return CleanUtf8(text, max_bytes);
}

}  // namespace muster::agent
