# Finds LLVM/MLIR 22.1 and defines how this project adds libraries, tools and
# generated files.
#
# One rule: link the shared libMLIR and libLLVM (`MLIR LLVM`) everywhere, never
# a static MLIR archive beside them; a mix duplicates type ids and options, and
# plugins no longer load.

find_package(MLIR 22.1 CONFIG PATHS /usr/lib/llvm-22)
if(NOT MLIR_FOUND)
  message(FATAL_ERROR
    "Einhead needs LLVM and MLIR 22.1. On Debian 12:\n"
    "  apt-get install llvm-22-dev libmlir-22-dev mlir-22-tools\n"
    "Elsewhere pass -DMLIR_DIR=<prefix>/lib/cmake/mlir")
endif()

list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)

# mlir-tblgen sees the include paths of the directory only.
include_directories(SYSTEM ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
include_directories(${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/include
                    ${PROJECT_SOURCE_DIR}/runtime/include)
separate_arguments(EINHEAD_LLVM_DEFINITIONS NATIVE_COMMAND ${LLVM_DEFINITIONS})
add_definitions(${EINHEAD_LLVM_DEFINITIONS})

add_compile_options(-Wall -Wextra -Wno-unused-parameter
                    $<$<COMPILE_LANGUAGE:CXX>:-Wno-comment>)

# add_einhead_library(Name sources... DEPENDS targets... LINK libraries...)
function(add_einhead_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  add_library(Einhead::${name} ALIAS ${name})
  # LLVM is built without RTTI; vtables of its classes must match.
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti>)
  target_link_libraries(${name} PUBLIC ${ARG_LINK} MLIR LLVM)
  target_include_directories(${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  add_dependencies(${name} EinheadTableGen ${ARG_DEPENDS})
  install(TARGETS ${name} EXPORT EinheadTargets
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endfunction()

# add_einhead_tool(name sources... LINK libraries...)
function(add_einhead_tool name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti>)
  target_link_libraries(${name} PRIVATE ${ARG_LINK} MLIR LLVM)
  add_dependencies(${name} EinheadTableGen)
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# Headers, exports and EinheadConfig.cmake.
function(einhead_install_package)
  include(CMakePackageConfigHelpers)
  set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Einhead)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/einhead
                    ${PROJECT_BINARY_DIR}/include/einhead
                    ${PROJECT_SOURCE_DIR}/runtime/include/einhead
          DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
          FILES_MATCHING PATTERN "*.h" PATTERN "*.td" PATTERN "*.h.inc"
          PATTERN CMakeFiles EXCLUDE)
  set(EINHEAD_LLVM_VERSION ${LLVM_VERSION_MAJOR}.${LLVM_VERSION_MINOR})
  set(EINHEAD_LLVM_PREFIX ${LLVM_INSTALL_PREFIX})
  configure_package_config_file(
    ${PROJECT_SOURCE_DIR}/cmake/EinheadConfig.cmake.in EinheadConfig.cmake
    INSTALL_DESTINATION ${package_dir})
  write_basic_package_version_file(
    ${CMAKE_CURRENT_BINARY_DIR}/EinheadConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/EinheadConfig.cmake
                ${CMAKE_CURRENT_BINARY_DIR}/EinheadConfigVersion.cmake
          DESTINATION ${package_dir})
  # Installed tools find the installed runtime wherever the prefix moves, and
  # libMLIR, which Debian keeps off the loader's path.
  foreach(tool einhead einhead-opt einhead-reduce einhead-lsp-server)
    if(TARGET ${tool})
      set_target_properties(${tool} PROPERTIES
        INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR};${LLVM_LIBRARY_DIRS}")
    endif()
  endforeach()
  # runtime/CMakeLists.txt exports Einhead::Runtime beside it.
  install(EXPORT EinheadTargets NAMESPACE Einhead:: DESTINATION ${package_dir})
endfunction()
