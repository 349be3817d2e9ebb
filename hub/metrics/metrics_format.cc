#include "hub/metrics/metrics_format.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <string>

#include "common/files.h"

namespace muster::hub {
namespace {

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Up to the separator, which goes too.
std::string_view Next(std::string_view* text, char separator) {
  const std::string_view part = text->substr(0, text->find(separator));
  text->remove_prefix(std::min(part.size() + 1, text->size()));
  return part;
}

struct MediaRange {
  std::string type;
  std::string version;
  double quality = 1;
};

MediaRange ParseRange(std::string_view text) {
  MediaRange range;
  range.type = Lower(Trim(Next(&text, ';')));
  while (!text.empty()) {
    std::string_view parameter = Next(&text, ';');
    const std::string name = Lower(Trim(Next(&parameter, '=')));
    std::string value = Trim(parameter);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    if (name == "version") range.version = value;
    if (name != "q") continue;
    double quality = 0;
    const auto parsed = std::from_chars(value.data(), value.data() + value.size(), quality);
    // What is no number is taken for a refusal.
    range.quality = parsed.ec == std::errc() && quality >= 0 && quality <= 1 ? quality : 0;
  }
  return range;
}

}  // namespace

PageFormat ChooseFormat(std::string_view accept) {
  PageFormat chosen = PageFormat::kText;
  double best = 0;
  while (!accept.empty()) {
    const MediaRange range = ParseRange(Next(&accept, ','));
    const bool is_text = (range.type == "text/plain" && (range.version.empty() || range.version == "0.0.4")) ||
                         range.type == "text/*" || range.type == "*/*";
    const bool is_open_metrics =
        range.type == "application/openmetrics-text" && (range.version.empty() || range.version == "1.0.0");
    if (!(is_text || is_open_metrics) || range.quality <= best) continue;
    best = range.quality;
    chosen = is_text ? PageFormat::kText : PageFormat::kOpenMetrics;
  }
  return chosen;
}

std::string_view ContentTypeOf(PageFormat format) {
  return format == PageFormat::kText ? "text/plain; version=0.0.4; charset=utf-8"
                                     : "application/openmetrics-text; version=1.0.0; charset=utf-8";
}

}  // namespace muster::hub
