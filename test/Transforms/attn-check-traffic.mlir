// The traffic contract: what the loops read against what they must.

// RUN: %einhead-opt %s -split-input-file -verify-diagnostics --pass-pipeline='builtin.module(func.func(attn-fuse-shared-kv,attn-schedule{cpu=x86-64-v4},attn-state-traffic,attn-split-keys,attn-tile-decode,attn-check-traffic))' | FileCheck %s

// CHECK-LABEL: @kept
// CHECK-NOT: attn.traffic
func.func @kept(%q: tensor<2x70x16xf32>, %k: tensor<2x?x16xf32>, %v: tensor<2x?x8xf32>,
    %p: index, %init: tensor<2x70x8xf32>) -> tensor<2x70x8xf32> {
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x70x16xf32>)
      key(%k : tensor<2x?x16xf32>) value(%v : tensor<2x?x8xf32>) scale 1.0
      mask <"m", strided(16)>(%p) outs(%init : tensor<2x70x8xf32>) -> tensor<2x70x8xf32>
  return %0 : tensor<2x70x8xf32>
}

// -----

// Loops that walk K and V once for each row: 4 times what they must.
// expected-error @+1 {{the loops read 384000 bytes of K and V, the letters and masks need 96000 (and 36864 of padding): something is loaded again}}
func.func @reloads(%q: tensor<4x16xf32>, %k: tensor<1000x16xf32>, %v: tensor<1000x8xf32>,
    %m: tensor<4xf32>, %s: tensor<4xf32>, %a: tensor<4x8xf32>)
    -> (tensor<4xf32>, tensor<4xf32>, tensor<4x8xf32>)
    attributes {attn.traffic = {bytes = 96000 : i64, sizes = array<i64>}} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %0:3 = scf.for %h = %c0 to %c4 step %c1 iter_args(%m0 = %m, %s0 = %s, %a0 = %a)
      -> (tensor<4xf32>, tensor<4xf32>, tensor<4x8xf32>) {
    %q1 = tensor.extract_slice %q[%h, 0] [1, 16] [1, 1] : tensor<4x16xf32> to tensor<1x16xf32>
    %m1 = tensor.extract_slice %m0[%h] [1] [1] : tensor<4xf32> to tensor<1xf32>
    %s1 = tensor.extract_slice %s0[%h] [1] [1] : tensor<4xf32> to tensor<1xf32>
    %a1 = tensor.extract_slice %a0[%h, 0] [1, 8] [1, 1] : tensor<4x8xf32> to tensor<1x8xf32>
    %1:3 = attn.partial_attention "hk, mk, mv -> hv" query(%q1 : tensor<1x16xf32>)
        key(%k : tensor<1000x16xf32>) value(%v : tensor<1000x8xf32>) scale 1.0
        schedule <chunk = 384, key_tile = 192, row_tile = 8, lanes = 8>
        outs(%m1, %s1, %a1 : tensor<1xf32>, tensor<1xf32>, tensor<1x8xf32>)
        -> tensor<1xf32>, tensor<1xf32>, tensor<1x8xf32>
    %m2 = tensor.insert_slice %1#0 into %m0[%h] [1] [1] : tensor<1xf32> into tensor<4xf32>
    %s2 = tensor.insert_slice %1#1 into %s0[%h] [1] [1] : tensor<1xf32> into tensor<4xf32>
    %a2 = tensor.insert_slice %1#2 into %a0[%h, 0] [1, 8] [1, 1] : tensor<1x8xf32> into tensor<4x8xf32>
    scf.yield %m2, %s2, %a2 : tensor<4xf32>, tensor<4xf32>, tensor<4x8xf32>
  }
  return %0#0, %0#1, %0#2 : tensor<4xf32>, tensor<4xf32>, tensor<4x8xf32>
}
