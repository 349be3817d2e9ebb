// The history of host metrics: metrics.db, a file with a writer of its own, and what waits in hub.db
// (docs/host-metrics.md, "History"). Owned by Samples; asked by the API. Thread-safe.
#ifndef MUSTER_HUB_SAMPLES_SAMPLE_STORE_H_
#define MUSTER_HUB_SAMPLES_SAMPLE_STORE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "hub/samples/sample_counts.h"
#include "hub/samples/sample_reader.h"
#include "hub/samples/sample_rows.h"
#include "hub/store/store.h"

namespace muster::hub {

class SampleStore : public SampleReader {
 public:
  // A damaged metrics.db, and one in which the run before met damage, is set aside as PATH.damaged (one is kept) and a
  // new one made. A file of a newer hub is refused, FAILED_PRECONDITION "DATABASE_TOO_NEW". `hub` is that of hub.db and
  // outlives it.
  static absl::StatusOr<std::unique_ptr<SampleStore>> Open(const std::string& path, Store* hub,
                                                           SampleObserver observer);
  static absl::StatusOr<std::unique_ptr<SampleStore>> Open(const std::string& path, Store* hub) {
    return Open(path, hub, SampleObserver());
  }

  absl::StatusOr<SampleAnswer> Query(const SampleQuery& query) override;
  absl::StatusOr<std::optional<StoredSample>> Newest(const std::string& target_id) override;

  // Stores them, waits, then takes their rows out of hub.db. What fails in between is found out by their positions.
  absl::Status Move(const std::vector<SampleMove>& moves, absl::Time now);

  // OK, or why no samples can be moved now, and what to do.
  absl::Status Fault() const;

  Store& store() { return *store_; }
  Store& hub() { return *hub_; }
  const std::string& path() const { return path_; }
  const SampleObserver& observer() const { return observer_; }
  std::int64_t chunks() const { return chunks_; }
  void NoteForgotten(std::int64_t chunks) { chunks_ -= chunks; }

 private:
  SampleStore(std::string path, Store* hub, SampleObserver observer)
      : path_(std::move(path)), hub_(hub), observer_(std::move(observer)) {}
  static absl::StatusOr<std::unique_ptr<SampleStore>> TryOpen(const std::string& path, Store* hub,
                                                              const SampleObserver& observer);

  const std::string path_;
  Store* const hub_;
  const SampleObserver observer_;
  std::atomic<std::int64_t> chunks_{0};
  // Last: its writer uses what is above until it has stopped.
  std::unique_ptr<Store> store_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_SAMPLES_SAMPLE_STORE_H_
