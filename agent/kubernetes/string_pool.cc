#include "agent/kubernetes/string_pool.h"

namespace muster::agent {

StringPool::Id StringPool::Intern(std::string_view text) {
  if (text.empty()) return 0;
  auto it = ids_.find(text);
  if (it == ids_.end()) {
    Id id = 0;
    if (free_.empty()) {
      slots_.emplace_back();
      id = static_cast<Id>(slots_.size());
    } else {
      id = free_.back();
      free_.pop_back();
    }
    it = ids_.emplace(text, id).first;
    slots_[id - 1] = {.text = &it->first, .users = 0};
  }
  ++slots_[it->second - 1].users;
  return it->second;
}

void StringPool::Release(Id id) {
  if (id == 0 || id > slots_.size()) return;
  Slot& slot = slots_[id - 1];
  if (slot.users == 0 || --slot.users > 0) return;
  ids_.erase(ids_.find(*slot.text));
  slot.text = nullptr;
  free_.push_back(id);
}

std::string_view StringPool::Get(Id id) const {
  if (id == 0 || id > slots_.size() || slots_[id - 1].text == nullptr) return "";
  return *slots_[id - 1].text;
}

}  // namespace muster::agent
