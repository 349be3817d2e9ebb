// How long questions about stored lines take: the first page of a million lines of 24 hours, whole scans beside
// decompressing and RE2 alone on the same chunks, and a needle that occurs once. Figures beside their limits; ends with
// 1 when one is missed. The limits are for the thread's CPU time, which other work on the machine does not change.
//
//   build/release/bin/hub_logs_scan_bench [--needle-mib=1024]
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "common/clock.h"
#include "common/status.h"
#include "common/testing/figures.h"
#include "common/testing/must.h"
#include "common/testing/temp_dir.h"
#include "hub/logs/chunk_writer.h"
#include "hub/logs/log_filter.h"
#include "hub/logs/log_scanner.h"
#include "hub/logs/log_store.h"
#include "hub/logs/testing/made_up_lines.h"

namespace muster::hub {
namespace {

constexpr std::int64_t kDayUs = std::int64_t{24} * 3600 * 1'000'000;
constexpr std::int64_t kResources = 4;
constexpr std::size_t kDayLines = 1'000'000;
// As an agent sends them: frames that merging keeps.
constexpr std::size_t kRecordBytes = 48 * 1024;
constexpr std::size_t kChunkBytes = 512 * 1024;
constexpr int kRounds = 5;
constexpr std::string_view kNeedle = "needle-9c41f7";
constexpr std::string_view kRare = "rare-3be0";
constexpr std::size_t kRareDistance = 100'000;
// Among the oldest: newest first, nearly everything is read before it.
constexpr std::size_t kNeedleLine = 1234;

constexpr double kFirstPageMs = 300;
constexpr double kScanRatio = 0.6;
constexpr double kNeedleSeconds = 1.5;

// Of one resource: the chunk that is being made, and the time it has got to.
struct Resource {
  std::int64_t source = 0;
  std::int64_t time_us = kTestTimeUs;
  std::optional<ChunkWriter> writer = std::nullopt;
  Merge merge = {};
};

// Fills a store with what the merger leaves of the lines of a deployment, whose resources write in turn.
class Filling {
 public:
  // So many lines take 24 hours.
  Filling(LogStore* store, std::size_t lines_a_day)
      : store_(*store), step_us_(kDayUs * kResources / static_cast<std::int64_t>(lines_a_day)) {
    for (std::int64_t source = 1; source <= kResources; ++source) resources_.push_back({.source = source});
    while (lines_.size() < kDifferentLines) lines_.push_back(made_up_.Line() + " " + made_up_.Line());
  }

  std::size_t lines() const { return static_cast<std::size_t>(number_ - 1); }
  std::size_t bytes() const { return bytes_; }

  // A record of each resource.
  void AddRecords() {
    for (Resource& resource : resources_) AddRecord(&resource);
  }
  // Everything is stored.
  void Finish() {
    for (Resource& resource : resources_) {
      if (resource.writer) CloseChunk(&resource);
    }
    Flush();
    Check(store_.store().writer().Run([this](sqlite::Database& database) -> absl::Status {
      for (const Resource& resource : resources_) {
        RETURN_IF_ERROR(
            RunBound(database,
                     "INSERT INTO log_sources(id, target_id, deployment_id, resource, revision, first_line,"
                     " first_us, last_us, last_line, lines, bytes) SELECT ?1, 'tgt_1', 'dep_1', ?2, 'r1',"
                     " min(first_line), min(first_us), max(last_us), max(last_line), sum(lines),"
                     " sum(raw_bytes) FROM log_chunks WHERE source=?1",
                     [&](sqlite::Statement& s) {
                       s.Bind(1, resource.source).Bind(2, names_[static_cast<std::size_t>(resource.source)]);
                     }));
      }
      return database.Execute("UPDATE log_meta SET next_line=(SELECT max(last_line)+1 FROM log_chunks)");
    }));
  }

 private:
  void AddRecord(Resource* resource) {
    OwnedBlock block{.first_line = number_, .shift_us = 0, .kinds = "", .times_us = {}, .text = ""};
    while (block.text.size() < kRecordBytes) {
      const auto level = static_cast<LogLevel>(made_up_.Number(kLogLevels));
      block.Append({.level = level}, resource->time_us += step_us_, NextLine());
    }
    Merge& merge = resource->merge;
    if (!resource->writer) {
      resource->writer.emplace(resource->source, &codec_);
      merge = Merge();
      merge.source = resource->source;
      merge.first_line = block.first_line;
      merge.first_us = block.times_us.front();
      merge.levels.resize(kLogLevels);
    }
    Check(resource->writer->Add(block.View()));
    for (const char kind : block.kinds) ++merge.levels[static_cast<std::size_t>(KindOf(kind)->level)];
    merge.last_line = number_ - 1;
    merge.last_us = merge.arrived_us = block.times_us.back();
    bytes_ += block.text.size();
    if (resource->writer->text_bytes() >= kChunkBytes) CloseChunk(resource);
  }
  std::string NextLine() {
    const auto number = static_cast<std::size_t>(number_++);
    if (number == kNeedleLine) return fmt::format("here is {} at last", kNeedle);
    if (number % kRareDistance == 0) return fmt::format("here is {} again", kRare);
    // To make each anew would take longer than all that is measured.
    return lines_[made_up_.Number(lines_.size())];
  }
  void CloseChunk(Resource* resource) {
    Merge& merge = resource->merge;
    merge.lines = static_cast<std::int64_t>(resource->writer->lines());
    merge.bytes = static_cast<std::int64_t>(resource->writer->text_bytes());
    merge.chunk = resource->writer->Finish();
    resource->writer.reset();
    merges_.push_back(std::move(merge));
    if (merges_.size() == kMergesAtOnce) Flush();
  }
  void Flush() {
    Check(store_.store().writer().Run([this](sqlite::Database& database) -> absl::Status {
      for (const Merge& merge : merges_) RETURN_IF_ERROR(StoreMerge(database, merge));
      return absl::OkStatus();
    }));
    merges_.clear();
  }

  static constexpr std::size_t kMergesAtOnce = 64;
  // A chunk has some 3000.
  static constexpr std::size_t kDifferentLines = 100'000;

  LogStore& store_;
  const std::int64_t step_us_;
  const std::vector<std::string> names_ = {"", "web-1", "web-2", "worker-1", "db-1"};
  MadeUpLines made_up_{1};
  std::vector<std::string> lines_;
  ZstdCodec codec_;
  std::vector<Resource> resources_;
  std::vector<Merge> merges_;
  std::int64_t number_ = 1;
  std::size_t bytes_ = 0;
};

LogSelection Selection(const LogFilter* filter) {
  LogSelection selection;
  selection.target_id = "tgt_1";
  selection.deployment_id = "dep_1";
  selection.filter = filter;
  return selection;
}

constexpr ScanLimits kNoLimits = {.max_bytes = std::numeric_limits<std::int64_t>::max(), .max_time = absl::Hours(1)};

struct Seconds {
  double wall = std::numeric_limits<double>::max();
  // Of this thread: what else the machine does is not in it.
  double cpu = std::numeric_limits<double>::max();
};

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}
// The quickest so far: other work on the machine only ever adds.
void Measure(absl::FunctionRef<void()> run, Seconds* least) {
  const Instant began = Clock::System()->Monotonic();
  const double cpu_began = CpuSeconds();
  run();
  least->cpu = std::min(least->cpu, CpuSeconds() - cpu_began);
  least->wall = std::min(least->wall, absl::ToDoubleSeconds(Clock::System()->Monotonic() - began));
}
Seconds LeastSeconds(absl::FunctionRef<void()> run) {
  Seconds least;
  for (int round = 0; round < kRounds; ++round) Measure(run, &least);
  return least;
}

struct RawChunk {
  std::string text;
  std::size_t bytes = 0;
};

std::vector<RawChunk> RawChunks(LogStore* store) {
  std::vector<RawChunk> chunks;
  Check(store->store().Read([&](sqlite::Database& database) -> absl::Status {
    ASSIGN_OR_RETURN(auto s, database.Prepare("SELECT d.text, c.raw_bytes FROM log_chunk_data AS d JOIN log_chunks AS c"
                                              " USING(source, last_us, first_line) ORDER BY last_us"));
    while (true) {
      ASSIGN_OR_RETURN(const bool row, s.Step());
      if (!row) return absl::OkStatus();
      chunks.push_back({.text = s.Text(0), .bytes = static_cast<std::size_t>(s.Int64(1))});
    }
  }));
  return chunks;
}

void MeasureDay(Figures* figures) {
  const TempDir dir;
  const auto store = Must(LogStore::Open(dir.path() + "/logs.db"));
  Filling filling(store.get(), kDayLines);
  while (filling.lines() < kDayLines) filling.AddRecords();
  filling.Finish();
  LogScanner scanner(store.get(), Clock::System());
  const double megabytes = static_cast<double>(filling.bytes()) / 1e6;
  fmt::print("{} lines of 24 hours, {:.0f} MB of text\n", filling.lines(), megabytes);

  const struct {
    const char* name;
    std::string expression;
  } pages[] = {{"rare", std::string(kRare)},
               {"rare, any case", "(?i)RARE-3be0"},
               {"frequent", "level=warn"},
               {"every line", "."},
               {"absent", "connection refused by peer"}};
  for (const auto& c : pages) {
    const LogFilter filter = Must(LogFilter::ForExpression(c.expression));
    for (const LogOrder order : {LogOrder::kNewestFirst, LogOrder::kOldestFirst}) {
      std::size_t found = 0;
      const Seconds seconds = LeastSeconds([&] {
        found = Must(scanner.ReadPage(Selection(&filter), {.order = order, .limits = kNoLimits})).entries.size();
      });
      const char* way = order == LogOrder::kNewestFirst ? "newest first" : "oldest first";
      fmt::print("     {} lines in {:.0f} ms\n", found, seconds.wall * 1e3);
      figures->Tell({.name = fmt::format("first page, {}, {}: CPU", c.name, way),
                     .value = seconds.cpu * 1e3,
                     .unit = "ms",
                     .must = AtMost(kFirstPageMs)});
    }
  }

  const std::vector<RawChunk> chunks = RawChunks(store.get());
  for (const char* expression : {"connection refused by peer", "user_id=9999[0-9] ", "(?i)error.*closed",
                                 "(?i)timeout|refused|denied", "[a-z]+-[0-9]+ finished x"}) {
    const LogFilter filter = Must(LogFilter::ForExpression(expression));
    ZstdCodec codec;
    std::string buffer(kMaxChunkTextBytes, '\0');
    std::size_t hits = 0;
    Seconds alone;
    Seconds scan;
    // In turn, so that both meet the same machine.
    for (int round = 0; round < kRounds; ++round) {
      const auto decompress_and_match = [&] {
        for (const RawChunk& chunk : chunks) {
          Check(codec.Decompress(chunk.text, std::span(buffer).first(chunk.bytes)));
          filter.VisitMatches(std::string_view(buffer).substr(0, chunk.bytes),
                              [&](std::size_t, std::string_view) { return ++hits > 0; });
        }
      };
      Measure(decompress_and_match, &alone);
      const auto read_page = [&] {
        Must(scanner.ReadPage(Selection(&filter), {.lines = kDayLines, .limits = kNoLimits}));
      };
      Measure(read_page, &scan);
    }
    fmt::print("     {} lines found\n", hits / kRounds);
    figures->Tell({.name = fmt::format("whole scan, {}", expression),
                   .value = megabytes / scan.cpu,
                   .unit = "MB/CPU s",
                   .beside = Beside{.what = "zstd and RE2 alone", .value = megabytes / alone.cpu},
                   .ratio_must = AtLeast(kScanRatio)});
  }
}

void MeasureNeedle(std::size_t mebibytes, Figures* figures) {
  const TempDir dir;
  const auto store = Must(LogStore::Open(dir.path() + "/logs.db"));
  const std::size_t bytes = mebibytes * 1024 * 1024;
  Filling filling(store.get(), std::max<std::size_t>(bytes / 150, kDayLines / 10));
  while (filling.bytes() < bytes) filling.AddRecords();
  filling.Finish();
  LogScanner scanner(store.get(), Clock::System());
  fmt::print("{} lines, {} MiB of text\n", filling.lines(), filling.bytes() / 1024 / 1024);
  const LogFilter filter = Must(LogFilter::ForText(kNeedle));
  std::size_t found = 0;
  const Seconds seconds = LeastSeconds([&] {
    found = Must(scanner.ReadPage(Selection(&filter), {.order = LogOrder::kNewestFirst, .limits = kNoLimits}))
                .entries.size();
  });
  fmt::print("     {} line in {:.2f} s\n", found, seconds.wall);
  figures->Tell({.name = fmt::format("a needle in {} MiB: CPU", mebibytes),
                 .value = seconds.cpu,
                 .unit = "s",
                 .must = AtMost(kNeedleSeconds)});
  figures->Tell({.name = "needles found", .value = static_cast<double>(found), .must = AtLeast(1)});
}

}  // namespace
}  // namespace muster::hub

int main(int argc, char** argv) {
  constexpr std::string_view kOption = "--needle-mib=";
  std::size_t mebibytes = 1024;
  for (const std::string_view argument : std::span(argv, static_cast<std::size_t>(argc)).subspan(1)) {
    const std::string_view value = argument.substr(std::min(kOption.size(), argument.size()));
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), mebibytes);
    if (!argument.starts_with(kOption) || error != std::errc() || end != value.data() + value.size() ||
        mebibytes == 0) {
      fmt::print(stderr, "{}: not known; there is {}N, how much text the needle is in\n", argument, kOption);
      return 2;
    }
  }
  muster::Figures figures;
  muster::hub::MeasureDay(&figures);
  muster::hub::MeasureNeedle(mebibytes, &figures);
  return figures.ExitCode();
}
