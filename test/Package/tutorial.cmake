# Installs BUILD into SCRATCH, builds examples/tutorial against it, and runs its
# pass both ways: in its own tool and in the stock mlir-opt.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status
                  OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${ARGN}\nfailed (${status}):\n${text}")
  endif()
  set(said "${text}" PARENT_SCOPE)
endfunction()

set(prefix ${SCRATCH}/prefix)
set(tool ${SCRATCH}/build/move-scales-opt)
set(step ${SOURCE}/step.mlir)
set(check ${LLVM_TOOLS}/FileCheck ${step})
set(pipeline "builtin.module(einhead-to-attention,func.func(move-scales))")

file(REMOVE_RECURSE ${SCRATCH})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix})
run(${CMAKE_COMMAND} -S ${SOURCE} -B ${SCRATCH}/build -G ${GENERATOR}
    -DCMAKE_BUILD_TYPE=${BUILD_TYPE} -DCMAKE_PREFIX_PATH=${prefix})
run(${CMAKE_COMMAND} --build ${SCRATCH}/build)

run(${tool} ${step} --pass-pipeline=${pipeline} -o ${SCRATCH}/own.mlir
    --remarks-filter-missed=move-scales --remark-format=emitRemark)
file(WRITE ${SCRATCH}/remarks "${said}")
run(${check} --check-prefix=MOVED --input-file=${SCRATCH}/own.mlir)
run(${check} --check-prefix=REMARK --input-file=${SCRATCH}/remarks)

# Both plugins in one process, on one definition of each type.
set(plugin ${prefix}/lib/libEinheadPlugin.so)
run(${LLVM_TOOLS}/mlir-opt ${step} --load-dialect-plugin=${plugin}
    --load-pass-plugin=${plugin} --load-pass-plugin=${SCRATCH}/build/MoveScales.so
    --pass-pipeline=${pipeline} -o ${SCRATCH}/plugin.mlir)
run(${CMAKE_COMMAND} -E compare_files ${SCRATCH}/own.mlir ${SCRATCH}/plugin.mlir)

# The numbers are those of the oracle before and after the pass; and the module
# compiles on from there.
run(${PYTHON} ${BISECT} ${step} --tools=${prefix}/bin --opt=${tool}
    --size=b=2,m=300 --function=step
    einhead-to-attention "func.func(move-scales)")
run(${prefix}/bin/einhead compile ${SCRATCH}/own.mlir --from=attention
    -o ${SCRATCH}/step.einhead --reproducer=none)
