// RUN: einhead-opt %s --attn-split-keys --attn-tile-decode --canonicalize --cse | FileCheck %s

// One forall over chunks, batch letters and row blocks; in it a for over key
// tiles that carries the state. The K and V slices of a tile stand once, for all
// of the tile's rows.

// CHECK-LABEL: func.func @grouped
// CHECK-SAME: (%[[QUERY:.*]]: tensor<2x4x16xf32>, %[[KEY:.*]]: tensor<2x256x16xf32>, %[[VALUE:.*]]: tensor<2x256x8xf32>
func.func @grouped(%q: tensor<2x4x16xf32>, %k: tensor<2x256x16xf32>, %v: tensor<2x256x8xf32>,
                   %init: tensor<2x4x8xf32>) -> tensor<2x4x8xf32> {
  // CHECK: scf.forall (%[[GROUP:.*]], %[[CHUNK:.*]]) in (2, 2)
  // CHECK-DAG: tensor.extract_slice %[[KEY]][%[[GROUP]], %{{.*}}, 0] [1, 128, 16]
  // CHECK-DAG: tensor.extract_slice %[[VALUE]][%[[GROUP]], %{{.*}}, 0] [1, 128, 8]
  // CHECK-DAG: linalg.fill
  // CHECK: scf.for %[[TILE:.*]] = %{{.*}} to %{{.*}} step %{{.*}} iter_args(%[[MAX:.*]] = %{{.*}}, %[[SUM:.*]] = %{{.*}}, %[[ACC:.*]] = %{{.*}})
  // CHECK: tensor.extract_slice %{{.*}}[0, %[[TILE]], 0] [1, 32, 16]
  // CHECK: tensor.extract_slice %{{.*}}[0, %[[TILE]], 0] [1, 32, 8]
  // CHECK: attn.partial_attention
  // CHECK-SAME: query(%{{.*}} : tensor<1x4x16xf32>)
  // CHECK-SAME: outs(%[[MAX]], %[[SUM]], %[[ACC]] : tensor<1x4xf32>, tensor<1x4xf32>, tensor<1x4x8xf32>)
  // CHECK-NOT: attn.partial_attention
  // Little to merge: where it stands.
  // CHECK-NOT: scf.forall (
  // CHECK: attn.merge
  %y = attn.attention "grk, gmk, gmv -> grv" query(%q : tensor<2x4x16xf32>)
    key(%k : tensor<2x256x16xf32>) value(%v : tensor<2x256x8xf32>) scale 1.0
    schedule #attn.schedule<chunk = 128, key_tile = 32, row_tile = 64, lanes = 8>
    outs(%init : tensor<2x4x8xf32>) -> tensor<2x4x8xf32>
  return %y : tensor<2x4x8xf32>
}

// A row tile of 1: one more loop, over the rows, and K and V slices in each.
// CHECK-LABEL: func.func @rows_alone
func.func @rows_alone(%q: tensor<2x4x16xf32>, %k: tensor<2x256x16xf32>, %v: tensor<2x256x8xf32>,
                      %init: tensor<2x4x8xf32>) -> tensor<2x4x8xf32> {
  // CHECK: scf.forall (%{{.*}}, %{{.*}}, %{{.*}}) in (2, 2, 4)
  // CHECK: query(%{{.*}} : tensor<1x1x16xf32>)
  %y = attn.attention "grk, gmk, gmv -> grv" query(%q : tensor<2x4x16xf32>)
    key(%k : tensor<2x256x16xf32>) value(%v : tensor<2x256x8xf32>) scale 1.0
    schedule #attn.schedule<chunk = 128, key_tile = 32, row_tile = 1, lanes = 8>
    outs(%init : tensor<2x4x8xf32>) -> tensor<2x4x8xf32>
  return %y : tensor<2x4x8xf32>
}

// Keys that are not a multiple of a tile: the rest is peeled off; keys beyond
// the valid length of a sequence are never visited.
// CHECK-LABEL: func.func @ragged
// CHECK-SAME: %[[LENGTHS:[a-z0-9]+]]: tensor<2xi64>
func.func @ragged(%q: tensor<2x4x16xf32>, %k: tensor<2x?x16xf32>, %v: tensor<2x?x8xf32>,
                  %lengths: tensor<2xi64>, %init: tensor<2x4x8xf32>) -> tensor<2x4x8xf32> {
  // CHECK: scf.forall (%[[SEQUENCE:.*]], %[[CHUNK:.*]]) in
  // CHECK: %[[LENGTH:.*]] = tensor.extract %[[LENGTHS]][%[[SEQUENCE]]]
  // CHECK: arith.maxsi
  // CHECK: arith.minsi
  // CHECK: scf.for
  // CHECK: attn.partial_attention {{.*}} key(%{{.*}} : tensor<1x32x16xf32>)
  // CHECK-NOT: valid
  // CHECK: scf.for
  // CHECK: attn.partial_attention {{.*}} key(%{{.*}} : tensor<1x?x16xf32>)
  %y = attn.attention "brk, bmk, bmv -> brv" query(%q : tensor<2x4x16xf32>)
    key(%k : tensor<2x?x16xf32>) value(%v : tensor<2x?x8xf32>) scale 1.0
    valid(%lengths : tensor<2xi64>)
    schedule #attn.schedule<chunk = 128, key_tile = 32, row_tile = 64, lanes = 8>
    outs(%init : tensor<2x4x8xf32>) -> tensor<2x4x8xf32>
  return %y : tensor<2x4x8xf32>
}

// The loops stand in the order of K's letters: here all heads of a chunk come
// before the next chunk, which lies behind them.
// CHECK-LABEL: func.func @token_major
func.func @token_major(%q: tensor<2x3x4x16xf32>, %k: tensor<2x640x3x16xf32>, %v: tensor<2x640x3x8xf32>,
                       %init: tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32> {
  // CHECK: scf.forall (%{{.*}}, %{{.*}}, %{{.*}}) in (2, 5, 3)
  %y = attn.attention "bgrk, bmgk, bmgv -> bgrv" query(%q : tensor<2x3x4x16xf32>)
    key(%k : tensor<2x640x3x16xf32>) value(%v : tensor<2x640x3x8xf32>) scale 1.0
    schedule #attn.schedule<chunk = 128, key_tile = 32, row_tile = 64, lanes = 8>
    outs(%init : tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32>
  return %y : tensor<2x3x4x8xf32>
}

// Many rows of one head are merged in blocks of rows.
// CHECK-LABEL: func.func @many_rows
func.func @many_rows(%q: tensor<1x72x16xf32>, %k: tensor<1x4096x16xf32>, %v: tensor<1x4096x64xf32>,
                     %init: tensor<1x72x64xf32>) -> tensor<1x72x64xf32> {
  // CHECK: scf.forall (%{{.*}}) in (32)
  // CHECK: attn.partial_attention
  // CHECK: scf.forall (%[[ROW:.*]]) = (0) to (72) step (8)
  // CHECK: tensor.extract_slice %{{.*}}[0, 0, %[[ROW]]] [32, 1, 8]
  // CHECK: attn.merge
  %y = attn.attention "grk, gmk, gmv -> grv" query(%q : tensor<1x72x16xf32>)
    key(%k : tensor<1x4096x16xf32>) value(%v : tensor<1x4096x64xf32>) scale 1.0
    schedule #attn.schedule<chunk = 128, key_tile = 32, row_tile = 128, lanes = 8>
    outs(%init : tensor<1x72x64xf32>) -> tensor<1x72x64xf32>
  return %y : tensor<1x72x64xf32>
}
