#include "hub/session/batch_window.h"

#include <algorithm>
#include <utility>

namespace muster::hub {

std::optional<std::int64_t> BatchWindow::Enter() {
  if (answers_.size() >= kMaxUnanswered) return std::nullopt;
  answers_.emplace_back();
  return first_place_ + static_cast<std::int64_t>(answers_.size()) - 1;
}

bool BatchWindow::Admit(std::size_t bytes) {
  if (batches_ >= kMaxBatches || (batches_ > 0 && bytes_ + bytes > kMaxBytes)) return false;
  ++batches_;
  bytes_ += bytes;
  return true;
}

void BatchWindow::Left(std::size_t bytes) {
  --batches_;
  bytes_ -= bytes;
}

std::vector<agent::v1::SessionResponse> BatchWindow::Answer(std::int64_t place, agent::v1::SessionResponse answer) {
  answers_[static_cast<std::size_t>(place - first_place_)] = std::move(answer);
  std::vector<agent::v1::SessionResponse> ready;
  const auto waits = std::find_if(answers_.begin(), answers_.end(), [](const auto& a) { return !a.has_value(); });
  for (auto it = answers_.begin(); it != waits; ++it) ready.push_back(*std::move(*it));
  answers_.erase(answers_.begin(), waits);
  first_place_ += static_cast<std::int64_t>(ready.size());
  return ready;
}

}  // namespace muster::hub
