// Products that the CPU lacks are an error with a way out, whoever wrote the
// schedule; those that it has are taken.

// RUN: rm -rf %t && split-file %s %t
// RUN: not %einhead compile %t/tiles.mlir --cpu=znver4 -o - 2>&1 | FileCheck %s --check-prefix=TILES
// RUN: not %einhead compile %t/tiles.mlir --cpu=sapphirerapids,znver4 -o - 2>&1 | FileCheck %s --check-prefix=TILES
// RUN: %einhead compile %t/tiles.mlir --cpu=sapphirerapids -o %t/m.einhead
// TILES: error: the products of a schedule need amx-{{.*}}, which znver4 lacks; let --attn-schedule choose, or name another --cpu
// RUN: not %einhead compile %t/dot.mlir --cpu=x86-64-v4 -o - 2>&1 | FileCheck %s --check-prefix=DOT
// RUN: not %einhead compile %t/dot.mlir --cpu=neoverse-v2 -o - 2>&1 | FileCheck %s --check-prefix=ARM
// ARM: error: the products of a schedule need avx512bf16, which neoverse-v2 lacks
// RUN: %einhead compile %t/dot.mlir --cpu=znver4 -o %t/m.einhead
// DOT: error: the products of a schedule need avx512bf16, which x86-64-v4 lacks

//--- tiles.mlir
func.func @f(%q: tensor<2x16x64xbf16>, %k: tensor<2x64x64xbf16>, %v: tensor<2x64x64xbf16>) -> tensor<2x16x64xf32> {
  %init = tensor.empty() : tensor<2x16x64xf32>
  %y = attn.attention "grk, gmk, gmv -> grv" query(%q : tensor<2x16x64xbf16>)
    key(%k : tensor<2x64x64xbf16>) value(%v : tensor<2x64x64xbf16>) scale 0.25
    schedule #attn.schedule<chunk = 64, key_tile = 64, row_tile = 16, lanes = 16, products = tiles, packed = true>
    outs(%init : tensor<2x16x64xf32>) -> tensor<2x16x64xf32>
  return %y : tensor<2x16x64xf32>
}

//--- dot.mlir
func.func @f(%q: tensor<2x16x64xbf16>, %k: tensor<2x64x64xbf16>, %v: tensor<2x64x64xbf16>) -> tensor<2x16x64xf32> {
  %init = tensor.empty() : tensor<2x16x64xf32>
  %y = attn.attention "grk, gmk, gmv -> grv" query(%q : tensor<2x16x64xbf16>)
    key(%k : tensor<2x64x64xbf16>) value(%v : tensor<2x64x64xbf16>) scale 0.25
    schedule #attn.schedule<chunk = 64, key_tile = 64, row_tile = 16, lanes = 16, products = dot>
    outs(%init : tensor<2x16x64xf32>) -> tensor<2x16x64xf32>
  return %y : tensor<2x16x64xf32>
}
