// gRPC has no setting for what OpenSSL keeps for each connection, so every connection of this process is made lean
// where all of them are made: these functions stand before those of libssl and libcrypto (the dynamic linker looks in
// the program first), and call them. Linked into the hub only. Measured with 10,000 TLS agents: docs/load.md.
#include <dlfcn.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <cstddef>
#include <cstdlib>

namespace {

// Between a connection's OpenSSL and the socket, each way. OpenSSL's own 17 KiB hold the largest record. Certificates,
// what comes in, and what Asio sends go through in parts, but a record that gRPC sends must fit: those of its server
// are of 1 KiB (GRPC_ARG_TSI_MAX_FRAME_SIZE, grpc_server.cc), those of its clients of 16. So not for a program that
// sends much as a client of gRPC.
constexpr std::size_t kPairBytes = 4096;

// What stands behind a function of this file.
template <typename Function>
Function Behind(const char* name) {
  const auto found = reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
  if (found == nullptr) std::abort();  // a program without the library does not get here
  return found;
}

}  // namespace

extern "C" SSL* SSL_new(SSL_CTX* context) {
  static const auto behind = Behind<SSL* (*)(SSL_CTX*)>("SSL_new");
  SSL* const ssl = behind(context);
  if (ssl == nullptr) return ssl;
  // The buffers of 16 KiB for a record come and go with it; most agents are silent most of the time.
  SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
  // A ticket is for those who come back often. Agents stay, and gRPC's do not use them.
  SSL_set_num_tickets(ssl, 0);
  return ssl;
}

extern "C" int BIO_new_bio_pair(BIO** one, std::size_t one_bytes, BIO** other, std::size_t other_bytes) {
  static const auto behind = Behind<int (*)(BIO**, std::size_t, BIO**, std::size_t)>("BIO_new_bio_pair");
  // 0 is who has no wish: gRPC, Asio.
  return behind(one, one_bytes == 0 ? kPairBytes : one_bytes, other, other_bytes == 0 ? kPairBytes : other_bytes);
}
