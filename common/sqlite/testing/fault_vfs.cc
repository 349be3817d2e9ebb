#include "common/sqlite/testing/fault_vfs.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <new>
#include <utility>

namespace muster::sqlite {
namespace {

constexpr const char* kName = "muster-fault";
constexpr std::int64_t kSectorBytes = 512;
constexpr int kMaxPath = 1024;

std::optional<std::string> ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void WriteWhole(const std::string& path, const std::string& content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  if (!file.flush()) std::abort();
}

std::uint64_t Inode(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

// SQLite allocates this and, right behind it, the file of the layer below.
struct FaultVfs::File : sqlite3_file {
  FaultVfs* layer;
  std::string* path;
  // SQLite syncs the directory with the first sync of a journal or WAL that it made.
  bool directory_to_sync;
  // Shared-memory regions that are there already.
  int shm_regions;

  sqlite3_file* base() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

struct FaultVfs::Vfs {
  static FaultVfs* Layer(sqlite3_vfs* vfs) { return static_cast<FaultVfs*>(vfs->pAppData); }
  static File* Cast(sqlite3_file* file) { return static_cast<File*>(file); }
  static sqlite3_file* Base(sqlite3_file* file) { return Cast(file)->base(); }

  // ---- one file

  static int Close(sqlite3_file* file) {
    const int code = Base(file)->pMethods->xClose(Base(file));
    delete Cast(file)->path;
    return code;
  }

  static int Read(sqlite3_file* file, void* out, int size, sqlite3_int64 offset) {
    if (!Cast(file)->layer->powered()) return SQLITE_IOERR_READ;
    return Base(file)->pMethods->xRead(Base(file), out, size, offset);
  }

  static int Write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
    File* const self = Cast(file);
    const Verdict verdict = self->layer->NextCall();
    if (verdict == Verdict::kNoPower || verdict == Verdict::kIoError) return SQLITE_IOERR_WRITE;
    if (verdict == Verdict::kDiskFull) return SQLITE_FULL;
    const int written = verdict == Verdict::kShortWrite ? size / 2 : size;
    if (verdict != Verdict::kPowerCut) {
      const int code = self->base()->pMethods->xWrite(self->base(), data, written, offset);
      if (code != SQLITE_OK) return code;
    }
    self->layer->Note(*self->path,
                      {Change::Kind::kWrite, offset, std::string(static_cast<const char*>(data), written)});
    if (verdict == Verdict::kPowerCut) return SQLITE_IOERR_WRITE;
    return verdict == Verdict::kShortWrite ? SQLITE_FULL : SQLITE_OK;
  }

  static int Truncate(sqlite3_file* file, sqlite3_int64 size) {
    File* const self = Cast(file);
    const Verdict verdict = self->layer->NextCall();
    if (verdict == Verdict::kGoOn) {
      const int code = self->base()->pMethods->xTruncate(self->base(), size);
      if (code != SQLITE_OK) return code;
    }
    if (verdict == Verdict::kGoOn || verdict == Verdict::kPowerCut) {
      self->layer->Note(*self->path, {Change::Kind::kTruncate, size, ""});
    }
    return verdict == Verdict::kGoOn ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
  }

  // The real file is not synced: durability is a matter of this layer alone, and that makes thousands of runs quick.
  static int Sync(sqlite3_file* file, int /*flags*/) {
    File* const self = Cast(file);
    const Verdict verdict = self->layer->NextCall();
    if (verdict == Verdict::kNoPower || verdict == Verdict::kPowerCut) return SQLITE_IOERR_FSYNC;
    if (verdict != Verdict::kGoOn) {
      self->layer->SyncFailed(*self->path);
      return SQLITE_IOERR_FSYNC;
    }
    self->layer->Synced(*self->path, std::exchange(self->directory_to_sync, false));
    return SQLITE_OK;
  }

  static int FileSize(sqlite3_file* file, sqlite3_int64* size) {
    if (!Cast(file)->layer->powered()) return SQLITE_IOERR_FSTAT;
    return Base(file)->pMethods->xFileSize(Base(file), size);
  }

  static int Lock(sqlite3_file* file, int level) { return Base(file)->pMethods->xLock(Base(file), level); }
  static int Unlock(sqlite3_file* file, int level) { return Base(file)->pMethods->xUnlock(Base(file), level); }
  static int CheckReservedLock(sqlite3_file* file, int* out) {
    return Base(file)->pMethods->xCheckReservedLock(Base(file), out);
  }
  static int FileControl(sqlite3_file* file, int operation, void* argument) {
    return Base(file)->pMethods->xFileControl(Base(file), operation, argument);
  }
  static int SectorSize(sqlite3_file* file) { return Base(file)->pMethods->xSectorSize(Base(file)); }
  static int DeviceCharacteristics(sqlite3_file* file) {
    return Base(file)->pMethods->xDeviceCharacteristics(Base(file));
  }

  static int ShmMap(sqlite3_file* file, int region, int size, int extend, void volatile** out) {
    File* const self = Cast(file);
    if (extend != 0 && region >= self->shm_regions) {
      if (self->layer->NextCall() != Verdict::kGoOn) return SQLITE_IOERR_SHMSIZE;
      self->shm_regions = region + 1;
    }
    return self->base()->pMethods->xShmMap(self->base(), region, size, extend, out);
  }
  static int ShmLock(sqlite3_file* file, int offset, int n, int flags) {
    return Base(file)->pMethods->xShmLock(Base(file), offset, n, flags);
  }
  static void ShmBarrier(sqlite3_file* file) { Base(file)->pMethods->xShmBarrier(Base(file)); }
  static int ShmUnmap(sqlite3_file* file, int remove) {
    Cast(file)->shm_regions = 0;
    return Base(file)->pMethods->xShmUnmap(Base(file), remove);
  }

  // Version 2: no memory-mapped content, which would bypass this layer.
  static constexpr sqlite3_io_methods kMethods = {
      2,
      Close,
      Read,
      Write,
      Truncate,
      Sync,
      FileSize,
      Lock,
      Unlock,
      CheckReservedLock,
      FileControl,
      SectorSize,
      DeviceCharacteristics,
      ShmMap,
      ShmLock,
      ShmBarrier,
      ShmUnmap,
      nullptr,
      nullptr,
  };

  // ---- files by name

  static int Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    FaultVfs* const layer = Layer(vfs);
    file->pMethods = nullptr;
    // Temporary files are nobody's durable state.
    if (name == nullptr || !layer->Watches(name)) {
      return OpenUnwatched(layer, name, file, flags, out_flags);
    }
    if (!layer->powered()) return SQLITE_CANTOPEN;
    const std::string path = name;
    layer->Meet(path);
    const bool creates = (flags & SQLITE_OPEN_CREATE) != 0 && !std::filesystem::exists(path);
    const Verdict verdict = creates ? layer->NextCall() : Verdict::kGoOn;
    if (verdict == Verdict::kPowerCut) layer->Note(path, {Change::Kind::kCreate, 0, ""});
    if (verdict != Verdict::kGoOn) return SQLITE_CANTOPEN;
    File* const self = Begin(layer, file, path);
    self->directory_to_sync = creates && (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL)) != 0;
    const int code = layer->base_->xOpen(layer->base_, name, self->base(), flags, out_flags);
    if (code != SQLITE_OK) {
      delete self->path;
      return code;
    }
    if (creates) layer->Note(path, {Change::Kind::kCreate, 0, ""});
    file->pMethods = &kMethods;
    return SQLITE_OK;
  }

  static File* Begin(FaultVfs* layer, sqlite3_file* file, const std::string& path) {
    File* const self = new (static_cast<void*>(file)) File();
    self->layer = layer;
    self->path = new std::string(path);
    std::memset(static_cast<void*>(self->base()), 0, static_cast<std::size_t>(layer->base_->szOsFile));
    return self;
  }

  // The layer below fills in its own methods, so nothing of it comes here again.
  static int OpenUnwatched(FaultVfs* layer, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    return layer->base_->xOpen(layer->base_, name, file, flags, out_flags);
  }

  static int Delete(sqlite3_vfs* vfs, const char* name, int sync_directory) {
    FaultVfs* const layer = Layer(vfs);
    if (!layer->Watches(name)) return layer->base_->xDelete(layer->base_, name, sync_directory);
    if (!std::filesystem::exists(name)) return SQLITE_IOERR_DELETE_NOENT;
    layer->Meet(name);
    const Verdict verdict = layer->NextCall();
    if (verdict == Verdict::kPowerCut) layer->Note(name, {Change::Kind::kDelete, 0, ""});
    if (verdict != Verdict::kGoOn) return SQLITE_IOERR_DELETE;
    const int code = layer->base_->xDelete(layer->base_, name, 0);
    if (code != SQLITE_OK) return code;
    layer->Note(name, {Change::Kind::kDelete, 0, ""});
    if (sync_directory != 0) layer->Synced(name, true);
    return SQLITE_OK;
  }

  static int Access(sqlite3_vfs* vfs, const char* name, int flags, int* out) {
    return Layer(vfs)->base_->xAccess(Layer(vfs)->base_, name, flags, out);
  }
  static int FullPathname(sqlite3_vfs* vfs, const char* name, int size, char* out) {
    return Layer(vfs)->base_->xFullPathname(Layer(vfs)->base_, name, size, out);
  }
  static int Randomness(sqlite3_vfs* vfs, int size, char* out) {
    return Layer(vfs)->base_->xRandomness(Layer(vfs)->base_, size, out);
  }
  static int Sleep(sqlite3_vfs* vfs, int microseconds) {
    return Layer(vfs)->base_->xSleep(Layer(vfs)->base_, microseconds);
  }
  static int CurrentTime(sqlite3_vfs* vfs, double* out) {
    return Layer(vfs)->base_->xCurrentTime(Layer(vfs)->base_, out);
  }
  static int GetLastError(sqlite3_vfs* vfs, int size, char* out) {
    return Layer(vfs)->base_->xGetLastError(Layer(vfs)->base_, size, out);
  }
  static int CurrentTimeInt64(sqlite3_vfs* vfs, sqlite3_int64* out) {
    return Layer(vfs)->base_->xCurrentTimeInt64(Layer(vfs)->base_, out);
  }
};

FaultVfs::FaultVfs(const std::string& directory)
    : directory_(std::filesystem::canonical(directory).string() + "/"), base_(sqlite3_vfs_find(nullptr)), vfs_() {
  static_assert(sizeof(File) % alignof(std::max_align_t) == 0, "the file below must be aligned");
  vfs_.iVersion = 2;
  vfs_.szOsFile = static_cast<int>(sizeof(File)) + base_->szOsFile;
  vfs_.mxPathname = kMaxPath;
  vfs_.zName = kName;
  vfs_.pAppData = this;
  vfs_.xOpen = Vfs::Open;
  vfs_.xDelete = Vfs::Delete;
  vfs_.xAccess = Vfs::Access;
  vfs_.xFullPathname = Vfs::FullPathname;
  vfs_.xRandomness = Vfs::Randomness;
  vfs_.xSleep = Vfs::Sleep;
  vfs_.xCurrentTime = Vfs::CurrentTime;
  vfs_.xGetLastError = Vfs::GetLastError;
  vfs_.xCurrentTimeInt64 = Vfs::CurrentTimeInt64;
  if (std::strcmp(base_->zName, kName) == 0) std::abort();
  sqlite3_vfs_register(&vfs_, 1);
}

FaultVfs::~FaultVfs() {
  sqlite3_vfs_unregister(&vfs_);
  sqlite3_vfs_register(base_, 1);
}

void FaultVfs::Arm(Fault fault) {
  MutexLock lock(&mutex_);
  fault_ = fault;
  calls_ = 0;
  struck_ = false;
}

void FaultVfs::Disarm() {
  MutexLock lock(&mutex_);
  fault_.reset();
}

std::int64_t FaultVfs::calls() const {
  MutexLock lock(&mutex_);
  return calls_;
}

bool FaultVfs::struck() const {
  MutexLock lock(&mutex_);
  return struck_;
}

bool FaultVfs::powered() const {
  MutexLock lock(&mutex_);
  return powered_;
}

void FaultVfs::set_syncs_lie(bool lie) {
  MutexLock lock(&mutex_);
  syncs_lie_ = lie;
}

bool FaultVfs::Watches(const std::string& path) const { return path.compare(0, directory_.size(), directory_) == 0; }

FaultVfs::Verdict FaultVfs::NextCall() {
  MutexLock lock(&mutex_);
  if (!powered_) return Verdict::kNoPower;
  ++calls_;
  if (!fault_.has_value()) return Verdict::kGoOn;
  if (calls_ != fault_->at_call && !(fault_->sticky && calls_ > fault_->at_call)) return Verdict::kGoOn;
  struck_ = true;
  switch (fault_->kind) {
    case FaultKind::kIoError:
      return Verdict::kIoError;
    case FaultKind::kDiskFull:
      return Verdict::kDiskFull;
    case FaultKind::kShortWrite:
      return Verdict::kShortWrite;
    case FaultKind::kPowerCut:
      break;
  }
  CutPowerLocked();
  return Verdict::kPowerCut;
}

void FaultVfs::Meet(const std::string& path) {
  MutexLock lock(&mutex_);
  Reconcile();
  if (files_.count(path) == 0) files_[path] = FileState{ReadWhole(path), {}, Inode(path)};
}

void FaultVfs::Note(const std::string& path, Change change) {
  MutexLock lock(&mutex_);
  FileState& file = (powered_ ? files_ : cut_files_)[path];
  if (change.kind == Change::Kind::kCreate) file.inode = Inode(path);
  if (change.kind == Change::Kind::kDelete) file.inode = 0;
  file.unsynced.push_back(std::move(change));
}

void FaultVfs::Reconcile() {
  std::map<std::uint64_t, std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    names[Inode(entry.path().string())] = entry.path().string();
  }
  std::map<std::string, FileState> files;
  for (auto& [path, file] : files_) {
    if (file.inode == 0) files.emplace(path, std::move(file));
  }
  for (auto& [path, file] : files_) {
    if (file.inode == 0) continue;
    if (const auto name = names.find(file.inode); name != names.end()) files[name->second] = std::move(file);
  }
  files_ = std::move(files);
}

void FaultVfs::Synced(const std::string& path, bool directory) {
  MutexLock lock(&mutex_);
  if (syncs_lie_) return;
  FileState& file = files_[path];
  for (const Change& change : file.unsynced) Apply(change, &file.durable);
  file.unsynced.clear();
  if (directory) DirectorySynced();
}

void FaultVfs::DirectorySynced() {
  for (auto& [path, file] : files_) {
    const auto last = std::find_if(file.unsynced.rbegin(), file.unsynced.rend(),
                                   [](const Change& change) { return change.kind == Change::Kind::kDelete; });
    if (last == file.unsynced.rend()) continue;
    file.durable.reset();
    file.unsynced.erase(file.unsynced.begin(), last.base());
  }
}

void FaultVfs::SyncFailed(const std::string& path) {
  MutexLock lock(&mutex_);
  std::vector<Change>& unsynced = files_[path].unsynced;
  unsynced.erase(std::remove_if(unsynced.begin(), unsynced.end(),
                                [](const Change& change) { return change.kind == Change::Kind::kWrite; }),
                 unsynced.end());
}

void FaultVfs::CutPower() {
  MutexLock lock(&mutex_);
  if (powered_) CutPowerLocked();
}

void FaultVfs::CutPowerLocked() {
  powered_ = false;
  Reconcile();
  cut_files_ = files_;
  cut_names_.clear();
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    if (!EndsWith(entry.path().string(), "-shm")) cut_names_.insert(entry.path().string());
  }
}

void FaultVfs::RestorePower(Unsynced unsynced, std::uint64_t seed) {
  MutexLock lock(&mutex_);
  std::mt19937_64 random(seed);
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    const std::string path = entry.path().string();
    if (cut_names_.count(path) == 0 || cut_files_.count(path) != 0) std::filesystem::remove_all(path);
  }
  for (const auto& [path, file] : cut_files_) {
    if (const auto content = Survivor(file, unsynced, random)) WriteWhole(path, *content);
  }
  files_.clear();
  fault_.reset();
  powered_ = true;
}

void FaultVfs::Apply(const Change& change, std::optional<std::string>* content) {
  switch (change.kind) {
    case Change::Kind::kCreate:
      content->emplace();
      return;
    case Change::Kind::kDelete:
      content->reset();
      return;
    case Change::Kind::kTruncate:
      if (content->has_value()) (*content)->resize(static_cast<std::size_t>(change.at));
      return;
    case Change::Kind::kWrite:
      break;
  }
  if (!content->has_value()) return;
  const auto end = static_cast<std::size_t>(change.at) + change.data.size();
  if ((*content)->size() < end) (*content)->resize(end);
  (*content)->replace(static_cast<std::size_t>(change.at), change.data.size(), change.data);
}

std::optional<std::string> FaultVfs::Survivor(const FileState& file, Unsynced unsynced, std::mt19937_64& random) {
  std::optional<std::string> content = file.durable;
  if (unsynced == Unsynced::kLost) return content;
  // Differs from cut to cut, so that almost all and almost nothing happen, too.
  std::bernoulli_distribution arrives(std::uniform_real_distribution<double>(0, 1)(random));
  for (const Change& change : file.unsynced) {
    if (unsynced == Unsynced::kKept) {
      Apply(change, &content);
      continue;
    }
    if (change.kind != Change::Kind::kWrite) {
      const bool names_a_file = change.kind == Change::Kind::kCreate || change.kind == Change::Kind::kDelete;
      if (arrives(random)) {
        Apply(change, &content);
      } else if (names_a_file) {
        break;  // what follows was done to another file of that name
      }
      continue;
    }
    const auto size = static_cast<std::int64_t>(change.data.size());
    for (std::int64_t begin = 0; begin < size;) {
      const std::int64_t end = std::min(size, begin + kSectorBytes - (change.at + begin) % kSectorBytes);
      if (arrives(random)) {
        Apply({Change::Kind::kWrite, change.at + begin, change.data.substr(begin, end - begin)}, &content);
      }
      begin = end;
    }
  }
  return content;
}

}  // namespace muster::sqlite
