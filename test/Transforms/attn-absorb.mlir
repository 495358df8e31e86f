// RUN: einhead-opt %s --attn-absorb --remarks-filter='attn.*' --split-input-file 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks
// RUN: einhead-opt %s --einhead-to-attention --einhead-to-shared --remarks-filter='attn.*' --split-input-file -o /dev/null 2>&1 | FileCheck %s --check-prefix=SHARED

// Keys and values that are projected from a latent: their weights go to the
// query and behind the output where that is cheaper.

// One row of queries. Projected, K and V are made for each head:
// 2*64*12*3*(6 + 5) + 2*64*3*(6 + 5) operations; the latent is read as it is:
// 2*3*12*(6 + 5) + 2*64*3*(12 + 12).
// REMARK: [Passed] Absorbed
// REMARK-SAME: attention to the latent takes 10008 operations and 5304 bytes, to projected keys and values 54912 operations and 24696 bytes
// CHECK-LABEL: func.func @latent
// CHECK-SAME: (%[[Q:.*]]: tensor<1x3x6xf32>, %[[C:.*]]: tensor<1x64x12xf32>, %[[UK:.*]]: tensor<3x12x6xf32>, %[[UV:.*]]: tensor<3x12x5xf32>)
// CHECK: %[[L:.*]] = attn.einsum "bhk, hck -> bhc"(%[[Q]], %[[UK]])
// CHECK: %[[S:.*]] = attn.einsum "bhc, bmc -> bhm"(%[[L]], %[[C]])
// CHECK: %[[P:.*]] = attn.softmax "bhm" over "m"(%[[S]])
// CHECK: %[[O:.*]] = attn.einsum "bhm, bm[[D:[a-z]]] -> bh[[D]]"(%[[P]], %[[C]])
// CHECK: %[[Y:.*]] = attn.einsum "bh[[D]], h[[D]]v -> bhv"(%[[O]], %[[UV]])
// CHECK: return %[[Y]]
// SHARED: [Passed] Attention
// SHARED-SAME: attention "bhc, bmc, bm[[D:[a-z]]] -> bh[[D]]": batch "b", rows "h", key "m", depth "c", value "[[D]]"
// SHARED: K/V bytes: 3072 (
// SHARED: key and value are one tensor: K alone is read
func.func @latent(%q: tensor<1x3x6xf32>, %c: tensor<1x64x12xf32>,
                  %uk: tensor<3x12x6xf32>, %uv: tensor<3x12x5xf32>) -> tensor<1x3x5xf32> {
  %k = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<1x64x12xf32>, tensor<3x12x6xf32>) -> tensor<1x3x64x6xf32>
  %v = attn.einsum "bmc, hcv -> bhmv"(%c, %uv)
    : (tensor<1x64x12xf32>, tensor<3x12x5xf32>) -> tensor<1x3x64x5xf32>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %k)
    : (tensor<1x3x6xf32>, tensor<1x3x64x6xf32>) -> tensor<1x3x64xf32>
  %p = attn.softmax "bhm" over "m"(%s) : tensor<1x3x64xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %v)
    : (tensor<1x3x64xf32>, tensor<1x3x64x5xf32>) -> tensor<1x3x5xf32>
  return %y : tensor<1x3x5xf32>
}

// -----

// Rotary parts beside it, all in one cache; other letters, other orders, a
// scale behind the sum. The number of keys is dynamic.
// REMARK: [Passed] Absorbed
// REMARK-SAME: (taking 'y' as many keys)
// CHECK-LABEL: func.func @rotary
// CHECK-SAME: %[[QR:[a-z0-9]+]]: tensor<1x3x4xf32>, %[[CACHE:[a-z0-9]+]]: tensor<1x?x16xf32>
// CHECK: %[[L:.*]] = attn.einsum "xhk, hck -> xhc"
// CHECK: %[[Q:.*]] = tensor.concat dim(2) %[[L]], %[[QR]]
// CHECK: %[[X:.*]] = tensor.extract_slice %[[CACHE]][0, 0, 0] [1, %{{.*}}, 16]
// CHECK: %[[S:.*]] = attn.einsum "xhc, xyc -> xhy"(%[[Q]], %[[X]]) : (tensor<1x3x16xf32>, tensor<1x?x16xf32>)
// CHECK: arith.mulf %[[S]]
// CHECK: attn.softmax
// CHECK: attn.einsum {{.*}} -> tensor<1x3x12xf32>
// CHECK: attn.einsum {{.*}} -> tensor<1x3x5xf32>
// SHARED: [Passed] Attention
// SHARED: K/V bytes: 64*y (walked row by row: 192*y)
// SHARED: the value is columns 0 to 11 of the key's 16: K alone is read
func.func @rotary(%q: tensor<1x3x6xf32>, %qr: tensor<1x3x4xf32>, %cache: tensor<1x?x16xf32>,
                  %uk: tensor<3x12x6xf32>, %uv: tensor<3x12x5xf32>, %m: index) -> tensor<1x3x5xf32> {
  %c = tensor.extract_slice %cache[0, 0, 0] [1, %m, 12] [1, 1, 1]
    : tensor<1x?x16xf32> to tensor<1x?x12xf32>
  %kr = tensor.extract_slice %cache[0, 0, 12] [1, %m, 4] [1, 1, 1]
    : tensor<1x?x16xf32> to tensor<1x?x4xf32>
  %k = attn.einsum "hck, bmc -> bhmk"(%uk, %c)
    : (tensor<3x12x6xf32>, tensor<1x?x12xf32>) -> tensor<1x3x?x6xf32>
  %v = attn.einsum "bmc, hcv -> bmhv"(%c, %uv)
    : (tensor<1x?x12xf32>, tensor<3x12x5xf32>) -> tensor<1x?x3x5xf32>
  %s = attn.einsum "xhk, xhyk -> xhy"(%q, %k)
    : (tensor<1x3x6xf32>, tensor<1x3x?x6xf32>) -> tensor<1x3x?xf32>
  %r = attn.einsum "bmr, bhr -> bhm"(%kr, %qr)
    : (tensor<1x?x4xf32>, tensor<1x3x4xf32>) -> tensor<1x3x?xf32>
  %t = arith.addf %r, %s : tensor<1x3x?xf32>
  %half = arith.constant 0.5 : f32
  %scale = tensor.splat %half[%m] : tensor<1x3x?xf32>
  %u = arith.mulf %t, %scale : tensor<1x3x?xf32>
  %p = attn.softmax "bhm" over "m"(%u) : tensor<1x3x?xf32>
  %y = attn.einsum "bhm, bmhv -> bhv"(%p, %v)
    : (tensor<1x3x?xf32>, tensor<1x?x3x5xf32>) -> tensor<1x3x5xf32>
  return %y : tensor<1x3x5xf32>
}

// -----

// Two tensors: joining them is copying, which is counted, and said.
// REMARK: [Passed] Absorbed
// REMARK-SAME: latent and rotary key are two tensors, which are copied into one (keep them side by side in one cache)
// CHECK-LABEL: func.func @two_tensors
// CHECK-SAME: %[[C:[a-z0-9]+]]: tensor<1x64x12xf32>, %[[KR:[a-z0-9]+]]: tensor<1x64x4xf32>
// CHECK: %[[X:.*]] = tensor.concat dim(2) %[[C]], %[[KR]]
// CHECK: tensor.extract_slice %[[X]][0, 0, 0] [1, 64, 12]
// SHARED: the value is columns 0 to 11 of the key's 16: K alone is read
func.func @two_tensors(%q: tensor<1x3x6xf32>, %qr: tensor<1x3x4xf32>, %c: tensor<1x64x12xf32>,
                       %kr: tensor<1x64x4xf32>, %uk: tensor<3x12x6xf32>,
                       %uv: tensor<3x12x5xf32>) -> tensor<1x3x5xf32> {
  %k = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<1x64x12xf32>, tensor<3x12x6xf32>) -> tensor<1x3x64x6xf32>
  %v = attn.einsum "bmc, hcv -> bhmv"(%c, %uv)
    : (tensor<1x64x12xf32>, tensor<3x12x5xf32>) -> tensor<1x3x64x5xf32>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %k)
    : (tensor<1x3x6xf32>, tensor<1x3x64x6xf32>) -> tensor<1x3x64xf32>
  %r = attn.einsum "bhr, bmr -> bhm"(%qr, %kr)
    : (tensor<1x3x4xf32>, tensor<1x64x4xf32>) -> tensor<1x3x64xf32>
  %t = arith.addf %s, %r : tensor<1x3x64xf32>
  %p = attn.softmax "bhm" over "m"(%t) : tensor<1x3x64xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %v)
    : (tensor<1x3x64xf32>, tensor<1x3x64x5xf32>) -> tensor<1x3x5xf32>
  return %y : tensor<1x3x5xf32>
}
