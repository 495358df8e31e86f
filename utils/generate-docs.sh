#!/bin/sh
# Writes docs/Generated/ from TableGen; with --check it says what is not current.
set -eu
cd "$(dirname "$0")/.."
tblgen=${MLIR_TBLGEN:-/usr/lib/llvm-22/bin/mlir-tblgen}
include=${MLIR_INCLUDE:-/usr/lib/llvm-22/include}
out=docs/Generated
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"$tblgen" -gen-dialect-doc -dialect=attn -I include -I "$include" \
  include/einhead/IR/AttnOps.td >"$scratch/AttnOps.md"
"$tblgen" -gen-pass-doc -I include -I "$include" \
  include/einhead/Transforms/Passes.td >"$scratch/Passes.md"
"$tblgen" -gen-op-doc -I include -I "$include" \
  include/einhead/TransformOps/AttnTransformOps.td >"$scratch/AttnTransformOps.md"
# No blanks at line ends, one newline at the end, and no paths of a machine.
for page in AttnOps.md AttnTransformOps.md Passes.md; do
  sed -i -e 's/[ \t]*$//' -e "s|\[source\](.*)||" "$scratch/$page"
  sed -i -e :a -e '/^\n*$/{$d;N;ba' -e '}' "$scratch/$page"
done

if [ "${1:-}" = --check ]; then
  diff -u "$out" "$scratch" && exit 0
  echo "docs/Generated is not current: utils/generate-docs.sh"
  exit 1
fi
mkdir -p "$out"
cp "$scratch"/*.md "$out"
