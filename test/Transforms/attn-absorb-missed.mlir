// RUN: einhead-opt %s --attn-absorb --remarks-filter='attn.*' --split-input-file 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks

// Keys and values that stay projected, and why.

// Many rows of queries: the projections are paid once for all of them.
// REMARK: [Missed] NotAbsorbed
// REMARK-SAME: keys stay projected: attention to the latent takes {{[0-9]+}} operations and {{[0-9]+}} bytes, to projected keys and values {{[0-9]+}} operations
// CHECK-LABEL: func.func @prefill
// CHECK: attn.einsum "bmc, hck -> bhmk"
func.func @prefill(%q: tensor<1x3x64x6xf32>, %c: tensor<1x64x48xf32>,
                   %uk: tensor<3x48x6xf32>, %uv: tensor<3x48x5xf32>) -> tensor<1x3x64x5xf32> {
  %k = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<1x64x48xf32>, tensor<3x48x6xf32>) -> tensor<1x3x64x6xf32>
  %v = attn.einsum "bmc, hcv -> bhmv"(%c, %uv)
    : (tensor<1x64x48xf32>, tensor<3x48x5xf32>) -> tensor<1x3x64x5xf32>
  %s = attn.einsum "bhnk, bhmk -> bhnm"(%q, %k)
    : (tensor<1x3x64x6xf32>, tensor<1x3x64x6xf32>) -> tensor<1x3x64x64xf32>
  %p = attn.softmax "bhnm" over "m"(%s) : tensor<1x3x64x64xf32>
  %y = attn.einsum "bhnm, bhmv -> bhnv"(%p, %v)
    : (tensor<1x3x64x64xf32>, tensor<1x3x64x5xf32>) -> tensor<1x3x64x5xf32>
  return %y : tensor<1x3x64x5xf32>
}

// -----

// REMARK: [Missed] NotAbsorbed
// REMARK-SAME: keys stay projected: the projected keys are used elsewhere, so they are computed anyway
// CHECK-LABEL: func.func @keys_returned
// CHECK: attn.einsum "bhk, bhmk -> bhm"
func.func @keys_returned(%q: tensor<1x3x6xf32>, %c: tensor<1x64x12xf32>,
    %uk: tensor<3x12x6xf32>, %uv: tensor<3x12x5xf32>) -> (tensor<1x3x5xf32>, tensor<1x3x64x6xf32>) {
  %k = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<1x64x12xf32>, tensor<3x12x6xf32>) -> tensor<1x3x64x6xf32>
  %v = attn.einsum "bmc, hcv -> bhmv"(%c, %uv)
    : (tensor<1x64x12xf32>, tensor<3x12x5xf32>) -> tensor<1x3x64x5xf32>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %k)
    : (tensor<1x3x6xf32>, tensor<1x3x64x6xf32>) -> tensor<1x3x64xf32>
  %p = attn.softmax "bhm" over "m"(%s) : tensor<1x3x64xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %v)
    : (tensor<1x3x64xf32>, tensor<1x3x64x5xf32>) -> tensor<1x3x5xf32>
  return %y, %k : tensor<1x3x5xf32>, tensor<1x3x64x6xf32>
}

// -----

// REMARK: [Missed] NotAbsorbed
// REMARK-SAME: the values are not projected from a latent
func.func @values_given(%q: tensor<1x3x6xf32>, %c: tensor<1x64x12xf32>,
    %uk: tensor<3x12x6xf32>, %v: tensor<1x3x64x5xf32>) -> tensor<1x3x5xf32> {
  %k = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<1x64x12xf32>, tensor<3x12x6xf32>) -> tensor<1x3x64x6xf32>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %k)
    : (tensor<1x3x6xf32>, tensor<1x3x64x6xf32>) -> tensor<1x3x64xf32>
  %p = attn.softmax "bhm" over "m"(%s) : tensor<1x3x64xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %v)
    : (tensor<1x3x64xf32>, tensor<1x3x64x5xf32>) -> tensor<1x3x5xf32>
  return %y : tensor<1x3x5xf32>
}

// -----

// The rotary key has a head letter, the latent has none.
// REMARK: [Missed] NotAbsorbed
// REMARK-SAME: the rotary key ("bhmr") has other letters than the latent ("bmc") before its last
func.func @rotary_per_head(%q: tensor<1x3x6xf32>, %qr: tensor<1x3x4xf32>, %c: tensor<1x64x12xf32>,
    %kr: tensor<1x3x64x4xf32>, %uk: tensor<3x12x6xf32>, %uv: tensor<3x12x5xf32>) -> tensor<1x3x5xf32> {
  %k = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<1x64x12xf32>, tensor<3x12x6xf32>) -> tensor<1x3x64x6xf32>
  %v = attn.einsum "bmc, hcv -> bhmv"(%c, %uv)
    : (tensor<1x64x12xf32>, tensor<3x12x5xf32>) -> tensor<1x3x64x5xf32>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %k)
    : (tensor<1x3x6xf32>, tensor<1x3x64x6xf32>) -> tensor<1x3x64xf32>
  %r = attn.einsum "bhr, bhmr -> bhm"(%qr, %kr)
    : (tensor<1x3x4xf32>, tensor<1x3x64x4xf32>) -> tensor<1x3x64xf32>
  %t = arith.addf %s, %r : tensor<1x3x64xf32>
  %p = attn.softmax "bhm" over "m"(%t) : tensor<1x3x64xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %v)
    : (tensor<1x3x64xf32>, tensor<1x3x64x5xf32>) -> tensor<1x3x5xf32>
  return %y : tensor<1x3x5xf32>
}

// -----

// REMARK: [Missed] NotAbsorbed
// REMARK-SAME: the extent of 'c' in the weight is dynamic; give it (--attn-specialize)
func.func @dynamic_weight(%q: tensor<1x3x6xf32>, %c: tensor<1x64x?xf32>,
    %uk: tensor<3x?x6xf32>, %uv: tensor<3x?x5xf32>) -> tensor<1x3x5xf32> {
  %k = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<1x64x?xf32>, tensor<3x?x6xf32>) -> tensor<1x3x64x6xf32>
  %v = attn.einsum "bmc, hcv -> bhmv"(%c, %uv)
    : (tensor<1x64x?xf32>, tensor<3x?x5xf32>) -> tensor<1x3x64x5xf32>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %k)
    : (tensor<1x3x6xf32>, tensor<1x3x64x6xf32>) -> tensor<1x3x64xf32>
  %p = attn.softmax "bhm" over "m"(%s) : tensor<1x3x64xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %v)
    : (tensor<1x3x64xf32>, tensor<1x3x64x5xf32>) -> tensor<1x3x5xf32>
  return %y : tensor<1x3x5xf32>
}

// -----

// Keys that are an argument are no matter for this pass, and nothing is said.
// REMARK-NOT: NotAbsorbed
// CHECK-LABEL: func.func @given
func.func @given(%q: tensor<1x3x6xf32>, %k: tensor<1x64x6xf32>) -> tensor<1x3x6xf32> {
  %s = attn.einsum "bhk, bmk -> bhm"(%q, %k)
    : (tensor<1x3x6xf32>, tensor<1x64x6xf32>) -> tensor<1x3x64xf32>
  %p = attn.softmax "bhm" over "m"(%s) : tensor<1x3x64xf32>
  %y = attn.einsum "bhm, bmk -> bhk"(%p, %k)
    : (tensor<1x3x64xf32>, tensor<1x64x6xf32>) -> tensor<1x3x6xf32>
  return %y : tensor<1x3x6xf32>
}
