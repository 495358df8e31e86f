// What an op of the transform dialect cannot do is a failure that a script can
// pass over, and says why.
// RUN: einhead-opt %s -transform-interpreter -split-input-file -verify-diagnostics -o /dev/null
// RUN: sed 's/(propagate)/(suppress)/' %s | einhead-opt -transform-interpreter -split-input-file | FileCheck %s

// The softmax that is passed over stays as it was.
// CHECK-LABEL: func.func @used_twice
// CHECK-NEXT: attn.einsum
// CHECK-NEXT: attn.softmax
// CHECK-NEXT: attn.einsum
// CHECK-NEXT: return
module attributes {transform.with_named_sequence} {
  func.func @used_twice(%q: tensor<4x64xf32>, %k: tensor<128x64xf32>) -> (tensor<4x64xf32>, tensor<4x128xf32>) {
    %s = attn.einsum "hk, mk -> hm"(%q, %k) : (tensor<4x64xf32>, tensor<128x64xf32>) -> tensor<4x128xf32>
    // expected-note @below {{this op}}
    %p = attn.softmax "hm" over "m"(%s) : tensor<4x128xf32>
    %y = attn.einsum "hm, mv -> hv"(%p, %k) : (tensor<4x128xf32>, tensor<128x64xf32>) -> tensor<4x64xf32>
    return %y, %s : tensor<4x64xf32>, tensor<4x128xf32>
  }
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    transform.sequence %root : !transform.any_op failures(propagate) {
    ^bb0(%module: !transform.any_op):
      %softmax = transform.structured.match ops{["attn.softmax"]} in %module : (!transform.any_op) -> !transform.any_op
      // expected-error @below {{softmax is not fused: the scores are used elsewhere, so they must be stored}}
      %attention = transform.attn.raise %softmax : (!transform.any_op) -> !transform.any_op
    }
    transform.yield
  }
}

// -----

// CHECK-LABEL: func.func @two_keys
// CHECK-NOT: schedule
// CHECK: return
module attributes {transform.with_named_sequence} {
  func.func @two_keys(%q: tensor<4x64xf32>, %k: tensor<8x16x64xf32>, %init: tensor<4x64xf32>) -> tensor<4x64xf32> {
    // expected-note @below {{this op}}
    %y = attn.attention "hk, mnk, mnv -> hv" query(%q : tensor<4x64xf32>) key(%k : tensor<8x16x64xf32>)
        value(%k : tensor<8x16x64xf32>) scale 0.125 outs(%init : tensor<4x64xf32>) -> tensor<4x64xf32>
    return %y : tensor<4x64xf32>
  }
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    transform.sequence %root : !transform.any_op failures(propagate) {
    ^bb0(%module: !transform.any_op):
      %attention = transform.structured.match ops{["attn.attention"]} in %module : (!transform.any_op) -> !transform.any_op
      // expected-error @below {{not tiled: it has 2 key letters ("mn"), the tiled loops take one}}
      transform.attn.set_schedule #attn.schedule<chunk = 128, key_tile = 32, row_tile = 4, lanes = 8>
        on %attention : !transform.any_op
    }
    transform.yield
  }
}

// -----

// CHECK-LABEL: func.func @no_schedule
// CHECK: attn.attention
// CHECK: return
module attributes {transform.with_named_sequence} {
  func.func @no_schedule(%q: tensor<4x64xf32>, %k: tensor<128x64xf32>, %init: tensor<4x64xf32>) -> tensor<4x64xf32> {
    // expected-note @below {{this op}}
    %y = attn.attention "hk, mk, mv -> hv" query(%q : tensor<4x64xf32>) key(%k : tensor<128x64xf32>)
        value(%k : tensor<128x64xf32>) scale 0.125 outs(%init : tensor<4x64xf32>) -> tensor<4x64xf32>
    return %y : tensor<4x64xf32>
  }
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    transform.sequence %root : !transform.any_op failures(propagate) {
    ^bb0(%module: !transform.any_op):
      %attention = transform.structured.match ops{["attn.attention"]} in %module : (!transform.any_op) -> !transform.any_op
      // expected-error @below {{this attention has no schedule; give it one by transform.attn.schedule or transform.attn.set_schedule}}
      %partial, %merge = transform.attn.split_keys %attention
        : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    }
    transform.yield
  }
}

// -----

// CHECK-LABEL: func.func @whole
// CHECK-NOT: scf
// CHECK: return
module attributes {transform.with_named_sequence} {
  func.func @whole(%q: tensor<4x64xf32>, %k: tensor<128x64xf32>, %max: tensor<4xf32>, %acc: tensor<4x64xf32>)
      -> tensor<4x64xf32> {
    // expected-note @below {{this op}}
    %y:3 = attn.partial_attention "hk, mk, mv -> hv" query(%q : tensor<4x64xf32>) key(%k : tensor<128x64xf32>)
        value(%k : tensor<128x64xf32>) scale 0.125
        schedule <chunk = 128, key_tile = 32, row_tile = 4, lanes = 8>
        outs(%max, %max, %acc : tensor<4xf32>, tensor<4xf32>, tensor<4x64xf32>)
        -> tensor<4xf32>, tensor<4xf32>, tensor<4x64xf32>
    return %y#2 : tensor<4x64xf32>
  }
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    transform.sequence %root : !transform.any_op failures(propagate) {
    ^bb0(%module: !transform.any_op):
      %partial = transform.structured.match ops{["attn.partial_attention"]} in %module
        : (!transform.any_op) -> !transform.any_op
      // expected-error @below {{this partial attention is on one chunk; transform.attn.tile_keys tiles it}}
      %loop, %tiles = transform.attn.tile_decode %partial
        : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    }
    transform.yield
  }
}

// -----

// CHECK-LABEL: func.func @no_attention
module attributes {transform.with_named_sequence} {
  // expected-note @below {{this op}}
  func.func @no_attention() {
    return
  }
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    transform.sequence %root : !transform.any_op failures(propagate) {
    ^bb0(%module: !transform.any_op):
      %function = transform.structured.match ops{["func.func"]} in %module : (!transform.any_op) -> !transform.any_op
      // expected-error @below {{expected attn.merge, got func.func}}
      %loop, %tiles = transform.attn.tile_merge %function
        : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    }
    transform.yield
  }
}
