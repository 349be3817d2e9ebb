// Log lines by a seed, for tests and the benchmark: JSON, logfmt, access logs and stack traces, which compress about as
// real ones do.
#ifndef MUSTER_HUB_LOGS_TESTING_MADE_UP_LINES_H_
#define MUSTER_HUB_LOGS_TESTING_MADE_UP_LINES_H_

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "common/logs/kinds.h"
#include "hub/logs/chunk.h"

namespace muster::hub {

// 2026-11-21T05:24:21.123456Z
inline constexpr std::int64_t kTestTimeUs = 1'795'238'661'123'456;

// A LineBlock that owns what it shows.
struct OwnedBlock {
  std::int64_t first_line = 1;
  std::int64_t shift_us = 0;
  std::string kinds;
  std::vector<std::int64_t> times_us;
  std::string text;

  LineBlock View() const {
    return {.first_line = first_line, .shift_us = shift_us, .kinds = kinds, .times_us = times_us, .text = text};
  }
  void Append(const LineKind& kind, std::int64_t time_us, std::string_view line) {
    kinds.push_back(KindByte(kind));
    times_us.push_back(time_us);
    text += line;
    text += '\n';
  }
};

class MadeUpLines {
 public:
  explicit MadeUpLines(std::uint64_t seed) : random_(seed) {}

  std::uint64_t Number(std::uint64_t below) { return random_() % below; }

  // Without newline.
  std::string Line() {
    switch (Number(4)) {
      case 0:
        return fmt::format(
            R"({{"level":"info","ts":"2026-11-21T05:{:02}:{:02}Z","msg":"request done","id":"{:08x}-{:04x}","ms":{}}})",
            Number(60), Number(60), Number(1ULL << 32), Number(1 << 16), Number(900));
      case 1:
        return fmt::format("time=05:24:{:02} level=warn msg=\"retry of job\" user_id={} attempt={} queue=mail",
                           Number(60), Number(100'000), Number(9));
      case 2:
        return fmt::format("10.0.{}.{} - - \"GET /api/v1/orders/{} HTTP/1.1\" {} {} \"Mozilla/5.0\"", Number(256),
                           Number(256), Number(1'000'000), Number(50) == 0 ? 502 : 200, Number(50'000));
      default:
        return fmt::format("    at com.example.shop.Checkout{}.handle(Checkout.java:{})", Number(30), Number(400));
    }
  }

  // As a record holds them: times that rise but now and then go back, now and then an empty line.
  OwnedBlock Block(std::int64_t first_line, std::size_t lines) {
    OwnedBlock block{.first_line = first_line, .shift_us = 0, .kinds = "", .times_us = {}, .text = ""};
    for (std::size_t i = 0; i < lines; ++i) {
      time_us_ += static_cast<std::int64_t>(Number(2'000)) - 100;
      const LineKind kind = {.stream = static_cast<LogStream>(1 + Number(2)),
                             .level = static_cast<LogLevel>(Number(7)),
                             .is_continued = Number(100) == 0};
      block.Append(kind, time_us_, Number(50) == 0 ? "" : Line());
    }
    return block;
  }
  // Of about so many bytes of text.
  OwnedBlock BlockOfText(std::int64_t first_line, std::size_t bytes) {
    OwnedBlock block = Block(first_line, 1);
    while (block.text.size() < bytes) block.Append({}, time_us_ += 1'000, Line());
    return block;
  }
  // Bytes that do not compress, none of them a newline.
  std::string Noise(std::size_t bytes) {
    std::string noise;
    while (noise.size() < bytes) {
      const auto byte = static_cast<char>(Number(256));
      if (byte != '\n') noise += byte;
    }
    return noise;
  }

 private:
  std::mt19937_64 random_;
  std::int64_t time_us_ = kTestTimeUs;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_TESTING_MADE_UP_LINES_H_
