# cmake -DTEMPLATE= -DOUTPUT= -DINSTALL= -DSUPERVISE= -DSERVICE= -P: puts three files into a C++ source as raw strings.
cmake_minimum_required(VERSION 3.25)
file(READ ${INSTALL} INSTALL_SH)
file(READ ${SUPERVISE} SUPERVISE_SH)
file(READ ${SERVICE} AGENT_SERVICE)
file(READ ${TEMPLATE} text)
# Not configure_file: that would also replace the placeholders inside the files.
string(REPLACE "@INSTALL_SH@" "${INSTALL_SH}" text "${text}")
string(REPLACE "@SUPERVISE_SH@" "${SUPERVISE_SH}" text "${text}")
string(REPLACE "@AGENT_SERVICE@" "${AGENT_SERVICE}" text "${text}")
file(WRITE ${OUTPUT} "${text}")
