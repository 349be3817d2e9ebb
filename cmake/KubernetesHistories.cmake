# muster_kubernetes_histories(TEST): the test reads the histories of tests/fixtures/kubernetes as JSON. They are written
# when it is built, into the folder MUSTER_KUBERNETES_HISTORIES (a string, for the preprocessor).
function(muster_kubernetes_histories test)
  if(NOT TARGET ${test})  # without BUILD_TESTING
    return()
  endif()
  set(fixtures ${CMAKE_SOURCE_DIR}/tests/fixtures/kubernetes)
  set(out ${CMAKE_BINARY_DIR}/kubernetes-histories)
  if(NOT TARGET kubernetes_histories)
    file(GLOB scripts CONFIGURE_DEPENDS ${fixtures}/dump.py ${fixtures}/kubedouble/*.py)
    add_custom_command(OUTPUT ${out}.stamp
      COMMAND ${CMAKE_COMMAND} -E rm -rf ${out}
      COMMAND /usr/bin/python3 -B ${fixtures}/dump.py ${out}
      COMMAND ${CMAKE_COMMAND} -E touch ${out}.stamp
      DEPENDS ${scripts} VERBATIM)
    add_custom_target(kubernetes_histories DEPENDS ${out}.stamp)
  endif()
  add_dependencies(${test} kubernetes_histories)
  target_compile_definitions(${test} PRIVATE MUSTER_KUBERNETES_HISTORIES="${out}")
endfunction()
