# One interface target carries language level, warnings and hardening; every target of ours links it.
add_library(muster_flags INTERFACE)
target_compile_features(muster_flags INTERFACE cxx_std_20)
target_include_directories(muster_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
target_compile_options(muster_flags INTERFACE
  -Wall -Wextra -Wformat=2 -Wimplicit-fallthrough -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor -Woverloaded-virtual
  -fstack-protector-strong -fPIE -pthread)
# Debian ships no static library of fmt or spdlog, and the agent is linked static: fmt is compiled by us, once, and
# spdlog is used header-only, in common/log.cc alone.
target_compile_definitions(muster_flags INTERFACE SPDLOG_HEADER_ONLY SPDLOG_FMT_EXTERNAL _GLIBCXX_ASSERTIONS)
option(MUSTER_WERROR "Warnings are errors" OFF)
if(MUSTER_WERROR)
  target_compile_options(muster_flags INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(muster_flags INTERFACE -Wtrampolines -fstack-clash-protection -fcf-protection=full
    -ftrivial-auto-var-init=zero
    # gcc 12 with optimisation takes std::string members of designated initialisers for uninitialised (PR 105593 and
    # its kin); clang and the sanitizers watch what is real.
    -Wno-maybe-uninitialized)
else()
  target_compile_options(muster_flags INTERFACE -Wthread-safety)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT MUSTER_SANITIZE)
  target_compile_options(muster_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
if(MUSTER_SANITIZE)
  target_compile_options(muster_flags INTERFACE -fsanitize=${MUSTER_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  if(MUSTER_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Asio's fences are something the sanitizer does not know; its locks, which do the work, it does.
    target_compile_options(muster_flags INTERFACE -Wno-tsan)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 takes temporaries inside fmt for uninitialized once the sanitizers have rewritten it; clang does not.
    target_compile_options(muster_flags INTERFACE -Wno-uninitialized)
  endif()
  target_link_options(muster_flags INTERFACE -fsanitize=${MUSTER_SANITIZE})
else()
  target_link_options(muster_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
endif()

# What a library is compiled with whose size counts and whose speed does not: the agent is on every host.
add_library(muster_small_flags INTERFACE)
target_compile_options(muster_small_flags INTERFACE $<$<CONFIG:Release>:-Os>)

# What tests are compiled with: their own code is neither slow nor what is measured, and it takes the compiler longest.
add_library(muster_test_flags INTERFACE)
target_link_libraries(muster_test_flags INTERFACE muster_flags)
# gcc 12 with half of its optimisation sees bounds broken in std::string that with all of it are not.
target_compile_options(muster_test_flags INTERFACE $<$<CONFIG:Release>:-O1 -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread>)

find_program(MUSTER_CCACHE ccache)
if(MUSTER_CCACHE)
  # https://ccache.dev/manual/4.7.5.html#_precompiled_headers
  set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_SLOPPINESS=pch_defines,time_macros ${MUSTER_CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(muster_flags INTERFACE -fpch-preprocess)
  endif()
endif()

add_library(muster_fmt STATIC ${CMAKE_SOURCE_DIR}/common/fmt_library.cc)
target_compile_options(muster_fmt PRIVATE $<TARGET_PROPERTY:muster_flags,INTERFACE_COMPILE_OPTIONS>)
target_compile_features(muster_fmt PRIVATE cxx_std_20)
target_link_libraries(muster_flags INTERFACE muster_fmt)
