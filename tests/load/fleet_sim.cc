#include "tests/load/fleet_sim.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace muster::load {
namespace {

constexpr auto kTick = std::chrono::milliseconds(10);
// Of one flooding agent in one tick: a record is at most 60 KiB.
constexpr int kMaxFloodLines = 400;
constexpr std::uint32_t kFirstSource = 0x7F010001;  // 127.1.0.1

}  // namespace

FleetSim::FleetSim(boost::asio::io_context* io, H2Network* network, std::vector<TargetName> targets, const Rates& rates,
                   int sources, std::uint64_t seed)
    : io_(io), rates_(rates), random_(seed), timer_(*io) {
  int number = 0;
  const int misfits = rates_.flooding + rates_.slow + rates_.stuck;
  for (TargetName& target : targets) {
    const boost::asio::ip::address_v4 source(sources > 0 ? kFirstSource + static_cast<std::uint32_t>(number % sources)
                                                         : 0);
    const FleetContext context{
        .io = io_, .clock = Clock::System(), .counts = number < misfits ? &misfits_ : &counts_, .random = &random_};
    agents_.push_back(std::make_unique<SimAgent>(context, number++, std::move(target), rates_.deployments,
                                                 network->DialerFrom(source)));
  }
  for (int i = rates_.flooding; i < misfits; ++i) {
    agents_[static_cast<std::size_t>(i)]->SetPace(i < rates_.flooding + rates_.slow ? ReadPace::kSlow
                                                                                    : ReadPace::kNever);
  }
}

void FleetSim::Start() {
  ticked_at_ = Clock::System()->Monotonic();
  Tick();
}

bool FleetSim::AllAcknowledged() const {
  return std::all_of(agents_.begin() + rates_.flooding + rates_.slow + rates_.stuck, agents_.end(),
                     [](const auto& agent) { return agent->AllAcknowledged(); });
}

void FleetSim::Stop() {
  timer_.cancel();
  for (const auto& agent : agents_) agent->Stop(agent::v1::GOODBYE_REASON_STOPPED);
}

bool FleetSim::AllStopped() const {
  return std::all_of(agents_.begin(), agents_.end(), [](const auto& agent) { return agent->stopped(); });
}

void FleetSim::CutAll() {
  for (const auto& agent : agents_) agent->Cut();
}

int FleetSim::Due(double per_second, double seconds, double* rest) {
  *rest += per_second * seconds;
  const int due = static_cast<int>(*rest);
  *rest -= due;
  return due;
}

void FleetSim::Tick() {
  const Instant now = Clock::System()->Monotonic();
  const double seconds = absl::ToDoubleSeconds(now - std::exchange(ticked_at_, now));
  for (int n = Due(rates_.starts_per_second, seconds, &starts_rest_); n > 0 && started_ < agents_.size(); --n) {
    agents_[started_++]->Start();
  }
  if (!is_quiet_ && started_ == agents_.size()) {
    const auto agents = static_cast<double>(agents_.size());
    const double changes = agents * rates_.deployments * rates_.status_changes_percent / 100 / 60;
    for (int n = Due(changes, seconds, &changes_rest_); n > 0; --n) Any().ChangeStatus();
    const double samples = agents / absl::ToDoubleSeconds(rates_.host_metrics_every);
    for (int n = Due(samples, seconds, &samples_rest_); n > 0; --n) {
      agents_[next_sampled_++ % agents_.size()]->SampleHost();
    }
    const double bursts = rates_.log_lines_per_second / rates_.log_burst;
    for (int n = Due(bursts, seconds, &logs_rest_); n > 0; --n) Any().Log(rates_.log_burst);
    const int flood = std::min(kMaxFloodLines, Due(rates_.flood_lines_per_second, seconds, &floods_rest_));
    for (int i = 0; i < rates_.flooding && flood > 0; ++i) agents_[static_cast<std::size_t>(i)]->Log(flood);
  }
  timer_.expires_after(kTick);
  timer_.async_wait([this](boost::system::error_code failed) {
    if (!failed) Tick();
  });
}

}  // namespace muster::load
