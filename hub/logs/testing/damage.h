// Damage to the pages of a database file that nobody has open, and text that does not compress. For tests.
#ifndef MUSTER_HUB_LOGS_TESTING_DAMAGE_H_
#define MUSTER_HUB_LOGS_TESTING_DAMAGE_H_

#include <gtest/gtest.h>

#include <cstddef>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "hub/store/store.h"

namespace muster::hub {

inline constexpr std::size_t kDamagedPageBytes = 4096;

// The page that holds `needle` behind its first bytes; 0: none.
inline std::size_t PageOf(const std::string& path, const std::string& needle) {
  std::ifstream file(path, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(file), {}};
  const std::size_t at = content.find(needle);
  return at == std::string::npos ? 0 : at / kDamagedPageBytes + 1;
}

// Overwrites the beginning of a page, counted from 1: what kind it is, or where the rest of a long value lies.
inline void DamagePage(const std::string& path, std::size_t page, std::size_t bytes = 4) {
  ASSERT_GT(page, 1u);
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>((page - 1) * kDamagedPageBytes));
  file << std::string(bytes, '\x7F');
  ASSERT_TRUE(file.flush().good());
}

// While it is forbidden no merge is stored; nothing else is wrong.
inline void ForbidMerges(Store& store, bool is_forbidden) {
  ASSERT_TRUE(store.writer()
                  .Run([&](sqlite::Database& database) {
                    return is_forbidden ? database.Execute(
                                              "CREATE TRIGGER forbidden BEFORE INSERT ON log_chunks"
                                              " BEGIN SELECT RAISE(ABORT, 'forbidden'); END")
                                        : database.Execute("DROP TRIGGER forbidden");
                  })
                  .ok());
}

// Takes five sixths of its size when compressed.
inline std::string NoiseLine(std::mt19937& random, std::size_t bytes) {
  std::string text(bytes, ' ');
  for (char& byte : text) byte = static_cast<char>('!' + random() % 90);
  return text;
}

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_TESTING_DAMAGE_H_
