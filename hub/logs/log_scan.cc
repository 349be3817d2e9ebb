#include "hub/logs/log_scan.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/status.h"
#include "hub/logs/log_gaps.h"

namespace muster::hub {
namespace {

bool IsEarlier(const ScanHit& a, const ScanHit& b) { return a.key < b.key; }

// The first hits by their keys, as many as fill a page.
class PageHeap : public LineSink {
 public:
  PageHeap(const ScanQuestion& question, const KindFilter& kinds) : question_(question), kinds_(kinds) {}

  bool Wants(const LogCursor& place) override { return WantsKey(KeyOf(place, question_.sort)); }
  void TakeLine(const ScanUnit& unit, const StoredLine& line, std::string_view text) override {
    Add(KeyOf(line.place, question_.sort), unit.source,
        FoundLine{.place = line.place,
                  .shift_us = line.shift_us,
                  .resource = unit.source->resource,
                  .revision = unit.source->revision,
                  .kind = line.kind,
                  .text = std::string(text)});
  }
  void TakeMarker(const ScanUnit& unit, const StoredLine& marker, std::string_view text) override {
    TakeGap(KeyOf(marker.place, question_.sort), GapOfMarker(*unit.source, marker, text));
  }
  // What the index knows of it.
  void TakeDamaged(const ScanUnit& unit) {
    // By number at its end: who follows a log may be in the midst of it.
    const LogCursor place = question_.sort == ScanSort::kByNumber
                                ? LogCursor{.time_us = 0, .number = unit.first_line + unit.lines - 1}
                                : LogCursor{.time_us = unit.first_us, .number = unit.first_line};
    TakeGap(KeyOf(place, question_.sort), GapOfDamage(unit));
  }

  // Nothing from this key on is needed.
  bool IsBeyond(const ScanKey& begin) const { return is_full() && hits_.front().key < begin; }

  // In their order, up to the key; ends the heap.
  std::vector<ScanHit> Finish(const ScanKey& up_to) {
    std::sort_heap(hits_.begin(), hits_.end(), IsEarlier);
    const auto end = std::find_if(hits_.begin(), hits_.end(), [&](const ScanHit& hit) { return hit.key > up_to; });
    hits_.erase(end, hits_.end());
    return std::move(hits_);
  }
  bool has_dropped() const { return has_dropped_; }
  const ScanKey& last() const { return hits_.front().key; }

 private:
  bool is_full() const { return hits_.size() >= question_.max_hits || bytes_ >= kMaxPageBytes; }
  bool WantsKey(const ScanKey& key) {
    if ((question_.after && key <= *question_.after) || key > question_.up_to) return false;
    if (!is_full() || key < hits_.front().key) return true;
    has_dropped_ = true;
    return false;
  }
  void TakeGap(const ScanKey& key, FoundGap gap) {
    if (kinds_.TouchesWindow(gap.from_us, gap.to_us) && WantsKey(key)) Add(key, nullptr, std::move(gap));
  }
  void Add(const ScanKey& key, const ScanSource* source, FoundEntry entry) {
    bytes_ += BytesOf(entry);
    hits_.push_back({.key = key, .source = source, .entry = std::move(entry)});
    std::push_heap(hits_.begin(), hits_.end(), IsEarlier);
    // The last one goes when the page is full without it.
    while (hits_.size() > question_.max_hits ||
           (hits_.size() > 1 && bytes_ - BytesOf(hits_.front().entry) >= kMaxPageBytes)) {
      std::pop_heap(hits_.begin(), hits_.end(), IsEarlier);
      bytes_ -= BytesOf(hits_.back().entry);
      hits_.pop_back();
      has_dropped_ = true;
    }
  }

  const ScanQuestion& question_;
  const KindFilter& kinds_;
  std::vector<ScanHit> hits_;
  std::size_t bytes_ = 0;
  bool has_dropped_ = false;
};

// All of it lies at or before `after`, as far as times tell.
bool IsBehindUs(const ScanUnit& unit, const ScanQuestion& question) {
  if (!question.after) return false;
  switch (question.sort) {
    case ScanSort::kOldestFirst:
      return unit.last_us < question.after->time_us;
    case ScanSort::kNewestFirst:
      return -unit.first_us < question.after->time_us;
    case ScanSort::kByNumber:
      return unit.last_line <= question.after->number;
  }
  return false;
}

// The limit that is reached.
std::optional<ScanEnd> LimitOf(const ScanQuestion& question, const UnitReader& reader, const Clock* clock) {
  if (reader.text_bytes() >= question.limits.max_bytes) return ScanEnd::kBytes;
  if (clock->Monotonic() - question.began >= question.limits.max_time) return ScanEnd::kTime;
  return std::nullopt;
}

}  // namespace

ScanKey KeyOf(const LogCursor& place, ScanSort sort) {
  switch (sort) {
    case ScanSort::kOldestFirst:
      return place;
    case ScanSort::kNewestFirst:
      return {.time_us = -place.time_us, .number = -place.number};
    case ScanSort::kByNumber:
      return {.time_us = 0, .number = place.number};
  }
  return place;
}

LogCursor PlaceOf(const ScanKey& key, ScanSort sort) {
  return sort == ScanSort::kNewestFirst ? LogCursor{.time_us = -key.time_us, .number = -key.number} : key;
}

ScanKey BeginOf(const ScanUnit& unit, ScanSort sort) {
  const bool is_newest_first = sort == ScanSort::kNewestFirst;
  return KeyOf({.time_us = is_newest_first ? unit.last_us : unit.first_us,
                .number = is_newest_first ? unit.last_line : unit.first_line},
               sort);
}

std::size_t BytesOf(const FoundEntry& entry) {
  const auto* line = std::get_if<FoundLine>(&entry);
  return line == nullptr ? 0 : line->text.size();
}

absl::StatusOr<ScanFound> Scan(const ScanQuestion& question, std::vector<ScanUnit> units, UnitReader* reader,
                               const Clock* clock) {
  const ScanSort sort = question.sort;
  LineVisitor visitor(*question.selection, reader);
  std::erase_if(units, [&](const ScanUnit& unit) {
    return IsBehindUs(unit, question) || !visitor.kinds().MayHold(unit) || (unit.is_damaged && unit.is_before_window);
  });
  std::sort(units.begin(), units.end(),
            [&](const ScanUnit& a, const ScanUnit& b) { return BeginOf(a, sort) < BeginOf(b, sort); });
  PageHeap heap(question, visitor.kinds());
  ScanFound found;
  std::optional<ScanKey> next;
  for (std::size_t i = 0; i < units.size(); ++i) {
    const ScanKey begin = BeginOf(units[i], sort);
    if (heap.IsBeyond(begin)) {
      found.report.end = ScanEnd::kPage;
      next = heap.last();
      break;
    }
    if (const auto limit = i == 0 ? std::nullopt : LimitOf(question, *reader, clock)) {
      // Only where the next page begins further on: what lies over each other is read at once.
      const ScanKey before = {.time_us = begin.time_us, .number = begin.number - 1};
      if (!question.after || before > *question.after) {
        found.report.end = *limit;
        next = before;
        break;
      }
    }
    absl::Status visited = units[i].is_damaged ? ChunkDamaged("it is marked") : visitor.Visit(units[i], &heap);
    if (IsDamage(visited)) {
      heap.TakeDamaged(units[i]);
    } else if (!visited.ok()) {
      return visited;
    }
  }
  if (!next && heap.has_dropped()) {
    found.report.end = ScanEnd::kPage;
    next = heap.last();
  }
  found.next = next;
  found.hits = heap.Finish(next.value_or(question.up_to));
  if (next) {
    found.report.reached_us = PlaceOf(*next, sort).time_us;
  } else if (!found.hits.empty()) {
    found.report.reached_us = PlaceOf(found.hits.back().key, sort).time_us;
  }
  found.report.scanned_bytes = reader->text_bytes();
  found.report.scanned_lines = reader->text_lines();
  return found;
}

}  // namespace muster::hub
