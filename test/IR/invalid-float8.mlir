// RUN: einhead-opt %s --split-input-file --verify-diagnostics

// f8E4M3FN is a type of keys and values (attention_c15, attention_c20), and of
// nothing else; no other type of 8-bit floats is one of anything.

func.func @attention_c20_query(%q: tensor<2x8x64xf8E4M3FN>, %k: tensor<2x128x64xf8E4M3FN>, %out: tensor<2x8x64xf32>) {
  // expected-error @+1 {{'attn.attention' op is on f64, f32, f16 or bf16, got 'f8E4M3FN'; only key and value may have 8 bits}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf8E4M3FN>) key(%k : tensor<2x128x64xf8E4M3FN>)
      value(%k : tensor<2x128x64xf8E4M3FN>) scale 1.0
      outs(%out : tensor<2x8x64xf32>) -> tensor<2x8x64xf32>
  return
}

// -----

func.func @attention_c20_output(%q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf8E4M3FN>, %out: tensor<2x8x64xf8E4M3FN>) {
  // expected-error @+1 {{'attn.attention' op is on f64, f32, f16 or bf16, got 'f8E4M3FN'}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf8E4M3FN>)
      value(%k : tensor<2x128x64xf8E4M3FN>) scale 1.0
      outs(%out : tensor<2x8x64xf8E4M3FN>) -> tensor<2x8x64xf8E4M3FN>
  return
}

// -----

func.func @attention_c15_other_float8(%q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf8E5M2>, %out: tensor<2x8x64xf32>) {
  // expected-error @+1 {{'attn.attention' op takes a key of f64, f32, f16, bf16 or f8E4M3FN, or of i8 with a scale, got 'f8E5M2'}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf8E5M2>)
      value(%k : tensor<2x128x64xf8E5M2>) scale 1.0
      outs(%out : tensor<2x8x64xf32>) -> tensor<2x8x64xf32>
  return
}

// -----

func.func @attention_c15_scale_in_f16(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf8E4M3FN>, %s: tensor<2x128xf16>, %out: tensor<2x8x64xf32>) {
  // expected-error @+1 {{'attn.attention' op the key_scale is f32, got 'f16'}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf8E4M3FN>)
      value(%k : tensor<2x128x64xf8E4M3FN>) scale 1.0 key_scale(%s : tensor<2x128xf16>)
      outs(%out : tensor<2x8x64xf32>) -> tensor<2x8x64xf32>
  return
}

// -----

func.func @einsum_of_other_float8(%x: tensor<4xf8E5M2>) -> tensor<f32> {
  // expected-error @+1 {{'attn.einsum' op operand #0 must be variadic of ranked tensor of}}
  %0 = attn.einsum "i ->"(%x) : (tensor<4xf8E5M2>) -> tensor<f32>
  return %0 : tensor<f32>
}

// -----

func.func @einsum_rounded_to_float8(%x: tensor<4x3xf32>) -> tensor<4xf8E4M3FN> {
  // expected-error @+1 {{'attn.einsum' op result #0 must be ranked tensor of}}
  %0 = attn.einsum "ij -> i"(%x) : (tensor<4x3xf32>) -> tensor<4xf8E4M3FN>
  return %0 : tensor<4xf8E4M3FN>
}

// -----

// append_c6: rows are rounded where the graph says so.
func.func @append_c6_of_f32(%k: tensor<2x64xf32>, %cache: tensor<2x128x64xf8E4M3FN>, %n: index) -> tensor<2x128x64xf8E4M3FN> {
  // expected-error @+1 {{'attn.append' op the new rows are 'f32', the cache is 'f8E4M3FN'}}
  %0 = attn.append "bk -> bmk"(%k into %cache at %n : index) : tensor<2x64xf32> into tensor<2x128x64xf8E4M3FN>
  return %0 : tensor<2x128x64xf8E4M3FN>
}
