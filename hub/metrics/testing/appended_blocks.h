// What a scrape cannot avoid: a loop that appends the same label blocks to what follows them, in the same lines.
#ifndef MUSTER_HUB_METRICS_TESTING_APPENDED_BLOCKS_H_
#define MUSTER_HUB_METRICS_TESTING_APPENDED_BLOCKS_H_

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hub/fleet/exposed.h"
#include "hub/metrics/page_writer.h"

namespace muster::hub {

// A family that has the same number of samples for each of the blocks.
struct BlockFamily {
  std::string name;
  bool of_deployments = false;
  std::vector<std::string> tails = {};  // what follows the block, number and newline included
};

// Of a page: every family that has samples of targets or deployments.
inline std::vector<BlockFamily> FamiliesOf(const std::string& page, const ExposedFleet& fleet) {
  std::vector<BlockFamily> families;
  for (std::size_t at = page.find("# TYPE "); at != std::string::npos; at = page.find("# TYPE ", at + 1)) {
    const std::string name = page.substr(at + 7, page.find(' ', at + 7) - at - 7);
    const std::size_t begin = page.find('\n', at) + 1;
    const std::string first_target = fmt::format("{}{{{}", name, fleet.targets[0].facts->place);
    if (page.compare(begin, first_target.size(), first_target) != 0) continue;
    BlockFamily family{.name = name};
    std::size_t line = begin;
    family.of_deployments = page.compare(begin + first_target.size(), 14, ",deploymentid=") == 0;
    const std::string_view block = family.of_deployments ? fleet.deployments[0].labels
                                   : page.compare(begin + first_target.size(), 1, ",") == 0
                                       ? fleet.targets[0].labels
                                       : fleet.targets[0].facts->place;
    while (page.compare(line + name.size() + 1, block.size(), block) == 0) {
      const std::size_t tail = line + name.size() + 1 + block.size();
      const std::size_t end = page.find('\n', tail) + 1;
      family.tails.push_back(page.substr(tail, end - tail));
      line = end;
    }
    families.push_back(std::move(family));
  }
  return families;
}

// Returns what was appended.
inline std::size_t AppendBlocks(const std::vector<BlockFamily>& families, const ExposedFleet& fleet,
                                std::string& block) {
  std::size_t bytes = 0;
  const auto lines = [&](const BlockFamily& family, const auto& rows) {
    for (const auto& row : rows) {
      for (const std::string& tail : family.tails) {
        if (block.size() + family.name.size() + row.labels.size() + tail.size() >= PageWriter::kBlockBytes) {
          bytes += block.size();
          block.clear();
        }
        block += family.name;
        block += '{';
        block += row.labels;
        block += tail;
      }
    }
  };
  for (const BlockFamily& family : families) {
    if (family.of_deployments) {
      lines(family, fleet.deployments);
    } else {
      lines(family, fleet.targets);
    }
  }
  return bytes + block.size();
}

}  // namespace muster::hub

#endif  // MUSTER_HUB_METRICS_TESTING_APPENDED_BLOCKS_H_
