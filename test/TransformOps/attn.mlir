// The ops of the transform dialect do what their passes do, each on what its
// handle names.
// RUN: einhead-opt %s -transform-interpreter -split-input-file | FileCheck %s

// A script prints as it is written.
// RUN: einhead-opt %s -split-input-file | einhead-opt -split-input-file | FileCheck %s --check-prefix=SCRIPT
// SCRIPT: transform.attn.raise %{{.*}} : (!transform.any_op) -> !transform.any_op
// SCRIPT: transform.attn.schedule %{{.*}} {cpu = "x86-64-v3"} : !transform.any_op
// SCRIPT: transform.attn.fuse_shared_kv
// SCRIPT: transform.attn.set_schedule #attn.schedule<chunk = 128, key_tile = 32, row_tile = 4, lanes = 8> on %{{.*}} : !transform.any_op

// One softmax of two: the other stays, and of the first chain nothing stays but
// the scores, which are a result.
module attributes {transform.with_named_sequence} {
  // CHECK-LABEL: func.func @raise
  func.func @raise(%q: tensor<4x64xf32>, %k: tensor<128x64xf32>) -> (tensor<4x64xf32>, tensor<4x128xf32>) {
    // CHECK-NEXT: %[[SCORES:.*]] = attn.einsum "hk, mk -> hm"
    // CHECK-NEXT: %[[OTHER:.*]] = attn.softmax "hm" over "m"(%[[SCORES]])
    // CHECK-NEXT: tensor.empty
    // CHECK-NEXT: %[[ATTENTION:.*]] = attn.attention "hk, mk, mv -> hv" {{.*}} scale 2.500000e-01 schedule <chunk = 512, key_tile = 64, row_tile = 1, lanes = 8, prefetch = {{[0-9]+}}>
    // CHECK-NEXT: return %[[ATTENTION]], %[[OTHER]]
    %s = attn.einsum "hk, mk -> hm"(%q, %k) : (tensor<4x64xf32>, tensor<128x64xf32>) -> tensor<4x128xf32>
    %t = attn.einsum "hk, mk -> hm"(%q, %k) : (tensor<4x64xf32>, tensor<128x64xf32>) -> tensor<4x128xf32>
    %quarter = arith.constant dense<0.25> : tensor<4x128xf32>
    %scaled = arith.mulf %s, %quarter : tensor<4x128xf32>
    %p = attn.softmax "hm" over "m"(%scaled) : tensor<4x128xf32>
    %other = attn.softmax "hm" over "m"(%t) {other} : tensor<4x128xf32>
    %y = attn.einsum "hm, mv -> hv"(%p, %k) : (tensor<4x128xf32>, tensor<128x64xf32>) -> tensor<4x64xf32>
    return %y, %other : tensor<4x64xf32>, tensor<4x128xf32>
  }
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %softmaxes = transform.structured.match ops{["attn.softmax"]} in %root : (!transform.any_op) -> !transform.any_op
    %first, %second = transform.split_handle %softmaxes
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    %attention = transform.attn.raise %first : (!transform.any_op) -> !transform.any_op
    transform.attn.schedule %attention {cpu = "x86-64-v3"} : !transform.any_op
    transform.yield
  }
}

// -----

// A mask of two parts: two partial attentions, one parallel loop, one merge.
module attributes {transform.with_named_sequence} {
  // CHECK-LABEL: func.func @decode
  func.func @decode(%q: tensor<2x4x64xf32>, %k: tensor<2x512x64xf32>, %p: index, %init: tensor<2x4x64xf32>)
      -> tensor<2x4x64xf32> {
    // CHECK: scf.forall {{.*}} {
    // CHECK: scf.for
    // CHECK: attn.partial_attention {{.*}} schedule <chunk = 128, key_tile = 32, row_tile = 4, lanes = 8> {tile} outs(
    // CHECK: scf.for
    // CHECK: attn.partial_attention {{.*}} {tile} outs(
    // CHECK: scf.forall.in_parallel
    // CHECK: scf.forall (%{{.*}}) in (2)
    // CHECK: attn.merge {{.*}} {merge} outs(
    %y = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x4x64xf32>) key(%k : tensor<2x512x64xf32>)
        value(%k : tensor<2x512x64xf32>) scale 0.125 mask <"m", sinks(4, 64)>(%p)
        outs(%init : tensor<2x4x64xf32>) -> tensor<2x4x64xf32>
    return %y : tensor<2x4x64xf32>
  }
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %function = transform.structured.match ops{["func.func"]} in %root : (!transform.any_op) -> !transform.any_op
    %attention = transform.attn.fuse_shared_kv %function : (!transform.any_op) -> !transform.any_op
    transform.attn.set_schedule #attn.schedule<chunk = 128, key_tile = 32, row_tile = 4, lanes = 8>
      on %attention : !transform.any_op
    %partial, %merge = transform.attn.split_keys %attention
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    %parts:2 = transform.split_handle %partial : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    %loop, %tiles = transform.attn.tile_decode %partial
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    %one_loop = transform.split_handle %loop : (!transform.any_op) -> !transform.any_op
    transform.annotate %tiles "tile" : !transform.any_op
    %tasks, %merges = transform.attn.tile_merge %merge : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.annotate %merges "merge" : !transform.any_op
    transform.yield
  }
}

// -----

// Loops over keys in a loop of upstream.
module attributes {transform.with_named_sequence} {
  // CHECK-LABEL: func.func @keys
  func.func @keys(%q: tensor<2x4x64xf32>, %k: tensor<2x100x64xf32>, %init: tensor<2x4x64xf32>) -> tensor<2x4x64xf32> {
    // CHECK: scf.forall (%[[PART:.*]]) in (2)
    // CHECK: scf.for {{.*}} {
    // CHECK: attn.partial_attention {{.*}} {tile} outs(
    // CHECK: } {keys}
    // CHECK: attn.merge
    %y = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x4x64xf32>) key(%k : tensor<2x100x64xf32>)
        value(%k : tensor<2x100x64xf32>) scale 0.125
        schedule <chunk = 128, key_tile = 32, row_tile = 4, lanes = 8>
        outs(%init : tensor<2x4x64xf32>) -> tensor<2x4x64xf32>
    return %y : tensor<2x4x64xf32>
  }
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %attention = transform.structured.match ops{["attn.attention"]} in %root : (!transform.any_op) -> !transform.any_op
    %fills:3, %part, %merge, %loop = transform.structured.tile_reduction_using_forall %attention by num_threads = [0, 0, 2]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op, !transform.any_op,
                                !transform.any_op, !transform.any_op)
    %loops, %tiles = transform.attn.tile_keys %part : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.annotate %loops "keys" : !transform.any_op
    transform.annotate %tiles "tile" : !transform.any_op
    transform.yield
  }
}
