// Runs a workload over and over, each time with a fault one call of the file layer later, until it gets through without
// one; after each run looks at what the disk may hold. Shared by the crash points of the journal and of the hub.
//
// A workload is a class with
//   Workload(FaultVfs*, directory)
//   void Run()           as far as it comes; after a failure that leaves the power on it tries again and, when that
//                        does not help, has the disk repaired (Disarm) and goes on to its end
//   std::string Check()  opens what is there; empty, or what is wrong
#ifndef MUSTER_TESTS_FAULT_POINTS_SWEEP_H_
#define MUSTER_TESTS_FAULT_POINTS_SWEEP_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "common/sqlite/testing/fault_vfs.h"
#include "common/testing/temp_dir.h"

namespace muster::fault {

// How many points were tried, by what stood at them; printed and checked at the end of the program.
struct CrashPoints {
  std::int64_t journal = 0;
  std::int64_t hub = 0;
  std::int64_t logs = 0;
};
CrashPoints& TriedPoints();

// Returns how many points there are.
template <class Workload>
std::int64_t Sweep(sqlite::FaultKind kind, bool sticky) {
  using sqlite::Unsynced;
  for (std::int64_t point = 1;; ++point) {
    TempDir dir;
    sqlite::FaultVfs vfs(dir.path());
    vfs.Arm({.kind = kind, .at_call = point, .sticky = sticky});
    Workload workload(&vfs, dir.path());
    workload.Run();
    if (!vfs.struck()) return point - 1;
    vfs.Disarm();
    // Without a cut: what another start finds, and then what it would have found after a cut.
    vfs.CutPower();
    for (const Unsynced unsynced : {Unsynced::kKept, Unsynced::kLost, Unsynced::kSome}) {
      vfs.RestorePower(unsynced, static_cast<std::uint64_t>(point));
      const std::string wrong = workload.Check();
      if (wrong.empty()) continue;
      ADD_FAILURE() << "fault kind " << static_cast<int>(kind) << (sticky ? " (sticky)" : "") << " at call " << point
                    << ", unsynced writes " << static_cast<int>(unsynced) << ": " << wrong;
      return point;
    }
  }
}

// Power cuts of a disk that confirms syncs and does not do them, at every `stride`-th point: how many the check
// notices.
template <class Workload>
int CountNoticedLies(std::int64_t stride) {
  int noticed = 0;
  for (std::int64_t point = 1;; point += stride) {
    TempDir dir;
    sqlite::FaultVfs vfs(dir.path());
    vfs.set_syncs_lie(true);
    vfs.Arm({.kind = sqlite::FaultKind::kPowerCut, .at_call = point, .sticky = false});
    Workload workload(&vfs, dir.path());
    workload.Run();
    if (!vfs.struck()) return noticed;
    vfs.RestorePower(sqlite::Unsynced::kLost, 1);
    noticed += !workload.Check().empty();
  }
}

}  // namespace muster::fault

#endif  // MUSTER_TESTS_FAULT_POINTS_SWEEP_H_
