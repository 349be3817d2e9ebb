# muster_precompile(TARGET muster_precompiled|muster_precompiled_small|muster_precompiled_tests): other people's headers that most sources read are
# parsed once, not in each of them, with the flags of what they are for.
# Nothing of ours is in there, so changing ours rebuilds what includes it and no more. Off where a build shall see each
# source as it stands: what a source forgets to include is found by the clang preset and by clang-tidy.
option(MUSTER_PRECOMPILE "Precompile other people's headers" OFF)

if(MUSTER_PRECOMPILE)
  set(headers <algorithm> <functional> <map> <memory> <optional> <string> <thread> <utility> <vector>
    <absl/container/flat_hash_map.h> <absl/functional/any_invocable.h> <absl/status/statusor.h>
    <absl/synchronization/mutex.h> <absl/time/time.h> <fmt/format.h>
    <google/protobuf/duration.pb.h> <google/protobuf/timestamp.pb.h>)
  # Left alone when it is there: a target needs a source.
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/precompiled.cc CONTENT "")
  foreach(name muster_precompiled muster_precompiled_small)
    add_library(${name} STATIC ${CMAKE_BINARY_DIR}/generated/precompiled.cc)
    target_link_libraries(${name} PRIVATE muster_flags protobuf::libprotobuf)
    target_precompile_headers(${name} PRIVATE ${headers})
  endforeach()
  target_link_libraries(muster_precompiled_small PRIVATE muster_small_flags)
  if(BUILD_TESTING)
    add_library(muster_precompiled_tests STATIC ${CMAKE_BINARY_DIR}/generated/precompiled.cc)
    target_link_libraries(muster_precompiled_tests PRIVATE muster_test_flags protobuf::libprotobuf GTest::gmock)
    target_precompile_headers(muster_precompiled_tests PRIVATE ${headers} <gmock/gmock.h> <gtest/gtest.h>)
  endif()
endif()

function(muster_precompile name like)
  if(MUSTER_PRECOMPILE)
    target_precompile_headers(${name} REUSE_FROM ${like})
  endif()
endfunction()
