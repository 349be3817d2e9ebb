#include "common/logs/kinds.h"

#include <gtest/gtest.h>

namespace muster {
namespace {

TEST(Kinds, AreWhatTheFormatSays) {
  EXPECT_EQ(KindByte({.stream = LogStream::kStdout, .level = LogLevel::kInfo}), '\x0D');
  EXPECT_EQ(KindByte({.stream = LogStream::kStderr, .level = LogLevel::kError}), '\x16');
  EXPECT_EQ(KindByte({.stream = LogStream::kAgent, .level = LogLevel::kFatal, .is_continued = true}), '\x3B');
  EXPECT_EQ(KindByte({.stream = LogStream::kStdout, .is_marker = true}), '\x41');
}

// 3 streams, 7 levels, two flags; the other bytes are no kinds.
TEST(Kinds, AreReadAsTheyWereWritten) {
  int kinds = 0;
  for (int value = 0; value < 256; ++value) {
    const auto byte = static_cast<char>(value);
    const std::optional<LineKind> kind = KindOf(byte);
    EXPECT_EQ(kind.has_value(), IsKindByte(byte)) << value;
    if (!kind.has_value()) continue;
    ++kinds;
    EXPECT_EQ(KindByte(*kind), byte) << value;
  }
  EXPECT_EQ(kinds, 3 * 7 * 2 * 2);
}

TEST(Kinds, UnusedValuesAreNone) {
  EXPECT_FALSE(KindOf('\x00').has_value()) << "no stream";
  EXPECT_FALSE(KindOf('\x1D').has_value()) << "level 7";
  EXPECT_FALSE(KindOf('\x81').has_value()) << "bit 7";
}

}  // namespace
}  // namespace muster
