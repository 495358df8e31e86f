// What the attn ops' interfaces refuse, and with which words.
// RUN: einhead-opt %s -transform-interpreter -split-input-file -verify-diagnostics

module attributes {transform.with_named_sequence} {
  func.func @keys_without_a_state(%q: tensor<8x64xf32>, %k: tensor<128x64xf32>) -> tensor<8x64xf32> {
    // expected-error @+3 {{a key letter cannot be tiled without a state; split the keys first (attn.partial_attention)}}
    // expected-error @+2 {{tile operation}}
    // expected-error @+1 {{failed to generate tiling loops}}
    %y = attn.attention "hk, mk, mv -> hv" query(%q : tensor<8x64xf32>) key(%k : tensor<128x64xf32>)
        value(%k : tensor<128x64xf32>) scale 0.125
        outs(%q : tensor<8x64xf32>) -> tensor<8x64xf32>
    return %y : tensor<8x64xf32>
  }
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %attention = transform.structured.match ops{["attn.attention"]} in %root : (!transform.any_op) -> !transform.any_op
    %tiled, %loop = transform.structured.tile_using_for %attention tile_sizes [0, 16]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

module attributes {transform.with_named_sequence} {
  func.func @chunks_together(%q: tensor<8x64xf32>, %k: tensor<128x64xf32>,
                             %max: tensor<4x8xf32>, %sum: tensor<4x8xf32>, %acc: tensor<4x8x64xf32>) {
    // expected-error @+3 {{chunks are tiled one at a time}}
    // expected-error @+2 {{tile operation}}
    // expected-error @+1 {{failed to generate tiling loops}}
    %y:3 = attn.partial_attention "hk, mk, mv -> hv" query(%q : tensor<8x64xf32>) key(%k : tensor<128x64xf32>)
        value(%k : tensor<128x64xf32>) scale 0.125 chunk 32
        outs(%max, %sum, %acc : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8x64xf32>)
        -> tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8x64xf32>
    return
  }
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %attention = transform.structured.match ops{["attn.partial_attention"]} in %root
      : (!transform.any_op) -> !transform.any_op
    %tiled, %loop = transform.structured.tile_using_for %attention tile_sizes [2]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

module attributes {transform.with_named_sequence} {
  func.func @decompose_buffers(%q: memref<8x64xf32>, %k: memref<128x64xf32>, %y: memref<8x64xf32>) {
    // expected-error @+2 {{on buffers has no graph; decompose it before bufferization}}
    // expected-note @+1 {{when applied to this op}}
    attn.attention "hk, mk, mv -> hv" query(%q : memref<8x64xf32>) key(%k : memref<128x64xf32>)
        value(%k : memref<128x64xf32>) scale 0.125
        outs(%y : memref<8x64xf32>)
    return
  }
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %attention = transform.structured.match ops{["attn.attention"]} in %root : (!transform.any_op) -> !transform.any_op
    // expected-error @+1 {{transform.structured.decompose_interface failed to apply}}
    %einsum = transform.structured.decompose_interface %attention : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----

// A part of the keys would lose the sink.
module attributes {transform.with_named_sequence} {
  func.func @sink_of_no_part(%q: tensor<8x64xf32>, %k: tensor<128x64xf32>, %sink: tensor<8xf32>) -> tensor<8x64xf32> {
    // expected-error @+3 {{its sink belongs to no part of the keys; transform.attn.split_keys takes it along}}
    // expected-error @+2 {{tile operation}}
    // expected-error @+1 {{failed to generate tiling loops}}
    %y = attn.attention "hk, mk, mv -> hv" query(%q : tensor<8x64xf32>) key(%k : tensor<128x64xf32>)
        value(%k : tensor<128x64xf32>) scale 0.125 sink "h"(%sink : tensor<8xf32>)
        outs(%q : tensor<8x64xf32>) -> tensor<8x64xf32>
    return %y : tensor<8x64xf32>
  }
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %attention = transform.structured.match ops{["attn.attention"]} in %root : (!transform.any_op) -> !transform.any_op
    // expected-error @+1 {{could not tile reduction}}
    %fills:3, %part, %merge, %loop = transform.structured.tile_reduction_using_forall %attention by tile_sizes = [0, 32]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op, !transform.any_op,
                                !transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

// A part of K would take the lists for its own keys.
module attributes {transform.with_named_sequence} {
  func.func @blocks_of_no_part(%q: tensor<8x64xf32>, %k: tensor<128x64xf32>, %lists: tensor<3xi64>) -> tensor<8x64xf32> {
    // expected-error @+3 {{its keys are listed in blocks, not split by number; transform.attn.split_keys splits the lists}}
    // expected-error @+2 {{tile operation}}
    // expected-error @+1 {{failed to generate tiling loops}}
    %y = attn.attention "hk, mk, mv -> hv" query(%q : tensor<8x64xf32>) key(%k : tensor<128x64xf32>)
        value(%k : tensor<128x64xf32>) scale 0.125 blocks ""(%lists : tensor<3xi64>) size 16
        outs(%q : tensor<8x64xf32>) -> tensor<8x64xf32>
    return %y : tensor<8x64xf32>
  }
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %attention = transform.structured.match ops{["attn.attention"]} in %root : (!transform.any_op) -> !transform.any_op
    // expected-error @+1 {{could not tile reduction}}
    %fills:3, %part, %merge, %loop = transform.structured.tile_reduction_using_forall %attention by tile_sizes = [0, 32]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op, !transform.any_op,
                                !transform.any_op, !transform.any_op)
    transform.yield
  }
}
