// RUN: einhead-opt %s --attn-fuse-shared-kv --remarks-filter='attn.*' 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks

// Every letter that key and value lack is a row and shares their loads; the
// least K/V bytes follow from the roles.

// 2 * 4 bytes * 8 groups * 64 keys * 16 columns; 4 rows walk them 4 times.
// REMARK: row letters "r" share each K/V load; K/V bytes: 65536 (walked row by row: 262144); operations: 131072
// CHECK-LABEL: func.func @grouped
// CHECK: attn.attention {{.*}} shared_kv outs
func.func @grouped(%q: tensor<1x8x4x16xf32>, %k: tensor<1x8x64x16xf32>,
                   %v: tensor<1x8x64x16xf32>, %init: tensor<1x8x4x16xf32>) -> tensor<1x8x4x16xf32> {
  %y = attn.attention "bgrk, bgmk, bgmv -> bgrv" query(%q : tensor<1x8x4x16xf32>)
    key(%k : tensor<1x8x64x16xf32>) value(%v : tensor<1x8x64x16xf32>) scale 0.25
    outs(%init : tensor<1x8x4x16xf32>) -> tensor<1x8x4x16xf32>
  return %y : tensor<1x8x4x16xf32>
}

// REMARK: every row has its own K/V (no row letter): nothing to share; K/V bytes: 128*b*m
// CHECK-LABEL: func.func @multihead
func.func @multihead(%q: tensor<?x1x16xf32>, %k: tensor<?x1x?x16xf32>,
                     %v: tensor<?x1x?x16xf32>, %init: tensor<?x1x16xf32>) -> tensor<?x1x16xf32> {
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<?x1x16xf32>)
    key(%k : tensor<?x1x?x16xf32>) value(%v : tensor<?x1x?x16xf32>) scale 1.0
    outs(%init : tensor<?x1x16xf32>) -> tensor<?x1x16xf32>
  return %y : tensor<?x1x16xf32>
}

// Key and value one tensor: it is read once. bf16: 2 bytes.
// REMARK: row letters "h" share each K/V load; K/V bytes: 2048
// CHECK-LABEL: func.func @latent
func.func @latent(%q: tensor<1x5x16xbf16>, %k: tensor<1x64x16xbf16>,
                  %init: tensor<1x5x16xf32>) -> tensor<1x5x16xf32> {
  %y = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<1x5x16xbf16>)
    key(%k : tensor<1x64x16xbf16>) value(%k : tensor<1x64x16xbf16>) scale 1.0
    outs(%init : tensor<1x5x16xf32>) -> tensor<1x5x16xf32>
  return %y : tensor<1x5x16xf32>
}
