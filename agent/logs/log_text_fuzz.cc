// Cleaning, masking and splitting: text is valid UTF-8 within its limits whatever comes, the pieces of a line are
// cleaned as the whole line, masking twice is as once, and a secret that is planted in the text does not come out. The
// first byte chooses the secret, the next two where it is planted and where the line is cut.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "agent/logs/line_cleaner.h"
#include "agent/logs/line_maker.h"
#include "common/text.h"

namespace {

using namespace muster;         // NOLINT: one file
using namespace muster::agent;  // NOLINT

void Require(bool condition) {
  if (!condition) std::abort();
}

const Masker& TheMasker() {
  static const auto* masker = new Masker(*Masker::Create({"geheim-(\\w+)", "\\pL{3}\\d{4}"}));
  return *masker;
}

std::string Planted(std::uint8_t choice) {
  const std::string letters = "aB3dE5gH7jK9mN1pQaB3dE5gH7jK9mN1pQaB3dE5gH7jK9mN1pQ";
  const std::array secrets = {"mst_" + letters,
                              std::string("AKIA") + "IOSFODNN7EXAMPLE",
                              "ghp_" + letters,
                              "glpat-" + letters,
                              std::string("xox") + "b-1" + letters,
                              std::string("sk_") + "live_" + letters,
                              "AIza" + letters.substr(0, 35),
                              "eyJ" + letters + ".eyJ" + letters + "." + letters};
  return secrets[choice % secrets.size()];
}

void CheckClean(std::string_view line, std::size_t cut) {
  std::string kept;
  std::string buffer;
  std::string pieces(CleanText(line.substr(0, cut), false, &kept, &buffer));
  Require(kept.size() <= kMaxKeptBytes);
  pieces += CleanText(line.substr(cut), true, &kept, &buffer);
  Require(kept.empty());
  const std::string whole(CleanText(line, true, &kept, &buffer));
  Require(IsValidUtf8(whole) && pieces == whole);
}

void CheckMask(std::string_view clean, std::string_view secret) {
  PrivateKeyState key;
  std::string buffer;
  const std::string masked(TheMasker().Mask(clean, &key, &buffer));
  Require(IsValidUtf8(masked) && masked.find(secret) == std::string::npos);
  PrivateKeyState again;
  Require(TheMasker().Mask(masked, &again, &buffer) == masked);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  std::string line(reinterpret_cast<const char*>(data + 3), size - 3);
  for (char& c : line) {
    if (c == '\n') c = ' ';
  }
  const std::string secret = Planted(data[0]);
  line.insert(data[1] % (line.size() + 1), secret);
  const std::size_t cut = data[2] % (line.size() + 1);
  CheckClean(line, cut);
  std::string kept;
  std::string buffer;
  CheckMask(std::string(CleanText(line, true, &kept, &buffer)), secret);

  LineMaker maker(&TheMasker());
  StreamState state;
  const auto visit = [](const LogLine& part) { Require(part.text.size() <= kMaxLineBytes && IsValidUtf8(part.text)); };
  maker.Take({.time_ns = 1, .text = std::string_view(line).substr(0, cut), .ends_line = false}, &state, visit);
  maker.Take({.time_ns = 1, .text = std::string_view(line).substr(cut), .ends_line = true}, &state, visit);
  return 0;
}
