// ExportLogs: all lines of a selection in the order of time, as pieces of one file, and a trailer that proves that it
// is complete.
#ifndef MUSTER_HUB_API_LOG_EXPORT_H_
#define MUSTER_HUB_API_LOG_EXPORT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "hub/api/line_stream.h"

namespace muster::hub {

class LogExport : public LineStream {
 public:
  // A host that is flooded for a month has millions of them. The rest is summed up in one more, OTHERS.
  static constexpr int kMaxTrailerGaps = 1000;

  LogExport(const LogMeans* means, std::shared_ptr<const LogQuestion> question, Caller caller,
            std::shared_ptr<StreamSink> sink, fleet::v1::LogExportFormat format)
      : LineStream(means, std::move(question), std::move(caller), std::move(sink)), format_(format) {}

 private:
  absl::StatusOr<Next> Step() override;
  absl::StatusOr<Next> SendTrailer();
  // False: the client did not take all of the page, and after_ is where it goes on.
  bool Send(const LogPage& page);
  std::string Format(const FoundEntry& entry) const;
  void Count(const FoundEntry& entry);

  const fleet::v1::LogExportFormat format_;
  // Of steps.
  std::optional<LogCursor> after_;
  bool all_read_ = false;
  // Of what the client has.
  fleet::v1::LogExportTrailer trailer_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_API_LOG_EXPORT_H_
