// What the journal costs the host: processor time and memory at 100 records a second, four commits a second, beside a
// loop of plain SQLite that inserts the same bytes. Time is the process's processor time (all threads, system time
// included); the share of a core is what 100 records of it take a second. Memory is what the process grew by since its
// start, its own apart from pages of programs and libraries: ask for one benchmark at a time with --benchmark_filter to
// know whose it is.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/journal/journal.h"
#include "agent/journal/testing/line_record.h"
#include "common/testing/benchmark_main.h"
#include "common/testing/fake_clock.h"
#include "common/testing/temp_dir.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

constexpr int kRecordsPerCommit = 25;  // 100 a second, every 250 ms
constexpr double kRecordsPerSecond = 100;

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Memory {
  std::int64_t own = 0;   // anonymous: heap, stacks, written data
  std::int64_t file = 0;  // pages of programs, libraries and mapped files, which the kernel can drop
};

Memory ReadMemory() {
  std::ifstream statm("/proc/self/statm");
  std::int64_t size = 0;
  std::int64_t resident = 0;
  std::int64_t shared = 0;
  statm >> size >> resident >> shared;
  const std::int64_t page = sysconf(_SC_PAGESIZE);
  return {.own = (resident - shared) * page, .file = shared * page};
}

// Before anything else in this process.
const Memory kMemoryAtStart = ReadMemory();

void Report(benchmark::State& state, double cpu_seconds, std::int64_t records) {
  const double per_record = cpu_seconds / static_cast<double>(records);
  state.counters["cpu_us_per_record"] = per_record * 1e6;
  state.counters["percent_of_a_core"] = per_record * kRecordsPerSecond * 100;
  const Memory now = ReadMemory();
  state.counters["more_memory_KiB"] = static_cast<double>(now.own - kMemoryAtStart.own) / 1024;
  state.counters["more_file_pages_KiB"] = static_cast<double>(now.file - kMemoryAtStart.file) / 1024;
  state.SetItemsProcessed(records);
}

JournalStore::Options OptionsFor(const TempDir& dir) {
  JournalStore::Options options;
  options.path = dir.path() + "/journal.db";
  options.target_id = "tgt_1";
  options.boot_id = "boot-1";
  options.epoch = NewEpoch();
  options.capacity_bytes = 16 * kMinJournalBytes;  // so that long runs give up records, too
  return options;
}

// From Append to the commit; with what replay adds: reading every record once and its ack.
void RecordsToJournal(benchmark::State& state) {
  const bool replays = state.range(0) == 1;
  const TempDir dir;
  FakeClock clock;
  const JournalStore::Options options = OptionsFor(dir);
  Journal journal(options, &clock);
  journal.Flush();
  std::int64_t records = 0;
  const double before = CpuSeconds();
  for (auto _ : state) {
    for (int i = 0; i < kRecordsPerCommit; ++i) journal.Append(LineRecord(clock.Now()));
    journal.Flush();
    clock.Advance(kCommitInterval);
    records += kRecordsPerCommit;
    if (!replays) continue;
    journal.Read({.epoch = options.epoch, .lane = v1::LANE_LOGS, .first_sequence = records - kRecordsPerCommit + 1},
                 [](const v1::RecordBatch& batch) { benchmark::DoNotOptimize(batch.ByteSizeLong()); });
    v1::BatchAck ack;
    ack.set_epoch(options.epoch);
    ack.set_lane(v1::LANE_LOGS);
    ack.set_sequence(records);
    journal.Acknowledge(ack);
    journal.Flush();
  }
  Report(state, CpuSeconds() - before, records);
}
BENCHMARK(RecordsToJournal)->ArgName("replay")->Arg(0)->Arg(1)->UseRealTime();

// The same records as lines of 20 containers, each with its position.
void JournalWithPositions(benchmark::State& state) {
  constexpr std::int64_t kContainers = 20;
  const TempDir dir;
  FakeClock clock;
  Journal journal(OptionsFor(dir), &clock);
  journal.Flush();
  std::int64_t records = 0;
  const double before = CpuSeconds();
  for (auto _ : state) {
    std::vector<LogJournal::Lines> lines;
    for (int i = 0; i < kRecordsPerCommit; ++i, ++records) {
      LogPosition position{.container = fmt::format("{:064x}", records % kContainers * 7919),
                           .stream = LogStream::kStdout,
                           .time_ns = records,
                           .count = 1,
                           .size = 160,
                           .open = {},
                           .clock_us = 0,
                           .boot_id = "01234567-89ab-cdef-0123-456789abcdef"};
      lines.push_back({.record = LineRecord(clock.Now()), .position = std::move(position)});
    }
    if (!journal.AppendLines(lines)) return state.SkipWithError("no room");
    journal.Flush();
    clock.Advance(kCommitInterval);
  }
  Report(state, CpuSeconds() - before, records);
}
BENCHMARK(JournalWithPositions)->UseRealTime();

void Check(int code, sqlite3* database) {
  if (code == SQLITE_OK || code == SQLITE_DONE) return;
  std::fprintf(stderr, "sqlite: %s\n", sqlite3_errmsg(database));
  std::abort();
}

// The same bytes into a table, 25 rows a transaction, WAL and synchronous=FULL, nothing else.
void PlainSqlite(benchmark::State& state) {
  const TempDir dir;
  FakeClock clock;
  sqlite3* database = nullptr;
  Check(sqlite3_open((dir.path() + "/plain.db").c_str(), &database), database);
  Check(
      sqlite3_exec(database,
                   "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE r (id INTEGER PRIMARY KEY, p BLOB)",
                   nullptr, nullptr, nullptr),
      database);
  sqlite3_stmt* insert = nullptr;
  Check(sqlite3_prepare_v2(database, "INSERT INTO r (p) VALUES (?)", -1, &insert, nullptr), database);
  std::int64_t records = 0;
  const double before = CpuSeconds();
  for (auto _ : state) {
    Check(sqlite3_exec(database, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), database);
    for (int i = 0; i < kRecordsPerCommit; ++i) {
      const std::string payload = LineRecord(clock.Now()).SerializeAsString();
      sqlite3_bind_blob64(insert, 1, payload.data(), payload.size(), SQLITE_STATIC);
      Check(sqlite3_step(insert), database);
      sqlite3_reset(insert);
    }
    Check(sqlite3_exec(database, "COMMIT", nullptr, nullptr, nullptr), database);
    records += kRecordsPerCommit;
  }
  Report(state, CpuSeconds() - before, records);
  sqlite3_finalize(insert);
  sqlite3_close(database);
}
BENCHMARK(PlainSqlite)->UseRealTime();

}  // namespace
}  // namespace muster::agent

int main(int argc, char** argv) {
  const auto beside_plain = [](const char* benchmark) {
    return muster::BenchmarkFigure{
        .benchmark = benchmark, .counter = "cpu_us_per_record", .unit = "us of CPU a record", .beside = "PlainSqlite"};
  };
  return muster::RunBenchmarks(argc, argv, {beside_plain("RecordsToJournal"), beside_plain("JournalWithPositions")});
}
