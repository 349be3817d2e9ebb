// What a line costs on its way from the engine's bytes to the text that is recorded: whole, and each part alone, beside
// memcpy of the same bytes and RE2 with an expression that does not occur. Lines are made up from a fixed seed.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <re2/re2.h>

#include <cstring>
#include <string>
#include <vector>

#include "agent/logs/container_lines.h"
#include "agent/logs/docker_frames.h"
#include "agent/logs/level_parser.h"
#include "agent/logs/line_maker.h"
#include "agent/logs/rate_gate.h"
#include "agent/logs/testing/made_up_output.h"
#include "common/testing/benchmark_main.h"

namespace muster::agent {
namespace {

std::int64_t TextBytes(const std::vector<std::string>& lines) {
  std::int64_t bytes = 0;
  for (const std::string& line : lines) bytes += static_cast<std::int64_t>(line.size());
  return bytes;
}

// Per iteration all lines.
void Report(benchmark::State& state, const std::vector<std::string>& lines) {
  const auto bytes = static_cast<double>(state.iterations()) * static_cast<double>(TextBytes(lines));
  state.counters["MB/s"] = benchmark::Counter(bytes / 1e6, benchmark::Counter::kIsRate);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(lines.size()));
  state.SetLabel(kKindNames[state.range(0)]);
}

// From reads of 64 KiB to lines: frames, rate, cleaning, masking, splitting, level.
void Whole(benchmark::State& state) {
  const std::vector<std::string> lines = MakeLines(static_cast<MadeUpKind>(state.range(0)));
  const std::string bytes = MakeFrames(lines);
  const Masker masker = *Masker::Create({});
  LineMaker maker(&masker);
  for (auto _ : state) {
    DockerFrames frames(DockerFrames::Format::kMultiplexed);
    TokenBucket host(std::int64_t{1} << 40);
    RateGate gate(&host);
    StreamState stream;
    std::size_t size = 0;
    for (std::string_view rest = bytes; !rest.empty(); rest.remove_prefix(std::min<std::size_t>(rest.size(), 65'536))) {
      const absl::Status status = frames.Feed(rest.substr(0, 65'536), [&](const DockerMessage& message) {
        gate.TakeRefused(Instant());
        if (!gate.Admit(static_cast<std::int64_t>(message.text.size()), message.time_ns, Instant())) return;
        maker.Take(message, &stream, [&](const LogLine& line) { size += line.text.size(); });
      });
      if (!status.ok()) state.SkipWithError("frames");
    }
    benchmark::DoNotOptimize(size);
  }
  Report(state, lines);
}
BENCHMARK(Whole)->DenseRange(kJson, kWithSecrets);

// The same to records with their positions, as 100 lines a second come: a read for each line, a record every 200 ms.
void Records(benchmark::State& state) {
  const std::vector<std::string> lines = MakeLines(static_cast<MadeUpKind>(state.range(0)));
  std::vector<std::string> reads(lines.size());
  for (std::size_t i = 0; i < lines.size(); ++i) reads[i] = MakeFrames({lines[i]});
  const Masker masker = *Masker::Create({});
  LineMaker maker(&masker);
  for (auto _ : state) {
    DockerFrames frames(DockerFrames::Format::kMultiplexed);
    TokenBucket host(kHostBytesPerSecond);
    std::vector<LogJournal::Lines> ready;
    LineParts parts{.maker = &maker, .host_rate = &host, .ready = &ready, .boot_id = "boot-1", .highest_clock_us = 0};
    LogContainer container{.id = "abc",
                           .name = "web",
                           .deployment_key = "compose/shop",
                           .revision = "1",
                           .has_tty = false,
                           .log_driver = "json-file",
                           .is_running = true};
    ContainerLines records(container, &parts);
    Moment now{.monotonic = Instant(), .wall = absl::FromUnixSeconds(1'800'000'000)};
    for (std::size_t i = 0; i < reads.size(); ++i) {
      now.monotonic = now.monotonic + absl::Milliseconds(10);
      const absl::Status status =
          frames.Feed(reads[i], [&](const DockerMessage& message) { records.Take(message, now); });
      if (!status.ok()) state.SkipWithError("frames");
      if (i % 20 == 19) records.Flush(now);
    }
    benchmark::DoNotOptimize(ready.size());
  }
  Report(state, lines);
}
BENCHMARK(Records)->Arg(kMixed);

void Frames(benchmark::State& state) {
  const std::vector<std::string> lines = MakeLines(static_cast<MadeUpKind>(state.range(0)));
  const std::string bytes = MakeFrames(lines);
  for (auto _ : state) {
    DockerFrames frames(DockerFrames::Format::kMultiplexed);
    std::size_t size = 0;
    const absl::Status status = frames.Feed(bytes, [&](const DockerMessage& message) { size += message.text.size(); });
    if (!status.ok()) state.SkipWithError("frames");
    benchmark::DoNotOptimize(size);
  }
  Report(state, lines);
}
BENCHMARK(Frames)->Arg(kMixed);

void Mask(benchmark::State& state) {
  const std::vector<std::string> lines = MakeLines(static_cast<MadeUpKind>(state.range(0)));
  const Masker masker = *Masker::Create({});
  PrivateKeyState key;
  std::string buffer;
  for (auto _ : state) {
    for (const std::string& line : lines) benchmark::DoNotOptimize(masker.Mask(line, &key, &buffer));
  }
  Report(state, lines);
}
BENCHMARK(Mask)->DenseRange(kJson, kWithSecrets);

void Level(benchmark::State& state) {
  const std::vector<std::string> lines = MakeLines(static_cast<MadeUpKind>(state.range(0)));
  for (auto _ : state) {
    for (const std::string& line : lines) benchmark::DoNotOptimize(ParseLevel(line, LogLevel::kNone));
  }
  Report(state, lines);
}
BENCHMARK(Level)->DenseRange(kJson, kMixed);

void Re2Alone(benchmark::State& state) {
  const std::vector<std::string> lines = MakeLines(static_cast<MadeUpKind>(state.range(0)));
  const RE2 expression("(?i)does not occur|nowhere");
  for (auto _ : state) {
    for (const std::string& line : lines) benchmark::DoNotOptimize(RE2::PartialMatch(line, expression));
  }
  Report(state, lines);
}
BENCHMARK(Re2Alone)->DenseRange(kJson, kWithSecrets);

void Memcpy(benchmark::State& state) {
  const std::vector<std::string> lines = MakeLines(static_cast<MadeUpKind>(state.range(0)));
  std::string copy(1024 * 1024, '\0');
  for (auto _ : state) {
    for (const std::string& line : lines) {
      std::memcpy(copy.data(), line.data(), line.size());
      benchmark::DoNotOptimize(copy.data());
    }
  }
  Report(state, lines);
}
BENCHMARK(Memcpy)->Arg(kMixed);

}  // namespace
}  // namespace muster::agent

int main(int argc, char** argv) {
  const auto rate = [](const char* benchmark, const char* beside) {
    return muster::BenchmarkFigure{
        .benchmark = benchmark, .counter = "MB/s", .unit = "MB/CPU s", .beside = beside, .more_is_better = true};
  };
  constexpr const char* kRe2 = "Re2Alone/";
  return muster::RunBenchmarks(argc, argv,
                               {rate("Whole", kRe2), rate("Records", kRe2), rate("Mask", kRe2), rate("Level", kRe2),
                                rate("Frames", "Memcpy/mixed")});
}
