// A log line as a terminal may have it. Containers write what they like: colours, and sequences that move the cursor,
// set titles or answer for the user. Only colours pass. Used for each line that `muster logs` shows; pure.
#ifndef MUSTER_HUB_CLI_ANSI_TEXT_H_
#define MUSTER_HUB_CLI_ANSI_TEXT_H_

#include <string>
#include <string_view>

namespace muster::cli {

enum class AnsiColors { kKeep, kStrip };

// Colours (ESC [ numbers m, at most 64 bytes) stay, and are reset at the end, or go. A tab becomes spaces up to the
// next multiple of eight columns. Every other control character, an incomplete sequence, bidirectional overrides and
// bytes that are no UTF-8 become visible escapes: \x1b, \u202e.
std::string AnsiText(std::string_view line, AnsiColors colors);

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_ANSI_TEXT_H_
