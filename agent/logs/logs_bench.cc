// What a line costs on its way from the engine's bytes to the text that is recorded: whole, and each part alone, beside
// memcpy of the same bytes and RE2 with an expression that does not occur. Lines are made up from a fixed seed.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <re2/re2.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "agent/logs/container_lines.h"
#include "agent/logs/docker_frames.h"
#include "agent/logs/level_parser.h"
#include "agent/logs/line_maker.h"
#include "agent/logs/rate_gate.h"

namespace muster::agent {
namespace {

enum Kind { kJson, kLogfmt, kAccess, kTrace, kMixed, kWithSecrets };
constexpr const char* kKindNames[] = {"json", "logfmt", "access", "trace", "mixed", "secrets"};

std::string MakeLine(Kind kind, std::mt19937* random) {
  const auto number = [&] { return (*random)() % 100'000; };
  switch (kind) {
    case kJson:
      return fmt::format(
          R"({{"level":"info","ts":"2026-11-21T05:24:21.{:06}Z","caller":"cart/add.go:{}","msg":"item added","user_id":{},"request_id":"{:08x}-1b2d-4c5e-8f90-{:012x}"}})",
          number(), number() % 500, number(), number(), number());
    case kLogfmt:
      return fmt::format(R"(ts=2026-11-21T05:24:21.{:06}Z level=warn msg="slow query" took={}ms table=orders rows={})",
                         number(), number(), number());
    case kAccess:
      return fmt::format(
          R"re(10.0.{}.{} - - [21/Nov/2026:05:24:21 +0000] "GET /shop/items/{} HTTP/1.1" 200 {} "https://shop.example.com/" "Mozilla/5.0 (X11; Linux x86_64)")re",
          number() % 256, number() % 256, number(), number());
    case kTrace:
      return fmt::format("\tat com.example.shop.cart.CartService.add(CartService.java:{})", number() % 1000);
    case kWithSecrets:
      return fmt::format("2026-11-21T05:24:21Z INFO login user={} password=hunter{} from 10.0.0.1", number(), number());
    case kMixed:
      return MakeLine(static_cast<Kind>(number() % 4), random);
  }
  return {};
}

std::vector<std::string> MakeLines(Kind kind) {
  std::mt19937 random(20261121);
  std::vector<std::string> lines(8192);
  for (std::string& line : lines) line = MakeLine(kind, &random);
  return lines;
}

std::string MakeFrames(const std::vector<std::string>& lines) {
  std::string bytes;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string message = fmt::format("2026-11-21T05:24:21.{:09}Z {}\n", i, lines[i]);
    bytes += {1, 0, 0, 0, 0, 0, static_cast<char>(message.size() >> 8), static_cast<char>(message.size())};
    bytes += message;
  }
  return bytes;
}

std::int64_t TextBytes(const std::vector<std::string>& lines) {
  std::int64_t bytes = 0;
  for (const std::string& line : lines) bytes += static_cast<std::int64_t>(line.size());
  return bytes;
}

// Per iteration all lines.
void Report(benchmark::State& state, const std::vector<std::string>& lines) {
  state.SetBytesProcessed(state.iterations() * TextBytes(lines));
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(lines.size()));
  state.SetLabel(kKindNames[state.range(0)]);
}

// From reads of 64 KiB to lines: frames, rate, cleaning, masking, splitting, level.
void BM_Whole(benchmark::State& state) {
  const std::vector<std::string> lines = MakeLines(static_cast<Kind>(state.range(0)));
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
BENCHMARK(BM_Whole)->DenseRange(kJson, kWithSecrets);

// The same to records with their positions, as 100 lines a second come: a read for each line, a record every 200 ms.
void BM_Records(benchmark::State& state) {
  const std::vector<std::string> lines = MakeLines(static_cast<Kind>(state.range(0)));
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
BENCHMARK(BM_Records)->Arg(kMixed);

void BM_Frames(benchmark::State& state) {
  const std::vector<std::string> lines = MakeLines(static_cast<Kind>(state.range(0)));
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
BENCHMARK(BM_Frames)->Arg(kMixed);

void BM_Mask(benchmark::State& state) {
  const std::vector<std::string> lines = MakeLines(static_cast<Kind>(state.range(0)));
  const Masker masker = *Masker::Create({});
  PrivateKeyState key;
  std::string buffer;
  for (auto _ : state) {
    for (const std::string& line : lines) benchmark::DoNotOptimize(masker.Mask(line, &key, &buffer));
  }
  Report(state, lines);
}
BENCHMARK(BM_Mask)->DenseRange(kJson, kWithSecrets);

void BM_Level(benchmark::State& state) {
  const std::vector<std::string> lines = MakeLines(static_cast<Kind>(state.range(0)));
  for (auto _ : state) {
    for (const std::string& line : lines) benchmark::DoNotOptimize(ParseLevel(line, LogLevel::kNone));
  }
  Report(state, lines);
}
BENCHMARK(BM_Level)->DenseRange(kJson, kMixed);

void BM_Re2Alone(benchmark::State& state) {
  const std::vector<std::string> lines = MakeLines(static_cast<Kind>(state.range(0)));
  const RE2 expression("(?i)does not occur|nowhere");
  for (auto _ : state) {
    for (const std::string& line : lines) benchmark::DoNotOptimize(RE2::PartialMatch(line, expression));
  }
  Report(state, lines);
}
BENCHMARK(BM_Re2Alone)->Arg(kMixed);

void BM_Memcpy(benchmark::State& state) {
  const std::vector<std::string> lines = MakeLines(static_cast<Kind>(state.range(0)));
  std::string copy(1024 * 1024, '\0');
  for (auto _ : state) {
    for (const std::string& line : lines) {
      std::memcpy(copy.data(), line.data(), line.size());
      benchmark::DoNotOptimize(copy.data());
    }
  }
  Report(state, lines);
}
BENCHMARK(BM_Memcpy)->Arg(kMixed);

}  // namespace
}  // namespace muster::agent

BENCHMARK_MAIN();
