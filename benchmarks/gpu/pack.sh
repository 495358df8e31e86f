#!/bin/sh
# Copies what a GPU machine needs to build and run einhead-gpu-bench into a
# folder: sources, the three headers that the runtime includes, and modules.
#   benchmarks/gpu/pack.sh FOLDER [LIST.json MODULE...]
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
out=$1
shift
mkdir -p "$out/runtime" "$out/benchmarks/gpu" "$out/third_party"
cp -r "$root/runtime/core" "$root/runtime/cpu" "$root/runtime/cuda" \
  "$root/runtime/include" "$root/runtime/reference" "$out/runtime"
cp "$root"/benchmarks/gpu/*.cpp "$root"/benchmarks/gpu/*.h \
  "$root"/benchmarks/gpu/build.sh "$root"/benchmarks/gpu/README.md \
  "$root"/benchmarks/gpu/peers.py "$root"/benchmarks/gpu/report.py \
  "$out/benchmarks/gpu"
cp "$root"/benchmarks/plot.py "$out/benchmarks"
# The compiler knows which files of the three libraries the sources include.
for source in "$root"/runtime/core/*.cpp; do
  ${CXX:-c++} -std=c++17 -M -I"$root/runtime" -I"$root/runtime/include" "$source"
done | tr -d '\\' | tr ' ' '\n' |
  grep -E '/(dlpack/|nlohmann/|xxh)' | sort -u |
  while read -r file; do
    header=$(echo "$file" | sed -E 's#.*/(dlpack/|nlohmann/|xxh)#\1#')
    mkdir -p "$out/third_party/$(dirname "$header")"
    cp "$file" "$out/third_party/$header"
  done
if [ $# -gt 0 ]; then
  mkdir -p "$out/modules"
  cp "$@" "$out/modules"
fi
