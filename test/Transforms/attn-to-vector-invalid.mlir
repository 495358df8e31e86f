// RUN: einhead-opt %s --attn-to-vector --split-input-file --verify-diagnostics

func.func @no_schedule(%q: memref<4x32xf32>, %k: memref<16x32xf32>,
                       %max: memref<4xf32>, %acc: memref<4x32xf32>) {
  // expected-error @below {{has no schedule; run --attn-schedule first}}
  attn.partial_attention "rk, mk, mv -> rv" query(%q : memref<4x32xf32>)
    key(%k : memref<16x32xf32>) value(%k : memref<16x32xf32>) scale 1.0
    outs(%max, %max, %acc : memref<4xf32>, memref<4xf32>, memref<4x32xf32>)
  return
}

// -----

func.func @chunked(%q: memref<4x32xf32>, %k: memref<16x32xf32>,
                   %max: memref<2x4xf32>, %acc: memref<2x4x32xf32>) {
  // expected-error @below {{is chunked; run --attn-tile-decode first}}
  attn.partial_attention "rk, mk, mv -> rv" query(%q : memref<4x32xf32>)
    key(%k : memref<16x32xf32>) value(%k : memref<16x32xf32>) scale 1.0 chunk 16
    schedule #attn.schedule<chunk = 16, key_tile = 16, row_tile = 4, lanes = 16>
    outs(%max, %max, %acc : memref<2x4xf32>, memref<2x4xf32>, memref<2x4x32xf32>)
  return
}

// -----

func.func @tensors(%q: tensor<4x32xf32>, %k: tensor<16x32xf32>,
                   %max: tensor<4xf32>, %acc: tensor<4x32xf32>) -> tensor<4x32xf32> {
  // expected-error @below {{is on tensors; bufferize first}}
  %r:3 = attn.partial_attention "rk, mk, mv -> rv" query(%q : tensor<4x32xf32>)
    key(%k : tensor<16x32xf32>) value(%k : tensor<16x32xf32>) scale 1.0
    schedule #attn.schedule<chunk = 16, key_tile = 16, row_tile = 4, lanes = 16>
    outs(%max, %max, %acc : tensor<4xf32>, tensor<4xf32>, tensor<4x32xf32>)
    -> tensor<4xf32>, tensor<4xf32>, tensor<4x32xf32>
  return %r#2 : tensor<4x32xf32>
}

// -----

func.func @pairs_of_floats(%q: memref<4x32xbf16>, %k: memref<16x32xf32>,
                           %max: memref<4xf32>, %acc: memref<4x32xf32>) {
  // expected-error @below {{has products of bf16 pairs in its schedule, but an operand of 'f32'}}
  attn.partial_attention "rk, mk, mv -> rv" query(%q : memref<4x32xbf16>)
    key(%k : memref<16x32xf32>) value(%k : memref<16x32xf32>) scale 1.0
    schedule #attn.schedule<chunk = 16, key_tile = 16, row_tile = 4, lanes = 16, products = dot>
    outs(%max, %max, %acc : memref<4xf32>, memref<4xf32>, memref<4x32xf32>)
  return
}
