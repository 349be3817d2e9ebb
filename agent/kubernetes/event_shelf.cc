#include "agent/kubernetes/event_shelf.h"

#include <algorithm>
#include <utility>

namespace muster::agent {

bool EventShelf::Put(const KubeEvent& event) {
  if (event.about_uid.empty() || event.meta.uid.empty()) return false;
  Remove(event.meta.uid);
  std::vector<Entry>& entries = shelf_[event.about_uid];
  Entry fresh{.uid = event.meta.uid,
              .warning = {.reason = event.reason, .message = event.message, .last_seen = event.last_seen}};
  auto place = std::find_if(entries.begin(), entries.end(),
                            [&](const Entry& entry) { return entry.warning.reason == event.reason; });
  if (place == entries.end() && entries.size() == kMaxReasonsPerObject) {
    place = std::min_element(entries.begin(), entries.end(),
                             [](const Entry& a, const Entry& b) { return a.warning.last_seen < b.warning.last_seen; });
  }
  if (place == entries.end()) {
    about_[event.meta.uid] = event.about_uid;
    entries.push_back(std::move(fresh));
  } else if (place->warning.last_seen <= event.last_seen) {
    about_.erase(place->uid);
    about_[event.meta.uid] = event.about_uid;
    *place = std::move(fresh);
  } else {
    return false;
  }
  if (about_.size() > kMaxKubeEvents) DropOldest();
  return about_.contains(event.meta.uid);
}

std::string EventShelf::Remove(std::string_view uid) {
  const auto it = about_.find(uid);
  if (it == about_.end()) return "";
  std::string about = std::move(it->second);
  about_.erase(it);
  const auto shelf = shelf_.find(about);
  std::erase_if(shelf->second, [uid](const Entry& entry) { return entry.uid == uid; });
  if (shelf->second.empty()) shelf_.erase(shelf);
  return about;
}

void EventShelf::Forget(std::string_view about_uid) {
  const auto shelf = shelf_.find(about_uid);
  if (shelf == shelf_.end()) return;
  for (const Entry& entry : shelf->second) about_.erase(entry.uid);
  shelf_.erase(shelf);
}

std::vector<KubeWarning> EventShelf::About(std::string_view uid) const {
  std::vector<KubeWarning> warnings;
  const auto shelf = shelf_.find(uid);
  if (shelf == shelf_.end()) return warnings;
  for (const Entry& entry : shelf->second) warnings.push_back(entry.warning);
  return warnings;
}

std::vector<std::string> EventShelf::Uids() const {
  std::vector<std::string> uids;
  uids.reserve(about_.size());
  for (const auto& [uid, about] : about_) uids.push_back(uid);
  return uids;
}

// A tenth at a time: it looks through all of them.
void EventShelf::DropOldest() {
  std::vector<std::pair<absl::Time, std::string>> ages;
  for (const auto& [about, entries] : shelf_) {
    for (const Entry& entry : entries) ages.emplace_back(entry.warning.last_seen, entry.uid);
  }
  const auto end = ages.begin() + kMaxKubeEvents / 10;
  std::nth_element(ages.begin(), end, ages.end());
  for (auto it = ages.begin(); it != end; ++it) Remove(it->second);
}

}  // namespace muster::agent
