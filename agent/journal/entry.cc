#include "agent/journal/entry.h"

#include "agent/records.h"
#include "common/log.h"
#include "common/time_format.h"

namespace muster::agent {

EntryKind KindOf(const v1::Record& record) {
  switch (record.payload_case()) {
    case v1::Record::kTransition:
      return EntryKind::kTransition;
    case v1::Record::kPresence:
      return EntryKind::kPresence;
    case v1::Record::kHostSample:
      return EntryKind::kHostSample;
    case v1::Record::kLogLines:
      return EntryKind::kLogLines;
    case v1::Record::kGap:
    case v1::Record::PAYLOAD_NOT_SET:
      break;
  }
  return EntryKind::kGap;
}

v1::Lane LaneOf(EntryKind kind) { return kind == EntryKind::kLogLines ? v1::LANE_LOGS : v1::LANE_EVENTS; }

Entry MakeEntry(const v1::Record& record, Moment now) {
  Entry entry;
  entry.kind = KindOf(record);
  entry.lane = LaneOf(entry.kind);
  entry.wall = now.wall;
  entry.monotonic = now.monotonic;
  entry.payload = record.SerializeAsString();
  if (entry.payload.size() <= kMaxRecordBytes) return entry;
  log::Error("a record of {} bytes was to be recorded, {} is the limit; it is dropped", entry.payload.size(),
             kMaxRecordBytes);
  entry.first_sequence = 1;  // numbered by whoever takes it
  return EntryOf(GapOf(entry, v1::GAP_REASON_UNSPECIFIED));
}

v1::Record RecordOf(const Gap& gap) {
  v1::Record record;
  v1::GapRecord& body = *record.mutable_gap();
  body.set_first_sequence(gap.first_sequence);
  body.set_last_sequence(gap.last_sequence);
  body.set_reason(gap.reason);
  body.set_lines(gap.lines);
  if (gap.from.has_value()) *body.mutable_from() = ToProto(*gap.from);
  if (gap.to.has_value()) *body.mutable_to() = ToProto(*gap.to);
  if (gap.to.has_value()) *record.mutable_observed_at() = ToProto(*gap.to);
  return record;
}

Entry EntryOf(const Gap& gap) {
  Entry entry;
  entry.lane = gap.lane;
  entry.first_sequence = gap.first_sequence;
  entry.count = gap.count();
  entry.kind = EntryKind::kGap;
  entry.wall = gap.to.value_or(absl::UnixEpoch());
  entry.monotonic = gap.monotonic;
  entry.payload = RecordOf(gap).SerializeAsString();
  return entry;
}

Gap GapOf(const Entry& entry, v1::GapReason reason) {
  Gap gap;
  gap.lane = entry.lane;
  gap.first_sequence = entry.first_sequence;
  gap.last_sequence = entry.last_sequence();
  gap.reason = reason;
  gap.monotonic = entry.monotonic;
  if (entry.kind != EntryKind::kGap) {
    gap.from = gap.to = entry.wall;
    gap.lines = LinesOf(entry);
    return gap;
  }
  v1::Record record;
  if (!record.ParseFromString(entry.payload)) return gap;
  gap.reason = record.gap().reason();
  gap.lines = record.gap().lines();
  if (record.gap().has_from()) gap.from = FromProto(record.gap().from());
  if (record.gap().has_to()) gap.to = FromProto(record.gap().to());
  return gap;
}

std::int64_t LinesOf(const Entry& entry) {
  if (entry.kind != EntryKind::kLogLines && entry.kind != EntryKind::kGap) return 0;
  v1::Record record;
  if (!record.ParseFromString(entry.payload)) return 0;
  if (record.has_gap()) return record.gap().lines();
  return static_cast<std::int64_t>(record.log_lines().kinds().size());
}

Gap Join(const Gap& earlier, const Gap& later) {
  Gap joined = earlier;
  joined.last_sequence = later.last_sequence;
  if (!joined.from.has_value()) joined.from = later.from;
  if (later.to.has_value()) joined.to = later.to;
  joined.monotonic = later.monotonic;
  joined.lines += later.lines;
  return joined;
}

}  // namespace muster::agent
