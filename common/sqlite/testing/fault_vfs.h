// An SQLite file layer that fails on purpose, over the default one. It counts every call that changes a file and can
// let the n-th fail, write less than it was told to, or cut the power: then nothing works any more until RestorePower,
// after which the files hold what was synced and, of the rest, what was asked for. For tests; thread-safe.
//
// What is assumed of the disk, as SQLite assumes it: a sync makes its file's content and its creation durable; a
// deletion is durable after a sync of the directory; what was not synced may be there or not, sector by sector of 512
// bytes and in any order; a write damages nothing beside it. After a sync that failed the data is gone although the
// next sync reports success, as on Linux. The shared memory beside a WAL does not outlive the power.
#ifndef MUSTER_COMMON_SQLITE_TESTING_FAULT_VFS_H_
#define MUSTER_COMMON_SQLITE_TESTING_FAULT_VFS_H_

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "common/mutex.h"

namespace muster::sqlite {

enum class FaultKind {
  kIoError,
  kDiskFull,
  // Half of what is to be written arrives, then the disk is full. A call that writes nothing fails as on a full disk.
  kShortWrite,
  kPowerCut,
};

struct Fault {
  FaultKind kind = FaultKind::kPowerCut;
  // Calls are numbered from 1.
  std::int64_t at_call = 1;
  // All later calls fail likewise until Disarm.
  bool sticky = false;
};

// What becomes of writes that no sync confirmed.
enum class Unsynced {
  kLost,
  // All of them arrived: what a kill -9 leaves.
  kKept,
  // Each sector by the throw of a coin.
  kSome,
};

// The default VFS of the process while it lives; one at a time. Every file in `directory` goes through it.
class FaultVfs {
 public:
  explicit FaultVfs(const std::string& directory);
  // All connections must be closed.
  ~FaultVfs();
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;

  // Counts anew from 1 and strikes at `fault`.
  void Arm(Fault fault) ABSL_LOCKS_EXCLUDED(mutex_);
  // Strikes no more; goes on counting.
  void Disarm() ABSL_LOCKS_EXCLUDED(mutex_);
  // Calls since Arm, or since the beginning.
  std::int64_t calls() const ABSL_LOCKS_EXCLUDED(mutex_);
  bool struck() const ABSL_LOCKS_EXCLUDED(mutex_);

  void CutPower() ABSL_LOCKS_EXCLUDED(mutex_);
  bool powered() const ABSL_LOCKS_EXCLUDED(mutex_);
  // After a cut, with all connections closed. May be called again for another outcome of the same cut: everything done
  // to the files meanwhile is undone.
  void RestorePower(Unsynced unsynced, std::uint64_t seed) ABSL_LOCKS_EXCLUDED(mutex_);

  // A disk that confirms syncs and does not do them. The negative control of every test that stands on this.
  void set_syncs_lie(bool lie) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Vfs;   // the functions SQLite calls
  struct File;  // one open file

  struct Change {
    enum class Kind { kCreate, kWrite, kTruncate, kDelete };
    Kind kind;
    std::int64_t at = 0;  // offset, or new size
    std::string data;
  };
  // One path. The changes come after what is durable.
  struct FileState {
    // Absent: there is no such file.
    std::optional<std::string> durable;
    std::vector<Change> unsynced;
    // Tells a file that was renamed by other means than SQLite's; 0 while there is none.
    std::uint64_t inode = 0;
  };

  // What happens to the call that asks.
  enum class Verdict { kGoOn, kIoError, kDiskFull, kShortWrite, kPowerCut, kNoPower };
  Verdict NextCall() ABSL_LOCKS_EXCLUDED(mutex_);
  bool Watches(const std::string& path) const;
  // Makes the path known with what it holds now.
  void Meet(const std::string& path) ABSL_LOCKS_EXCLUDED(mutex_);
  // After a cut: the change that the cut interrupted.
  void Note(const std::string& path, Change change) ABSL_LOCKS_EXCLUDED(mutex_);
  // Follows files that were renamed or removed by other means; that counts as durable.
  void Reconcile() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Synced(const std::string& path, bool directory) ABSL_LOCKS_EXCLUDED(mutex_);
  void SyncFailed(const std::string& path) ABSL_LOCKS_EXCLUDED(mutex_);
  void DirectorySynced() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CutPowerLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  static void Apply(const Change& change, std::optional<std::string>* content);
  static std::optional<std::string> Survivor(const FileState& file, Unsynced unsynced, std::mt19937_64& random);

  const std::string directory_;
  sqlite3_vfs* const base_;
  sqlite3_vfs vfs_;

  mutable Mutex mutex_;
  std::map<std::string, FileState> files_ ABSL_GUARDED_BY(mutex_);
  std::optional<Fault> fault_ ABSL_GUARDED_BY(mutex_);
  std::int64_t calls_ ABSL_GUARDED_BY(mutex_) = 0;
  bool struck_ ABSL_GUARDED_BY(mutex_) = false;
  bool powered_ ABSL_GUARDED_BY(mutex_) = true;
  bool syncs_lie_ ABSL_GUARDED_BY(mutex_) = false;
  // The disk at the moment of the last cut: files that went through here, and the names of all.
  std::map<std::string, FileState> cut_files_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> cut_names_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace muster::sqlite

#endif  // MUSTER_COMMON_SQLITE_TESTING_FAULT_VFS_H_
