// Upstream's transform dialect splits the keys of an attention through
// PartialReductionOpInterface: states of parts, then a merge.
// RUN: einhead-opt %s -transform-interpreter -canonicalize -cse -split-input-file | FileCheck %s

module attributes {transform.with_named_sequence} {
  // CHECK-LABEL: func.func @parts_of_128_keys
  // CHECK-SAME: %[[QUERY:[a-z0-9]+]]: tensor<4x8x64xf32>, %[[KEY:[a-z0-9]+]]: tensor<4x?x64xf32>
  func.func @parts_of_128_keys(%q: tensor<4x8x64xf32>, %k: tensor<4x?x64xf32>, %n: tensor<4xi64>,
                               %init: tensor<4x8x64xf32>) -> tensor<4x8x64xf32> {
    // CHECK: %[[PARTS:.*]] = affine.apply
    // CHECK: %[[EMPTY:.*]] = tensor.empty(%[[PARTS]]) : tensor<?x4x8xf32>
    // CHECK: %[[MAX:.*]] = linalg.fill ins(%{{.*}} : f32) outs(%[[EMPTY]]
    // CHECK: %[[STATES:.*]]:3 = scf.forall (%[[M:.*]]) = (0) to (%{{.*}}) step (128) shared_outs(%[[MAXES:.*]] = %[[MAX]],
    // CHECK: %[[PART:.*]] = affine.apply #{{.*}}()[%[[M]]]
    // CHECK: tensor.extract_slice %[[KEY]][0, %[[M]], 0]
    // CHECK: tensor.extract_slice %[[MAXES]][%[[PART]], 0, 0] [1, 4, 8] [1, 1, 1] : tensor<?x4x8xf32> to tensor<4x8xf32>
    // CHECK: attn.partial_attention {{.*}} valid(%{{[a-z0-9]+}} : tensor<4xi64>) offsets "m"(%[[M]])
    // CHECK: tensor.parallel_insert_slice %{{.*}} into %[[MAXES]][%[[PART]], 0, 0] [1, 4, 8]
    // CHECK: attn.merge "bh, bhv -> bhv"(%[[STATES]]#0, %[[STATES]]#1, %[[STATES]]#2
    %y = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<4x8x64xf32>) key(%k : tensor<4x?x64xf32>)
        value(%k : tensor<4x?x64xf32>) scale 0.125 valid(%n : tensor<4xi64>)
        outs(%init : tensor<4x8x64xf32>) -> tensor<4x8x64xf32>
    return %y : tensor<4x8x64xf32>
  }
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %attention = transform.structured.match ops{["attn.attention"]} in %root : (!transform.any_op) -> !transform.any_op
    %fills:3, %part, %merge, %loop = transform.structured.tile_reduction_using_forall %attention
        by num_threads = [] tile_sizes = [0, 0, 128]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op, !transform.any_op,
                                !transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

module attributes {transform.with_named_sequence} {
  // CHECK-LABEL: func.func @four_parts
  func.func @four_parts(%q: tensor<8x64xf32>, %k: tensor<1024x64xf32>) -> tensor<8x64xf32> {
    // CHECK: scf.forall (%[[PART:.*]]) in (4)
    // CHECK: tensor.extract_slice {{.*}} : tensor<1024x64xf32> to tensor<256x64xf32>
    // CHECK: tensor.parallel_insert_slice {{.*}}[%[[PART]], 0, 0] [1, 8, 64]
    // CHECK: attn.merge "h, hv -> hv"
    %y = attn.attention "hk, mk, mv -> hv" query(%q : tensor<8x64xf32>) key(%k : tensor<1024x64xf32>)
        value(%k : tensor<1024x64xf32>) scale 0.125
        outs(%q : tensor<8x64xf32>) -> tensor<8x64xf32>
    return %y : tensor<8x64xf32>
  }
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %attention = transform.structured.match ops{["attn.attention"]} in %root : (!transform.any_op) -> !transform.any_op
    %fills:3, %part, %merge, %loop = transform.structured.tile_reduction_using_forall %attention
        by num_threads = [0, 4] tile_sizes = []
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op, !transform.any_op,
                                !transform.any_op, !transform.any_op)
    transform.yield
  }
}
