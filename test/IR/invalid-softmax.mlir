// Each constraint of attn.softmax is refused by its sentence.
// RUN: einhead-opt %s -split-input-file -verify-diagnostics

func.func @softmax_c1_rank(%x: tensor<2x8x64xf32>) {
  // expected-error @+1 {{'attn.softmax' op the rank of the input is 3, its term "hm" has 2 letters}}
  %0 = attn.softmax "hm" over "m"(%x) : tensor<2x8x64xf32>
  return
}

// -----

func.func @softmax_c1_letter_twice(%x: tensor<2x8x64xf32>) {
  // expected-error @+1 {{'attn.softmax' op letter 'm' stands twice in letters "bmm"}}
  %0 = attn.softmax "bmm" over "m"(%x) : tensor<2x8x64xf32>
  return
}

// -----

func.func @softmax_c1_more_than_letters(%x: tensor<2x8x64xf32>) {
  // expected-error @+1 {{'attn.softmax' op letters "b h m" may hold letters only}}
  %0 = attn.softmax "b h m" over "m"(%x) : tensor<2x8x64xf32>
  return
}

// -----

func.func @softmax_c2_other_letter(%x: tensor<2x8x64xf32>) {
  // expected-error @+1 {{'attn.softmax' op expected one letter of "bhm" after 'over', got "n"}}
  %0 = attn.softmax "bhm" over "n"(%x) : tensor<2x8x64xf32>
  return
}

// -----

func.func @softmax_c2_two_letters(%x: tensor<2x8x64xf32>) {
  // expected-error @+1 {{'attn.softmax' op expected one letter of "bhm" after 'over', got "hm"}}
  %0 = attn.softmax "bhm" over "hm"(%x) : tensor<2x8x64xf32>
  return
}

// -----

func.func @softmax_c3_extent(%x: tensor<2x8x64xf32>, %n: tensor<3xi64>) {
  // expected-error @+1 {{'attn.softmax' op valid has 3 entries, letter 'b' is 2}}
  %0 = attn.softmax "bhm" over "m"(%x) valid(%n : tensor<3xi64>) : tensor<2x8x64xf32>
  return
}

// -----

func.func @softmax_c4_mask_letter(%x: tensor<2x8x64xf32>) {
  // expected-error @+1 {{'attn.softmax' op mask letter 'n' is none of "bhm"}}
  %0 = attn.softmax "bhm" over "m"(%x) mask <"nm", affine_set<(n, m) : (n - m >= 0)>>() : tensor<2x8x64xf32>
  return
}

// -----

func.func @softmax_c5_symbol_missing(%x: tensor<2x8x64xf32>) {
  // expected-error @+1 {{'attn.softmax' op the mask has 1 symbols, got 0 values}}
  %0 = attn.softmax "bhm" over "m"(%x) mask <"m", affine_set<(m)[p] : (p - m >= 0)>>() : tensor<2x8x64xf32>
  return
}

// -----

func.func @softmax_valid_of_rank_2(%x: tensor<2x8x64xf32>, %n: tensor<2x8xi64>) {
  // expected-error @+1 {{operand #1 must be an index, or i64 for each sequence, but got 'tensor<2x8xi64>'}}
  %0 = attn.softmax "bhm" over "m"(%x) valid(%n : tensor<2x8xi64>) : tensor<2x8x64xf32>
  return
}

// -----

func.func @softmax_c6_sink_type(%x: tensor<2x8x64xf32>, %sink: tensor<8xbf16>) {
  // expected-error @+1 {{'attn.softmax' op the sink is f32, got 'bf16'}}
  %0 = attn.softmax "bhm" over "m"(%x) sink "h"(%sink : tensor<8xbf16>) : tensor<2x8x64xf32>
  return
}
