// What containers print, for benchmarks: lines by a fixed seed, some as an engine sends them.
#ifndef MUSTER_AGENT_LOGS_TESTING_MADE_UP_OUTPUT_H_
#define MUSTER_AGENT_LOGS_TESTING_MADE_UP_OUTPUT_H_

#include <fmt/format.h>

#include <cstddef>
#include <random>
#include <string>
#include <vector>

namespace muster::agent {

enum MadeUpKind { kJson, kLogfmt, kAccess, kTrace, kMixed, kWithSecrets };
inline constexpr const char* kKindNames[] = {"json", "logfmt", "access", "trace", "mixed", "secrets"};

inline constexpr std::size_t kMadeUpLines = 8192;

inline std::string MakeLine(MadeUpKind kind, std::mt19937* random) {
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
      return MakeLine(static_cast<MadeUpKind>(number() % 4), random);
  }
  return {};
}

inline std::vector<std::string> MakeLines(MadeUpKind kind) {
  std::mt19937 random(20261121);
  std::vector<std::string> lines(kMadeUpLines);
  for (std::string& line : lines) line = MakeLine(kind, &random);
  return lines;
}

// As the engine sends them: multiplexed, with timestamps.
inline std::string MakeFrames(const std::vector<std::string>& lines) {
  std::string bytes;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string message = fmt::format("2026-11-21T05:24:21.{:09}Z {}\n", i, lines[i]);
    bytes += {1, 0, 0, 0, 0, 0, static_cast<char>(message.size() >> 8), static_cast<char>(message.size())};
    bytes += message;
  }
  return bytes;
}

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LOGS_TESTING_MADE_UP_OUTPUT_H_
