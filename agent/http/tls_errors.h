// OpenSSL's failures as sentences that say what to do. Internal to TlsSession.
#ifndef MUSTER_AGENT_HTTP_TLS_ERRORS_H_
#define MUSTER_AGENT_HTTP_TLS_ERRORS_H_

#include <openssl/types.h>

#include <string>

#include "absl/status/status.h"

namespace muster::agent {

// Called while the server's certificate is refused: remembers why, with what the certificate says of itself.
void NoteRefusal(SSL* ssl, X509_STORE_CTX* store);
// Before the connection goes.
void FreeNotes(SSL* ssl);

// What a call ended with. `kind`: of SSL_get_error; `error_number`: errno after it.
// kUnauthenticated: the server is not who it should be (TLS_EXPIRED, TLS_WRONG_NAME, TLS_UNTRUSTED), or does not take
// our certificate (TLS_CLIENT_REFUSED). kDataLoss: it does not speak TLS (TLS_NOT_SPOKEN), or speaks it badly
// (TLS_FAILED). kUnavailable: the connection is lost.
absl::Status TlsFailure(SSL* ssl, int kind, int error_number, const std::string& server_name);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_HTTP_TLS_ERRORS_H_
