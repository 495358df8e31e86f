#!/bin/sh
# Builds einhead-gpu-bench with a C++17 compiler alone: no CMake, no LLVM, no
# CUDA headers.  From the root of a checkout or of what pack.sh made:
#   benchmarks/gpu/build.sh [OUT]
# The headers dlpack/dlpack.h, nlohmann/json.hpp and xxhash.h are looked for in
# third_party/ (pack.sh puts them there) and where the compiler looks anyway.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
out=${1:-"$root/einhead-gpu-bench"}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags="-std=c++17 -O2 -I$root/runtime -I$root/runtime/include -I$root/runtime/reference -I$root/third_party"
openmp=-fopenmp
echo 'int main() {}' >"$work/probe.cpp"
${CXX:-c++} -fopenmp "$work/probe.cpp" -o "$work/probe" 2>/dev/null || openmp=
jobs=$(nproc 2>/dev/null || echo 2)
cd "$root"
ls runtime/core/*.cpp runtime/cpu/*.cpp runtime/cuda/*.cpp benchmarks/gpu/*.cpp |
  xargs -P "$jobs" -I{} sh -c \
    "${CXX:-c++} $flags $openmp -c {} -o $work/\$(echo {} | tr / _).o"
# The bounds assume double arithmetic as written.
ls runtime/reference/*.cpp |
  xargs -P "$jobs" -I{} sh -c \
    "${CXX:-c++} $flags -ffp-contract=off -c {} -o $work/\$(echo {} | tr / _).o"
${CXX:-c++} "$work"/*.o $openmp -o "$out" -ldl -lpthread
echo "$out"
