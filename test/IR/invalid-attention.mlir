// Each constraint of attn.attention is refused by its sentence.
// RUN: einhead-opt %s -split-input-file -verify-diagnostics
func.func @attention_c1_two_terms(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.attention' op expected three input terms (query, key, value), got 2}}
  %0 = attn.attention "bhk, bmk -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c1_spec(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.attention' op einsum spec, column 12: unexpected '2'}}
  %0 = attn.attention "bhk, bmk, b2mv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c1_rank_of_query(
    %q: tensor<2x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.attention' op the rank of the query is 2, its term "bhk" has 3 letters}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c1_rank_of_key(
    %q: tensor<2x8x64xf32>, %k: tensor<2x1x128x64xf32>, %v: tensor<2x128x32xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.attention' op the rank of the key is 4, its term "bmk" has 3 letters}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x1x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c1_rank_of_value(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x1x128x32xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.attention' op the rank of the value is 4, its term "bmv" has 3 letters}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x1x128x32xf32>) scale 1.0
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c1_rank_of_output(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>, %out: tensor<2x32xf32>) {
  // expected-error @+1 {{'attn.attention' op the rank of the output is 2, its term "bhv" has 3 letters}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0
      outs(%out : tensor<2x32xf32>) -> tensor<2x32xf32>
  return
}

// -----

func.func @attention_c2_output_only(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>, %out: tensor<2x8x32x5xf32>) {
  // expected-error @+1 {{'attn.attention' op letter 'x' has no role: it stands in the output only}}
  %0 = attn.attention "bhk, bmk, bmv -> bhvx" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0
      outs(%out : tensor<2x8x32x5xf32>) -> tensor<2x8x32x5xf32>
  return
}

// -----

func.func @attention_c2_key_only(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64x5xf32>, %v: tensor<2x128x32xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.attention' op letter 'x' has no role: it stands in the key only}}
  %0 = attn.attention "bhk, bmkx, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64x5xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c2_query_only(
    %q: tensor<2x8x64x5xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.attention' op letter 'x' has no role: the query has it, key and output lack it}}
  %0 = attn.attention "bhkx, bmk, bmv -> bhv" query(%q : tensor<2x8x64x5xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c2_value_only(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32x5xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.attention' op letter 'x' has no role: the value has it, key and output lack it}}
  %0 = attn.attention "bhk, bmk, bmvx -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32x5xf32>) scale 1.0
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c2_all_but_the_output(
    %q: tensor<2x8x64x5xf32>, %k: tensor<2x128x64x5xf32>, %v: tensor<2x128x32x5xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.attention' op letter 'x' has no role: query, key and value have it, the output lacks it}}
  %0 = attn.attention "bhkx, bmkx, bmvx -> bhv" query(%q : tensor<2x8x64x5xf32>) key(%k : tensor<2x128x64x5xf32>)
      value(%v : tensor<2x128x32x5xf32>) scale 1.0
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c3_no_key_letter(
    %q: tensor<2x8x64xf32>, %k: tensor<2x64xf32>, %v: tensor<2x32xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.attention' op no key letter: none stands in key and value only}}
  %0 = attn.attention "bhk, bk, bv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x64xf32>)
      value(%v : tensor<2x32xf32>) scale 1.0
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c4_between_operands(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x127x32xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.attention' op letter 'm' is 127 in the value but 128 in the key}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x127x32xf32>) scale 1.0
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c4_of_the_output(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>, %out: tensor<2x8x16xf32>) {
  // expected-error @+1 {{'attn.attention' op letter 'v' is 16 in the output but 32 in the value}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0
      outs(%out : tensor<2x8x16xf32>) -> tensor<2x8x16xf32>
  return
}

// -----

func.func @attention_c4_of_the_bias(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>, %out: tensor<2x8x32xf32>, %bias: tensor<64xf32>) {
  // expected-error @+1 {{'attn.attention' op letter 'm' is 64 in the bias but 128 in the key}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0 bias "m"(%bias : tensor<64xf32>)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c5_letter_twice(
    %q: tensor<2x8x64x8xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.attention' op einsum spec, column 4: letter 'h' stands twice in one term}}
  %0 = attn.attention "bhkh, bmk, bmv -> bhv" query(%q : tensor<2x8x64x8xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c6_bias_over_depth(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>, %out: tensor<2x8x32xf32>, %bias: tensor<8x64xf32>) {
  // expected-error @+1 {{'attn.attention' op bias letters "hk" must be batch, row or key letters: "bhm"}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0 bias "hk"(%bias : tensor<8x64xf32>)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c6_rank_of_bias(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>, %out: tensor<2x8x32xf32>, %bias: tensor<128xf32>) {
  // expected-error @+1 {{'attn.attention' op the rank of the bias is 1, its term "hm" has 2 letters}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0 bias "hm"(%bias : tensor<128xf32>)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c7_extent_of_valid(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>, %out: tensor<2x8x32xf32>, %n: tensor<3xi64>) {
  // expected-error @+1 {{'attn.attention' op valid has 3 entries, letter 'b' is 2}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0 valid(%n : tensor<3xi64>)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c7_row_letter_first(
    %q: tensor<8x2x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>, %out: tensor<8x2x32xf32>, %n: tensor<8xi64>) {
  // expected-error @+1 {{'attn.attention' op valid of rank 1 needs a batch letter first in the query, got 'h'}}
  %0 = attn.attention "hbk, bmk, bmv -> hbv" query(%q : tensor<8x2x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0 valid(%n : tensor<8xi64>)
      outs(%out : tensor<8x2x32xf32>) -> tensor<8x2x32xf32>
  return
}

// -----

func.func @attention_c8_valid_of_two_key_letters(
    %q: tensor<2x8x64xf32>, %k: tensor<2x16x8x64xf32>, %v: tensor<2x16x8x32xf32>, %out: tensor<2x8x32xf32>, %n: index) {
  // expected-error @+1 {{'attn.attention' op valid needs one key letter, got "mp"}}
  %0 = attn.attention "bhk, bmpk, bmpv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x16x8x64xf32>)
      value(%v : tensor<2x16x8x32xf32>) scale 1.0 valid(%n : index)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c9_mask_over_depth(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.attention' op mask letter 'k' is none of "bhm"}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0 mask <"km", affine_set<(k, m) : (k - m >= 0)>>()
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c9_symbols(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>, %out: tensor<2x8x32xf32>, %p: index) {
  // expected-error @+1 {{'attn.attention' op the mask has 1 symbols, got 2 values}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0 mask <"m", affine_set<(m)[p] : (p - m >= 0)>>(%p, %p)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c10_offset_missing(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>, %out: tensor<2x8x32xf32>, %p: index) {
  // expected-error @+1 {{'attn.attention' op 2 offset letters for 1 offsets}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0 offsets "hm"(%p)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

// Destination style: a result for each tensor in `outs`, none for a buffer.
func.func @attention_result_missing(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.attention' op expected the number of tensor results (0) to be equal to the number of output tensors (1)}}
  attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0
      outs(%out : tensor<2x8x32xf32>)
  return
}

// -----

func.func @attention_c6_bias_letter_twice(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>, %out: tensor<2x8x32xf32>, %bias: tensor<8x8xf32>) {
  // expected-error @+1 {{'attn.attention' op letter 'h' stands twice in bias letters "hh"}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0 bias "hh"(%bias : tensor<8x8xf32>)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c6_bias_without_letters(
    %q: tensor<2x8xf32>, %k: tensor<2x5x8xf32>, %bias: tensor<2x5xf32>) {
  // expected-error @+1 {{'attn.attention' op a bias and its letters come together}}
  %0 = "attn.attention"(%q, %k, %k, %bias, %q)
      <{operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0>, scale = 1.0 : f64, spec = "bk, bmk, bmv -> bv"}>
    : (tensor<2x8xf32>, tensor<2x5x8xf32>, tensor<2x5x8xf32>, tensor<2x5xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
  return
}

// -----

func.func @attention_c10_offset_of_no_letter(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>, %out: tensor<2x8x32xf32>, %p: index) {
  // expected-error @+1 {{'attn.attention' op offset letter 'z' is none of "bhm"}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0 offsets "z"(%p)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_c10_offset_letter_twice(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xf32>, %out: tensor<2x8x32xf32>, %p: index) {
  // expected-error @+1 {{'attn.attention' op letter 'm' stands twice in offset letters "mm"}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xf32>) scale 1.0 offsets "mm"(%p, %p)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_of_integers(
    %q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %v: tensor<2x128x32xi32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.attention' op takes a value of f64, f32, f16, bf16 or f8E4M3FN, or of i8 with a scale, got 'i32'}}
  %0 = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x128x64xf32>)
      value(%v : tensor<2x128x32xi32>) scale 1.0
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @attention_of_tensors_and_buffers(%q: memref<8x64xf32>, %k: tensor<128x64xf32>) {
  // expected-error @+1 {{'attn.attention' op mixes tensors and buffers}}
  attn.attention "hk, mk, mv -> hv" query(%q : memref<8x64xf32>) key(%k : tensor<128x64xf32>)
      value(%k : tensor<128x64xf32>) scale 1.0 outs(%q : memref<8x64xf32>)
  return
}

// -----

func.func @attention_c11_empty_block(%q: tensor<8x64xf32>, %k: tensor<128x64xf32>, %lists: tensor<8x2xi64>, %out: tensor<8x64xf32>) {
  // expected-error @+1 {{'attn.attention' op a block has at least one key, got 0}}
  %0 = attn.attention "hk, mk, mv -> hv" query(%q : tensor<8x64xf32>) key(%k : tensor<128x64xf32>)
      value(%k : tensor<128x64xf32>) scale 1.0 blocks "h"(%lists : tensor<8x2xi64>) size 0
      outs(%out : tensor<8x64xf32>) -> tensor<8x64xf32>
  return
}

// -----

func.func @attention_c11_negative_block(%q: tensor<8x64xf32>, %k: tensor<128x64xf32>, %lists: tensor<8x2xi64>, %out: tensor<8x64xf32>) {
  // expected-error @+1 {{'attn.attention' op a block has at least one key, got -8}}
  %0 = attn.attention "hk, mk, mv -> hv" query(%q : tensor<8x64xf32>) key(%k : tensor<128x64xf32>)
      value(%k : tensor<128x64xf32>) scale 1.0 blocks "h"(%lists : tensor<8x2xi64>) size -8
      outs(%out : tensor<8x64xf32>) -> tensor<8x64xf32>
  return
}
