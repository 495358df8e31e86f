// RUN: einhead-opt %s --attn-split-keys --canonicalize | FileCheck %s

// One state for each chunk of keys, and a merge; an attention without a schedule
// stays.

// CHECK-LABEL: func.func @static_keys
func.func @static_keys(%q: tensor<4x16xf32>, %k: tensor<300x16xf32>, %v: tensor<300x8xf32>,
                       %init: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // CHECK-DAG: %[[DEAD:.*]] = arith.constant 0xFF800000 : f32
  // CHECK-DAG: %[[MAX:.*]] = linalg.fill ins(%[[DEAD]] : f32) outs({{.*}} : tensor<3x4xf32>)
  // CHECK-DAG: %[[SUM:.*]] = linalg.fill {{.*}} outs({{.*}} : tensor<3x4xf32>)
  // CHECK-DAG: %[[ACC:.*]] = linalg.fill {{.*}} outs({{.*}} : tensor<3x4x8xf32>)
  // CHECK: %[[STATE:.*]]:3 = attn.partial_attention "rk, mk, mv -> rv"
  // CHECK-SAME: chunk 128
  // CHECK: attn.merge "r, rv -> rv"(%[[STATE]]#0, %[[STATE]]#1, %[[STATE]]#2
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<4x16xf32>)
    key(%k : tensor<300x16xf32>) value(%v : tensor<300x8xf32>) scale 1.0
    schedule #attn.schedule<chunk = 128, key_tile = 32, row_tile = 2, lanes = 8>
    outs(%init : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// Chunks beyond the valid keys do not exist.
// CHECK-LABEL: func.func @valid_keys
// CHECK-SAME: %[[LENGTH:[a-z0-9]+]]: index
func.func @valid_keys(%q: tensor<4x16xf32>, %k: tensor<300x16xf32>, %v: tensor<300x8xf32>,
                      %length: index, %init: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // CHECK: %[[SOME:.*]] = arith.maxsi %[[LENGTH]],
  // CHECK: %[[KEYS:.*]] = arith.minsi %[[SOME]],
  // CHECK: %[[CHUNKS:.*]] = affine.apply #{{.*}}()[%[[KEYS]]]
  // CHECK: tensor.empty(%[[CHUNKS]]) : tensor<?x4xf32>
  // CHECK: attn.partial_attention {{.*}} valid(%[[LENGTH]] : index) chunk 128
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<4x16xf32>)
    key(%k : tensor<300x16xf32>) value(%v : tensor<300x8xf32>) scale 1.0
    valid(%length : index)
    schedule #attn.schedule<chunk = 128, key_tile = 32, row_tile = 2, lanes = 8>
    outs(%init : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @unscheduled
// CHECK: attn.attention
// CHECK-NOT: attn.partial_attention
func.func @unscheduled(%q: tensor<4x16xf32>, %k: tensor<300x16xf32>, %v: tensor<300x8xf32>,
                       %init: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<4x16xf32>)
    key(%k : tensor<300x16xf32>) value(%v : tensor<300x8xf32>) scale 1.0
    outs(%init : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}
