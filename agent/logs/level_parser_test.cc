#include "agent/logs/level_parser.h"

#include <gtest/gtest.h>

#include <string>

#include "agent/logs/testing/allocation_count.h"

namespace muster::agent {
namespace {

using Level = LogLevel;

struct Case {
  std::string_view line;
  Level level;
};

// As the programs write them.
constexpr Case kFormats[] = {
    // klog, glog
    {"I1121 05:24:21.123456       1 main.go:5] ready", Level::kInfo},
    {"W1121 05:24:21.123456       1 reflector.go:324] watch ended", Level::kWarn},
    {"E1121 05:24:21.123456       1 x.go:1] failed", Level::kError},
    {"F20261121 05:24:21.123456 1234 x.cc:1] gone", Level::kFatal},
    // JSON: zap, logrus, zerolog, pino, bunyan, Elasticsearch, Google Cloud, .NET, python-json-logger, Caddy
    {R"({"level":"info","ts":1795238661.1,"msg":"ready"})", Level::kInfo},
    {R"({"ts":"2026-11-21T05:24:21Z","level": "WARN","msg":"x"})", Level::kWarn},
    {R"({"time":1795238661123,"level":10,"msg":"x"})", Level::kTrace},
    {R"({"level":20,"time":1795238661123,"pid":1,"hostname":"h","msg":"x"})", Level::kDebug},
    {R"({"level":30,"time":1795238661123})", Level::kInfo},
    {R"({"name":"x","hostname":"h","pid":1,"level":40,"msg":"x","time":"2026-11-21T05:24:21Z","v":0})", Level::kWarn},
    {R"({"level":50})", Level::kError},
    {R"({"level":60})", Level::kFatal},
    {R"({"@timestamp":"2026-11-21T05:24:21Z", "log.level": "ERROR", "message":"x"})", Level::kError},
    {R"({"@timestamp":"2026-11-21T05:24:21Z","log":{"level":"error"},"message":"x"})", Level::kError},
    {R"({"severity":"NOTICE","message":"x"})", Level::kInfo},
    {R"({"Timestamp":"2026-11-21T05:24:21Z","EventId":0,"LogLevel":"Critical","Category":"x"})", Level::kFatal},
    {R"({"Timestamp":"2026-11-21T05:24:21Z","Level":"Information"})", Level::kInfo},
    {R"({"asctime":"2026-11-21 05:24:21,123","levelname":"WARNING"})", Level::kWarn},
    {R"({"lvl":"eror","level":"err"})", Level::kError},
    {R"({"msg":"{\"level\":\"error\"}","level":"debug"})", Level::kDebug},
    {R"({"level":"high","lvl":"debug"})", Level::kDebug},
    {R"({"msg":"level is","level":{"a":1}})", Level::kNone},
    {R"({"level":3,"msg":"of GELF, not of bunyan"})", Level::kNone},
    {R"({"level":500})", Level::kNone},
    {R"({"message":"error"})", Level::kNone},
    // logfmt: Grafana, Prometheus, logrus, Traefik
    {R"(ts=2026-11-21T05:24:21Z caller=main.go:5 level=info msg="Starting")", Level::kInfo},
    {R"(time="2026-11-21T05:24:21Z" level=warning msg="no config")", Level::kWarn},
    {R"(t=2026-11-21T05:24:21Z lvl=eror lvl=dbug msg=x)", Level::kDebug},
    {R"(level="error" err="x")", Level::kError},
    {"log.level=fatal x=1", Level::kFatal},
    {"GET /a?level=error&x=1", Level::kNone},
    {"sealevel=error", Level::kNone},
    // syslog, sd-daemon
    {"<3>disk failed", Level::kError},
    {"<0>x", Level::kFatal},
    {"<7>x", Level::kDebug},
    {"<14>Nov 21 05:24:21 host app: x", Level::kInfo},
    {"<165>1 2026-11-21T05:24:21Z host app - - - x", Level::kInfo},
    {"<192>x", Level::kNone},
    {"<b>error</b>", Level::kNone},
    // log4j, logback, Spring Boot, Kafka, Elasticsearch, Tomcat, java.util.logging
    {"2026-11-21 05:24:21,123 ERROR [main] com.shop.Cart: boom", Level::kError},
    {"2026-11-21 05:24:21.123 [main] DEBUG com.shop.Cart - x", Level::kDebug},
    {"2026-11-21T05:24:21.123Z  INFO 1 --- [           main] com.shop.App : Started", Level::kInfo},
    {"[2026-11-21 05:24:21,123] WARN [Controller id=1] x (kafka.controller)", Level::kWarn},
    {"[2026-11-21T05:24:21,123][INFO ][o.e.n.Node] [x] started", Level::kInfo},
    {"21-Nov-2026 05:24:21.123 SEVERE [main] org.apache.catalina.x", Level::kError},
    {"SEVERE: x", Level::kError},
    {"INFO: Server startup in 1234 ms", Level::kInfo},
    // Python, gunicorn, uvicorn, celery, loguru
    {"WARNING:root:careful", Level::kWarn},
    {"2026-11-21 05:24:21,123 - shop.cart - CRITICAL - x", Level::kFatal},
    {"[2026-11-21 05:24:21 +0000] [7] [INFO] Listening at: http://0.0.0.0:8000", Level::kInfo},
    {"INFO:     10.0.0.1:5000 - \"GET / HTTP/1.1\" 200 OK", Level::kInfo},
    {"[2026-11-21 05:24:21,123: WARNING/MainProcess] x", Level::kWarn},
    {"2026-11-21 05:24:21.123 | ERROR    | __main__:f:1 - x", Level::kError},
    // Go: zap's console, logrus, zerolog, hclog, Istio; a panic
    {"2026-11-21T05:24:21.123Z\tINFO\tmain.go:5\tready", Level::kInfo},
    {"INFO[0000] ready", Level::kInfo},
    {"\x1b[33mWARN\x1b[0m[0012] careful", Level::kWarn},
    {"\x1b[90m5:24AM\x1b[0m \x1b[31mERR\x1b[0m x", Level::kError},
    {"5:24AM INF ready", Level::kInfo},
    {"2026-11-21T05:24:21.123Z [INFO]  agent: x", Level::kInfo},
    {"2026-11-21T05:24:21.123456Z\tinfo\tx", Level::kInfo},
    {"panic: runtime error: index out of range", Level::kFatal},
    // Rust: env_logger, tracing
    {"[2026-11-21T05:24:21Z ERROR app::error] x", Level::kError},
    {"[2026-11-21T05:24:21Z INFO  app::error] x", Level::kInfo},
    {"\x1b[2m2026-11-21T05:24:21.123456Z\x1b[0m \x1b[32m INFO\x1b[0m \x1b[2mapp\x1b[0m\x1b[2m:\x1b[0m x", Level::kInfo},
    {" INFO app: without a time", Level::kInfo},
    {"  WARN app > right-aligned", Level::kWarn},
    // JavaScript: npm, Next, winston, Nest, Node; .NET; Ruby; Elixir; C++
    {"npm ERR! code 1", Level::kError},
    {"warn  - no config", Level::kWarn},
    {"info: listening {\"port\":80}", Level::kInfo},
    {"[Nest] 7  - 11/21/2026, 5:24:21 AM     LOG [App] started", Level::kInfo},
    {"Error: listen EADDRINUSE: address already in use", Level::kError},
    {"(node:1) Warning: x", Level::kWarn},
    {"fail: Microsoft.AspNetCore.Server[13]", Level::kError},
    {"trce: x", Level::kTrace},
    {"[05:24:21 VRB] x", Level::kTrace},
    {"I, [2026-11-21T05:24:21.123456 #1]  INFO -- : Started GET", Level::kInfo},
    {"05:24:21.123 [error] GenServer terminating", Level::kError},
    {"[2026-11-21 05:24:21.123] [shop] [\x1b[33mwarning\x1b[m] x", Level::kWarn},
    {"2026-11-21T05:24:21.123Z info    the hub is reachable", Level::kInfo},
    // nginx, Apache, PostgreSQL, MySQL, Redis, HAProxy, PHP, RabbitMQ, fluentd
    {"2026/11/21 05:24:21 [error] 31#31: *1 open() failed", Level::kError},
    {"2026/11/21 05:24:21 [emerg] 1#1: bind() failed", Level::kFatal},
    {"[Sat Nov 21 05:24:21.123456 2026] [core:notice] [pid 1] x", Level::kInfo},
    {"[Sat Nov 21 05:24:21.123456 2026] [php:error] [pid 1] x", Level::kError},
    {"2026-11-21 05:24:21.123 UTC [42] ERROR:  relation \"x\" does not exist", Level::kError},
    {"2026-11-21 05:24:21.123 UTC [42] LOG:  checkpoint starting: time", Level::kInfo},
    {"2026-11-21T05:24:21.123456Z 0 [Warning] [MY-010068] [Server] x", Level::kWarn},
    {"2026-11-21  5:24:21 0 [Note] InnoDB: x", Level::kInfo},
    {"1:C 21 Nov 2026 05:24:21.123 # Warning: no config file", Level::kWarn},
    {"[ALERT]    (1) : bind failed", Level::kFatal},
    {"[21-Nov-2026 05:24:21] NOTICE: fpm is running, pid 1", Level::kInfo},
    {"2026-11-21 05:24:21.123456+00:00 [info] <0.9.0> x", Level::kInfo},
    {"2026-11-21 05:24:21 +0000 [warn]: #0 x", Level::kWarn},
    {"Nov 21 05:24:21 host app [debug] x", Level::kDebug},
    // No level.
    {"ready", Level::kNone},
    {"10.0.0.1 - - [21/Nov/2026:05:24:21 +0000] \"GET /ERROR HTTP/1.1\" 200 512", Level::kNone},
    {"an error occurred", Level::kNone},
    {"Error pages are served from /srv", Level::kNone},
    {"5 info lines", Level::kNone},
    {"LOG_LEVEL=DEBUG", Level::kNone},
    {"ERROR_CODE 5, NO-ERROR", Level::kNone},
    {"MyERROR INFOS", Level::kNone},
    {"information about errors", Level::kNone},
    {"{", Level::kNone},
    {"[", Level::kNone},
    {"<", Level::kNone},
    {"\x1b[", Level::kNone},
    {"I1121", Level::kNone},
    {"=", Level::kNone},
    {"{\"level\":", Level::kNone},
    {"{\"level\":\"", Level::kNone},
    {"{\"lev", Level::kNone},
    {"2026-11-21", Level::kNone},
};

TEST(ParseLevel, KnowsTheFormsInWhichProgramsWriteIt) {
  for (const Case& c : kFormats) EXPECT_EQ(ParseLevel(c.line, Level::kNone), c.level) << c.line;
}

TEST(ParseLevel, ALineOfItsOwnOwesNothingToTheOneBefore) {
  for (const Case& c : kFormats) EXPECT_EQ(ParseLevel(c.line, Level::kFatal), c.level) << c.line;
}

TEST(ParseLevel, AStackTraceHasTheLevelOfItsError) {
  Level level = Level::kNone;
  for (const std::string_view line :
       {"2026-11-21 05:24:21,123 ERROR [main] com.shop.Cart: boom", "\tat com.shop.Cart.add(Cart.java:42)",
        "    at com.shop.INFO.Logger.log(INFO.java:1)", "", "  File \"x.py\", line 5, in f",
        "    raise ValueError(\"INFO\")", "\t... 12 more"}) {
    level = ParseLevel(line, level);
    EXPECT_EQ(level, Level::kError) << line;
  }
  EXPECT_EQ(ParseLevel("ready", level), Level::kNone);
}

TEST(ParseLevel, LooksAtTheBeginningOnly) {
  const std::string padding(kLevelBytes, 'x');
  EXPECT_EQ(ParseLevel("{\"a\":\"" + padding + "\",\"level\":\"error\"}", Level::kNone), Level::kNone);
  EXPECT_EQ(ParseLevel("a=" + padding + " level=error", Level::kNone), Level::kNone);
  EXPECT_EQ(ParseLevel(padding.substr(0, kLevelWordBytes) + " ERROR", Level::kNone), Level::kNone);
  EXPECT_EQ(ParseLevel(padding.substr(0, kLevelWordBytes - 6) + " ERROR", Level::kNone), Level::kError);
}

TEST(ParseLevel, StaysWithinItsBytes) {
  // Every beginning of every line, with nothing behind it: the sanitizers watch.
  for (const Case& c : kFormats) {
    for (std::size_t size = 0; size <= c.line.size(); ++size) {
      const std::string line(c.line.substr(0, size));
      ParseLevel(line, Level::kNone);
    }
  }
}

TEST(ParseLevel, AllocatesNothing) {
  const std::int64_t before = AllocationCount();
  int levels = 0;
  for (const Case& c : kFormats) levels += static_cast<int>(ParseLevel(c.line, Level::kNone));
  EXPECT_EQ(AllocationCount(), before);
  EXPECT_GT(levels, 0);
}

}  // namespace
}  // namespace muster::agent
