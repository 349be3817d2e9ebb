// Hands out finished pages, so that many scrapes at once cost what one costs. A page is made on a thread of the desk,
// one at a time; those who ask meanwhile get the next one, together. A page that is younger than a second is handed out
// again as long as the fleet's version is the same: nobody is shown what was gone before he asked. Thread-safe.
// Bounded: by pages that wait to be made, and by the bytes of pages that slow readers still hold.
#ifndef MUSTER_HUB_METRICS_SCRAPE_DESK_H_
#define MUSTER_HUB_METRICS_SCRAPE_DESK_H_

#include <atomic>
#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/mutex.h"
#include "hub/http/worker_pool.h"
#include "hub/metrics/page_groups.h"
#include "hub/metrics/page_writer.h"

namespace muster::hub {

struct PageKey {
  PageFormat format = PageFormat::kText;
  bool gzip = false;
  unsigned groups = PageGroups::All().bits();
  friend auto operator<=>(const PageKey&, const PageKey&) = default;  // NOLINT(modernize-use-nullptr)
};

class ScrapeDesk {
 public:
  using Page = std::shared_ptr<const std::string>;
  using Answer = std::function<void(absl::StatusOr<Page>)>;
  struct Options {
    std::function<std::string(const PageKey&)> make;
    // Changes with everything whose series must be gone at the next scrape.
    std::function<std::int64_t()> version;
    const Clock* clock = nullptr;
  };
  static constexpr absl::Duration kShared = absl::Seconds(1);
  // Six uncompressed pages of 10,000 targets.
  static constexpr std::int64_t kMaxBytes = std::int64_t{512} << 20;
  // Different pages that may wait; each scraper configuration asks for one.
  static constexpr std::size_t kMaxWaiting = 64;

  explicit ScrapeDesk(Options options);
  // Pages that were asked for are still made.
  ~ScrapeDesk();

  // `answer` runs at once or on the desk's thread: with the page, or UNAVAILABLE "SCRAPES_BUSY".
  void Ask(const PageKey& key, Answer answer);
  // Every second or so: forgets pages that are too old to be handed out.
  void Tick();

 private:
  struct Entry {
    Page page;
    std::int64_t version = 0;
    Instant made;
    std::vector<Answer> waiting;
  };
  bool IsFresh(const Entry& entry) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Make(const PageKey& key);
  absl::StatusOr<Page> MakeNew(const PageKey& key);

  const Options options_;
  // Of all pages that somebody holds; shared with them.
  const std::shared_ptr<std::atomic<std::int64_t>> bytes_ = std::make_shared<std::atomic<std::int64_t>>(0);
  Mutex mutex_;
  std::map<PageKey, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  WorkerPool thread_;  // destroyed first
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_METRICS_SCRAPE_DESK_H_
