// Lists of blocks, sinks and the log-sum-exp: each constraint by its sentence.
// RUN: einhead-opt %s -split-input-file -verify-diagnostics
func.func @attention_c11_two_key_letters(%q: tensor<8x64xf32>, %k: tensor<16x4x64xf32>, %l: tensor<2xi64>) {
  // expected-error @+1 {{'attn.attention' op blocks need one key letter, got "mp"}}
  %0 = attn.attention "hk, mpk, mpv -> hv" query(%q : tensor<8x64xf32>) key(%k : tensor<16x4x64xf32>)
      value(%k : tensor<16x4x64xf32>) scale 1.0 blocks ""(%l : tensor<2xi64>) size 4
      outs(%q : tensor<8x64xf32>) -> tensor<8x64xf32>
  return
}

// -----

func.func @attention_c11_key_letter(%q: tensor<8x64xf32>, %k: tensor<16x64xf32>, %l: tensor<16x2xi64>) {
  // expected-error @+1 {{'attn.attention' op block letters "m" must be batch or row letters: "h"}}
  %0 = attn.attention "hk, mk, mv -> hv" query(%q : tensor<8x64xf32>) key(%k : tensor<16x64xf32>)
      value(%k : tensor<16x64xf32>) scale 1.0 blocks "m"(%l : tensor<16x2xi64>) size 4
      outs(%q : tensor<8x64xf32>) -> tensor<8x64xf32>
  return
}

// -----

func.func @attention_c11_element_type(%q: tensor<8x64xf32>, %k: tensor<16x64xf32>, %l: tensor<2xi32>) {
  // expected-error @+1 {{'attn.attention' op blocks are i64, got 'i32'}}
  %0 = attn.attention "hk, mk, mv -> hv" query(%q : tensor<8x64xf32>) key(%k : tensor<16x64xf32>)
      value(%k : tensor<16x64xf32>) scale 1.0 blocks ""(%l : tensor<2xi32>) size 4
      outs(%q : tensor<8x64xf32>) -> tensor<8x64xf32>
  return
}

// -----

func.func @attention_c11_negative_size(%q: tensor<8x64xf32>, %k: tensor<16x64xf32>, %l: tensor<2xi64>) {
  // expected-error @+1 {{'attn.attention' op a block has at least one key, got -4}}
  %0 = attn.attention "hk, mk, mv -> hv" query(%q : tensor<8x64xf32>) key(%k : tensor<16x64xf32>)
      value(%k : tensor<16x64xf32>) scale 1.0 blocks ""(%l : tensor<2xi64>) size -4
      outs(%q : tensor<8x64xf32>) -> tensor<8x64xf32>
  return
}

// -----

func.func @attention_c13_sink_over_keys(%q: tensor<8x64xf32>, %k: tensor<16x64xf32>, %s: tensor<16xf32>) {
  // expected-error @+1 {{'attn.attention' op the sink's letters "m" must be among "h"}}
  %0 = attn.attention "hk, mk, mv -> hv" query(%q : tensor<8x64xf32>) key(%k : tensor<16x64xf32>)
      value(%k : tensor<16x64xf32>) scale 1.0 sink "m"(%s : tensor<16xf32>)
      outs(%q : tensor<8x64xf32>) -> tensor<8x64xf32>
  return
}

// -----

func.func @attention_c14_element_type(%q: tensor<8x64xf32>, %k: tensor<16x64xf32>, %l: tensor<8xf64>) {
  // expected-error @+1 {{'attn.attention' op sink and lse are f32, got 'f64'}}
  %0:2 = attn.attention "hk, mk, mv -> hv" query(%q : tensor<8x64xf32>) key(%k : tensor<16x64xf32>)
      value(%k : tensor<16x64xf32>) scale 1.0
      outs(%q : tensor<8x64xf32>) lse(%l : tensor<8xf64>) -> tensor<8x64xf32>, tensor<8xf64>
  return
}

// -----

func.func @attention_c11_large_block(%q: tensor<8x64xf32>, %k: tensor<16x64xf32>, %l: tensor<2xi64>) {
  // expected-error @+1 {{'attn.attention' op a block has fewer than 2^31 keys, got 2147483648}}
  %0 = attn.attention "hk, mk, mv -> hv" query(%q : tensor<8x64xf32>) key(%k : tensor<16x64xf32>)
      value(%k : tensor<16x64xf32>) scale 1.0 blocks ""(%l : tensor<2xi64>) size 2147483648
      outs(%q : tensor<8x64xf32>) -> tensor<8x64xf32>
  return
}
