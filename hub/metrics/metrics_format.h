// Which of the two text formats a scraper gets (docs/metrics.md, "Formats"). Pure; takes any bytes.
#ifndef MUSTER_HUB_METRICS_METRICS_FORMAT_H_
#define MUSTER_HUB_METRICS_METRICS_FORMAT_H_

#include <string_view>

#include "hub/metrics/page_writer.h"

namespace muster::hub {

// By the Accept header: what it prefers, of equals what it names first. Who asks for neither gets the text format.
PageFormat ChooseFormat(std::string_view accept);

// To the letter: Prometheus 3 refuses a scrape of another type.
std::string_view ContentTypeOf(PageFormat format);

}  // namespace muster::hub

#endif  // MUSTER_HUB_METRICS_METRICS_FORMAT_H_
