// A file in memory as the kernel maps it, for answers of many megabytes. Immutable, readable from any thread. The file
// must be replaced by rename, not written over: a mapping of a file that shrinks ends the process on access.
#ifndef MUSTER_HUB_HTTP_MAPPED_FILE_H_
#define MUSTER_HUB_HTTP_MAPPED_FILE_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace muster::hub {

class MappedFile {
 public:
  static absl::StatusOr<std::shared_ptr<const MappedFile>> Open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::string_view content() const { return {data_, size_}; }

 private:
  MappedFile(const char* data, std::size_t size) : data_(data), size_(size) {}
  const char* const data_;
  const std::size_t size_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_HTTP_MAPPED_FILE_H_
