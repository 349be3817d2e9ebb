// The agent's own log -> records (docs/logs.md, "The agent's own log"). Used by the collector's thread only.
#ifndef MUSTER_AGENT_LOGS_OWN_LOG_LINES_H_
#define MUSTER_AGENT_LOGS_OWN_LOG_LINES_H_

#include <string>
#include <string_view>
#include <vector>

#include "agent/logs/log_journal.h"
#include "agent/logs/log_sources.h"
#include "agent/logs/masker.h"
#include "agent/logs/record_builder.h"

namespace muster::agent {

// The resource that the agent's own lines are told under; their deployment is none.
inline constexpr std::string_view kOwnResource = "muster-agent";

class OwnLogLines {
 public:
  // Both outlive this.
  OwnLogLines(const Masker* masker, std::vector<LogJournal::Lines>* ready) : masker_(masker), ready_(ready) {}

  void Take(const OwnLog& log, absl::Time now);
  bool empty() const { return builder_.empty(); }
  // Closes the record.
  void Flush(absl::Time now);

 private:
  void TakeLine(const OwnLogLine& line, absl::Time now);
  // All of one time, and in one record.
  void Add(absl::Time time, absl::Time now);

  const Masker* const masker_;
  std::vector<LogJournal::Lines>* const ready_;
  RecordBuilder builder_;
  PrivateKeyState key_;
  std::string mask_buffer_;
  // Of the lines that are being added.
  std::string text_;
  std::string kinds_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LOGS_OWN_LOG_LINES_H_
