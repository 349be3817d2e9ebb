#include "agent/link/testing/test_certificates.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdlib>

namespace muster::agent {
namespace {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;
using Buffer = std::unique_ptr<BIO, Freer<BIO_free_all>>;

void Require(bool good) {
  if (!good) std::abort();
}

template <typename Write>
std::string ToPem(Write write) {
  const Buffer buffer(BIO_new(BIO_s_mem()));
  Require(write(buffer.get()) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(buffer.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string CertificatePem(X509* certificate) {
  return ToPem([&](BIO* out) { return PEM_write_bio_X509(out, certificate); });
}

void AddExtension(X509* certificate, int nid, const std::string& value) {
  const Extension extension(X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str()));
  Require(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1);
}

Certificate Make(EVP_PKEY* key, const char* name, X509_NAME* issuer, EVP_PKEY* issuer_key, int nid,
                 const std::string& extension, absl::Duration validity) {
  static long serial = 1;
  Certificate certificate(X509_new());
  X509* raw = certificate.get();
  X509_set_version(raw, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(raw), serial++);
  X509_gmtime_adj(X509_getm_notBefore(raw), -2 * 24 * 3600);
  X509_gmtime_adj(X509_getm_notAfter(raw), static_cast<long>(absl::ToInt64Seconds(validity)));
  X509_NAME_add_entry_by_txt(X509_get_subject_name(raw), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509_set_issuer_name(raw, issuer != nullptr ? issuer : X509_get_subject_name(raw));
  X509_set_pubkey(raw, key);
  AddExtension(raw, nid, extension);
  Require(X509_sign(raw, issuer_key, EVP_sha256()) > 0);
  return certificate;
}

}  // namespace

struct TestAuthority::Keys {
  Key key{EVP_EC_gen("P-256")};
  Certificate certificate;
};

TestAuthority::TestAuthority() : keys_(std::make_unique<Keys>()) {
  EVP_PKEY* key = keys_->key.get();
  keys_->certificate =
      Make(key, "Muster test CA", nullptr, key, NID_basic_constraints, "critical,CA:TRUE", absl::Hours(24));
  certificate_pem_ = CertificatePem(keys_->certificate.get());
}

TestAuthority::~TestAuthority() = default;

TestCertificate TestAuthority::Issue(const std::string& subject_alt_name, absl::Duration validity) const {
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate = Make(key.get(), "hub", X509_get_subject_name(keys_->certificate.get()),
                                       keys_->key.get(), NID_subject_alt_name, subject_alt_name, validity);
  return {.certificate_pem = CertificatePem(certificate.get()),
          .key_pem = ToPem([&](BIO* out) {
            return PEM_write_bio_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
          })};
}

}  // namespace muster::agent
