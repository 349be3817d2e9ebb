// One copy of each string that repeats: images, namespaces, labels, names of nodes and owners. Counted, so that what
// nobody uses any more is freed. Used by packed_objects.h. Not thread-safe.
#ifndef MUSTER_AGENT_KUBERNETES_STRING_POOL_H_
#define MUSTER_AGENT_KUBERNETES_STRING_POOL_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace muster::agent {

class StringPool {
 public:
  // 0 is the empty string, which is not counted.
  using Id = std::uint32_t;

  // Counts one user more.
  Id Intern(std::string_view text);
  // One user less. `id` was given by Intern.
  void Release(Id id);
  // Valid as long as it has users; empty for an id that has none.
  std::string_view Get(Id id) const;
  std::size_t size() const { return ids_.size(); }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  using Ids = std::unordered_map<std::string, Id, Hash, std::equal_to<>>;
  struct Slot {
    // Elements of the map stay where they are. Null: free.
    const std::string* text = nullptr;
    std::uint32_t users = 0;
  };

  Ids ids_;
  // Of id 1 and up.
  std::vector<Slot> slots_;
  std::vector<Id> free_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_STRING_POOL_H_
