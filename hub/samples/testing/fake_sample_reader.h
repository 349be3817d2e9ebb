// A SampleReader that answers what it was given and remembers what it was asked; for tests of the API.
#ifndef MUSTER_HUB_SAMPLES_TESTING_FAKE_SAMPLE_READER_H_
#define MUSTER_HUB_SAMPLES_TESTING_FAKE_SAMPLE_READER_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hub/samples/sample_reader.h"

namespace muster::hub {

class FakeSampleReader : public SampleReader {
 public:
  absl::StatusOr<SampleAnswer> Query(const SampleQuery& query) override {
    queries.push_back(query);
    if (!failure.ok()) return failure;
    SampleAnswer told = answer;
    if (told.step == absl::ZeroDuration()) told.step = query.step;
    return told;
  }
  absl::StatusOr<std::optional<StoredSample>> Newest(const std::string& target_id) override {
    if (!failure.ok()) return failure;
    const auto it = newest.find(target_id);
    return it == newest.end() ? std::nullopt : std::optional(it->second);
  }

  // Without a step: the one that was asked for.
  SampleAnswer answer;
  std::map<std::string, StoredSample> newest;  // by target id
  absl::Status failure;
  std::vector<SampleQuery> queries;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_SAMPLES_TESTING_FAKE_SAMPLE_READER_H_
