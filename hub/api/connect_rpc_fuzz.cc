// The bytes of a Connect call that a client chooses: content type, timeout, envelope, body.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "hub/api/connect_rpc_codec.h"
#include "muster/fleet/v1/fleet.pb.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using muster::hub::ConnectEncoding;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  muster::hub::ParseConnectContentType(text);
  (void)muster::hub::ParseConnectTimeout(text);
  const auto message = muster::hub::OpenEnvelope(text);
  for (const ConnectEncoding encoding : {ConnectEncoding::kJson, ConnectEncoding::kProto}) {
    muster::fleet::v1::UpdateDeploymentRequest request;
    const auto bytes = message.ok() ? *message : text;
    if (muster::hub::DecodeMessage(encoding, bytes, &request).ok()) {
      (void)muster::hub::EncodeMessage(ConnectEncoding::kJson, request);
    }
  }
  return 0;
}
