#include "hub/samples/sample_store.h"

#include <fmt/format.h>

#include "common/status.h"
#include "hub/samples/metric_schema.h"
#include "hub/samples/sample_query.h"
#include "hub/store/set_aside.h"

namespace muster::hub {

absl::StatusOr<std::unique_ptr<SampleStore>> SampleStore::Open(const std::string& path, Store* hub,
                                                               SampleObserver observer) {
  std::unique_ptr<SampleStore> samples;
  RETURN_IF_ERROR(
      OpenOrSetAside(path, "the history of host metrics starts over with what waits in hub.db", [&]() -> absl::Status {
        ASSIGN_OR_RETURN(samples, TryOpen(path, hub, observer));
        return absl::OkStatus();
      }));
  return samples;
}

absl::StatusOr<std::unique_ptr<SampleStore>> SampleStore::TryOpen(const std::string& path, Store* hub,
                                                                  const SampleObserver& observer) {
  std::unique_ptr<SampleStore> samples(new SampleStore(path, hub, observer));
  Store::Options options;
  options.schema = &MetricSchema();
  // It would read 4 GiB before any agent is heard. Chunks prove themselves when they are read.
  options.is_checked = false;
  options.observer = {.committed = {},
                      .failed = [self = samples.get()] { MarkBad(self->path_, self->store_->writer().Fault()); },
                      .subject = "host metrics"};
  ASSIGN_OR_RETURN(samples->store_, Store::Open(path, std::move(options)));
  RETURN_IF_ERROR(samples->store_->Read([&](sqlite::Database& database) -> absl::Status {
    ASSIGN_OR_RETURN(samples->chunks_, CountChunks(database));
    return absl::OkStatus();
  }));
  return samples;
}

absl::StatusOr<SampleAnswer> SampleStore::Query(const SampleQuery& query) {
  return QuerySamples(*hub_, *store_, query);
}

absl::StatusOr<std::optional<StoredSample>> SampleStore::Newest(const std::string& target_id) {
  return ReadNewestSample(*hub_, *store_, target_id);
}

absl::Status SampleStore::Move(const std::vector<SampleMove>& moves, absl::Time now) {
  std::int64_t added = 0;
  RETURN_IF_ERROR(store_->writer().Run([&](sqlite::Database& metrics) -> absl::Status {
    for (const SampleMove& move : moves) {
      ASSIGN_OR_RETURN(const std::int64_t chunks, StoreMove(metrics, move, now));
      added += chunks;
    }
    return absl::OkStatus();
  }));
  chunks_ += added;
  for (const SampleMove& move : moves) {
    if (move.samples > 0) observer_.merged(move.samples);
  }
  return hub_->writer().Run([&](sqlite::Database& hub) -> absl::Status {
    for (const SampleMove& move : moves) RETURN_IF_ERROR(DeleteWaiting(hub, move.target_id, move.rows));
    return absl::OkStatus();
  });
}

absl::Status SampleStore::Fault() const {
  absl::Status fault = store_->writer().Fault();
  if (fault.ok()) return fault;
  const std::string why = MessageOf(fault);
  const std::string advice = ReasonOf(fault) == "DISK_FULL"
                                 ? "there is no room; samples of hosts wait in hub.db until there is"
                                 : "samples of hosts wait in hub.db; look at the disk and restart the hub";
  return MakeError(fault.code(), ReasonOf(fault), fmt::format("{}: {} ({})", path_, advice, why));
}

}  // namespace muster::hub
