// Each constraint of attn.einsum is refused by its sentence.
// RUN: einhead-opt %s -split-input-file -verify-diagnostics

func.func @einsum_c1_no_arrow(%a: tensor<2x3xf32>) {
  // expected-error @+1 {{'attn.einsum' op einsum spec, column 3: expected '->'}}
  %0 = attn.einsum "ab"(%a) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @einsum_c1_no_letter(%a: tensor<2x3xf32>) {
  // expected-error @+1 {{'attn.einsum' op einsum spec, column 2: unexpected '1'}}
  %0 = attn.einsum "a1 -> a"(%a) : (tensor<2x3xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @einsum_c1_two_results(%a: tensor<2x3xf32>) {
  // expected-error @+1 {{'attn.einsum' op einsum spec, column 8: unexpected ','}}
  %0 = attn.einsum "ab -> a, b"(%a) : (tensor<2x3xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @einsum_c1_half_an_arrow(%a: tensor<2x3xf32>) {
  // expected-error @+1 {{'attn.einsum' op einsum spec, column 4: unexpected '-'}}
  %0 = attn.einsum "ab - > a"(%a) : (tensor<2x3xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @einsum_c2_operand_missing(%a: tensor<2x3xf32>) {
  // expected-error @+1 {{'attn.einsum' op the spec has 2 input terms for 1 operands}}
  %0 = attn.einsum "ab, bc -> ac"(%a) : (tensor<2x3xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @einsum_c3_rank_of_operand(%a: tensor<2x3xf32>, %b: tensor<3xf32>) {
  // expected-error @+1 {{'attn.einsum' op the rank of operand #1 is 1, its term "bc" has 2 letters}}
  %0 = attn.einsum "ab, bc -> ac"(%a, %b) : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @einsum_c3_rank_of_result(%a: tensor<2x3xf32>) {
  // expected-error @+1 {{'attn.einsum' op the rank of the result is 2, its term "a" has 1 letters}}
  %0 = attn.einsum "ab -> a"(%a) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @einsum_c4_between_operands(%a: tensor<2x3xf32>, %b: tensor<5x4xf32>) {
  // expected-error @+1 {{'attn.einsum' op letter 'b' is 5 in operand #1 but 3 in operand #0}}
  %0 = attn.einsum "ab, bc -> ac"(%a, %b) : (tensor<2x3xf32>, tensor<5x4xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @einsum_c4_of_the_result(%a: tensor<2x3xf32>, %b: tensor<?x4xf32>) {
  // expected-error @+1 {{'attn.einsum' op letter 'c' is 7 in the result but 4 in operand #1}}
  %0 = attn.einsum "ab, bc -> ac"(%a, %b) : (tensor<2x3xf32>, tensor<?x4xf32>) -> tensor<2x7xf32>
  return
}

// -----

func.func @einsum_c5_diagonal(%a: tensor<3x3xf32>) {
  // expected-error @+1 {{'attn.einsum' op einsum spec, column 2: letter 'a' stands twice in one term}}
  %0 = attn.einsum "aa -> a"(%a) : (tensor<3x3xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @einsum_c6_new_letter(%a: tensor<2x3xf32>) {
  // expected-error @+1 {{'attn.einsum' op letter 'c' of the result stands in no operand}}
  %0 = attn.einsum "ab -> ac"(%a) : (tensor<2x3xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @einsum_of_integers(%a: tensor<2xi32>) {
  // expected-error @+1 {{operand #0 must be variadic of ranked tensor of 64-bit float or 32-bit float}}
  %0 = attn.einsum "a -> a"(%a) : (tensor<2xi32>) -> tensor<2xf32>
  return
}
