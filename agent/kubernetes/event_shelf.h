// The warnings about a cluster's objects: of each object the newest of a few reasons, all in all a bounded number. Used
// by cluster_book.h. Not thread-safe.
#ifndef MUSTER_AGENT_KUBERNETES_EVENT_SHELF_H_
#define MUSTER_AGENT_KUBERNETES_EVENT_SHELF_H_

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/kubernetes/objects.h"
#include "agent/kubernetes/pod_rules.h"

namespace muster::agent {

// Some 500 bytes each: 1 MiB. A cluster in trouble warns of everything; the newest say what is wrong now.
inline constexpr std::size_t kMaxKubeEvents = 2000;
inline constexpr std::size_t kMaxReasonsPerObject = 4;

class EventShelf {
 public:
  // False: an older one than is known of that reason, or there is no room for one so old.
  bool Put(const KubeEvent& event);
  // The uid of the object that it was about; empty: not known.
  std::string Remove(std::string_view uid);
  // The object is gone.
  void Forget(std::string_view about_uid);

  std::vector<KubeWarning> About(std::string_view uid) const;
  std::vector<std::string> Uids() const;
  std::size_t size() const { return about_.size(); }

 private:
  struct Entry {
    std::string uid;
    KubeWarning warning;
  };
  void DropOldest();

  // By uid of the object.
  std::map<std::string, std::vector<Entry>, std::less<>> shelf_;
  // Event's uid -> object's uid.
  std::map<std::string, std::string, std::less<>> about_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_EVENT_SHELF_H_
