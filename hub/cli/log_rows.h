// Lines and gaps of a log as rows for people. The only way to a terminal for what containers wrote: heads go through
// page.h, texts through ansi_text.h. LogPrinter uses it; pure but for what it remembers of the rows before.
#ifndef MUSTER_HUB_CLI_LOG_ROWS_H_
#define MUSTER_HUB_CLI_LOG_ROWS_H_

#include <map>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "hub/cli/ansi_text.h"
#include "muster/fleet/v1/fleet.pb.h"

namespace muster::cli {

struct LogRowOptions {
  // Of time, resource, level and gaps; those of the text are `ansi`.
  bool color = false;
  AnsiColors ansi = AnsiColors::kStrip;
  // Name the resource.
  bool resources = true;
  // Set hits off from the lines around them.
  bool marks_hits = false;
};

class LogRows {
 public:
  explicit LogRows(const LogRowOptions& options) : options_(options) {}

  // Without newline. Entries come oldest first, so that a line knows whether it goes on from one before:
  //   2026-11-21T05:24:21.123Z web-1 E text
  //   + 2026-11-21T05:24:21.123Z web-1 E more of it
  //   ! 2026-11-21T05:24:21.123Z .. 05:26:02.000Z web-1: 1204 lines dropped: above the rate limit (RATE)
  std::string Next(const fleet::v1::LogEntry& entry);

 private:
  std::string Line(const fleet::v1::LogLine& line);
  std::string Gap(const fleet::v1::LogGap& gap) const;

  const LogRowOptions options_;
  // The line that goes on, by resource and stream. All its parts have its time.
  std::map<std::pair<std::string, int>, absl::Time> open_;
};

// "2026-11-21T05:24:21.123Z": milliseconds, also where they are 0, so that columns stand.
std::string LogTimeText(absl::Time time);

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_LOG_ROWS_H_
