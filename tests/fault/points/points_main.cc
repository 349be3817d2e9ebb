#include <cstdio>

#include "tests/fault/points/sweep.h"

namespace muster::fault {

CrashPoints& TriedPoints() {
  static CrashPoints points;
  return points;
}

namespace {

class Report : public ::testing::Environment {
 public:
  void TearDown() override {
    const CrashPoints& points = TriedPoints();
    if (points.journal > 0) std::printf("journal: %lld crash points\n", static_cast<long long>(points.journal));
    if (points.hub > 0) std::printf("hub: %lld crash points\n", static_cast<long long>(points.hub));
    if (points.logs > 0) std::printf("logs: %lld crash points\n", static_cast<long long>(points.logs));
  }
};

}  // namespace
}  // namespace muster::fault

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  ::testing::AddGlobalTestEnvironment(new muster::fault::Report);  // owned by GoogleTest
  return RUN_ALL_TESTS();
}
