// For benchmarks and test programs: what must work, or the program ends and says why.
#ifndef MUSTER_COMMON_TESTING_MUST_H_
#define MUSTER_COMMON_TESTING_MUST_H_

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/status.h"

namespace muster {

inline void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", MessageOf(status).c_str());
  std::abort();
}

template <typename T>
T Must(absl::StatusOr<T> value) {
  Check(value.status());
  return *std::move(value);
}

}  // namespace muster

#endif  // MUSTER_COMMON_TESTING_MUST_H_
