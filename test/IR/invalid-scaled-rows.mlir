// RUN: einhead-opt %s --split-input-file --verify-diagnostics

// i8 rows and their scales (attention_c15).

func.func @attention_c15_value_without_scale(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xi8>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.attention' op the value is i8 and has no value_scale, which says what its numbers are multiplied by}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xi8>) scale 1.0
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c15_key_without_scale(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xi8>, %v: tensor<2x128x32xi8>, %s: tensor<2x128xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.attention' op the key is i8 and has no key_scale}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xi8>)
      value(%v : tensor<2x128x32xi8>) scale 1.0 value_scale(%s : tensor<2x128xf32>)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c15_scale_of_floats(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xbf16>, %v: tensor<2x128x32xf32>, %s: tensor<2x128xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.attention' op a key_scale is of an i8 or f8E4M3FN key, this one is of 'bf16'}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xbf16>)
      value(%v : tensor<2x128x32xf32>) scale 1.0 key_scale(%s : tensor<2x128xf32>)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c15_scale_in_f16(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xi8>, %v: tensor<2x128x32xf32>, %s: tensor<2x128xf16>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.attention' op the key_scale is f32, got 'f16'}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xi8>)
      value(%v : tensor<2x128x32xf32>) scale 1.0 key_scale(%s : tensor<2x128xf16>)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c15_scale_by_head(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xi8>, %v: tensor<2x128x32xf32>, %s: tensor<2xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.attention' op the rank of the key_scale is 1, its term "bm" has 2 letters}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xi8>)
      value(%v : tensor<2x128x32xf32>) scale 1.0 key_scale(%s : tensor<2xf32>)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c15_scale_by_column(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xi8>, %s: tensor<2x32xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.attention' op letter 'm' is 32 in the value_scale but 128 in the key}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xi8>) scale 1.0 value_scale(%s : tensor<2x32xf32>)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_of_i16(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xi16>, %v: tensor<2x128x32xf32>, %s: tensor<2x128xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.attention' op takes a key of f64, f32, f16, bf16 or f8E4M3FN, or of i8 with a scale, got 'i16'}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xi16>)
      value(%v : tensor<2x128x32xf32>) scale 1.0
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @partial_attention_c15_key_without_scale(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xi8>, %v: tensor<2x128x32xf32>, %max: tensor<2x8xf32>, %acc: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.partial_attention' op the key is i8 and has no key_scale}}
  %0:3 = attn.partial_attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xi8>)
      value(%v : tensor<2x128x32xf32>) scale 1.0
      outs(%max, %max, %acc : tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x32xf32>)
      -> tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x32xf32>
  return
}
