// What --canonicalize does to the attn ops, and what it leaves alone.
// RUN: einhead-opt %s -canonicalize -split-input-file | FileCheck %s

// CHECK-LABEL: func.func @identity_einsum
// CHECK-SAME: (%[[X:.*]]: tensor<2x?xf32>)
func.func @identity_einsum(%x: tensor<2x?xf32>) -> tensor<2x?xf32> {
  // CHECK-NEXT: return %[[X]]
  %0 = attn.einsum "ab -> ab"(%x) : (tensor<2x?xf32>) -> tensor<2x?xf32>
  return %0 : tensor<2x?xf32>
}

// -----

// CHECK-LABEL: func.func @einsum_that_permutes
func.func @einsum_that_permutes(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
  // CHECK-NEXT: attn.einsum "ab -> ba"
  %0 = attn.einsum "ab -> ba"(%x) : (tensor<2x2xf32>) -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

// -----

// CHECK-LABEL: func.func @einsum_that_rounds
func.func @einsum_that_rounds(%x: tensor<2x2xf32>) -> tensor<2x2xbf16> {
  // CHECK-NEXT: attn.einsum "ab -> ab"
  %0 = attn.einsum "ab -> ab"(%x) : (tensor<2x2xf32>) -> tensor<2x2xbf16>
  return %0 : tensor<2x2xbf16>
}

// -----

// The result knows more of its type than the operand: no fold.
// CHECK-LABEL: func.func @einsum_that_casts
func.func @einsum_that_casts(%x: tensor<?xf32>) -> tensor<2xf32> {
  // CHECK-NEXT: attn.einsum "a -> a"
  %0 = attn.einsum "a -> a"(%x) : (tensor<?xf32>) -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// -----

// The graph ops and attention on tensors are pure: what is not used goes.
// CHECK-LABEL: func.func @unused
func.func @unused(%q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>, %new: tensor<2x64xf32>, %at: index) {
  // CHECK-NEXT: return
  %s = attn.einsum "bhk, bmk -> bhm"(%q, %k) : (tensor<2x8x64xf32>, tensor<2x128x64xf32>) -> tensor<2x8x128xf32>
  %p = attn.softmax "bhm" over "m"(%s) : tensor<2x8x128xf32>
  %c = attn.append "bk -> bmk"(%new into %k at %at : index) : tensor<2x64xf32> into tensor<2x128x64xf32>
  %y = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%c : tensor<2x128x64xf32>)
      value(%c : tensor<2x128x64xf32>) scale 1.0
      outs(%q : tensor<2x8x64xf32>) -> tensor<2x8x64xf32>
  return
}

// -----

// On buffers attention has effects, and stays.
// CHECK-LABEL: func.func @used_buffer
func.func @used_buffer(%q: memref<8x64xf32>, %k: memref<128x64xf32>, %out: memref<8x64xf32>) {
  // CHECK-NEXT: attn.attention
  attn.attention "hk, mk, mv -> hv" query(%q : memref<8x64xf32>) key(%k : memref<128x64xf32>)
      value(%k : memref<128x64xf32>) scale 1.0 outs(%out : memref<8x64xf32>)
  return
}

// -----

// CHECK-LABEL: func.func @valid_of_all_keys
func.func @valid_of_all_keys(%q: tensor<8x64xf32>, %k: tensor<128x64xf32>) -> tensor<8x64xf32> {
  %n = arith.constant 128 : index
  // CHECK-NOT: valid
  %y = attn.attention "hk, mk, mv -> hv" query(%q : tensor<8x64xf32>) key(%k : tensor<128x64xf32>)
      value(%k : tensor<128x64xf32>) scale 1.0 valid(%n : index)
      outs(%q : tensor<8x64xf32>) -> tensor<8x64xf32>
  return %y : tensor<8x64xf32>
}

// -----

// CHECK-LABEL: func.func @valid_of_all_but_one
func.func @valid_of_all_but_one(%q: tensor<8x64xf32>, %k: tensor<128x64xf32>) -> tensor<8x64xf32> {
  // CHECK: %[[LENGTH:.*]] = arith.constant 127
  %n = arith.constant 127 : index
  // CHECK: valid(%[[LENGTH]] : index)
  %y = attn.attention "hk, mk, mv -> hv" query(%q : tensor<8x64xf32>) key(%k : tensor<128x64xf32>)
      value(%k : tensor<128x64xf32>) scale 1.0 valid(%n : index)
      outs(%q : tensor<8x64xf32>) -> tensor<8x64xf32>
  return %y : tensor<8x64xf32>
}

// -----

// A tile of the keys 64 to 128 of which 127 are valid: its extent is 64, but
// valid counts from key 0.
// CHECK-LABEL: func.func @valid_of_a_tile
func.func @valid_of_a_tile(%q: tensor<8x64xf32>, %k: tensor<64x64xf32>) -> tensor<8x64xf32> {
  %n = arith.constant 127 : index
  %start = arith.constant 64 : index
  // CHECK: valid(
  %y = attn.attention "hk, mk, mv -> hv" query(%q : tensor<8x64xf32>) key(%k : tensor<64x64xf32>)
      value(%k : tensor<64x64xf32>) scale 1.0 valid(%n : index) offsets "m"(%start)
      outs(%q : tensor<8x64xf32>) -> tensor<8x64xf32>
  return %y : tensor<8x64xf32>
}

// -----

// CHECK-LABEL: func.func @valid_of_a_dynamic_extent
func.func @valid_of_a_dynamic_extent(%q: tensor<8x64xf32>, %k: tensor<?x64xf32>) -> tensor<8x64xf32> {
  %n = arith.constant 128 : index
  // CHECK: valid(
  %y = attn.attention "hk, mk, mv -> hv" query(%q : tensor<8x64xf32>) key(%k : tensor<?x64xf32>)
      value(%k : tensor<?x64xf32>) scale 1.0 valid(%n : index)
      outs(%q : tensor<8x64xf32>) -> tensor<8x64xf32>
  return %y : tensor<8x64xf32>
}
