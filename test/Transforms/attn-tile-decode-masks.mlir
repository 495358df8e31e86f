// Masks become bounds of the loops over keys; tiles that the mask holds
// everywhere carry no mask.

// RUN: %einhead-opt %s --attn-split-keys --attn-tile-decode --canonicalize --cse | FileCheck %s

#schedule = #attn.schedule<chunk = 128, key_tile = 32, row_tile = 8, lanes = 8>

// Full tiles first, without mask and offsets; then head and tail, tested.
// CHECK-LABEL: @window
// CHECK: scf.forall
// CHECK: scf.for
// CHECK: attn.partial_attention
// CHECK-SAME: tensor<1x32x16xf32>
// CHECK-NOT: mask
// CHECK-SAME: outs
// CHECK: scf.for
// CHECK: arith.select
// CHECK: attn.partial_attention
// CHECK-SAME: mask <"nm",
// CHECK-SAME: offsets "m"
// CHECK: attn.merge
func.func @window(%q: tensor<4x3x16xf32>, %k: tensor<4x1000x16xf32>, %v: tensor<4x1000x8xf32>,
    %p: index, %init: tensor<4x3x8xf32>) -> tensor<4x3x8xf32> {
  %0 = attn.attention "hnk, hmk, hmv -> hnv" query(%q : tensor<4x3x16xf32>)
      key(%k : tensor<4x1000x16xf32>) value(%v : tensor<4x1000x8xf32>) scale 1.0
      mask <"nm", window(100)>(%p) schedule #schedule
      outs(%init : tensor<4x3x8xf32>) -> tensor<4x3x8xf32>
  return %0 : tensor<4x3x8xf32>
}

// Keys that lie apart are a list, and all of it attends: no mask is left.  K and
// V stay whole.
// CHECK-LABEL: @strided
// CHECK: scf.forall
// CHECK: attn.partial_attention
// CHECK: attn.partial_attention {{.*}} mask <"m", "(d0)[s0] : (-d0 + s0 >= 0, d0 - (s0 - 63) >= 0)">
// CHECK: attn.partial_attention
// CHECK-SAME: key({{.*}} : tensor<1x1000x16xf32>)
// CHECK-NOT: mask
// CHECK-SAME: keys #{{.*}} count
// CHECK: attn.merge
func.func @strided(%q: tensor<4x16xf32>, %k: tensor<4x1000x16xf32>, %v: tensor<4x1000x8xf32>,
    %p: index, %init: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = attn.attention "hk, hmk, hmv -> hv" query(%q : tensor<4x16xf32>)
      key(%k : tensor<4x1000x16xf32>) value(%v : tensor<4x1000x8xf32>) scale 1.0
      mask <"m", strided(64)>(%p) schedule #schedule
      outs(%init : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// Each head has its own list: heads are tiled by one for it, and not for the
// keys that they share.
// CHECK-LABEL: @fixed_per_head
// CHECK: scf.forall (%{{.*}}) in
// CHECK: attn.partial_attention {{.*}} query({{.*}} : tensor<4x16xf32>)
// CHECK: scf.forall (%{{.*}}, %{{.*}}) in
// CHECK: attn.partial_attention {{.*}} query({{.*}} : tensor<1x16xf32>) {{.*}} keys
func.func @fixed_per_head(%q: tensor<4x16xf32>, %k: tensor<1000x16xf32>, %v: tensor<1000x8xf32>,
    %p: index, %init: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = attn.attention "hk, mk, mv -> hv" query(%q : tensor<4x16xf32>)
      key(%k : tensor<1000x16xf32>) value(%v : tensor<1000x8xf32>) scale 1.0
      mask <"hm", fixed(64, 4, "h")>(%p) schedule #schedule
      outs(%init : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// Lists of blocks, one for each head.
// CHECK-LABEL: @blocks
// CHECK: attn.partial_attention {{.*}} blocks "h"({{.*}} : tensor<1x5xi64>) size 16 count
func.func @blocks(%q: tensor<4x16xf32>, %k: tensor<1000x16xf32>, %v: tensor<1000x8xf32>,
    %list: tensor<4x5xi64>, %init: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = attn.attention "hk, mk, mv -> hv" query(%q : tensor<4x16xf32>)
      key(%k : tensor<1000x16xf32>) value(%v : tensor<1000x8xf32>) scale 1.0
      blocks "h"(%list : tensor<4x5xi64>) size 16 schedule #schedule
      outs(%init : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// A sink is the first weight of state 0; lse is a result of the merge.
// CHECK-LABEL: @sink_and_lse
// CHECK: %[[SINK:.*]] = linalg.generic
// CHECK: tensor.insert_slice %[[SINK]]
// CHECK: attn.partial_attention
// CHECK: attn.merge {{.*}} lse
func.func @sink_and_lse(%q: tensor<4x16xf32>, %k: tensor<1000x16xf32>, %v: tensor<1000x8xf32>,
    %s: tensor<4xf32>, %init: tensor<4x8xf32>, %l: tensor<4xf32>) -> (tensor<4x8xf32>, tensor<4xf32>) {
  %0:2 = attn.attention "hk, mk, mv -> hv" query(%q : tensor<4x16xf32>)
      key(%k : tensor<1000x16xf32>) value(%v : tensor<1000x8xf32>) scale 1.0
      sink "h"(%s : tensor<4xf32>) schedule #schedule
      outs(%init : tensor<4x8xf32>) lse(%l : tensor<4xf32>) -> tensor<4x8xf32>, tensor<4xf32>
  return %0#0, %0#1 : tensor<4x8xf32>, tensor<4xf32>
}
