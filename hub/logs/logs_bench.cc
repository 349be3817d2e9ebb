// How fast chunks of logs are written, read and searched, in MB of text a second of CPU: 64 MiB of made-up lines.
//
//   build/release/bin/hub_logs_bench --benchmark_filter=Search
//
// Search decompresses and filters as a query does; beside it are the filter alone, and RE2 asked about each line by
// itself, which is what searching whole chunks saves.
#include <benchmark/benchmark.h>
#include <re2/re2.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "common/status.h"
#include "common/testing/benchmark_main.h"
#include "common/testing/must.h"
#include "hub/logs/chunk_reader.h"
#include "hub/logs/chunk_writer.h"
#include "hub/logs/log_filter.h"
#include "hub/logs/testing/made_up_lines.h"

namespace muster::hub {
namespace {

constexpr std::int64_t kSource = 1;
constexpr std::size_t kChunks = 128;
constexpr std::size_t kChunkBytes = 512 * 1024;
constexpr std::size_t kRecordBytes = 47 * 1024;

const std::vector<OwnedBlock>& Records() {
  static const std::vector<OwnedBlock> records = [] {
    std::vector<OwnedBlock> made;
    MadeUpLines made_up(1);
    std::int64_t line = 1;
    for (std::size_t bytes = 0; bytes < kChunks * kChunkBytes; bytes += made.back().text.size()) {
      made.push_back(made_up.BlockOfText(line, kRecordBytes));
      line += static_cast<std::int64_t>(made.back().kinds.size());
    }
    return made;
  }();
  return records;
}

const std::vector<Chunk>& Chunks() {
  static const std::vector<Chunk> chunks = [] {
    std::vector<Chunk> made;
    ZstdCodec codec;
    std::size_t record = 0;
    while (record < Records().size()) {
      ChunkWriter writer(kSource, &codec);
      for (; record < Records().size() && writer.text_bytes() < kChunkBytes; ++record) {
        Check(writer.Add(Records()[record].View()));
      }
      made.push_back(writer.Finish());
    }
    return made;
  }();
  return chunks;
}

void Report(benchmark::State& state, std::size_t text_bytes) {
  state.counters["MB/s"] = benchmark::Counter(static_cast<double>(text_bytes) / 1e6, benchmark::Counter::kIsRate);
}

// A row of the tail for each record.
void WriteRecords(benchmark::State& state) {
  Records();
  ZstdCodec codec;
  std::size_t text = 0;
  std::size_t stored = 0;
  for (auto _ : state) {
    for (const OwnedBlock& record : Records()) {
      ChunkWriter writer(kSource, &codec);
      Check(writer.Add(record.View()));
      const Chunk chunk = writer.Finish();
      text += record.text.size();
      stored += chunk.head.size() + chunk.text.size();
    }
  }
  Report(state, text);
  state.counters["stored %"] = 100.0 * static_cast<double>(stored) / static_cast<double>(text);
}
BENCHMARK(WriteRecords)->Unit(benchmark::kMillisecond);

// Rows of the tail become chunks of 512 KiB.
void JoinRecords(benchmark::State& state) {
  ZstdCodec codec;
  std::vector<Chunk> rows;
  for (const OwnedBlock& record : Records()) {
    ChunkWriter writer(kSource, &codec);
    Check(writer.Add(record.View()));
    rows.push_back(writer.Finish());
  }
  ChunkReader reader(&codec);
  std::size_t text = 0;
  std::size_t stored = 0;
  for (auto _ : state) {
    for (std::size_t row = 0; row < rows.size();) {
      ChunkWriter writer(kSource, &codec);
      for (; row < rows.size() && writer.text_bytes() < kChunkBytes; ++row) {
        Check(reader.ReadHead(rows[row].head, kSource));
        Check(writer.Join(reader, rows[row].text));
      }
      text += writer.text_bytes();
      const Chunk chunk = writer.Finish();
      stored += chunk.head.size() + chunk.text.size();
    }
  }
  Report(state, text);
  state.counters["stored %"] = 100.0 * static_cast<double>(stored) / static_cast<double>(text);
}
BENCHMARK(JoinRecords)->Unit(benchmark::kMillisecond);

void ReadHeads(benchmark::State& state) {
  Chunks();
  ZstdCodec codec;
  ChunkReader reader(&codec);
  std::size_t text = 0;
  for (auto _ : state) {
    for (const Chunk& chunk : Chunks()) {
      Check(reader.ReadHead(chunk.head, kSource));
      text += reader.text_bytes();
    }
  }
  Report(state, text);
}
BENCHMARK(ReadHeads)->Unit(benchmark::kMillisecond);

void ReadTexts(benchmark::State& state) {
  Chunks();
  ZstdCodec codec;
  ChunkReader reader(&codec);
  std::string buffer;
  std::size_t text = 0;
  for (auto _ : state) {
    for (const Chunk& chunk : Chunks()) {
      Check(reader.ReadHead(chunk.head, kSource));
      text += Must(reader.ReadText(chunk.text, &buffer)).size();
    }
  }
  Report(state, text);
}
BENCHMARK(ReadTexts)->Unit(benchmark::kMillisecond);

constexpr const char* kExpressions[] = {
    "connection refused",       "user_id=99999", " 50[0-9] ", "(?i)error.*closed", "(?i)timeout|refused|denied",
    "[a-z]+-[0-9]+ finished x", "level=warn",    "."};

void Search(benchmark::State& state, const char* expression) {
  Chunks();
  const LogFilter filter = Must(LogFilter::ForExpression(expression));
  ZstdCodec codec;
  ChunkReader reader(&codec);
  std::string buffer;
  std::size_t bytes = 0;
  std::size_t hits = 0;
  for (auto _ : state) {
    for (const Chunk& chunk : Chunks()) {
      Check(reader.ReadHead(chunk.head, kSource));
      const std::string_view text = Must(reader.ReadText(chunk.text, &buffer));
      bytes += text.size();
      filter.VisitMatches(text, [&](std::size_t, std::string_view) { return ++hits > 0; });
    }
  }
  Report(state, bytes);
  state.counters["hits"] = static_cast<double>(hits) / static_cast<double>(state.iterations());
}

void FilterAlone(benchmark::State& state, const char* expression) {
  const LogFilter filter = Must(LogFilter::ForExpression(expression));
  std::size_t bytes = 0;
  std::size_t hits = 0;
  for (auto _ : state) {
    for (const OwnedBlock& record : Records()) {
      bytes += record.text.size();
      filter.VisitMatches(record.text, [&](std::size_t, std::string_view) { return ++hits > 0; });
    }
  }
  Report(state, bytes);
  state.counters["hits"] = static_cast<double>(hits) / static_cast<double>(state.iterations());
}

void LineByLine(benchmark::State& state, const char* expression) {
  const RE2 pattern(expression);
  std::size_t bytes = 0;
  std::size_t hits = 0;
  for (auto _ : state) {
    for (const OwnedBlock& record : Records()) {
      bytes += record.text.size();
      for (std::string_view rest = record.text; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        if (RE2::PartialMatch(line, pattern)) ++hits;
        rest.remove_prefix(line.size() + 1);
      }
    }
  }
  Report(state, bytes);
  state.counters["hits"] = static_cast<double>(hits) / static_cast<double>(state.iterations());
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const char* expression : kExpressions) {
    const std::string name = expression;
    benchmark::RegisterBenchmark(("Search/" + name).c_str(), Search, expression)->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark(("FilterAlone/" + name).c_str(), FilterAlone, expression)
        ->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark(("LineByLine/" + name).c_str(), LineByLine, expression)->Unit(benchmark::kMillisecond);
  }
  return true;
}();

}  // namespace
}  // namespace muster::hub

int main(int argc, char** argv) {
  const auto rate = [](const char* benchmark, const char* beside = "") {
    return muster::BenchmarkFigure{
        .benchmark = benchmark, .counter = "MB/s", .unit = "MB/CPU s", .beside = beside, .more_is_better = true};
  };
  return muster::RunBenchmarks(argc, argv,
                               {rate("WriteRecords"), rate("JoinRecords"), rate("ReadHeads"), rate("ReadTexts"),
                                rate("FilterAlone", "LineByLine/"), rate("Search", "FilterAlone/")});
}
