// One kind of object, kept up to date: lists it in pages, watches it from there, goes on where a watch was cut, lists
// anew where that is impossible (docs/kubernetes.md, "Reading"). Driven by WatchLoop; no thread of its own.
//
//   waiting ──> listing (page by page) ──> watching ──┐
//      ^            │ 410, error               │ 410   │ end: watches again from the last version
//      └────────────┴──────────────────────────┘<──────┘
#ifndef MUSTER_AGENT_KUBERNETES_KIND_WATCH_H_
#define MUSTER_AGENT_KUBERNETES_KIND_WATCH_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/http/line_splitter.h"
#include "agent/http/stream_group.h"
#include "agent/kubernetes/cluster_book.h"
#include "agent/kubernetes/object_decode.h"
#include "common/backoff.h"
#include "common/clock.h"

namespace muster::agent {

inline constexpr int kListPageSize = 100;
inline constexpr int kMinListPageSize = 5;
// Of a page; a longer one is asked for with fewer objects.
inline constexpr std::size_t kMaxListPageBytes = 16 * 1024 * 1024;
// etcd holds objects of at most 1.5 MiB.
inline constexpr std::size_t kMaxWatchLineBytes = 2 * 1024 * 1024;
// What the server is asked to end a watch after: between this and half as much again.
inline constexpr absl::Duration kMinWatchTime = absl::Minutes(5);
// Beyond the time that was asked for: nobody ends it any more.
inline constexpr absl::Duration kWatchGrace = absl::Seconds(30);
// API servers send a bookmark each minute: a watch that had one and then nothing for so long hangs.
inline constexpr absl::Duration kMaxSilence = absl::Seconds(150);
inline constexpr absl::Duration kListHeadersDeadline = absl::Seconds(20);
inline constexpr absl::Duration kListBodyDeadline = absl::Seconds(60);
// A watch that ended sooner counts as a failed attempt.
inline constexpr absl::Duration kStableWatch = absl::Seconds(5);
// A kind that the role does not allow, or that this server does not have, is asked for again.
inline constexpr absl::Duration kForbiddenRetry = absl::Minutes(5);
// An API server that restarts is back by then; beyond, the picture is a fault, and what was known is compared with a
// new list before anything is told again.
inline constexpr absl::Duration kFaultAfter = absl::Seconds(10);
// Every kind is listed anew, however well its watch goes.
inline constexpr absl::Duration kListAgain = absl::Minutes(30);

class KindWatch {
 public:
  struct Options {
    KubeKind kind = KubeKind::kPod;
    // Empty: all.
    std::string name_space;
    Backoff::Options backoff = {.initial = absl::Seconds(1), .maximum = absl::Seconds(30)};
  };
  // `streams` and `book` outlive this. `uniform`: numbers in [0, 1).
  KindWatch(Options options, StreamGroup* streams, ClusterBook* book, std::function<double()> uniform, Instant now);

  // Does what is due.
  void Tick(const Moment& now);
  Instant DueAt() const;
  // False: not of this kind.
  bool Take(const StreamGroup::Event& event, const Moment& now);

  // The book has all objects of this kind as of some moment, or will never have them: it is forbidden.
  bool is_settled() const { return has_listed_ || is_forbidden_; }
  // It is forbidden (403), or the server does not have it (404).
  bool is_forbidden() const { return is_forbidden_; }
  // Why it is not up to date, and since when; nullopt: a list or a watch is open and well.
  struct Trouble {
    absl::Status status;
    // Of an answer that is an error; else 0.
    int http_code = 0;
    Instant since;
  };
  const std::optional<Trouble>& trouble() const { return trouble_; }
  KubeKind kind() const { return options_.kind; }
  // Something was put or removed since the last call.
  bool TakeChanged();
  std::int64_t lists() const { return lists_; }
  std::int64_t bad_lines() const { return lines_.skipped() + unreadable_lines_; }

 private:
  enum class State { kWaiting, kListing, kWatching };

  void OpenList(const Moment& now);
  void OpenWatch(const Moment& now);
  void Close();
  void TakePage(const Moment& now);
  void TakeLines(std::string_view bytes, const Moment& now);
  // False: the stream is of no more use and was closed.
  bool TakeLine(const std::string& line, const Moment& now);
  void EndStream(const StreamGroup::Event& event, const Moment& now);
  void Fail(const absl::Status& status, const Moment& now);
  void FailWith(const StreamGroup::Event& event, Instant now);
  void Forbid(const StreamGroup::Event& event, Instant now);
  void ListAnew(Instant now);
  void IsWell() { trouble_.reset(); }
  std::string Path() const;

  const Options options_;
  StreamGroup* const streams_;
  ClusterBook* const book_;
  const std::function<double()> uniform_;
  Backoff backoff_;

  State state_ = State::kWaiting;
  std::optional<StreamGroup::Id> stream_;
  Instant opened_;
  Instant heard_;
  // kWaiting: when to begin. Else: when what is open counts as hanging.
  Instant due_;
  bool must_list_ = true;
  Instant list_again_;

  // Of a list that is under way.
  int page_size_ = kListPageSize;
  std::string continue_token_;
  std::string body_;
  std::set<std::string, std::less<>> listed_;

  // Of the watch.
  std::string resource_version_;
  LineSplitter lines_{kMaxWatchLineBytes};
  std::int64_t unreadable_lines_ = 0;
  std::int64_t skipped_before_ = 0;
  bool has_bookmarks_ = false;

  bool has_listed_ = false;
  bool is_forbidden_ = false;
  // The next 401 is tried again at once: the token was old.
  bool may_retry_token_ = true;
  bool changed_ = false;
  std::int64_t lists_ = 0;
  std::optional<Trouble> trouble_;
};

// "pods", "deployments.apps": how people and roles name a kind.
std::string_view KubeResourceName(KubeKind kind);
// Path of the collection, "/apis/apps/v1/namespaces/NS/deployments"; nodes have no namespace.
std::string KubeCollectionPath(KubeKind kind, std::string_view name_space);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_KUBERNETES_KIND_WATCH_H_
