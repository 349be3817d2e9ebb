#include "agent/metrics/filesystem_probe.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/mutex.h"
#include "common/status.h"
#include "common/testing/temp_dir.h"

namespace muster::agent {
namespace {

constexpr absl::Duration kShort = absl::Milliseconds(200);
constexpr absl::Duration kLong = absl::Hours(1);

// Filesystems of which some hang. Outlives the probe: workers that stay behind still use it.
class Filesystems {
 public:
  void Hang(const std::string& path) {
    MutexLock lock(&mutex_);
    hanging_.insert(path);
  }
  void Free() {
    MutexLock lock(&mutex_);
    hanging_.clear();
    changed_.NotifyAll();
    while (inside_ > 0) changed_.Wait(&mutex_);
  }
  void WaitUntilAsked(const std::string& path) {
    MutexLock lock(&mutex_);
    while (asked_[path] == 0) changed_.Wait(&mutex_);
  }
  int asked(const std::string& path) {
    MutexLock lock(&mutex_);
    return asked_[path];
  }
  absl::StatusOr<FilesystemSize> Stat(const std::string& path) {
    MutexLock lock(&mutex_);
    ++inside_;
    ++asked_[path];
    changed_.NotifyAll();
    while (hanging_.contains(path)) changed_.Wait(&mutex_);
    --inside_;
    changed_.NotifyAll();
    if (path == "/gone") return absl::NotFoundError("gone");
    return FilesystemSize{.total_bytes = static_cast<std::int64_t>(path.size())};
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::set<std::string> hanging_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int> asked_ ABSL_GUARDED_BY(mutex_);
  int inside_ ABSL_GUARDED_BY(mutex_) = 0;
};

class FilesystemProbeTest : public testing::Test {
 protected:
  ~FilesystemProbeTest() override { filesystems_->Free(); }
  std::unique_ptr<FilesystemProbe> Probe(absl::Duration patience) {
    return std::make_unique<FilesystemProbe>([f = filesystems_](const std::string& path) { return f->Stat(path); },
                                             patience);
  }
  const std::shared_ptr<Filesystems> filesystems_ = std::make_shared<Filesystems>();
};

TEST_F(FilesystemProbeTest, AsksEachOnce) {
  const auto probe = Probe(kLong);
  EXPECT_TRUE(probe->Look({}).empty());
  for (int i = 0; i < 3; ++i) {
    const auto sizes = probe->Look({"/", "/boot", "/gone"});
    ASSERT_EQ(sizes.size(), 3U);
    EXPECT_EQ(sizes.at("/boot")->total_bytes, 5);
    EXPECT_TRUE(absl::IsNotFound(sizes.at("/gone").status()));
  }
  EXPECT_EQ(filesystems_->asked("/"), 3);
}

TEST_F(FilesystemProbeTest, AStuckOneIsToldAndLeftAloneUntilItAnswers) {
  const auto probe = Probe(kShort);
  filesystems_->Hang("/nfs");
  for (int i = 0; i < 3; ++i) {
    const auto sizes = probe->Look({"/nfs", "/", "/boot"});
    EXPECT_TRUE(absl::IsDeadlineExceeded(sizes.at("/nfs").status()));
    EXPECT_TRUE(sizes.at("/").ok());
    EXPECT_TRUE(sizes.at("/boot").ok());
  }
  EXPECT_EQ(filesystems_->asked("/nfs"), 1);
  filesystems_->Free();
  while (!probe->Look({"/nfs"}).at("/nfs").ok()) std::this_thread::yield();
}

TEST_F(FilesystemProbeTest, BeyondEightStuckOnesTheRestIsToldAsStuck) {
  const auto probe = Probe(kShort);
  std::vector<std::string> paths;
  for (int i = 0; i < 12; ++i) {
    paths.push_back("/nfs/" + std::to_string(100 + i));
    filesystems_->Hang(paths.back());
  }
  paths.emplace_back("/zzz");
  const auto sizes = probe->Look(paths);
  EXPECT_TRUE(absl::IsDeadlineExceeded(sizes.at("/zzz").status()));
  const auto again = probe->Look({"/zzz"});
  EXPECT_TRUE(absl::IsDeadlineExceeded(again.at("/zzz").status())) << "nobody is left to ask";
  int asked = 0;
  for (const std::string& path : paths) asked += filesystems_->asked(path);
  EXPECT_LE(asked, static_cast<int>(kMaxStatfsWorkers));
  filesystems_->Free();
  while (!probe->Look({"/zzz"}).at("/zzz").ok()) std::this_thread::yield();
}

TEST_F(FilesystemProbeTest, CancelEndsALookAndTheProbeGoesWhileAWorkerHangs) {
  auto probe = Probe(kLong);
  filesystems_->Hang("/nfs");
  std::thread canceller([&] {
    filesystems_->WaitUntilAsked("/nfs");
    probe->Cancel();
  });
  EXPECT_FALSE(probe->Look({"/nfs"}).at("/nfs").ok());
  canceller.join();
  EXPECT_FALSE(probe->Look({"/"}).at("/").ok()) << "final";
  probe.reset();
}

TEST(StatFilesystem, TellsTheSizesOfARealOne) {
  const TempDir dir;
  const auto size = StatFilesystem(dir.path());
  ASSERT_TRUE(size.ok()) << MessageOf(size.status());
  EXPECT_GT(size->total_bytes, 0);
  EXPECT_LE(size->used_bytes, size->total_bytes);
  EXPECT_TRUE(absl::IsNotFound(StatFilesystem(dir.path() + "/none").status()));
  EXPECT_FALSE(StatFilesystem("/" + std::string(10'000, 'x')).ok()) << "no path";
}

}  // namespace
}  // namespace muster::agent
