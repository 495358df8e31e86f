// A tile of attention is computed in the loop of its consumer: its rows of the
// query and all of its keys.  The result is the whole attention's.

// RUN: einhead-opt %s --pass-pipeline='builtin.module(transform-preload-library{transform-library-paths=%S/Inputs/fuse-into.mlir},transform-interpreter,canonicalize,cse)' -o %t.mlir
// RUN: FileCheck %s < %t.mlir
// CHECK-LABEL: func.func @rows
// CHECK-SAME: %[[QUERY:[a-z0-9]+]]: tensor<4x8x64xf32>
// CHECK-NOT: = attn.
// CHECK: scf.forall (%[[HEAD:.*]], %[[BLOCK:.*]]) in (4, 2)
// CHECK: %[[ROW:.*]] = affine.apply #{{.*}}(%[[BLOCK]])
// CHECK: %[[TILE:.*]] = tensor.extract_slice %[[QUERY]][%[[HEAD]], %[[ROW]], 0] [1, 4, 64]
// CHECK: attn.partial_attention {{.*}} query(%[[TILE]] : tensor<1x4x64xf32>)
// CHECK: %[[ROWS:.*]] = attn.merge
// CHECK: linalg.add ins(%[[ROWS]],
// CHECK: tensor.parallel_insert_slice
// CHECK-NOT: = attn.

// RUN: %einhead run %s --repeat=1 --seed=3 --output=y=%t.npy | FileCheck %s --check-prefix=ORACLE
// ORACLE: y f32[4,8,64] pass
// RUN: %einhead compile %t.mlir --from=tiled -o %t.einhead
// RUN: %einhead run %t.einhead --repeat=1 --seed=3 --output=y=%t-fused.npy
// RUN: %python %S/../Tools/Inputs/close.py %t.npy %t-fused.npy 1e-5
// RUN: %einhead run %t.einhead --repeat=1 --seed=4 --output=y=%t-others.npy
// RUN: not %python %S/../Tools/Inputs/close.py %t.npy %t-others.npy 1e-5

func.func @rows(%q: tensor<4x8x64xf32> {attn.name = "q"}, %k: tensor<4x96x64xf32> {attn.name = "k"},
                %x: tensor<4x8x64xf32> {attn.name = "x"}) -> (tensor<4x8x64xf32> {attn.name = "y"}) {
  %init = tensor.empty() : tensor<4x8x64xf32>
  %a = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<4x8x64xf32>) key(%k : tensor<4x96x64xf32>)
      value(%k : tensor<4x96x64xf32>) scale 0.125 shared_kv
      outs(%init : tensor<4x8x64xf32>) -> tensor<4x8x64xf32>
  %out = tensor.empty() : tensor<4x8x64xf32>
  %y = linalg.add ins(%a, %x : tensor<4x8x64xf32>, tensor<4x8x64xf32>) outs(%out : tensor<4x8x64xf32>)
    -> tensor<4x8x64xf32>
  return %y : tensor<4x8x64xf32>
}
