#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "hub/logs/testing/log_scan_fixture.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class LogDamageTest : public LogScanTest {
 protected:
  // Four units of three lines: two chunks, two rows.
  void StoreUnits() {
    for (int i = 0; i < 4; ++i) {
      const std::string name(1, static_cast<char>('A' + i));
      StoreTexts(i * 10, {name + "-first", name + "-middle", name + "-last"});
      if (i < 2) MergeRows(1);
    }
  }
  std::vector<std::string> Brief(const std::vector<FoundEntry>& entries) {
    std::vector<std::string> brief;
    for (const FoundEntry& entry : entries) {
      const auto* gap = std::get_if<FoundGap>(&entry);
      brief.push_back(gap == nullptr ? std::get<FoundLine>(entry).text
                                     : fmt::format("{} {}..{} {}", gap->reason, (gap->from_us - UsAt(0)) / 1'000'000,
                                                   (gap->to_us - UsAt(0)) / 1'000'000, gap->lines));
    }
    return brief;
  }
  // Whatever the order and the pages.
  void ExpectAnswers(const std::vector<std::string>& expected) {
    for (const std::size_t lines : {1, 2, 5, 100}) {
      EXPECT_EQ(Brief(AllPages(selection_, {.lines = lines})), expected) << "pages of " << lines;
      EXPECT_EQ(Brief(AllPages(selection_, {.order = LogOrder::kNewestFirst, .lines = lines})),
                std::vector<std::string>(expected.rbegin(), expected.rend()))
          << "pages of " << lines;
    }
  }
};

TEST_F(LogDamageTest, AUnitWhoseBytesAreWrongIsAGapAndTheRestIsServed) {
  const struct {
    const char* name;
    sqlite::Sql damage;
  } cases[] = {
      {"text of a chunk", "UPDATE log_chunk_data SET text=zeroblob(length(text)) WHERE first_line=4"},
      {"head of a chunk", "UPDATE log_chunk_data SET head=zeroblob(length(head)) WHERE first_line=4"},
      {"an empty head", "UPDATE log_chunk_data SET head=x'' WHERE first_line=4"},
      {"a chunk that is gone", "DELETE FROM log_chunk_data WHERE first_line=4"},
      {"another's head",
       "UPDATE log_chunk_data SET head=(SELECT head FROM log_chunk_data WHERE first_line=1)"
       " WHERE first_line=4"},
  };
  StoreUnits();
  const std::vector<std::string> whole = {"A-first", "A-middle", "A-last", "B-first", "B-middle", "B-last",
                                          "C-first", "C-middle", "C-last", "D-first", "D-middle", "D-last"};
  const std::vector<std::string> without_b = {"A-first",  "A-middle", "A-last", "CHUNK_DAMAGED 10..12 3",
                                              "C-first",  "C-middle", "C-last", "D-first",
                                              "D-middle", "D-last"};
  Execute("CREATE TABLE kept AS SELECT * FROM log_chunk_data");
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    Execute(c.damage);
    ExpectAnswers(without_b);
    // It stays marked: nobody reads it again.
    Execute("DELETE FROM log_chunk_data; INSERT INTO log_chunk_data SELECT * FROM kept");
    ExpectAnswers(without_b);
    Execute("UPDATE log_chunks SET damaged=0");
    ExpectAnswers(whole);
    Reopen([](const std::string&) {});
  }
  Execute("UPDATE log_tail SET text=zeroblob(length(text)) WHERE first_line=7");
  const std::vector<std::string> without_c = {
      "A-first", "A-middle", "A-last", "B-first", "B-middle", "B-last", "CHUNK_DAMAGED 20..22 3",
      "D-first", "D-middle", "D-last"};
  ExpectAnswers(without_c);
  // The merger takes it over as it is.
  MergeRows(1);
  MergeRows(1);
  ExpectAnswers(without_c);
  Execute("UPDATE log_chunks SET damaged=1 WHERE first_line=10");
  ExpectAnswers({"A-first", "A-middle", "A-last", "B-first", "B-middle", "B-last", "CHUNK_DAMAGED 20..22 3",
                 "CHUNK_DAMAGED 30..32 3"});
}

TEST_F(LogDamageTest, EveryBitThatIsFlippedIsFound) {
  StoreUnits();
  for (std::uint64_t step = 0; step < 40; ++step) {
    std::string bytes;
    const bool is_head = step % 2 == 0;
    const absl::Status flipped = Write([&](sqlite::Database& database) -> absl::Status {
      {
        ASSIGN_OR_RETURN(auto s, database.Prepare("SELECT head, text FROM log_chunk_data WHERE first_line=4"));
        RETURN_IF_ERROR(s.Step().status());
        bytes = s.Text(is_head ? 0 : 1);
      }
      std::string wrong = bytes;
      const std::uint64_t bit = random_() % (bytes.size() * 8);
      wrong[bit / 8] = static_cast<char>(wrong[bit / 8] ^ (1 << bit % 8));
      constexpr sqlite::Sql kHead = "UPDATE log_chunk_data SET head=? WHERE first_line=4";
      constexpr sqlite::Sql kText = "UPDATE log_chunk_data SET text=? WHERE first_line=4";
      return RunBound(database, is_head ? kHead : kText, [&](auto& s) { s.BindBlob(1, wrong.data(), wrong.size()); });
    });
    ASSERT_TRUE(flipped.ok()) << flipped;
    const auto page = scanner().ReadPage(selection_, {});
    // A version of the future is told apart; nothing is guessed of it either.
    if (page.ok()) {
      ASSERT_THAT(page->entries, SizeIs(10));
      ASSERT_THAT(Brief({page->entries[3]}), ElementsAre("CHUNK_DAMAGED 10..12 3"));
    } else {
      ASSERT_EQ(ReasonOf(page.status()), "TOO_NEW");
    }
    const absl::Status back = Write([&](sqlite::Database& database) {
      constexpr sqlite::Sql kHead = "UPDATE log_chunk_data SET head=? WHERE first_line=4";
      constexpr sqlite::Sql kText = "UPDATE log_chunk_data SET text=? WHERE first_line=4";
      return RunBound(database, is_head ? kHead : kText, [&](auto& s) { s.BindBlob(1, bytes.data(), bytes.size()); });
    });
    ASSERT_TRUE(back.ok()) << back;
    Execute("UPDATE log_chunks SET damaged=0");
    // Another hub, which has not marked it yet.
    Reopen([](const std::string&) {});
  }
  EXPECT_THAT(Page(selection_), SizeIs(12));
}

// Overwrites the page of the file in which `text` stands.
void SpoilPageOf(const std::string& path, const std::string& text) {
  constexpr std::size_t kPage = 4096;
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const std::size_t at = bytes.find(text);
  ASSERT_NE(at, std::string::npos);
  file.clear();
  file.seekp(static_cast<std::streamoff>(at / kPage * kPage));
  file << std::string(kPage, '\xFF');
}

TEST_F(LogDamageTest, APageOfTheFileThatCannotBeReadIsAGapAndTheRestIsServed) {
  StoreUnits();
  Reopen([](const std::string& file) { SpoilPageOf(file, "B-middle"); });
  // Both chunks lie in this page.
  ExpectAnswers({"CHUNK_DAMAGED 0..2 3", "CHUNK_DAMAGED 10..12 3", "C-first", "C-middle", "C-last", "D-first",
                 "D-middle", "D-last"});
}

TEST_F(LogDamageTest, APageOfTheTailThatCannotBeReadIsAGapAndTheRestIsServed) {
  StoreUnits();
  Reopen([](const std::string&) {});
  // While the connection that has seen the page is busy.
  const absl::Status read = logs_->store().Read([&](sqlite::Database&) {
    SpoilPageOf(path(), "C-middle");
    ExpectAnswers({"A-first", "A-middle", "A-last", "B-first", "B-middle", "B-last", "CHUNK_DAMAGED 20..22 3",
                   "CHUNK_DAMAGED 30..32 3"});
    return absl::OkStatus();
  });
  EXPECT_TRUE(read.ok());
}

TEST_F(LogDamageTest, VolumeAndResourcesGoOnAndContextHasNothingOfIt) {
  StoreUnits();
  selection_.from_us = UsAt(0);
  selection_.to_us = UsAt(40);
  const auto before = scanner().ReadVolume(selection_, 40, {});
  Execute("UPDATE log_chunk_data SET text=zeroblob(length(text)) WHERE first_line=4");
  EXPECT_EQ(scanner().ReadVolume(selection_, 40, {})->parts, before->parts) << "the head tells times and levels";
  Execute("UPDATE log_chunk_data SET head=zeroblob(length(head)) WHERE first_line=4");
  const auto after = scanner().ReadVolume(selection_, 40, {});
  EXPECT_EQ(after->parts[9], before->parts[9]);
  EXPECT_EQ(after->parts[11], (std::array<std::int64_t, kLogLevels>{}));
  EXPECT_EQ(after->parts[20], before->parts[20]);
  EXPECT_THAT(*scanner().ListResources(selection_.target_id, selection_.deployment_id), SizeIs(1));
  const LogFilter filter = *LogFilter::ForText("A-last");
  selection_.filter = &filter;
  EXPECT_THAT(Brief(Page(selection_, {.context_lines = 1})),
              ElementsAre("A-middle", "A-last", "CHUNK_DAMAGED 10..12 3", "C-first"));
}

TEST_F(LogDamageTest, WhoFollowsTheLogIsToldOnce) {
  StoreUnits();
  Execute("UPDATE log_chunk_data SET text=zeroblob(length(text)) WHERE first_line=4");
  Execute("UPDATE log_tail SET head=zeroblob(length(head)) WHERE first_line=7");
  for (const std::size_t lines : {1, 2, 4, 100}) {
    std::vector<FoundEntry> all;
    for (std::int64_t after = 0; after < 12;) {
      const auto follow = scanner().ReadBehind(selection_, after, 12, lines);
      ASSERT_TRUE(follow.ok()) << follow.status();
      ASSERT_GT(follow->reached, after);
      after = follow->reached;
      all.insert(all.end(), follow->entries.begin(), follow->entries.end());
    }
    EXPECT_THAT(Brief(all), ElementsAre("A-first", "A-middle", "A-last", "CHUNK_DAMAGED 10..12 3",
                                        "CHUNK_DAMAGED 20..22 3", "D-first", "D-middle", "D-last"));
  }
}

}  // namespace
}  // namespace muster::hub
