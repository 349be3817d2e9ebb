# One interface target carries language level, warnings and hardening; every target of ours links it.
add_library(muster_flags INTERFACE)
target_compile_features(muster_flags INTERFACE cxx_std_20)
target_include_directories(muster_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
target_compile_options(muster_flags INTERFACE
  -Wall -Wextra -Wformat=2 -Wimplicit-fallthrough -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor -Woverloaded-virtual
  -fstack-protector-strong -fPIE)
# fmt and spdlog are used header-only: Debian ships no static library of either, and the agent is linked static.
target_compile_definitions(muster_flags INTERFACE
  FMT_HEADER_ONLY SPDLOG_HEADER_ONLY SPDLOG_FMT_EXTERNAL _GLIBCXX_ASSERTIONS)
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

find_program(MUSTER_CCACHE ccache)
if(MUSTER_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${MUSTER_CCACHE})
endif()
