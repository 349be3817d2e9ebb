# cmake -DTEMPLATE= -DOUTPUT= -DNAMES=A;B -DFILES=a;b -P: puts files into a C++ source as raw strings, each in the place
# of its @NAME@.
cmake_minimum_required(VERSION 3.25)
file(READ ${TEMPLATE} text)
# Not configure_file: that would also replace the placeholders inside the files.
foreach(name path IN ZIP_LISTS NAMES FILES)
  file(READ ${path} content)
  string(REPLACE "@${name}@" "${content}" text "${text}")
endforeach()
file(WRITE ${OUTPUT} "${text}")
