# muster_static_executable(NAME OUTPUT binary SOURCES main.cc LIBRARIES our_lib ... PACKAGES pkg ...)
#
# One file that runs on any Linux host of this architecture, whatever libraries are there. The CMake targets of Debian's
# gRPC, protobuf and Abseil name shared objects, so our archives are linked by file and the foreign ones by
# pkg-config's static list, all in one group because they refer to each other. Every library of ours that the program
# needs must be listed: nothing is followed here.
function(muster_static_executable name)
  cmake_parse_arguments(arg "" "OUTPUT" "SOURCES;LIBRARIES;PACKAGES" ${ARGN})
  pkg_check_modules(${name}_PKG REQUIRED ${arg_PACKAGES})
  set(foreign ${${name}_PKG_STATIC_LIBRARIES})
  # The order means nothing within a group; glibc holds dl, rt and pthread itself.
  list(REMOVE_DUPLICATES foreign)
  list(REMOVE_ITEM foreign dl rt pthread atomic)
  list(TRANSFORM foreign PREPEND "-l")
  set(ours)
  foreach(library IN LISTS arg_LIBRARIES)
    list(APPEND ours $<TARGET_FILE:${library}>)
  endforeach()

  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES OUTPUT_NAME ${arg_OUTPUT}
    LINK_DEPENDS "${ours}")
  add_dependencies(${name} ${arg_LIBRARIES})
  target_link_libraries(${name} PRIVATE muster_flags -Wl,--start-group ${ours} ${foreign} -Wl,--end-group)
  # glibc warns that getaddrinfo and friends want shared libraries at run time; gRPC resolves with c-ares instead.
  target_link_options(${name} PRIVATE -static -s -Wl,--gc-sections)
endfunction()
