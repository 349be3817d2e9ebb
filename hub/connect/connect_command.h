// The line an operator pastes on a customer's host, or where kubectl reaches the customer's cluster. Pure functions.
#ifndef MUSTER_HUB_CONNECT_CONNECT_COMMAND_H_
#define MUSTER_HUB_CONNECT_CONNECT_COMMAND_H_

#include <string>
#include <string_view>

#include "muster/types/v1/types.pb.h"

namespace muster::hub {

struct ConnectCommandOptions {
  std::string public_url;  // "https://hub.example.com:8080", without a final slash or with one
  // Of the hub's own certificate; empty when a public authority signed it, or without TLS.
  std::string spki_sha256_base64;
};

// curl -sS [-k --pinnedpubkey 'sha256//...'] 'URL/connect/CODE' | sudo sh
// Without -f: a refusal is a script too, which tells the reason and fails (docs/adr/0005-connect-line-without-f.md).
// For a cluster: curl -sS [...] 'URL/connect/CODE?scope=namespace' | kubectl apply -n NAMESPACE -f -
std::string ConnectCommand(const ConnectCommandOptions& options, types::v1::TargetType type, std::string_view code);

// One word of a POSIX shell, whatever `text` holds (NUL bytes are left out: no shell can carry them).
std::string ShellQuote(std::string_view text);

}  // namespace muster::hub

#endif  // MUSTER_HUB_CONNECT_CONNECT_COMMAND_H_
