// gRPC has no setting for what OpenSSL keeps for each connection, so every connection of this process is made lean
// where all of them are made: this SSL_new stands before libssl's (the dynamic linker looks in the program first), and
// calls it. Linked into the hub only. Measured with 10,000 TLS agents: 8 KiB less each, docs/benchmarks.md.
#include <dlfcn.h>
#include <openssl/ssl.h>

#include <cstdlib>

extern "C" SSL* SSL_new(SSL_CTX* context) {
  using Function = SSL* (*)(SSL_CTX*);
  static const auto real = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "SSL_new"));
  if (real == nullptr) std::abort();  // a program without libssl does not get here
  SSL* const ssl = real(context);
  if (ssl == nullptr) return ssl;
  // The buffers of 16 KiB for a record come and go with it; most agents are silent most of the time.
  SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
  // A ticket is for those who come back often. Agents stay, and gRPC's do not use them.
  SSL_set_num_tickets(ssl, 0);
  return ssl;
}
