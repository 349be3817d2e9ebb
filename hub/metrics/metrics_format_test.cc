#include "hub/metrics/metrics_format.h"

#include <gtest/gtest.h>

namespace muster::hub {
namespace {

TEST(ChooseFormat, FollowsTheAcceptHeader) {
  constexpr PageFormat kText = PageFormat::kText;
  constexpr PageFormat kOpen = PageFormat::kOpenMetrics;
  const struct {
    const char* accept;
    PageFormat format;
  } cases[] = {
      {"", kText},
      {"*/*", kText},
      {"text/plain", kText},
      {"text/html, application/json;q=0.9", kText},
      {"application/openmetrics-text", kOpen},
      {"application/openmetrics-text; version=1.0.0; charset=utf-8", kOpen},
      {"Application/OpenMetrics-Text;Version=\"1.0.0\"", kOpen},
      // What Prometheus 2 and 3 send.
      {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
       "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
       kOpen},
      {"text/plain;version=0.0.4;q=0.5,*/*;q=0.1", kText},
      {"application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5", kText},
      {"application/openmetrics-text;version=2.0.0", kText},
      {"application/openmetrics-text;q=0.2,text/plain;q=0.7", kText},
      {"text/plain;q=0.2,application/openmetrics-text;q=0.7", kOpen},
      {"application/openmetrics-text;q=0,*/*;q=0.1", kText},
      {"application/openmetrics-text,text/plain", kOpen},
      {"text/plain,application/openmetrics-text", kText},
      {"application/openmetrics-text;q=nonsense", kText},
      {"application/openmetrics-text;q=7", kText},
      {",,;=;q=,\"", kText},
  };
  for (const auto& c : cases) EXPECT_EQ(ChooseFormat(c.accept), c.format) << c.accept;
}

TEST(ContentTypeOf, IsToTheLetter) {
  EXPECT_EQ(ContentTypeOf(PageFormat::kText), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(ContentTypeOf(PageFormat::kOpenMetrics), "application/openmetrics-text; version=1.0.0; charset=utf-8");
}

}  // namespace
}  // namespace muster::hub
