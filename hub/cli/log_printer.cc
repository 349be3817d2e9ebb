#include "hub/cli/log_printer.h"

#include <string>
#include <vector>

#include "common/status.h"

namespace muster::cli {

absl::Status LogPrinter::OldestFirst(const LogEntries& entries) {
  if (context_.json()) return Json(entries);
  std::string out;
  for (const auto& entry : entries) out += rows_.Next(entry) + '\n';
  return out.empty() ? absl::OkStatus() : context_.console().Write(out);
}

absl::Status LogPrinter::NewestFirst(const LogEntries& entries) {
  if (context_.json()) return Json(entries);
  LogRows rows(options_);
  std::vector<std::string> made;
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) made.push_back(rows.Next(*entry));
  std::string out;
  for (auto row = made.rbegin(); row != made.rend(); ++row) out += *row + '\n';
  return out.empty() ? absl::OkStatus() : context_.console().Write(out);
}

absl::Status LogPrinter::Json(const LogEntries& entries) const {
  std::string out;
  for (const auto& entry : entries) {
    ASSIGN_OR_RETURN(const std::string json, ToJson(entry));
    out += json + '\n';
  }
  return out.empty() ? absl::OkStatus() : context_.console().Write(out);
}

}  // namespace muster::cli
