// Each constraint of attn.partial_attention is refused by its sentence.  C1 to
// C10 are checked by the function that attn.attention's are; a sample stands here.
// RUN: einhead-opt %s -split-input-file -verify-diagnostics

func.func @partial_attention_c1_two_terms(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>,
    %max: tensor<2x8xf32>, %sum: tensor<2x8xf32>, %acc: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.partial_attention' op expected three input terms (query, key, value), got 2}}
  %0:3 = attn.partial_attention "bhk, bmk -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0
      outs(%max, %sum, %acc : tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x32xf32>)
      -> tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x32xf32>
  return
}

// -----

func.func @partial_attention_c4_extent(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x127x32xf32>,
    %max: tensor<2x8xf32>, %sum: tensor<2x8xf32>, %acc: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.partial_attention' op letter 'm' is 127 in the value but 128 in the key}}
  %0:3 = attn.partial_attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x127x32xf32>) scale 1.0
      outs(%max, %sum, %acc : tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x32xf32>)
      -> tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x32xf32>
  return
}

// -----

func.func @partial_attention_c6_bias_over_depth(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>,
    %max: tensor<2x8xf32>, %sum: tensor<2x8xf32>, %acc: tensor<2x8x32xf32>, %bias: tensor<64xf32>) {
  // expected-error @+1 {{'attn.partial_attention' op bias letters "k" must be batch, row or key letters: "bhm"}}
  %0:3 = attn.partial_attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0 bias "k"(%bias : tensor<64xf32>)
      outs(%max, %sum, %acc : tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x32xf32>)
      -> tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x32xf32>
  return
}

// -----

func.func @partial_attention_c7_extent_of_valid(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>,
    %max: tensor<2x8xf32>, %sum: tensor<2x8xf32>, %acc: tensor<2x8x32xf32>, %n: tensor<3xi64>) {
  // expected-error @+1 {{'attn.partial_attention' op valid has 3 entries, letter 'b' is 2}}
  %0:3 = attn.partial_attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0 valid(%n : tensor<3xi64>)
      outs(%max, %sum, %acc : tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x32xf32>)
      -> tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x32xf32>
  return
}

// -----

func.func @partial_attention_c9_symbols(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>,
    %max: tensor<2x8xf32>, %sum: tensor<2x8xf32>, %acc: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.partial_attention' op the mask has 1 symbols, got 0 values}}
  %0:3 = attn.partial_attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0 mask <"m", affine_set<(m)[p] : (p - m >= 0)>>()
      outs(%max, %sum, %acc : tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x32xf32>)
      -> tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x32xf32>
  return
}

// -----

func.func @partial_attention_c10_offset_missing(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>,
    %max: tensor<2x8xf32>, %sum: tensor<2x8xf32>, %acc: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.partial_attention' op 1 offset letters for 0 offsets}}
  %0:3 = attn.partial_attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0 offsets "m"()
      outs(%max, %sum, %acc : tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x32xf32>)
      -> tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x32xf32>
  return
}

// -----

func.func @partial_attention_c11_rank_of_max(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>,
    %max: tensor<8xf32>, %sum: tensor<2x8xf32>, %acc: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.partial_attention' op the rank of max is 1, its term "bh" has 2 letters}}
  %0:3 = attn.partial_attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0
      outs(%max, %sum, %acc : tensor<8xf32>, tensor<2x8xf32>, tensor<2x8x32xf32>)
      -> tensor<8xf32>, tensor<2x8xf32>, tensor<2x8x32xf32>
  return
}

// -----

func.func @partial_attention_c11_extent_of_sum(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>,
    %max: tensor<2x8xf32>, %sum: tensor<2x4xf32>, %acc: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.partial_attention' op letter 'h' is 4 in sum but 8 in the query}}
  %0:3 = attn.partial_attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0
      outs(%max, %sum, %acc : tensor<2x8xf32>, tensor<2x4xf32>, tensor<2x8x32xf32>)
      -> tensor<2x8xf32>, tensor<2x4xf32>, tensor<2x8x32xf32>
  return
}

// -----

func.func @partial_attention_c11_order_of_the_accumulator(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>,
    %max: tensor<2x8xf32>, %sum: tensor<2x8xf32>, %acc: tensor<2x32x8xf32>) {
  // expected-error @+1 {{'attn.partial_attention' op letter 'h' is 32 in the accumulator but 8 in the query}}
  %0:3 = attn.partial_attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0
      outs(%max, %sum, %acc : tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x32x8xf32>)
      -> tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x32x8xf32>
  return
}

// -----

func.func @partial_attention_c11_no_split_dimension(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>,
    %max: tensor<2x8xf32>, %sum: tensor<2x8xf32>, %acc: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.partial_attention' op the rank of max is 2, its term "#bh" has 3 letters}}
  %0:3 = attn.partial_attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0 chunk 64
      outs(%max, %sum, %acc : tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x32xf32>)
      -> tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x32xf32>
  return
}

// -----

func.func @partial_attention_c11_numbers_of_splits(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>,
    %max: tensor<2x2x8xf32>, %sum: tensor<3x2x8xf32>, %acc: tensor<2x2x8x32xf32>) {
  // expected-error @+1 {{'attn.partial_attention' op letter '#' is 3 in sum but 2 in max}}
  %0:3 = attn.partial_attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0 chunk 64
      outs(%max, %sum, %acc : tensor<2x2x8xf32>, tensor<3x2x8xf32>, tensor<2x2x8x32xf32>)
      -> tensor<2x2x8xf32>, tensor<3x2x8xf32>, tensor<2x2x8x32xf32>
  return
}

// -----

func.func @partial_attention_c12_state_of_bf16(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>,
    %max: tensor<2x8xbf16>, %sum: tensor<2x8xbf16>, %acc: tensor<2x8x32xbf16>) {
  // expected-error @+1 {{'attn.partial_attention' op states are f32, got 'bf16'}}
  %0:3 = attn.partial_attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0
      outs(%max, %sum, %acc : tensor<2x8xbf16>, tensor<2x8xbf16>, tensor<2x8x32xbf16>)
      -> tensor<2x8xbf16>, tensor<2x8xbf16>, tensor<2x8x32xbf16>
  return
}

// -----

func.func @partial_attention_c12_accumulator_of_f64(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>,
    %max: tensor<2x8xf32>, %sum: tensor<2x8xf32>, %acc: tensor<2x8x32xf64>) {
  // expected-error @+1 {{'attn.partial_attention' op states are f32, got 'f64'}}
  %0:3 = attn.partial_attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0
      outs(%max, %sum, %acc : tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x32xf64>)
      -> tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x32xf64>
  return
}

// -----

func.func @partial_attention_c11_empty_chunk(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %max: tensor<1x2x8xf32>, %acc: tensor<1x2x8x64xf32>) {
  // expected-error @+1 {{'attn.partial_attention' op chunk needs one key letter and at least one key, got "m" and 0}}
  %0:3 = attn.partial_attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%k : tensor<2x128x64xf32>) scale 1.0 chunk 0
      outs(%max, %max, %acc : tensor<1x2x8xf32>, tensor<1x2x8xf32>, tensor<1x2x8x64xf32>)
      -> tensor<1x2x8xf32>, tensor<1x2x8xf32>, tensor<1x2x8x64xf32>
  return
}

// -----

func.func @partial_attention_c11_negative_chunk(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %max: tensor<1x2x8xf32>, %acc: tensor<1x2x8x64xf32>) {
  // expected-error @+1 {{'attn.partial_attention' op chunk needs one key letter and at least one key, got "m" and -64}}
  %0:3 = attn.partial_attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%k : tensor<2x128x64xf32>) scale 1.0 chunk -64
      outs(%max, %max, %acc : tensor<1x2x8xf32>, tensor<1x2x8xf32>, tensor<1x2x8x64xf32>)
      -> tensor<1x2x8xf32>, tensor<1x2x8xf32>, tensor<1x2x8x64xf32>
  return
}

// -----

func.func @partial_attention_c11_chunk_of_two_key_letters(
    %q: tensor<2x8x64xf32>, %k: tensor<2x16x8x64xf32>, %max: tensor<1x2x8xf32>, %acc: tensor<1x2x8x64xf32>) {
  // expected-error @+1 {{'attn.partial_attention' op chunk needs one key letter and at least one key, got "mp" and 128}}
  %0:3 = attn.partial_attention "bhk, bmpk, bmpv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x16x8x64xf32>)
      value(%k : tensor<2x16x8x64xf32>) scale 1.0 chunk 128
      outs(%max, %max, %acc : tensor<1x2x8xf32>, tensor<1x2x8xf32>, tensor<1x2x8x64xf32>)
      -> tensor<1x2x8xf32>, tensor<1x2x8xf32>, tensor<1x2x8x64xf32>
  return
}
