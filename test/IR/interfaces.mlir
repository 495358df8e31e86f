// Upstream's transform dialect works on the attn ops through TilingInterface and
// AggregatedOpInterface; no pass of ours runs here.
// RUN: einhead-opt %s -transform-interpreter -canonicalize -cse -split-input-file | FileCheck %s

// Loops over one sequence and four rows at a time.  A length of each sequence
// becomes one number.
module attributes {transform.with_named_sequence} {
  // CHECK-LABEL: func.func @tile_using_for
  // CHECK-SAME: %[[QUERY:[a-z0-9]+]]: tensor<4x2x8x64xf32>, %[[KEY:[a-z0-9]+]]: tensor<4x2x?x64xf32>
  // CHECK-SAME: %[[LENGTHS:[a-z0-9]+]]: tensor<4xi64>
  func.func @tile_using_for(%q: tensor<4x2x8x64xf32>, %k: tensor<4x2x?x64xf32>, %v: tensor<4x2x?x32xf32>,
                            %n: tensor<4xi64>, %init: tensor<4x2x8x32xf32>) -> tensor<4x2x8x32xf32> {
    // CHECK: scf.for %[[B:[a-z0-9]+]] = %{{.*}} iter_args
    // CHECK: scf.for %[[R:[a-z0-9]+]] = %{{.*}} iter_args
    // CHECK: tensor.extract_slice %[[QUERY]][%[[B]], 0, %[[R]], 0] [1, 2, 4, 64]
    // CHECK: tensor.extract_slice %[[KEY]][%[[B]], 0, 0, 0]
    // CHECK: %[[LENGTH:.*]] = tensor.extract %[[LENGTHS]][%[[B]]]
    // CHECK: %[[VALID:.*]] = arith.index_cast %[[LENGTH]]
    // CHECK: attn.attention "bgrk, bgmk, bgmv -> bgrv" query(%{{.*}} : tensor<1x2x4x64xf32>)
    // CHECK-SAME: valid(%[[VALID]] : index)
    // CHECK-SAME: -> tensor<1x2x4x32xf32>
    // CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[%[[B]], 0, %[[R]], 0] [1, 2, 4, 32]
    %y = attn.attention "bgrk, bgmk, bgmv -> bgrv" query(%q : tensor<4x2x8x64xf32>) key(%k : tensor<4x2x?x64xf32>)
        value(%v : tensor<4x2x?x32xf32>) scale 0.125 valid(%n : tensor<4xi64>)
        outs(%init : tensor<4x2x8x32xf32>) -> tensor<4x2x8x32xf32>
    return %y : tensor<4x2x8x32xf32>
  }
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %attention = transform.structured.match ops{["attn.attention"]} in %root : (!transform.any_op) -> !transform.any_op
    %tiled, %loops:2 = transform.structured.tile_using_for %attention tile_sizes [1, 0, 4]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

module attributes {transform.with_named_sequence} {
  // CHECK-LABEL: func.func @tile_using_forall
  func.func @tile_using_forall(%q: tensor<4x2x8x64xf32>, %k: tensor<4x2x?x64xf32>, %v: tensor<4x2x?x32xf32>,
                               %init: tensor<4x2x8x32xf32>) -> tensor<4x2x8x32xf32> {
    // CHECK: scf.forall (%[[B:.*]], %[[G:.*]], %[[BLOCK:.*]]) in (4, 2, 2)
    // CHECK: %[[R:.*]] = affine.apply #{{.*}}(%[[BLOCK]])
    // CHECK: attn.attention {{.*}} query(%{{.*}} : tensor<1x1x4x64xf32>) key(%{{.*}} : tensor<1x1x?x64xf32>)
    // CHECK: tensor.parallel_insert_slice %{{.*}} into %{{.*}}[%[[B]], %[[G]], %[[R]], 0] [1, 1, 4, 32]
    %y = attn.attention "bgrk, bgmk, bgmv -> bgrv" query(%q : tensor<4x2x8x64xf32>) key(%k : tensor<4x2x?x64xf32>)
        value(%v : tensor<4x2x?x32xf32>) scale 0.125
        outs(%init : tensor<4x2x8x32xf32>) -> tensor<4x2x8x32xf32>
    return %y : tensor<4x2x8x32xf32>
  }
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %attention = transform.structured.match ops{["attn.attention"]} in %root : (!transform.any_op) -> !transform.any_op
    %tiled, %loop = transform.structured.tile_using_forall %attention tile_sizes [1, 1, 4]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

// A mask looks at n: the tile says where it starts, and takes its rows of the
// bias; 6 is no multiple of 4.
#causal = affine_set<(n, m)[p] : (p + n - m >= 0)>
module attributes {transform.with_named_sequence} {
  // CHECK-LABEL: func.func @tile_of_masked_rows
  func.func @tile_of_masked_rows(%q: tensor<2x6x8x64xf32>, %k: tensor<2x?x64xf32>, %bias: tensor<6x?xf32>, %p: index,
                                 %init: tensor<2x6x8x64xf32>) -> tensor<2x6x8x64xf32> {
    // CHECK: scf.for %[[N:[a-z0-9]+]] = %{{.*}} iter_args
    // CHECK: %[[SIZE:.*]] = affine.min #{{.*}}(%[[N]])
    // CHECK: %[[BIAS:.*]] = tensor.extract_slice %{{.*}}[%[[N]], 0] [%[[SIZE]], %{{.*}}] [1, 1] : tensor<6x?xf32>
    // CHECK: attn.attention "bnhk, bmk, bmv -> bnhv"
    // CHECK-SAME: bias "nm"(%[[BIAS]] : tensor<?x?xf32>) mask <"nm", "{{.+}}">(%{{[a-z0-9]+}}) offsets "n"(%[[N]])
    %y = attn.attention "bnhk, bmk, bmv -> bnhv" query(%q : tensor<2x6x8x64xf32>) key(%k : tensor<2x?x64xf32>)
        value(%k : tensor<2x?x64xf32>) scale 0.125 bias "nm"(%bias : tensor<6x?xf32>) mask <"nm", #causal>(%p)
        outs(%init : tensor<2x6x8x64xf32>) -> tensor<2x6x8x64xf32>
    return %y : tensor<2x6x8x64xf32>
  }
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %attention = transform.structured.match ops{["attn.attention"]} in %root : (!transform.any_op) -> !transform.any_op
    %tiled, %loop = transform.structured.tile_using_for %attention tile_sizes [0, 4]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

// A partial attention continues its state, so its keys are tiled in sequence.
module attributes {transform.with_named_sequence} {
  // CHECK-LABEL: func.func @tile_the_keys
  func.func @tile_the_keys(%q: tensor<2x8x64xf32>, %k: tensor<2x?x64xf32>,
                           %max: tensor<2x8xf32>, %sum: tensor<2x8xf32>, %acc: tensor<2x8x64xf32>)
      -> (tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x64xf32>) {
    // CHECK: scf.for %[[M:[a-z0-9]+]] = {{.*}} iter_args(%[[MAX:.*]] = %{{.*}}, %[[SUM:.*]] = %{{.*}}, %[[ACC:.*]] = %{{[a-z0-9]+}})
    // CHECK: %[[TILE:.*]] = tensor.extract_slice %{{.*}}[0, %[[M]], 0]
    // CHECK: %[[STATE:.*]]:3 = attn.partial_attention {{.*}} key(%[[TILE]] :
    // CHECK-SAME: outs(%[[MAX]], %[[SUM]], %[[ACC]] :
    // CHECK: scf.yield %[[STATE]]#0, %[[STATE]]#1, %[[STATE]]#2
    %y:3 = attn.partial_attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x?x64xf32>)
        value(%k : tensor<2x?x64xf32>) scale 0.125
        outs(%max, %sum, %acc : tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x64xf32>)
        -> tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x64xf32>
    return %y#0, %y#1, %y#2 : tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x64xf32>
  }
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %attention = transform.structured.match ops{["attn.partial_attention"]} in %root
      : (!transform.any_op) -> !transform.any_op
    %tiled, %loop = transform.structured.tile_using_for %attention tile_sizes [0, 0, 128]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

module attributes {transform.with_named_sequence} {
  // CHECK-LABEL: func.func @tile_the_merge
  func.func @tile_the_merge(%max: tensor<?x2x8xf32>, %sum: tensor<?x2x8xf32>, %acc: tensor<?x2x8x64xf32>,
                            %init: tensor<2x8x64xbf16>) -> tensor<2x8x64xbf16> {
    // CHECK: scf.forall (%[[B:.*]]) in (2)
    // CHECK: attn.merge "bh, bhv -> bhv"({{.*}} : tensor<?x1x8xf32>, tensor<?x1x8xf32>, tensor<?x1x8x64xf32>)
    // CHECK-SAME: -> tensor<1x8x64xbf16>
    // CHECK: tensor.parallel_insert_slice %{{.*}} into %{{.*}}[%[[B]], 0, 0] [1, 8, 64]
    %y = attn.merge "bh, bhv -> bhv"(%max, %sum, %acc : tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8x64xf32>)
        outs(%init : tensor<2x8x64xbf16>) -> tensor<2x8x64xbf16>
    return %y : tensor<2x8x64xbf16>
  }
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %merge = transform.structured.match ops{["attn.merge"]} in %root : (!transform.any_op) -> !transform.any_op
    %tiled, %loop = transform.structured.tile_using_forall %merge tile_sizes [1]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

// An attention is the graph that it stands for.
#causal = affine_set<(n, m)[p] : (p + n - m >= 0)>
module attributes {transform.with_named_sequence} {
  // CHECK-LABEL: func.func @decompose
  // CHECK-SAME: %[[QUERY:[a-z0-9]+]]: tensor<2x6x8x64xbf16>, %[[KEY:[a-z0-9]+]]: tensor<2x?x64xbf16>,
  func.func @decompose(%q: tensor<2x6x8x64xbf16>, %k: tensor<2x?x64xbf16>, %bias: tensor<6x?xf16>, %n: index, %p: index,
                       %init: tensor<2x6x8x64xf32>) -> tensor<2x6x8x64xf32> {
    // CHECK: %[[DOTS:.*]] = attn.einsum "bnhk, bmk -> bnhm"(%[[QUERY]], %[[KEY]])
    // CHECK-SAME: -> tensor<2x6x8x?xf32>
    // CHECK: %[[SCALED:.*]] = arith.mulf %[[DOTS]]
    // CHECK: %[[SCORES:.*]] = linalg.generic {{.*}} ins(%[[SCALED]]
    // CHECK: arith.extf %{{.*}} : f16 to f32
    // CHECK: arith.addf
    // CHECK: %[[WEIGHTS:.*]] = attn.softmax "bnhm" over "m"(%[[SCORES]]) valid(%{{[a-z0-9]+}} : index) mask
    // CHECK: attn.einsum "bnhm, bmv -> bnhv"(%[[WEIGHTS]], %[[KEY]])
    // CHECK-NEXT: return
    %y = attn.attention "bnhk, bmk, bmv -> bnhv" query(%q : tensor<2x6x8x64xbf16>) key(%k : tensor<2x?x64xbf16>)
        value(%k : tensor<2x?x64xbf16>) scale 0.125 bias "nm"(%bias : tensor<6x?xf16>) valid(%n : index)
        mask <"nm", #causal>(%p)
        outs(%init : tensor<2x6x8x64xf32>) -> tensor<2x6x8x64xf32>
    return %y : tensor<2x6x8x64xf32>
  }
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %attention = transform.structured.match ops{["attn.attention"]} in %root : (!transform.any_op) -> !transform.any_op
    %einsum = transform.structured.decompose_interface %attention : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
