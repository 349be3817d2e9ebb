// A log store with a scanner over it, and beside it a model that keeps all lines in a vector. What the scanner answers
// is compared with what the model says.
#ifndef MUSTER_HUB_LOGS_TESTING_LOG_SCAN_FIXTURE_H_
#define MUSTER_HUB_LOGS_TESTING_LOG_SCAN_FIXTURE_H_

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "common/logs/kinds.h"
#include "common/secret.h"
#include "common/testing/fake_clock.h"
#include "hub/logs/log_merge.h"
#include "hub/logs/log_scanner.h"
#include "hub/logs/testing/log_store_fixture.h"

namespace muster::hub {

inline std::int64_t UsAt(double second) { return absl::ToUnixMicros(LogAt(second)); }

struct ModelLine {
  LogCursor place;
  std::string resource;
  std::string revision;
  LineKind kind;
  std::string text;
};

inline std::string Show(const ModelLine& line) {
  return fmt::format("{} {} {} {} {}", line.place.number, line.place.time_us, line.resource, line.revision, line.text);
}
inline std::string Show(const FoundEntry& entry) {
  if (const auto* gap = std::get_if<FoundGap>(&entry)) {
    return fmt::format("{} {}+{} lines={} records={} of '{}'", gap->reason, gap->from_us - UsAt(0),
                       gap->to_us - gap->from_us, gap->lines, gap->records, gap->resource);
  }
  const auto& line = std::get<FoundLine>(entry);
  return fmt::format("{} {} {} {} {}{}", line.place.number, line.place.time_us, line.resource, line.revision, line.text,
                     line.is_context ? " (context)" : "");
}
inline std::vector<std::string> Show(const std::vector<FoundEntry>& entries) {
  std::vector<std::string> shown;
  shown.reserve(entries.size());
  for (const FoundEntry& entry : entries) shown.push_back(Show(entry));
  return shown;
}
// Without gaps.
inline std::vector<std::string> ShowLines(const std::vector<FoundEntry>& entries) {
  std::vector<std::string> shown;
  for (const FoundEntry& entry : entries) {
    if (std::holds_alternative<FoundLine>(entry)) shown.push_back(Show(entry));
  }
  return shown;
}
inline std::vector<std::string> ShowGaps(const std::vector<FoundEntry>& entries) {
  std::vector<std::string> shown;
  for (const FoundEntry& entry : entries) {
    if (std::holds_alternative<FoundGap>(entry)) shown.push_back(Show(entry));
  }
  return shown;
}

class LogScanTest : public LogStoreTest {
 protected:
  LogScanTest() {
    // Later than any line.
    origin_.arrived = LogAt(1'000'000);
    selection_.target_id = "tgt_1";
    selection_.deployment_id = DerivedId("dep_", "tgt_1", "compose/shop");
  }

  // The writer waits for company; this is enough of it.
  template <typename T>
  T Hurry(std::future<T> answer) {
    while (answer.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
      std::promise<void> committed;
      logs_->store().writer().Submit([](sqlite::Database&) { return absl::OkStatus(); },
                                     [&](const absl::Status&) { committed.set_value(); }, LogStore::kCommitBytes);
      committed.get_future().wait();
    }
    return answer.get();
  }
  void Store(const std::vector<agent::v1::Record>& records) {
    const agent::v1::RecordBatch batch = LogBatch(next_sequence_, records);
    next_sequence_ += static_cast<std::int64_t>(records.size());
    const absl::Status stored = Hurry(std::async(std::launch::async, [&] { return TryApply(batch).stored; }));
    ASSERT_TRUE(stored.ok()) << stored;
  }
  // Of so many records, which are lost.
  void StoreGap(double from, double to, std::int64_t lines, std::int64_t records) {
    agent::v1::Record gap = LogGap(next_sequence_, next_sequence_ + records - 1, lines);
    *gap.mutable_gap()->mutable_from() = ToProto(LogAt(from));
    *gap.mutable_gap()->mutable_to() = ToProto(LogAt(to));
    Store({gap});
    next_sequence_ += records - 1;
  }
  // Lines of web-0, r0, so many seconds apart.
  static std::vector<ModelLine> Plain(double second, const std::vector<std::string>& texts, double step = 1) {
    std::vector<ModelLine> lines;
    for (const std::string& text : texts) {
      ModelLine& line = lines.emplace_back();
      line.place.time_us = UsAt(second);
      line.resource = "web-0";
      line.revision = "r0";
      line.text = text;
      second += step;
    }
    return lines;
  }
  // Also in the model.
  void StoreTexts(double second, const std::vector<std::string>& texts, double step = 1) {
    StoreLines({Plain(second, texts, step)});
  }
  // A marker of web-0, r0.
  void StoreMarker(double second, const std::string& text) {
    std::vector<ModelLine> marker = Plain(second, {text});
    marker.front().kind.is_marker = true;
    StoreLines({marker});
  }
  // Also in the model.
  void StoreLines(const std::vector<std::vector<ModelLine>>& records) {
    std::vector<agent::v1::Record> made;
    made.reserve(records.size());
    for (const std::vector<ModelLine>& lines : records) made.push_back(RecordOf(lines));
    Store(made);
  }
  agent::v1::Record RecordOf(const std::vector<ModelLine>& lines) {
    agent::v1::Record record;
    *record.mutable_observed_at() = ToProto(LogAt(1000));
    agent::v1::LogLines& made = *record.mutable_log_lines();
    made.set_deployment_key("compose/shop");
    made.set_resource(lines.front().resource);
    made.set_revision(lines.front().revision);
    *made.mutable_base_time() = ToProto(absl::FromUnixMicros(lines.front().place.time_us));
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (i > 0) made.add_time_delta_us(lines[i].place.time_us - lines[i - 1].place.time_us);
      made.mutable_kinds()->push_back(KindByte(lines[i].kind));
      made.mutable_text()->append(lines[i].text).append(1, '\n');
      ModelLine line = lines[i];
      line.place.number = next_number_++;
      model_.push_back(std::move(line));
    }
    return record;
  }

  // A record that never had order: late lines, equal times, all kinds, now and then a marker.
  std::vector<ModelLine> RandomLines(double about_second) {
    const auto pick = [this](std::uint64_t below) { return random_() % below; };
    std::vector<ModelLine> lines;
    std::int64_t time_us = UsAt(about_second) + static_cast<std::int64_t>(pick(60)) * 1'000'000;
    const std::string resource = fmt::format("web-{}", pick(3));
    const std::string revision = fmt::format("r{}", pick(2));
    for (std::size_t i = pick(30) + 1; i > 0; --i) {
      ModelLine& line = lines.emplace_back();
      time_us += static_cast<std::int64_t>(pick(4)) * 500'000 - (pick(10) == 0 ? 5'000'000 : 0);
      line.place.time_us = time_us;
      line.resource = resource;
      line.revision = revision;
      line.kind.stream = static_cast<LogStream>(1 + pick(2));
      line.kind.level = static_cast<LogLevel>(pick(kLogLevels));
      line.text = pick(8) == 0 ? "needle " + std::to_string(pick(100)) : "straw " + std::to_string(pick(1000));
      if (pick(40) != 0) continue;
      line.kind.is_marker = true;
      line.text = fmt::format("RATE {} {}", pick(9) + 1, time_us + 2'000'000);
    }
    return lines;
  }
  LogSelection RandomSelection(const LogFilter* needle) {
    const auto once_in = [this](std::uint64_t times) { return random_() % times == 0; };
    LogSelection selection = selection_;
    if (once_in(3)) selection.resources = {"web-1", "web-2", "none"};
    if (once_in(4)) selection.revision = "r1";
    if (once_in(4)) selection.stream = LogStream::kStderr;
    if (once_in(4)) selection.levels = {LogLevel::kError, LogLevel::kNone};
    if (once_in(3)) selection.from_us = UsAt(static_cast<double>(random_() % 150));
    if (once_in(3)) selection.to_us = UsAt(static_cast<double>(100 + random_() % 150));
    if (once_in(2)) selection.filter = needle;
    return selection;
  }

  static bool IsOf(const LogSelection& selection, const ModelLine& line) {
    const auto& names = selection.resources;
    return (names.empty() || std::count(names.begin(), names.end(), line.resource) > 0) &&
           (selection.revision.empty() || selection.revision == line.revision);
  }
  static bool IsHit(const LogSelection& selection, const ModelLine& line) {
    const auto& levels = selection.levels;
    return IsOf(selection, line) && !line.kind.is_marker && line.place.time_us >= selection.from_us &&
           line.place.time_us < selection.to_us && (!selection.stream || *selection.stream == line.kind.stream) &&
           (levels.empty() || std::count(levels.begin(), levels.end(), line.kind.level) > 0) &&
           (selection.filter == nullptr || line.text.find("needle") != std::string::npos);
  }
  // A marker that begins within the window; those that reach into it have tests of their own.
  static bool IsGap(const LogSelection& selection, const ModelLine& line) {
    return IsOf(selection, line) && line.kind.is_marker && line.place.time_us >= selection.from_us &&
           line.place.time_us < selection.to_us;
  }
  std::vector<ModelLine> InOrder(LogOrder order) const {
    std::vector<ModelLine> lines = model_;
    std::sort(lines.begin(), lines.end(), [order](const ModelLine& a, const ModelLine& b) {
      return order == LogOrder::kOldestFirst ? a.place < b.place : b.place < a.place;
    });
    return lines;
  }
  std::vector<std::string> Expected(const LogSelection& selection, LogOrder order) const {
    std::vector<std::string> expected;
    for (const ModelLine& line : InOrder(order)) {
      if (IsHit(selection, line)) expected.push_back(Show(line));
      if (IsGap(selection, line)) expected.push_back(ShowMarker(line));
    }
    return expected;
  }
  static std::string ShowMarker(const ModelLine& line) {
    return Show(FoundGap{.from_us = line.place.time_us,
                         .to_us = line.place.time_us + 2'000'000,
                         .lines = std::stoll(line.text.substr(5)),
                         .reason = "RATE",
                         .resource = line.resource});
  }

  // Without gaps that begin before the window. `between` runs after each page.
  template <typename Between>
  std::vector<FoundEntry> AllPages(const LogSelection& selection, LogPageRequest request, Between between) {
    std::vector<FoundEntry> entries;
    for (int pages = 0;; ++pages) {
      const absl::StatusOr<LogPage> page = scanner().ReadPage(selection, request);
      EXPECT_TRUE(page.ok()) << page.status();
      EXPECT_LT(pages, 10'000) << "the pages do not get on";
      if (!page.ok() || pages >= 10'000) return entries;
      for (const FoundEntry& entry : page->entries) {
        const auto* gap = std::get_if<FoundGap>(&entry);
        if (gap == nullptr || gap->from_us >= selection.from_us) entries.push_back(entry);
      }
      EXPECT_EQ(page->report.end == ScanEnd::kAll, !page->next.has_value());
      if (!page->next) return entries;
      request.after = page->next;
      between();
    }
  }
  std::vector<FoundEntry> AllPages(const LogSelection& selection, const LogPageRequest& request) {
    return AllPages(selection, request, [] {});
  }
  std::vector<FoundEntry> Page(const LogSelection& selection, const LogPageRequest& request = {}) {
    const absl::StatusOr<LogPage> page = scanner().ReadPage(selection, request);
    EXPECT_TRUE(page.ok()) << page.status();
    return page.ok() ? page->entries : std::vector<FoundEntry>();
  }

  // Some rows of a source become a chunk.
  void MergeRows(std::int64_t source, std::size_t limit = 1'000'000) {
    const std::vector<TailRow> rows = logs_->tail().RowsOf(source);
    if (rows.empty()) return;
    const std::span<const TailRow> part = std::span(rows).first(std::min(limit, rows.size()));
    Put([&](sqlite::Database& database) { return MergeTail(database, part, &codec_); });
  }
  void JoinSmall(std::int64_t source) {
    Put([&](sqlite::Database& database) { return MergeSmallChunks(database, source, &codec_); });
  }
  // As retention does it.
  void DeleteOldestChunk() {
    std::vector<std::int64_t> numbers;
    std::int64_t first = 0;
    const absl::Status deleted = Write([&](sqlite::Database& database) -> absl::Status {
      ASSIGN_OR_RETURN(auto s, database.Prepare("SELECT first_line, source, head, last_us FROM log_chunk_data"
                                                " ORDER BY first_line LIMIT 1"));
      ASSIGN_OR_RETURN(const bool found, s.Step());
      if (!found) return absl::OkStatus();
      first = s.Int64(0);
      const std::int64_t source = s.Int64(1);
      const std::int64_t last_us = s.Int64(3);
      ChunkReader reader(&codec_);
      RETURN_IF_ERROR(reader.ReadHead(s.Text(2), source));
      for (const LineRun& run : reader.lines().runs) {
        for (std::int64_t number = run.first_line; number < EndOf(run); ++number) numbers.push_back(number);
      }
      const auto lines = static_cast<std::int64_t>(numbers.size());
      RETURN_IF_ERROR(
          RunBound(database, "DELETE FROM log_chunks WHERE first_line=?", [&](auto& d) { d.Bind(1, first); }));
      RETURN_IF_ERROR(
          RunBound(database, "DELETE FROM log_chunk_data WHERE first_line=?", [&](auto& d) { d.Bind(1, first); }));
      return RunBound(database,
                      "UPDATE log_sources SET lines=lines-?2, pruned_lines=pruned_lines+?2,"
                      " pruned_to_us=max(coalesce(pruned_to_us, 0), ?3),"
                      " first_us=(SELECT min(first_us) FROM log_chunks WHERE source=?1) WHERE id=?1",
                      [&](auto& d) { d.Bind(1, source).Bind(2, lines).Bind(3, last_us); });
    });
    ASSERT_TRUE(deleted.ok()) << deleted;
    std::erase_if(model_, [&](const ModelLine& line) {
      return std::count(numbers.begin(), numbers.end(), line.place.number) > 0;
    });
  }
  // What the merger and retention may do at any time.
  void AnyUpkeep(bool may_delete) {
    const auto source = static_cast<std::int64_t>(random_() % 6) + 1;
    switch (random_() % (may_delete ? 4 : 3)) {
      case 0:
        return MergeRows(source, random_() % 4 + 1);
      case 1:
        return MergeRows(source);
      case 2:
        return JoinSmall(source);
      default:
        return DeleteOldestChunk();
    }
  }
  absl::Status Write(const std::function<absl::Status(sqlite::Database&)>& operation) {
    return Hurry(std::async(std::launch::async, [&] { return logs_->store().writer().Run(operation); }));
  }
  void Execute(sqlite::Sql sql) {
    const absl::Status done = Write([sql](sqlite::Database& database) { return database.Execute(sql); });
    ASSERT_TRUE(done.ok()) << done;
  }

  // The file as a later start of the hub finds it, after `change`.
  template <typename Change>
  void Reopen(Change change) {
    scanner_.reset();
    logs_.reset();
    change(path());
    Open();
  }

  LogScanner& scanner() {
    if (!scanner_) scanner_ = std::make_unique<LogScanner>(logs_.get(), &clock_);
    return *scanner_;
  }
  void Seed(std::uint32_t seed) { random_.seed(seed); }
  std::mt19937 random_;
  FakeClock clock_;
  LogSelection selection_;
  std::vector<ModelLine> model_;

 private:
  template <typename Make>
  void Put(Make make) {
    Merge merge;
    const absl::Status made = logs_->store().Read([&](sqlite::Database& database) -> absl::Status {
      ASSIGN_OR_RETURN(merge, make(database));
      return absl::OkStatus();
    });
    ASSERT_TRUE(made.ok()) << made;
    if (merge.tail_rows.empty() && merge.chunks.empty()) return;
    const absl::Status put = Hurry(std::async(std::launch::async, [&] { return logs_->Replace(merge); }));
    ASSERT_TRUE(put.ok()) << put;
  }

  ZstdCodec codec_;
  std::unique_ptr<LogScanner> scanner_;
  std::int64_t next_sequence_ = 1;
  std::int64_t next_number_ = 1;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_TESTING_LOG_SCAN_FIXTURE_H_
