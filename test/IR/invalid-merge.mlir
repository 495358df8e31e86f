// Each constraint of attn.merge is refused by its sentence.
// RUN: einhead-opt %s -split-input-file -verify-diagnostics

func.func @merge_c1_spec(%max: tensor<4x2x8xf32>, %sum: tensor<4x2x8xf32>,
    %acc: tensor<4x2x8x32xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.merge' op einsum spec, column 8: expected '->'}}
  %0 = attn.merge "bh, bhv"(%max, %sum,
    %acc : tensor<4x2x8xf32>, tensor<4x2x8xf32>, tensor<4x2x8x32xf32>)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @merge_c1_one_term(%max: tensor<4x2x8xf32>, %sum: tensor<4x2x8xf32>,
    %acc: tensor<4x2x8x32xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.merge' op expected "state, accumulator -> accumulator"}}
  %0 = attn.merge "bh -> bhv"(%max, %sum,
    %acc : tensor<4x2x8xf32>, tensor<4x2x8xf32>, tensor<4x2x8x32xf32>)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @merge_c1_other_result(%max: tensor<4x2x8xf32>, %sum: tensor<4x2x8xf32>,
    %acc: tensor<4x2x8x32xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.merge' op expected "state, accumulator -> accumulator"}}
  %0 = attn.merge "bh, bhv -> bvh"(%max, %sum,
    %acc : tensor<4x2x8xf32>, tensor<4x2x8xf32>, tensor<4x2x8x32xf32>)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @merge_c1_order(%max: tensor<4x2x8xf32>, %sum: tensor<4x2x8xf32>,
    %acc: tensor<4x2x8x32xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.merge' op the state's letters stand in the accumulator in the same order}}
  %0 = attn.merge "hb, bhv -> bhv"(%max, %sum,
    %acc : tensor<4x2x8xf32>, tensor<4x2x8xf32>, tensor<4x2x8x32xf32>)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @merge_c1_state_letter_missing(%max: tensor<4x2x8x3xf32>, %sum: tensor<4x2x8x3xf32>,
    %acc: tensor<4x2x8x32xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.merge' op the state's letters stand in the accumulator in the same order}}
  %0 = attn.merge "bhx, bhv -> bhv"(%max, %sum,
    %acc : tensor<4x2x8x3xf32>, tensor<4x2x8x3xf32>, tensor<4x2x8x32xf32>)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @merge_c2_rank_of_max(%max: tensor<2x8xf32>, %sum: tensor<4x2x8xf32>,
    %acc: tensor<4x2x8x32xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.merge' op the rank of max is 2, its term "#bh" has 3 letters}}
  %0 = attn.merge "bh, bhv -> bhv"(%max, %sum,
    %acc : tensor<2x8xf32>, tensor<4x2x8xf32>, tensor<4x2x8x32xf32>)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @merge_c2_rank_of_sum(%max: tensor<4x2x8xf32>, %sum: tensor<2x8xf32>,
    %acc: tensor<4x2x8x32xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.merge' op the rank of sum is 2, its term "#bh" has 3 letters}}
  %0 = attn.merge "bh, bhv -> bhv"(%max, %sum,
    %acc : tensor<4x2x8xf32>, tensor<2x8xf32>, tensor<4x2x8x32xf32>)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @merge_c2_numbers_of_splits(%max: tensor<4x2x8xf32>, %sum: tensor<4x2x8xf32>,
    %acc: tensor<5x2x8x32xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.merge' op letter '#' is 5 in the accumulator but 4 in max}}
  %0 = attn.merge "bh, bhv -> bhv"(%max, %sum,
    %acc : tensor<4x2x8xf32>, tensor<4x2x8xf32>, tensor<5x2x8x32xf32>)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}

// -----

func.func @merge_c2_extent_of_the_output(%max: tensor<4x2x8xf32>, %sum: tensor<4x2x8xf32>,
    %acc: tensor<4x2x8x32xf32>, %out: tensor<2x8x16xf32>) {
  // expected-error @+1 {{'attn.merge' op letter 'v' is 16 in the output but 32 in the accumulator}}
  %0 = attn.merge "bh, bhv -> bhv"(%max, %sum,
    %acc : tensor<4x2x8xf32>, tensor<4x2x8xf32>, tensor<4x2x8x32xf32>)
      outs(%out : tensor<2x8x16xf32>) -> tensor<2x8x16xf32>
  return
}

// -----

func.func @merge_c2_state_of_f16(%max: tensor<4x2x8xf32>, %sum: tensor<4x2x8xf16>,
    %acc: tensor<4x2x8x32xf32>, %out: tensor<2x8x32xf32>) {
  // expected-error @+1 {{'attn.merge' op states are f32, got 'f16'}}
  %0 = attn.merge "bh, bhv -> bhv"(%max, %sum,
    %acc : tensor<4x2x8xf32>, tensor<4x2x8xf16>, tensor<4x2x8x32xf32>)
      outs(%out : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  return
}
