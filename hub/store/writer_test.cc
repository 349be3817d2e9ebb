#include "hub/store/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <string>
#include <utility>
#include <vector>

#include "common/status.h"
#include "common/testing/temp_dir.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;

absl::Status Insert(sqlite::Database& database, std::int64_t x) {
  ASSIGN_OR_RETURN(sqlite::Statement statement, database.Prepare("INSERT INTO t(x) VALUES(?)"));
  return statement.Bind(1, x).Run();
}

Writer::Operation Inserting(std::int64_t x) {
  return [x](sqlite::Database& database) { return Insert(database, x); };
}

class WriterTest : public ::testing::Test {
 protected:
  WriterTest() {
    auto database = sqlite::Database::Open(path(), sqlite::OpenMode::kWriter);
    EXPECT_TRUE(database.ok()) << database.status();
    EXPECT_TRUE((*database)
                    ->Execute("CREATE TABLE t(x INTEGER PRIMARY KEY, filler BLOB) STRICT;"
                              "CREATE TABLE child(x INTEGER REFERENCES t(x) DEFERRABLE INITIALLY DEFERRED) STRICT")
                    .ok());
    // The observer is called on the writer thread; tests read after a Run or Stop, which orders it before.
    writer_ = std::make_unique<Writer>(*std::move(database),
                                       Writer::Observer{.committed =
                                                            [this](absl::Duration, std::size_t operations) {
                                                              MutexLock lock(&mutex_);
                                                              commits_.push_back(operations);
                                                            },
                                                        .failed =
                                                            [this] {
                                                              MutexLock lock(&mutex_);
                                                              ++failures_;
                                                            }});
  }

  // Keeps the writer thread inside a transaction until the gate opens, so that what is submitted meanwhile gathers.
  void CloseGate() {
    std::promise<void> entered;
    writer_->Submit(
        [this, &entered](sqlite::Database&) {
          entered.set_value();
          gate_.get_future().wait();
          return absl::OkStatus();
        },
        [](const absl::Status&) {});
    entered.get_future().wait();
  }
  void OpenGate() { gate_.set_value(); }

  std::string path() const { return dir_.path() + "/t.db"; }

  // As another process would see it.
  std::vector<std::int64_t> Rows() {
    auto reader = sqlite::Database::Open(path(), sqlite::OpenMode::kReader);
    EXPECT_TRUE(reader.ok()) << reader.status();
    auto statement = (*reader)->Prepare("SELECT x FROM t ORDER BY x");
    EXPECT_TRUE(statement.ok()) << statement.status();
    std::vector<std::int64_t> rows;
    while (statement->Step().value_or(false)) rows.push_back(statement->Int64(0));
    return rows;
  }
  std::vector<std::size_t> Commits() {
    MutexLock lock(&mutex_);
    return commits_;
  }
  int Failures() {
    MutexLock lock(&mutex_);
    return failures_;
  }

  // No page more than the file has now, as on a full disk.
  absl::Status FillDisk() {
    return writer_->Run([](sqlite::Database& database) { return database.Execute("PRAGMA max_page_count=1"); });
  }
  // Fails for as long as the disk is full.
  static absl::Status InsertMegabyte(sqlite::Database& database) {
    return database.Execute("INSERT INTO t(x, filler) VALUES(1000, zeroblob(1000000))");
  }

  TempDir dir_;
  std::promise<void> gate_;
  Mutex mutex_;
  std::vector<std::size_t> commits_ ABSL_GUARDED_BY(mutex_);
  int failures_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<Writer> writer_;
};

TEST_F(WriterTest, StoresBeforeItAnswers) {
  ASSERT_TRUE(writer_->Run(Inserting(1)).ok());
  EXPECT_THAT(Rows(), ElementsAre(1));
}

TEST_F(WriterTest, BetweenTransactionsItWaitsUnlessEnoughHasGathered) {
  writer_.reset();
  std::vector<std::size_t> commits;
  auto database = sqlite::Database::Open(path(), sqlite::OpenMode::kWriter);
  ASSERT_TRUE(database.ok());
  Writer writer(
      *std::move(database),
      {.committed = [&](absl::Duration, std::size_t operations) { commits.push_back(operations); }, .failed = nullptr},
      {.distance = absl::Hours(1), .enough_weight = 10});
  ASSERT_TRUE(writer.Run(Inserting(1)).ok()) << "the first one does not wait";
  for (int x = 2; x <= 4; ++x)
    writer.Submit(
        Inserting(x), [](const absl::Status&) {}, 3);
  std::promise<void> stored;
  writer.Submit(
      Inserting(5), [&](const absl::Status&) { stored.set_value(); }, 1);
  stored.get_future().wait();
  writer.Submit(
      Inserting(6), [](const absl::Status&) {}, 9);
  writer.Stop();
  EXPECT_THAT(commits, ElementsAre(1, 4, 1)) << "stopping does not wait either";
  EXPECT_THAT(Rows(), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(WriterTest, WhatHasNoWeightDoesNotWaitAndTakesTheOthersAlong) {
  writer_.reset();
  std::vector<std::size_t> commits;
  auto database = sqlite::Database::Open(path(), sqlite::OpenMode::kWriter);
  ASSERT_TRUE(database.ok());
  Writer writer(
      *std::move(database),
      {.committed = [&](absl::Duration, std::size_t operations) { commits.push_back(operations); }, .failed = nullptr},
      {.distance = absl::Hours(1), .enough_weight = 10});
  ASSERT_TRUE(writer.Run(Inserting(1)).ok());
  writer.Submit(
      Inserting(2), [](const absl::Status&) {}, 3);
  ASSERT_TRUE(writer.Run(Inserting(3)).ok());
  writer.Stop();
  EXPECT_THAT(commits, ElementsAre(1, 2));
}

TEST_F(WriterTest, CommitsWaitingOperationsTogether) {
  CloseGate();
  for (int x = 1; x <= 50; ++x) writer_->Submit(Inserting(x), [](const absl::Status&) {});
  EXPECT_EQ(writer_->queued(), 50U);
  OpenGate();
  writer_->Stop();
  EXPECT_THAT(Commits(), ElementsAre(1U, 50U));
  EXPECT_EQ(Rows().size(), 50U);
}

TEST_F(WriterTest, BoundsATransaction) {
  CloseGate();
  for (std::size_t x = 0; x < Writer::kMaxBatch + 1; ++x) {
    writer_->Submit(Inserting(static_cast<std::int64_t>(x)), [](const absl::Status&) {});
  }
  OpenGate();
  writer_->Stop();
  EXPECT_THAT(Commits(), ElementsAre(1U, Writer::kMaxBatch, 1U));
}

TEST_F(WriterTest, FailedOperationRollsBackItselfAlone) {
  CloseGate();
  std::vector<std::string> answers;
  const auto note = [&answers](const absl::Status& status) { answers.push_back(ReasonOf(status)); };
  writer_->Submit(Inserting(1), note);
  writer_->Submit(
      [](sqlite::Database& database) {
        EXPECT_TRUE(Insert(database, 2).ok());
        return MakeError(absl::StatusCode::kNotFound, "NOT_THERE", "changed its mind");
      },
      note);
  writer_->Submit(Inserting(1), note);
  writer_->Submit(Inserting(3), note);
  OpenGate();
  writer_->Stop();
  EXPECT_THAT(answers, ElementsAre("OK", "NOT_THERE", "CONSTRAINT", "OK"));
  EXPECT_THAT(Rows(), ElementsAre(1, 3));
  EXPECT_THAT(Commits(), ElementsAre(1U, 4U));
  EXPECT_EQ(Failures(), 0);
}

TEST_F(WriterTest, AnswersInTheOrderOfSubmission) {
  CloseGate();
  std::vector<int> order;
  for (int x = 0; x < 2500; ++x) {
    writer_->Submit(Inserting(x), [x, &order](const absl::Status&) { order.push_back(x); });
  }
  OpenGate();
  writer_->Stop();
  ASSERT_EQ(order.size(), 2500U);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST_F(WriterTest, StopFinishesWhatIsQueuedAndRefusesTheRest) {
  CloseGate();
  absl::Status queued = absl::UnknownError("never answered");
  writer_->Submit(Inserting(1), [&](const absl::Status& status) { queued = status; });
  OpenGate();
  writer_->Stop();
  writer_->Stop();
  EXPECT_TRUE(queued.ok()) << queued;
  EXPECT_EQ(ReasonOf(writer_->Run(Inserting(2))), "HUB_STOPPING");
  EXPECT_THAT(Rows(), ElementsAre(1));
}

TEST_F(WriterTest, RefusesWhatExceedsTheQueue) {
  CloseGate();
  std::size_t stored = 0;
  for (std::size_t i = 0; i < Writer::kMaxQueue; ++i) {
    writer_->Submit([](sqlite::Database&) { return absl::OkStatus(); },
                    [&stored](const absl::Status& status) { stored += status.ok() ? 1U : 0U; });
  }
  EXPECT_EQ(ReasonOf(writer_->Run(Inserting(1))), "WRITER_BUSY");
  OpenGate();
  writer_->Stop();
  EXPECT_EQ(stored, Writer::kMaxQueue);
}

TEST_F(WriterTest, FullDiskRefusesTheWholeTransactionAndTheNextIsTried) {
  ASSERT_TRUE(writer_->Run(Inserting(1)).ok());
  ASSERT_TRUE(FillDisk().ok());
  CloseGate();
  std::vector<std::string> answers;
  const auto note = [&answers](const absl::Status& status) { answers.push_back(ReasonOf(status)); };
  writer_->Submit(Inserting(2), note);
  writer_->Submit(&InsertMegabyte, note);
  writer_->Submit(Inserting(3), note);
  OpenGate();
  const absl::Status room_made =
      writer_->Run([](sqlite::Database& database) { return database.Execute("PRAGMA max_page_count=100000"); });
  // The last operation may have shared the refused transaction; only when it did not is the fault over.
  if (!room_made.ok()) {
    EXPECT_EQ(ReasonOf(writer_->Fault()), "DISK_FULL");
    ASSERT_TRUE(
        writer_->Run([](sqlite::Database& database) { return database.Execute("PRAGMA max_page_count=100000"); }).ok());
  }
  EXPECT_THAT(answers, ElementsAre("DISK_FULL", "DISK_FULL", "DISK_FULL"));
  EXPECT_EQ(Failures(), 1);
  EXPECT_THAT(Rows(), ElementsAre(1));
  EXPECT_TRUE(writer_->Fault().ok());
  ASSERT_TRUE(writer_->Run(&InsertMegabyte).ok());
  EXPECT_THAT(Rows(), ElementsAre(1, 1000));
}

TEST_F(WriterTest, SaysThatTheDiskIsFullUntilItIsNot) {
  ASSERT_TRUE(FillDisk().ok());
  EXPECT_EQ(ReasonOf(writer_->Run(&InsertMegabyte)), "DISK_FULL");
  EXPECT_EQ(ReasonOf(writer_->Fault()), "DISK_FULL");
  ASSERT_TRUE(writer_->Run(Inserting(1)).ok()) << "a small row still fits";
  EXPECT_TRUE(writer_->Fault().ok());
}

TEST_F(WriterTest, LostDataStopsItForGood) {
  ASSERT_TRUE(writer_->Run(Inserting(1)).ok());
  const absl::Status lost = writer_->Run([](sqlite::Database& database) {
    EXPECT_TRUE(Insert(database, 2).ok());
    return MakeError(absl::StatusCode::kDataLoss, "DISK_IO", "write: input/output error");
  });
  EXPECT_EQ(ReasonOf(lost), "DISK_IO");
  for (int attempt = 0; attempt < 3; ++attempt) EXPECT_EQ(ReasonOf(writer_->Run(Inserting(3))), "DISK_IO");
  EXPECT_EQ(ReasonOf(writer_->Fault()), "DISK_IO");
  EXPECT_EQ(Failures(), 1);
  EXPECT_THAT(Rows(), ElementsAre(1)) << "readers go on";
}

TEST_F(WriterTest, FailedCommitStopsItForGood) {
  CloseGate();
  std::vector<std::string> answers;
  const auto note = [&answers](const absl::Status& status) { answers.push_back(ReasonOf(status)); };
  writer_->Submit(Inserting(1), note);
  // A deferred constraint fails at COMMIT, after every operation went well.
  writer_->Submit([](sqlite::Database& database) { return database.Execute("INSERT INTO child VALUES(77)"); }, note);
  OpenGate();
  writer_->Stop();
  EXPECT_THAT(answers, ElementsAre("CONSTRAINT", "CONSTRAINT"));
  EXPECT_FALSE(writer_->Fault().ok());
  EXPECT_THAT(Rows(), ElementsAre());
}

TEST_F(WriterTest, DoneMaySubmit) {
  std::promise<absl::Status> second;
  writer_->Submit(Inserting(1), [&](const absl::Status&) {
    writer_->Submit(Inserting(2), [&](const absl::Status& status) { second.set_value(status); });
  });
  EXPECT_TRUE(second.get_future().get().ok());
  EXPECT_THAT(Rows(), ElementsAre(1, 2));
}

}  // namespace
}  // namespace muster::hub
