// Writes one page of metrics, family by family, in one of the two text formats that Prometheus reads: text 0.0.4, or
// OpenMetrics 1.0 (docs/metrics.md, "Formats"). What writes families needs not know which. Not thread-safe.
#ifndef MUSTER_HUB_METRICS_PAGE_WRITER_H_
#define MUSTER_HUB_METRICS_PAGE_WRITER_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace muster::hub {

enum class PageFormat { kText, kOpenMetrics };
enum class FamilyType { kGauge, kCounter, kHistogram };

// Longer label values are cut: names come from labels on customers' hosts, which may be 10 KB.
inline constexpr std::size_t kMaxLabelBytes = 128;

// A label with its value between quotes: valid UTF-8, at most `max_bytes`, escaped.
std::string Label(std::string_view name, std::string_view value, std::size_t max_bytes = kMaxLabelBytes);

class PageWriter {
 public:
  // Handed to the sink when so much is written: a block that stays in the processor's cache.
  static constexpr std::size_t kBlockBytes = 256 * 1024;
  using Sink = std::function<void(std::string_view block)>;

  PageWriter(PageFormat format, Sink sink);

  PageFormat format() const { return format_; }

  // Begins a family: every sample until the next one belongs to it. `name` as samples carry it: a counter's ends in
  // _total (in OpenMetrics one that does not gets it). A unit that the name does not end in is left out. A family
  // without samples leaves its head only.
  void Family(std::string_view name, FamilyType type, std::string_view help, std::string_view unit = {});

  // `labels` as in `a="1",b="2"`, escaped (Label); may be empty.
  void Sample(std::string_view labels, double value);
  // With further labels behind them.
  void Sample(std::string_view labels, std::string_view more, double value);
  // Of a histogram: suffix "_bucket", "_sum", "_count".
  void Part(std::string_view suffix, std::string_view labels, std::string_view more, double value);
  // le="...", as the format writes bounds: `more` of a bucket.
  std::string BucketLabel(double bound) const;

  // Ends the page ("# EOF" in OpenMetrics) and hands over what is left.
  void Finish();

 private:
  // Room for `bytes` more at used_.
  char* Room(std::size_t bytes);
  static char* Labels(std::string_view labels, std::string_view more, char* out);
  // Ends the line.
  void Value(double value, char* out);
  void Comment(std::string_view keyword, std::string_view family, std::string_view text);

  const PageFormat format_;
  const Sink sink_;
  // Of the samples.
  std::string name_;
  // The first used_ bytes are written.
  std::string block_;
  std::size_t used_ = 0;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_METRICS_PAGE_WRITER_H_
