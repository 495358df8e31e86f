# Fails if the runtime library links LLVM or MLIR, or exports anything but the
# C ABI.
execute_process(COMMAND ldd ${LIBRARY} OUTPUT_VARIABLE needed
                RESULT_VARIABLE failed)
if(failed OR NOT needed MATCHES "libc\\.so")
  message(FATAL_ERROR "ldd ${LIBRARY} says nothing: ${needed}")
endif()
if(needed MATCHES "LLVM|MLIR")
  message(FATAL_ERROR "the runtime links LLVM or MLIR:\n${needed}")
endif()
execute_process(COMMAND nm -D --defined-only ${LIBRARY} OUTPUT_VARIABLE symbols
                RESULT_VARIABLE failed)
if(failed OR NOT symbols MATCHES " T einhead_session_call\n")
  message(FATAL_ERROR "nm ${LIBRARY} does not show the C ABI: ${symbols}")
endif()
string(REGEX MATCHALL "[0-9a-f]+ [A-Za-z] [^\n]+" lines "${symbols}")
foreach(line ${lines})
  if(NOT line MATCHES " T einhead_[a-z_]+$")
    message(FATAL_ERROR "the runtime exports more than its C ABI: ${line}")
  endif()
endforeach()
