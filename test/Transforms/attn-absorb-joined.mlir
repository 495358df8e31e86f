// RUN: einhead-opt %s --attn-absorb --canonicalize --remarks-filter='attn.*' --split-input-file 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks
// RUN: einhead-opt %s --einhead-to-attention --einhead-to-shared --remarks-filter='attn.*' --split-input-file -o /dev/null 2>&1 | FileCheck %s --check-prefix=SHARED

// Keys that are one tensor: the part that is projected from the latent, and the
// rotary part, which all heads share, repeated over them.

// Concatenated, query and key. Latent and rotary key are slices of one cache.
// REMARK: [Passed] Absorbed
// REMARK-SAME: the weights of keys and values are absorbed
// CHECK-LABEL: func.func @concatenated
// CHECK-SAME: (%[[Q:[a-z0-9]+]]: tensor<1x3x6xf32>, %[[QR:[a-z0-9]+]]: tensor<1x3x4xf32>, %[[CACHE:[a-z0-9]+]]: tensor<1x64x16xf32>, %[[UK:[a-z0-9]+]]: tensor<3x12x6xf32>
// CHECK-NOT: linalg.broadcast
// CHECK: %[[L:.*]] = attn.einsum "bhk, hck -> bhc"(%[[Q]], %[[UK]])
// CHECK: %[[QUERY:.*]] = tensor.concat dim(2) %[[L]], %[[QR]]
// CHECK: attn.einsum "bhc, bmc -> bhm"(%[[QUERY]], %[[CACHE]]) : (tensor<1x3x16xf32>, tensor<1x64x16xf32>)
// CHECK: attn.softmax
// SHARED: [Passed] Attention
// SHARED: K/V bytes: 4096 (walked row by row: 12288)
// SHARED: the value is columns 0 to 11 of the key's 16: K alone is read
func.func @concatenated(%q: tensor<1x3x6xf32>, %qr: tensor<1x3x4xf32>, %cache: tensor<1x64x16xf32>,
                        %uk: tensor<3x12x6xf32>, %uv: tensor<3x12x5xf32>) -> tensor<1x3x5xf32> {
  %c = tensor.extract_slice %cache[0, 0, 0] [1, 64, 12] [1, 1, 1] : tensor<1x64x16xf32> to tensor<1x64x12xf32>
  %kr = tensor.extract_slice %cache[0, 0, 12] [1, 64, 4] [1, 1, 1] : tensor<1x64x16xf32> to tensor<1x64x4xf32>
  %kn = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<1x64x12xf32>, tensor<3x12x6xf32>) -> tensor<1x3x64x6xf32>
  %v = attn.einsum "bmc, hcv -> bhmv"(%c, %uv)
    : (tensor<1x64x12xf32>, tensor<3x12x5xf32>) -> tensor<1x3x64x5xf32>
  %e = tensor.empty() : tensor<1x3x64x4xf32>
  %krh = linalg.broadcast ins(%kr : tensor<1x64x4xf32>) outs(%e : tensor<1x3x64x4xf32>) dimensions = [1]
  %k = tensor.concat dim(3) %kn, %krh : (tensor<1x3x64x6xf32>, tensor<1x3x64x4xf32>) -> tensor<1x3x64x10xf32>
  %qq = tensor.concat dim(2) %q, %qr : (tensor<1x3x6xf32>, tensor<1x3x4xf32>) -> tensor<1x3x10xf32>
  %s = attn.einsum "bhk, bhmk -> bhm"(%qq, %k)
    : (tensor<1x3x10xf32>, tensor<1x3x64x10xf32>) -> tensor<1x3x64xf32>
  %p = attn.softmax "bhm" over "m"(%s) : tensor<1x3x64xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %v)
    : (tensor<1x3x64xf32>, tensor<1x3x64x5xf32>) -> tensor<1x3x5xf32>
  return %y : tensor<1x3x5xf32>
}

// -----

// Inserted, the rotary part first; the query is one tensor, of which slices are
// taken; a scale behind the scores, and many dynamic keys.
// REMARK: [Passed] Absorbed
// REMARK-SAME: (taking 'm' as many keys); latent and rotary key are two tensors, which are copied into one
// CHECK-LABEL: func.func @inserted
// CHECK-SAME: (%[[Q:[a-z0-9]+]]: tensor<1x3x10xf32>, %[[C:[a-z0-9]+]]: tensor<1x?x12xf32>, %[[KR:[a-z0-9]+]]: tensor<1x?x4xf32>, %[[UK:[a-z0-9]+]]: tensor<3x12x6xf32>
// CHECK-DAG: %[[QR:.*]] = tensor.extract_slice %[[Q]][0, 0, 0] [1, 3, 4]
// CHECK-DAG: %[[QN:.*]] = tensor.extract_slice %[[Q]][0, 0, 4] [1, 3, 6]
// CHECK: %[[L:.*]] = attn.einsum "bhk, hck -> bhc"(%[[QN]], %[[UK]])
// CHECK: %[[QUERY:.*]] = tensor.concat dim(2) %[[L]], %[[QR]]
// CHECK: %[[KEY:.*]] = tensor.concat dim(2) %[[C]], %[[KR]]
// CHECK: %[[S:.*]] = attn.einsum "bhc, bmc -> bhm"(%[[QUERY]], %[[KEY]])
// CHECK: arith.mulf %[[S]]
// SHARED: [Passed] Attention
// SHARED: the value is columns 0 to 11 of the key's 16: K alone is read
func.func @inserted(%q: tensor<1x3x10xf32>, %c: tensor<1x?x12xf32>, %kr: tensor<1x?x4xf32>,
                    %uk: tensor<3x12x6xf32>, %uv: tensor<3x12x5xf32>, %m: index) -> tensor<1x3x5xf32> {
  %kn = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<1x?x12xf32>, tensor<3x12x6xf32>) -> tensor<1x3x?x6xf32>
  %v = attn.einsum "bmc, hcv -> bhmv"(%c, %uv)
    : (tensor<1x?x12xf32>, tensor<3x12x5xf32>) -> tensor<1x3x?x5xf32>
  %e = tensor.empty(%m) : tensor<1x3x?x4xf32>
  %krh = linalg.broadcast ins(%kr : tensor<1x?x4xf32>) outs(%e : tensor<1x3x?x4xf32>) dimensions = [1]
  %k0 = tensor.empty(%m) : tensor<1x3x?x10xf32>
  %k1 = tensor.insert_slice %krh into %k0[0, 0, 0, 0] [1, 3, %m, 4] [1, 1, 1, 1]
    : tensor<1x3x?x4xf32> into tensor<1x3x?x10xf32>
  %k = tensor.insert_slice %kn into %k1[0, 0, 0, 4] [1, 3, %m, 6] [1, 1, 1, 1]
    : tensor<1x3x?x6xf32> into tensor<1x3x?x10xf32>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %k)
    : (tensor<1x3x10xf32>, tensor<1x3x?x10xf32>) -> tensor<1x3x?xf32>
  %half = arith.constant 0.5 : f32
  %scale = tensor.splat %half[%m] : tensor<1x3x?xf32>
  %t = arith.mulf %s, %scale : tensor<1x3x?xf32>
  %p = attn.softmax "bhm" over "m"(%t) : tensor<1x3x?xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %v)
    : (tensor<1x3x?xf32>, tensor<1x3x?x5xf32>) -> tensor<1x3x5xf32>
  return %y : tensor<1x3x5xf32>
}

// -----

//===----------------------------------------------------------------------===//
// What stays projected, as one key
//===----------------------------------------------------------------------===//

// A rotary part of each head.
// REMARK: [Missed] NotAbsorbed
// REMARK-SAME: keys stay projected: the rotary key ("bhmr") has other letters than the latent ("bmc") before its last
// CHECK-LABEL: func.func @per_head
// CHECK: attn.einsum "bmc, hck -> bhmk"
// CHECK: tensor.concat dim(3)
func.func @per_head(%q: tensor<1x3x10xf32>, %c: tensor<1x64x12xf32>, %kr: tensor<1x3x64x4xf32>,
                    %uk: tensor<3x12x6xf32>, %uv: tensor<3x12x5xf32>) -> tensor<1x3x5xf32> {
  %kn = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<1x64x12xf32>, tensor<3x12x6xf32>) -> tensor<1x3x64x6xf32>
  %v = attn.einsum "bmc, hcv -> bhmv"(%c, %uv)
    : (tensor<1x64x12xf32>, tensor<3x12x5xf32>) -> tensor<1x3x64x5xf32>
  %k = tensor.concat dim(3) %kn, %kr : (tensor<1x3x64x6xf32>, tensor<1x3x64x4xf32>) -> tensor<1x3x64x10xf32>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %k)
    : (tensor<1x3x10xf32>, tensor<1x3x64x10xf32>) -> tensor<1x3x64xf32>
  %p = attn.softmax "bhm" over "m"(%s) : tensor<1x3x64xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %v)
    : (tensor<1x3x64xf32>, tensor<1x3x64x5xf32>) -> tensor<1x3x5xf32>
  return %y : tensor<1x3x5xf32>
}

// -----

// A rotary part that is the first keys of a longer tensor is no tensor of the
// latent's letters, before that is cut.
// REMARK: [Passed] Absorbed
// REMARK-SAME: latent and rotary key are two tensors
// CHECK-LABEL: func.func @first_keys
// CHECK-SAME: %[[KR:[a-z0-9]+]]: tensor<1x70x4xf32>
// CHECK: %[[CUT:.*]] = tensor.extract_slice %[[KR]][0, 0, 0] [1, 64, 4]
// CHECK: tensor.concat dim(2) %{{.*}}, %[[CUT]]
func.func @first_keys(%q: tensor<1x3x10xf32>, %c: tensor<1x64x12xf32>, %kr: tensor<1x70x4xf32>,
                      %uk: tensor<3x12x6xf32>, %uv: tensor<3x12x5xf32>) -> tensor<1x3x5xf32> {
  %kn = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<1x64x12xf32>, tensor<3x12x6xf32>) -> tensor<1x3x64x6xf32>
  %v = attn.einsum "bmc, hcv -> bhmv"(%c, %uv)
    : (tensor<1x64x12xf32>, tensor<3x12x5xf32>) -> tensor<1x3x64x5xf32>
  %cut = tensor.extract_slice %kr[0, 0, 0] [1, 64, 4] [1, 1, 1] : tensor<1x70x4xf32> to tensor<1x64x4xf32>
  %e = tensor.empty() : tensor<1x3x64x4xf32>
  %krh = linalg.broadcast ins(%cut : tensor<1x64x4xf32>) outs(%e : tensor<1x3x64x4xf32>) dimensions = [1]
  %k = tensor.concat dim(3) %kn, %krh : (tensor<1x3x64x6xf32>, tensor<1x3x64x4xf32>) -> tensor<1x3x64x10xf32>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %k)
    : (tensor<1x3x10xf32>, tensor<1x3x64x10xf32>) -> tensor<1x3x64xf32>
  %p = attn.softmax "bhm" over "m"(%s) : tensor<1x3x64xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %v)
    : (tensor<1x3x64xf32>, tensor<1x3x64x5xf32>) -> tensor<1x3x5xf32>
  return %y : tensor<1x3x5xf32>
}

// -----

// The joined key is a result, too.
// REMARK: [Missed] NotAbsorbed
// REMARK-SAME: keys stay projected: the key that its projected and rotary part make up is used elsewhere, so it is computed anyway
// CHECK-LABEL: func.func @returned
// CHECK: attn.einsum "bmc, hck -> bhmk"
func.func @returned(%q: tensor<1x3x10xf32>, %c: tensor<1x64x12xf32>, %kr: tensor<1x64x4xf32>,
                    %uk: tensor<3x12x6xf32>, %uv: tensor<3x12x5xf32>) -> (tensor<1x3x5xf32>, tensor<1x3x64x10xf32>) {
  %kn = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<1x64x12xf32>, tensor<3x12x6xf32>) -> tensor<1x3x64x6xf32>
  %v = attn.einsum "bmc, hcv -> bhmv"(%c, %uv)
    : (tensor<1x64x12xf32>, tensor<3x12x5xf32>) -> tensor<1x3x64x5xf32>
  %e = tensor.empty() : tensor<1x3x64x4xf32>
  %krh = linalg.broadcast ins(%kr : tensor<1x64x4xf32>) outs(%e : tensor<1x3x64x4xf32>) dimensions = [1]
  %k = tensor.concat dim(3) %kn, %krh : (tensor<1x3x64x6xf32>, tensor<1x3x64x4xf32>) -> tensor<1x3x64x10xf32>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %k)
    : (tensor<1x3x10xf32>, tensor<1x3x64x10xf32>) -> tensor<1x3x64xf32>
  %p = attn.softmax "bhm" over "m"(%s) : tensor<1x3x64xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %v)
    : (tensor<1x3x64xf32>, tensor<1x3x64x5xf32>) -> tensor<1x3x5xf32>
  return %y, %k : tensor<1x3x5xf32>, tensor<1x3x64x10xf32>
}

// -----

// Two tensors one after the other along the keys are no parts of one key.
// REMARK-NOT: Absorbed
// CHECK-LABEL: func.func @along_keys
// CHECK: tensor.concat dim(2)
func.func @along_keys(%q: tensor<1x3x6xf32>, %c: tensor<1x60x12xf32>, %kr: tensor<1x3x4x6xf32>,
                      %uk: tensor<3x12x6xf32>) -> tensor<1x3x6xf32> {
  %kn = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<1x60x12xf32>, tensor<3x12x6xf32>) -> tensor<1x3x60x6xf32>
  %k = tensor.concat dim(2) %kn, %kr : (tensor<1x3x60x6xf32>, tensor<1x3x4x6xf32>) -> tensor<1x3x64x6xf32>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %k)
    : (tensor<1x3x6xf32>, tensor<1x3x64x6xf32>) -> tensor<1x3x64xf32>
  %p = attn.softmax "bhm" over "m"(%s) : tensor<1x3x64xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %k)
    : (tensor<1x3x64xf32>, tensor<1x3x64x6xf32>) -> tensor<1x3x6xf32>
  return %y : tensor<1x3x6xf32>
}
