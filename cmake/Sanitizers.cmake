# -DEINHEAD_SANITIZE=address,undefined instruments all of this build.  Debian's
# LLVM is not instrumented: use it with EINHEAD_RUNTIME_ONLY (preset asan).
set(EINHEAD_SANITIZE "" CACHE STRING "Sanitizers, e.g. address,undefined")
if(EINHEAD_SANITIZE)
  add_compile_options(-fsanitize=${EINHEAD_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all -g)
  add_link_options(-fsanitize=${EINHEAD_SANITIZE})
endif()
