#include "hub/logs/log_context.h"

#include <algorithm>
#include <utility>

#include "common/status.h"

namespace muster::hub {

std::string_view ContextFinder::OpenUnit::TextOf(std::size_t index) const {
  return std::string_view(text).substr(begins[index], begins[index + 1] - begins[index]);
}

absl::Status ContextFinder::AddBeside(const ScanHit& hit, std::vector<ScanHit>* context) {
  const LogCursor& place = std::get<FoundLine>(hit.entry).place;
  for (const ScanSort direction : {ScanSort::kOldestFirst, ScanSort::kNewestFirst}) {
    // On the side of pages before, a line may stand beside a hit that was shown there, and was shown with it. That hit
    // is no further away than twice the lines.
    const bool is_side_of_pages_before = direction != question_.sort;
    ASSIGN_OR_RETURN(const std::vector<Neighbour> neighbours,
                     Walk(*hit.source, place, direction, is_side_of_pages_before ? 2 * lines_ : lines_));
    std::size_t count = 0;
    while (count < neighbours.size() && !IsHit(neighbours[count])) ++count;
    if (count < neighbours.size() && question_.after &&
        KeyOf(neighbours[count].line.place, question_.sort) <= *question_.after) {
      count -= std::min(count, lines_);
    }
    for (std::size_t i = 0; i < std::min(count, lines_); ++i) {
      const auto& [line, text, unit] = neighbours[i];
      if (!shown_.insert(line.place).second) continue;
      context->push_back({.key = KeyOf(line.place, question_.sort),
                          .source = hit.source,
                          .entry = FoundLine{.place = line.place,
                                             .shift_us = line.shift_us,
                                             .resource = hit.source->resource,
                                             .revision = hit.source->revision,
                                             .kind = line.kind,
                                             .text = std::string(text.substr(0, text.size() - 1)),
                                             .is_context = true}});
    }
  }
  return absl::OkStatus();
}

bool ContextFinder::IsHit(const Neighbour& neighbour) const {
  const StoredLine& line = neighbour.line;
  if (!kinds_.IsInWindow(line.place.time_us) || !kinds_.IsWanted(KindByte(line.kind))) return false;
  const LogFilter* filter = question_.selection->filter;
  if (filter == nullptr) return true;
  bool is_match = false;
  filter->VisitMatches(neighbour.text, [&](std::size_t, std::string_view) {
    is_match = true;
    return false;
  });
  return is_match;
}

absl::StatusOr<std::vector<ContextFinder::Neighbour>> ContextFinder::Walk(const ScanSource& source,
                                                                          const LogCursor& place, ScanSort direction,
                                                                          std::size_t count) {
  ASSIGN_OR_RETURN(const std::vector<ScanUnit>* units, UnitsOf(source, direction));
  const auto key = [direction](const Neighbour& neighbour) { return KeyOf(neighbour.line.place, direction); };
  const auto is_earlier = [&](const Neighbour& a, const Neighbour& b) { return key(a) < key(b); };
  const bool is_forward = direction == ScanSort::kOldestFirst;
  std::vector<Neighbour> nearest;
  for (const ScanUnit& unit : *units) {
    if (nearest.size() == count && key(nearest.back()) < BeginOf(unit, direction)) break;
    if (is_forward ? unit.last_us < place.time_us : unit.first_us > place.time_us) continue;
    ASSIGN_OR_RETURN(const std::shared_ptr<const OpenUnit> open, Open(unit));
    if (open == nullptr) continue;
    const std::vector<StoredLine>& lines = open->in_order;
    const auto take = [&](std::size_t at) {
      nearest.push_back({.line = lines[at], .text = open->TextOf(open->indexes[at]), .unit = open});
    };
    const auto less = [](const StoredLine& line, const LogCursor& than) { return line.place < than; };
    auto at = static_cast<std::size_t>(std::lower_bound(lines.begin(), lines.end(), place, less) - lines.begin());
    if (is_forward) {
      if (at < lines.size() && lines[at].place == place) ++at;
      for (std::size_t taken = 0; taken < count && at < lines.size(); ++taken) take(at++);
    } else {
      for (std::size_t taken = 0; taken < count && at > 0; ++taken) take(--at);
    }
    std::sort(nearest.begin(), nearest.end(), is_earlier);
    if (nearest.size() > count) nearest.erase(nearest.begin() + static_cast<std::ptrdiff_t>(count), nearest.end());
  }
  return nearest;
}

absl::StatusOr<const std::vector<ScanUnit>*> ContextFinder::UnitsOf(const ScanSource& source, ScanSort direction) {
  auto& known = direction == ScanSort::kOldestFirst ? forward_ : backward_;
  const auto found = known.find(source.id);
  if (found != known.end()) return &found->second;
  ASSIGN_OR_RETURN(std::vector<ScanUnit> units, view_.ListAll(source));
  std::erase_if(units, [](const ScanUnit& unit) { return unit.is_damaged; });
  std::sort(units.begin(), units.end(),
            [&](const ScanUnit& a, const ScanUnit& b) { return BeginOf(a, direction) < BeginOf(b, direction); });
  return &(known[source.id] = std::move(units));
}

absl::StatusOr<std::shared_ptr<const ContextFinder::OpenUnit>> ContextFinder::Open(const ScanUnit& unit) {
  const auto kept =
      std::find_if(open_.begin(), open_.end(), [&](const auto& open) { return open->first_line == unit.first_line; });
  if (kept != open_.end()) {
    open_.splice(open_.begin(), open_, kept);
    return open_.front();
  }
  absl::Status read = reader_->ReadHead(unit);
  if (IsDamage(read)) return nullptr;
  RETURN_IF_ERROR(read);
  const absl::StatusOr<std::string_view> text = reader_->ReadText(unit);
  if (IsDamage(text.status())) return nullptr;
  RETURN_IF_ERROR(text.status());
  auto open = std::make_shared<OpenUnit>();
  open->first_line = unit.first_line;
  open->text = std::string(*text);
  open->begins.push_back(0);
  for (std::size_t end = open->text.find('\n'); end != std::string::npos; end = open->text.find('\n', end + 1)) {
    open->begins.push_back(end + 1);
  }
  LineWalk walk(reader_->lines());
  std::vector<StoredLine> lines;
  for (std::size_t i = 0; i < reader_->lines().size(); ++i) lines.push_back(walk.At(i));
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (!lines[i].kind.is_marker) open->indexes.push_back(i);
  }
  std::sort(open->indexes.begin(), open->indexes.end(),
            [&](std::size_t a, std::size_t b) { return lines[a].place < lines[b].place; });
  for (const std::size_t index : open->indexes) open->in_order.push_back(lines[index]);
  open_.push_front(std::move(open));
  if (open_.size() > kKeptUnits) open_.pop_back();
  return open_.front();
}

}  // namespace muster::hub
