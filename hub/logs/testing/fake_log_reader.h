// A LogReader over lines in memory, which looks at every line for each answer. Tests put lines in, also while a call
// reads, and choose where scans stop. Thread-safe.
#ifndef MUSTER_HUB_LOGS_TESTING_FAKE_LOG_READER_H_
#define MUSTER_HUB_LOGS_TESTING_FAKE_LOG_READER_H_

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/mutex.h"
#include "hub/logs/log_scanner.h"

namespace muster::hub {

class FakeLogReader : public LogReader {
 public:
  // The next number is the line's.
  std::int64_t Add(FoundLine line, const std::string& deployment_id = "dep_1", const std::string& target_id = "tgt_1") {
    MutexLock lock(&mutex_);
    line.place.number = static_cast<std::int64_t>(lines_.size()) + 1;
    lines_.push_back({target_id, deployment_id, std::move(line)});
    return lines_.back().line.place.number;
  }
  void Add(const FoundGap& gap) {
    MutexLock lock(&mutex_);
    gaps_.push_back(gap);
  }
  // As after the restore of a backup that holds so many lines.
  void Forget(std::size_t lines) {
    MutexLock lock(&mutex_);
    lines_.resize(lines);
  }
  // Runs at the beginning of each call but LogEpoch, without the lock.
  void OnCall(std::function<void()> hook) {
    MutexLock lock(&mutex_);
    hook_ = std::move(hook);
  }
  int calls() const {
    MutexLock lock(&mutex_);
    return calls_;
  }
  LogSelection last_selection() const {
    MutexLock lock(&mutex_);
    return selection_;
  }
  LogPageRequest last_page() const {
    MutexLock lock(&mutex_);
    return page_;
  }

  // Set before use. Lines of the selection that a page looks at before it stops, TIME; 0: all.
  std::size_t stop_after = 0;
  std::string epoch = "0123456789abcdef0123456789abcdef";
  absl::Status failure;

  absl::StatusOr<LogPage> ReadPage(const LogSelection& selection, const LogPageRequest& request) override {
    Called();
    if (!failure.ok()) return failure;
    MutexLock lock(&mutex_);
    selection_ = selection;
    page_ = request;
    std::vector<FoundLine> found = Found(selection);
    const bool newest_first = request.order == LogOrder::kNewestFirst;
    std::sort(found.begin(), found.end(), [&](const FoundLine& a, const FoundLine& b) {
      return newest_first ? b.place < a.place : a.place < b.place;
    });
    std::erase_if(found, [&](const FoundLine& line) {
      return request.after && (newest_first ? line.place >= *request.after : line.place <= *request.after);
    });
    LogPage page;
    std::size_t lines = 0, bytes = 0, looked_at = 0;
    std::optional<LogCursor> last;
    for (const FoundLine& line : found) {
      if (lines >= request.lines || bytes >= kMaxPageBytes || (stop_after > 0 && looked_at >= stop_after)) {
        page.next = last;
        page.report.end = lines >= request.lines || bytes >= kMaxPageBytes ? ScanEnd::kPage : ScanEnd::kTime;
        break;
      }
      ++looked_at;
      last = line.place;
      page.report.reached_us = line.place.time_us;
      if (!Matches(selection, line)) continue;
      ++lines;
      bytes += line.text.size();
      page.entries.emplace_back(line);
    }
    page.report.scanned_bytes = static_cast<std::int64_t>(bytes);
    page.report.scanned_lines = static_cast<std::int64_t>(looked_at);
    // All gaps, in front of the first page.
    if (!request.after) page.entries.insert(page.entries.begin(), gaps_.begin(), gaps_.end());
    return page;
  }

  absl::StatusOr<LogVolume> ReadVolume(const LogSelection& selection, int parts,
                                       const ScanLimits& /*limits*/) override {
    Called();
    if (!failure.ok()) return failure;
    MutexLock lock(&mutex_);
    LogVolume volume;
    volume.from_us = selection.from_us;
    volume.part_us = (selection.to_us - selection.from_us) / parts;
    volume.parts.resize(static_cast<std::size_t>(parts));
    for (const FoundLine& line : Found(selection)) {
      const auto part = static_cast<std::size_t>((line.place.time_us - volume.from_us) / volume.part_us);
      ++volume.parts[part][static_cast<std::size_t>(line.kind.level)];
    }
    return volume;
  }

  absl::StatusOr<std::vector<LogResourceInfo>> ListResources(std::string_view target_id,
                                                             std::string_view deployment_id) override {
    Called();
    MutexLock lock(&mutex_);
    std::vector<LogResourceInfo> resources;
    for (const Stored& stored : lines_) {
      if (stored.target_id != target_id || stored.deployment_id != deployment_id) continue;
      auto resource = std::find_if(resources.begin(), resources.end(),
                                   [&](const LogResourceInfo& r) { return r.name == stored.line.resource; });
      if (resource == resources.end()) {
        resource = resources.insert(resources.end(), {.name = stored.line.resource,
                                                      .is_active = true,
                                                      .first_us = stored.line.place.time_us,
                                                      .revisions = {stored.line.revision}});
      }
      resource->last_us = stored.line.place.time_us;
      ++resource->lines;
      resource->bytes += static_cast<std::int64_t>(stored.line.text.size());
    }
    return resources;
  }

  absl::StatusOr<std::int64_t> LastNumber() override {
    Called();
    MutexLock lock(&mutex_);
    return static_cast<std::int64_t>(lines_.size());
  }

  absl::StatusOr<LogFollow> ReadBehind(const LogSelection& selection, std::int64_t after, std::int64_t up_to,
                                       std::size_t max_lines) override {
    Called();
    if (!failure.ok()) return failure;
    MutexLock lock(&mutex_);
    LogFollow follow{.entries = {}, .reached = up_to};
    for (const FoundLine& line : Found(selection)) {
      if (line.place.number <= after || line.place.number > up_to || !Matches(selection, line)) continue;
      follow.entries.emplace_back(line);
      if (follow.entries.size() < max_lines) continue;
      follow.reached = line.place.number;
      break;
    }
    return follow;
  }

  absl::StatusOr<std::string> LogEpoch() override { return epoch; }

 private:
  struct Stored {
    std::string target_id;
    std::string deployment_id;
    FoundLine line;
  };

  void Called() {
    std::function<void()> hook;
    {
      MutexLock lock(&mutex_);
      ++calls_;
      hook = hook_;
    }
    if (hook) hook();
  }
  // By number.
  std::vector<FoundLine> Found(const LogSelection& selection) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::vector<FoundLine> found;
    for (const Stored& stored : lines_) {
      const FoundLine& line = stored.line;
      const bool of_resources = selection.resources.empty() ||
                                std::count(selection.resources.begin(), selection.resources.end(), line.resource) > 0;
      if (stored.target_id == selection.target_id && stored.deployment_id == selection.deployment_id && of_resources &&
          line.place.time_us >= selection.from_us && line.place.time_us < selection.to_us) {
        found.push_back(line);
      }
    }
    return found;
  }
  static bool Matches(const LogSelection& selection, const FoundLine& line) {
    bool matches = selection.filter == nullptr;
    if (!matches) {
      selection.filter->VisitMatches(line.text + '\n',
                                     [&](std::size_t, std::string_view) { return !(matches = true); });
    }
    return matches;
  }

  mutable Mutex mutex_;
  std::vector<Stored> lines_ ABSL_GUARDED_BY(mutex_);
  std::vector<FoundGap> gaps_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> hook_ ABSL_GUARDED_BY(mutex_);
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
  LogSelection selection_ ABSL_GUARDED_BY(mutex_);
  LogPageRequest page_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_TESTING_FAKE_LOG_READER_H_
