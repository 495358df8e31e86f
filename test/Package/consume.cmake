# Installs BUILD into SCRATCH, builds the project SOURCE against it, runs it.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status
                  OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${ARGN}\nfailed (${status}):\n${text}")
  endif()
  set(output "${text}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${SCRATCH})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${SCRATCH}/prefix)
file(GLOB_RECURSE litter ${SCRATCH}/prefix/include/CMakeFiles/*)
if(litter)
  message(FATAL_ERROR "build files were installed: ${litter}")
endif()
run(${SCRATCH}/prefix/bin/einhead --version)
run(${CMAKE_COMMAND} -S ${SOURCE} -B ${SCRATCH}/build -G ${GENERATOR}
    -DCMAKE_BUILD_TYPE=${BUILD_TYPE} -DCMAKE_PREFIX_PATH=${SCRATCH}/prefix)
run(${CMAKE_COMMAND} --build ${SCRATCH}/build)
run(${SCRATCH}/build/consumer)
message("${output}")

if(SOURCE MATCHES "runtime$")
  run(ldd ${SCRATCH}/build/consumer)
  if(output MATCHES "libLLVM|libMLIR")
    message(FATAL_ERROR "the runtime needs LLVM:\n${output}")
  endif()
endif()
