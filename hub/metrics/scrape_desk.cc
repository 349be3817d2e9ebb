#include "hub/metrics/scrape_desk.h"

#include <utility>

#include "common/status.h"

namespace muster::hub {
namespace {

absl::Status Busy() {
  return MakeError(absl::StatusCode::kUnavailable, "SCRAPES_BUSY",
                   "too many scrapes wait or read slowly: scrape less often, or ask for gzip");
}

}  // namespace

ScrapeDesk::ScrapeDesk(Options options) : options_(std::move(options)), thread_(1, kMaxWaiting) {}

ScrapeDesk::~ScrapeDesk() { thread_.Stop(); }

bool ScrapeDesk::IsFresh(const Entry& entry) const {
  return entry.page != nullptr && options_.clock->Monotonic() - entry.made < kShared &&
         options_.version() == entry.version;
}

void ScrapeDesk::Ask(const PageKey& key, Answer answer) {
  Page page;
  {
    MutexLock lock(&mutex_);
    Entry& entry = entries_[key];
    if (IsFresh(entry)) {
      page = entry.page;
    } else {
      entry.waiting.push_back(std::move(answer));
      if (entry.waiting.size() > 1 || thread_.TrySubmit([this, key] { Make(key); })) return;
      answer = std::move(entry.waiting.back());
      entry.waiting.pop_back();
    }
  }
  if (page == nullptr) return answer(Busy());
  answer(std::move(page));
}

void ScrapeDesk::Make(const PageKey& key) {
  std::vector<Answer> waiting;
  absl::StatusOr<Page> page;
  {
    MutexLock lock(&mutex_);
    Entry& entry = entries_[key];
    waiting.swap(entry.waiting);
    if (IsFresh(entry)) page = entry.page;
  }
  if (!page.ok()) page = MakeNew(key);
  for (const Answer& answer : waiting) answer(page);
}

absl::StatusOr<ScrapeDesk::Page> ScrapeDesk::MakeNew(const PageKey& key) {
  if (bytes_->load() > kMaxBytes) return Busy();
  // Before anything is looked at: what changes meanwhile may or may not be in the page.
  const std::int64_t version = options_.version();
  const Instant made = options_.clock->Monotonic();
  auto text = std::make_unique<std::string>(options_.make(key));
  const auto size = static_cast<std::int64_t>(text->capacity());
  bytes_->fetch_add(size);
  Page page(text.release(), [bytes = bytes_, size](const std::string* gone) {
    delete gone;
    bytes->fetch_sub(size);
  });
  MutexLock lock(&mutex_);
  Entry& entry = entries_[key];
  entry.page = page;
  entry.version = version;
  entry.made = made;
  return page;
}

void ScrapeDesk::Tick() {
  std::vector<Page> gone;  // freed without the lock
  MutexLock lock(&mutex_);
  for (auto it = entries_.begin(); it != entries_.end();) {
    Entry& entry = it->second;
    const bool is_old = options_.clock->Monotonic() - entry.made >= kShared;
    if (is_old && entry.page != nullptr) gone.push_back(std::exchange(entry.page, nullptr));
    it = is_old && entry.waiting.empty() ? entries_.erase(it) : std::next(it);
  }
}

}  // namespace muster::hub
