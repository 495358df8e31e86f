#!/bin/sh
# Writes docs/Generated/ from TableGen; with --check it says what is not current.
set -eu
cd "$(dirname "$0")/.."
tblgen=${MLIR_TBLGEN:-/usr/lib/llvm-22/bin/mlir-tblgen}
include=${MLIR_INCLUDE:-/usr/lib/llvm-22/include}
out=docs/Generated
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

mkdir "$scratch/docs"
printf 'include "einhead/IR/Attn%s.td"\n' Ops LoopOps >"$scratch/All.td"
"$tblgen" -gen-dialect-doc -dialect=attn -I include -I "$include" \
  "$scratch/All.td" >"$scratch/docs/AttnOps.md"
"$tblgen" -gen-pass-doc -I include -I "$include" \
  include/einhead/Transforms/Passes.td >"$scratch/docs/Passes.md"
"$tblgen" -gen-op-doc -I include -I "$include" \
  include/einhead/TransformOps/AttnTransformOps.td >"$scratch/docs/AttnTransformOps.md"
# No blanks at line ends, one newline at the end, and no paths of a machine.
for page in AttnOps.md AttnTransformOps.md Passes.md; do
  sed -i -e 's/[ \t]*$//' -e "s|\[source\](.*)||" "$scratch/docs/$page"
  sed -i -e :a -e '/^\n*$/{$d;N;ba' -e '}' "$scratch/docs/$page"
done

if [ "${1:-}" = --check ]; then
  diff -u "$out" "$scratch/docs" && exit 0
  echo "docs/Generated is not current: utils/generate-docs.sh"
  exit 1
fi
mkdir -p "$out"
cp "$scratch"/docs/*.md "$out"
