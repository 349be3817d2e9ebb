// What every command needs to know, from options, environment and configuration file, in this order. After
// FinalizeSettings nobody reads the environment. docs/cli.md has the table.
#ifndef MUSTER_HUB_CLI_SETTINGS_H_
#define MUSTER_HUB_CLI_SETTINGS_H_

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/secret.h"

namespace muster::cli {

// nullopt: not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// As typed; empty: not given.
struct RawSettings {
  std::string hub;
  std::string token_file;
  std::string ca_file;
  std::string output;
  bool no_input = false;
  bool no_color = false;
};

enum class OutputFormat { kTable, kJson, kCsv };

struct Settings {
  // Without a slash at the end.
  std::string hub_url;
  // Empty: none was given.
  Secret token;
  std::string ca_file;
  OutputFormat output = OutputFormat::kTable;
  bool no_input = false;
  // Colours are wanted, as far as options and environment say; the console decides too.
  bool color = true;
};

// Reads the token file (or stdin) and the configuration file.
absl::StatusOr<Settings> FinalizeSettings(const RawSettings& raw, const Environment& environment);

// "key = value" lines; `#` begins a comment line. Unknown keys are errors.
absl::StatusOr<std::map<std::string, std::string>> ParseConfigFile(std::string_view text);

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_SETTINGS_H_
