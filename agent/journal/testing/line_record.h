// A record for benchmarks of the journal.
#ifndef MUSTER_AGENT_JOURNAL_TESTING_LINE_RECORD_H_
#define MUSTER_AGENT_JOURNAL_TESTING_LINE_RECORD_H_

#include <string>

#include "absl/time/time.h"
#include "agent/journal/entry.h"
#include "common/time_format.h"

namespace muster::agent {

// A log line of a usual length.
inline v1::Record LineRecord(absl::Time when) {
  v1::Record record;
  *record.mutable_observed_at() = ToProto(when);
  v1::LogLines& lines = *record.mutable_log_lines();
  lines.set_deployment_key("compose/shop");
  lines.set_resource("web-1");
  lines.set_revision("0123456789ab");
  *lines.mutable_base_time() = ToProto(when);
  lines.set_kinds(std::string(1, '\x01'));
  lines.set_text(std::string(159, 'x') + '\n');
  return record;
}

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOURNAL_TESTING_LINE_RECORD_H_
