// RUN: einhead-opt %s --attn-absorb --remarks-filter='attn.*' --split-input-file 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks

// Latents, weights and queries in bf16 and f16: they are read as they are
// stored, and what lies between is f32.

// Projected keys and values are stored as bf16, 2 bytes each; the latent form
// stores none.
// REMARK: [Passed] Absorbed
// REMARK-SAME: attention to the latent takes 10008 operations and 2940 bytes, to projected keys and values 54912 operations and 12348 bytes
// CHECK-LABEL: func.func @bf16
// CHECK-SAME: (%[[Q:.*]]: tensor<1x3x6xbf16>, %[[C:.*]]: tensor<1x64x12xbf16>, %[[UK:.*]]: tensor<3x12x6xbf16>, %[[UV:.*]]: tensor<3x12x5xbf16>)
// CHECK: %[[L:.*]] = attn.einsum "bhk, hck -> bhc"(%[[Q]], %[[UK]]) : (tensor<1x3x6xbf16>, tensor<3x12x6xbf16>) -> tensor<1x3x12xf32>
// CHECK: %[[S:.*]] = attn.einsum "bhc, bmc -> bhm"(%[[L]], %[[C]]) : (tensor<1x3x12xf32>, tensor<1x64x12xbf16>) -> tensor<1x3x64xf32>
// CHECK: %[[P:.*]] = attn.softmax "bhm" over "m"(%[[S]])
// CHECK: %[[O:.*]] = attn.einsum "bhm, bm[[D:[a-z]]] -> bh[[D]]"(%[[P]], %[[C]]) : (tensor<1x3x64xf32>, tensor<1x64x12xbf16>) -> tensor<1x3x12xf32>
// CHECK: attn.einsum "bh[[D]], h[[D]]v -> bhv"(%[[O]], %[[UV]]) : (tensor<1x3x12xf32>, tensor<3x12x5xbf16>) -> tensor<1x3x5xf32>
func.func @bf16(%q: tensor<1x3x6xbf16>, %c: tensor<1x64x12xbf16>,
                %uk: tensor<3x12x6xbf16>, %uv: tensor<3x12x5xbf16>) -> tensor<1x3x5xf32> {
  %k = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<1x64x12xbf16>, tensor<3x12x6xbf16>) -> tensor<1x3x64x6xbf16>
  %v = attn.einsum "bmc, hcv -> bhmv"(%c, %uv)
    : (tensor<1x64x12xbf16>, tensor<3x12x5xbf16>) -> tensor<1x3x64x5xbf16>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %k)
    : (tensor<1x3x6xbf16>, tensor<1x3x64x6xbf16>) -> tensor<1x3x64xf32>
  %p = attn.softmax "bhm" over "m"(%s) : tensor<1x3x64xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %v)
    : (tensor<1x3x64xf32>, tensor<1x3x64x5xbf16>) -> tensor<1x3x5xf32>
  return %y : tensor<1x3x5xf32>
}

// -----

// Rotary parts in f16, a result in f16: the rotary query is widened to join the
// other, the keys are joined as they are.
// REMARK: [Passed] Absorbed
// REMARK-SAME: latent and rotary key are two tensors, which are copied into one
// CHECK-LABEL: func.func @f16
// CHECK-SAME: %[[QR:[a-z0-9]+]]: tensor<1x3x4xf16>, %[[C:[a-z0-9]+]]: tensor<1x64x12xf16>, %[[KR:[a-z0-9]+]]: tensor<1x64x4xf16>
// CHECK: %[[WIDE:.*]] = arith.extf %[[QR]] : tensor<1x3x4xf16> to tensor<1x3x4xf32>
// CHECK: tensor.concat dim(2) %{{.*}}, %[[WIDE]] : (tensor<1x3x12xf32>, tensor<1x3x4xf32>)
// CHECK: tensor.concat dim(2) %[[C]], %[[KR]] : (tensor<1x64x12xf16>, tensor<1x64x4xf16>)
// CHECK: attn.einsum {{.*}} -> tensor<1x3x5xf16>
func.func @f16(%q: tensor<1x3x6xf16>, %qr: tensor<1x3x4xf16>, %c: tensor<1x64x12xf16>,
               %kr: tensor<1x64x4xf16>, %uk: tensor<3x12x6xf16>,
               %uv: tensor<3x12x5xf16>) -> tensor<1x3x5xf16> {
  %k = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<1x64x12xf16>, tensor<3x12x6xf16>) -> tensor<1x3x64x6xf16>
  %v = attn.einsum "bmc, hcv -> bhmv"(%c, %uv)
    : (tensor<1x64x12xf16>, tensor<3x12x5xf16>) -> tensor<1x3x64x5xf16>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %k)
    : (tensor<1x3x6xf16>, tensor<1x3x64x6xf16>) -> tensor<1x3x64xf32>
  %r = attn.einsum "bhr, bmr -> bhm"(%qr, %kr)
    : (tensor<1x3x4xf16>, tensor<1x64x4xf16>) -> tensor<1x3x64xf32>
  %t = arith.addf %s, %r : tensor<1x3x64xf32>
  %p = attn.softmax "bhm" over "m"(%t) : tensor<1x3x64xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %v)
    : (tensor<1x3x64xf32>, tensor<1x3x64x5xf16>) -> tensor<1x3x5xf16>
  return %y : tensor<1x3x5xf16>
}

// -----

// Scores that are stored as bf16: the graph rounds them.
// REMARK: [Missed] NotAbsorbed
// REMARK-SAME: keys stay projected: the scores are not stored as f32; rounding them is part of the graph
// CHECK-LABEL: func.func @scores
// CHECK: attn.einsum "bmc, hck -> bhmk"
func.func @scores(%q: tensor<1x3x6xbf16>, %c: tensor<1x64x12xbf16>,
                  %uk: tensor<3x12x6xbf16>, %uv: tensor<3x12x5xbf16>) -> tensor<1x3x5xf32> {
  %k = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<1x64x12xbf16>, tensor<3x12x6xbf16>) -> tensor<1x3x64x6xbf16>
  %v = attn.einsum "bmc, hcv -> bhmv"(%c, %uv)
    : (tensor<1x64x12xbf16>, tensor<3x12x5xbf16>) -> tensor<1x3x64x5xbf16>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %k)
    : (tensor<1x3x6xbf16>, tensor<1x3x64x6xbf16>) -> tensor<1x3x64xbf16>
  %p = attn.softmax "bhm" over "m"(%s) : tensor<1x3x64xbf16>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %v)
    : (tensor<1x3x64xbf16>, tensor<1x3x64x5xbf16>) -> tensor<1x3x5xf32>
  return %y : tensor<1x3x5xf32>
}

// -----

// A rotary key of another type cannot lie in one tensor with the latent.
// REMARK: [Missed] NotAbsorbed
// REMARK-SAME: keys stay projected: latent and rotary key have different element types
// CHECK-LABEL: func.func @two_types
// CHECK: attn.einsum "bmc, hck -> bhmk"
func.func @two_types(%q: tensor<1x3x6xbf16>, %qr: tensor<1x3x4xbf16>, %c: tensor<1x64x12xbf16>,
                     %kr: tensor<1x64x4xf32>, %uk: tensor<3x12x6xbf16>,
                     %uv: tensor<3x12x5xbf16>) -> tensor<1x3x5xf32> {
  %k = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<1x64x12xbf16>, tensor<3x12x6xbf16>) -> tensor<1x3x64x6xbf16>
  %v = attn.einsum "bmc, hcv -> bhmv"(%c, %uv)
    : (tensor<1x64x12xbf16>, tensor<3x12x5xbf16>) -> tensor<1x3x64x5xbf16>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %k)
    : (tensor<1x3x6xbf16>, tensor<1x3x64x6xbf16>) -> tensor<1x3x64xf32>
  %r = attn.einsum "bhr, bmr -> bhm"(%qr, %kr)
    : (tensor<1x3x4xbf16>, tensor<1x64x4xf32>) -> tensor<1x3x64xf32>
  %t = arith.addf %s, %r : tensor<1x3x64xf32>
  %p = attn.softmax "bhm" over "m"(%t) : tensor<1x3x64xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %v)
    : (tensor<1x3x64xf32>, tensor<1x3x64x5xbf16>) -> tensor<1x3x5xf32>
  return %y : tensor<1x3x5xf32>
}
