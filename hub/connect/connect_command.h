// The line an operator pastes on a customer's host. Pure functions.
#ifndef MUSTER_HUB_CONNECT_CONNECT_COMMAND_H_
#define MUSTER_HUB_CONNECT_CONNECT_COMMAND_H_

#include <string>
#include <string_view>

namespace muster::hub {

struct ConnectCommandOptions {
  std::string public_url;  // "https://hub.example.com:8080", without a final slash or with one
  // Of the hub's own certificate; empty when a public authority signed it, or without TLS.
  std::string spki_sha256_base64;
};

// curl -sS [-k --pinnedpubkey 'sha256//...'] 'URL/connect/CODE' | sudo sh
// Without -f: a refusal is a script too, which tells the reason and fails (docs/adr/0005-connect-line-without-f.md).
std::string ConnectCommand(const ConnectCommandOptions& options, std::string_view code);

// One word of a POSIX shell, whatever `text` holds (NUL bytes are left out: no shell can carry them).
std::string ShellQuote(std::string_view text);

}  // namespace muster::hub

#endif  // MUSTER_HUB_CONNECT_CONNECT_COMMAND_H_
