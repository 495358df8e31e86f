// i8 rows times their scales, repeated, in parts and for several attentions:
// shared as floats are, and read as i8.
// RUN: %einhead explain %s | FileCheck %s
// RUN: %einhead run %s --function=after | FileCheck %s --check-prefix=PASS
// RUN: %einhead run %s --function=before | FileCheck %s --check-prefix=PASS
// RUN: %einhead run %s --function=prefix | FileCheck %s --check-prefix=PASS
// RUN: %einhead run %s --function=siblings | FileCheck %s --check-prefix=PASS
// RUN: %einhead run %s --function=scales_differ | FileCheck %s --check-prefix=PASS
// RUN: %einhead run %s --function=latent | FileCheck %s --check-prefix=PASS
// RUN: %einhead run %s --function=some_keys --size=m=30 | FileCheck %s --check-prefix=PASS
// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --function=prefix --perturb=1e-2 | FileCheck %s --check-prefix=WRONG
// PASS: pass
// WRONG: FAIL

// Products that repeat over the query heads are read where they do not.
// CHECK-LABEL: @after
// CHECK: 44352 at least, 44352 read by the loops
// CHECK: 'h' is "gr", of which 'r' has one K and V
// CHECK-NEXT: the key is read as i8 "bgmk" and multiplied by its scale where it is used
// CHECK-NEXT: the value is read as i8 "bgmv" and multiplied by its scale where it is used
// CHECK-NEXT: K/V bytes: 44352 (
func.func @after(%q: tensor<2x12x24xf32>, %k: tensor<2x4x77x24xi8>, %v: tensor<2x4x77x40xi8>,
                 %ks: tensor<2x4x77xf32>, %vs: tensor<2x4x77xf32>) -> tensor<2x12x40xf32> {
  %kw = arith.sitofp %k : tensor<2x4x77x24xi8> to tensor<2x4x77x24xf32>
  %kf = attn.einsum "bgmk, bgm -> bgmk"(%kw, %ks) : (tensor<2x4x77x24xf32>, tensor<2x4x77xf32>) -> tensor<2x4x77x24xf32>
  %vw = arith.sitofp %v : tensor<2x4x77x40xi8> to tensor<2x4x77x40xf32>
  %vf = attn.einsum "bgmv, bgm -> bgmv"(%vw, %vs) : (tensor<2x4x77x40xf32>, tensor<2x4x77xf32>) -> tensor<2x4x77x40xf32>
  %ke = tensor.empty() : tensor<2x4x3x77x24xf32>
  %kb = linalg.broadcast ins(%kf : tensor<2x4x77x24xf32>) outs(%ke : tensor<2x4x3x77x24xf32>) dimensions = [2]
  %kc = tensor.collapse_shape %kb [[0], [1, 2], [3], [4]] : tensor<2x4x3x77x24xf32> into tensor<2x12x77x24xf32>
  %ve = tensor.empty() : tensor<2x4x3x77x40xf32>
  %vb = linalg.broadcast ins(%vf : tensor<2x4x77x40xf32>) outs(%ve : tensor<2x4x3x77x40xf32>) dimensions = [2]
  %vc = tensor.collapse_shape %vb [[0], [1, 2], [3], [4]] : tensor<2x4x3x77x40xf32> into tensor<2x12x77x40xf32>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %kc) : (tensor<2x12x24xf32>, tensor<2x12x77x24xf32>) -> tensor<2x12x77xf32>
  %w = attn.softmax "bhm" over "m"(%s) : tensor<2x12x77xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%w, %vc) : (tensor<2x12x77xf32>, tensor<2x12x77x40xf32>) -> tensor<2x12x40xf32>
  return %y : tensor<2x12x40xf32>
}

// Rows that repeat before: their scales do not.
// CHECK-LABEL: @before
// CHECK: missed{{.*}} K and V repeat in 8 bits, but each of their rows has its own scale; repeat the products with the scales instead
// CHECK-NEXT: K/V bytes: 133056 (
func.func @before(%q: tensor<2x12x24xf32>, %k: tensor<2x4x77x24xi8>, %v: tensor<2x4x77x40xi8>,
                  %ks: tensor<2x12x77xf32>, %vs: tensor<2x12x77xf32>) -> tensor<2x12x40xf32> {
  %ke = tensor.empty() : tensor<2x4x3x77x24xi8>
  %kb = linalg.broadcast ins(%k : tensor<2x4x77x24xi8>) outs(%ke : tensor<2x4x3x77x24xi8>) dimensions = [2]
  %kc = tensor.collapse_shape %kb [[0], [1, 2], [3], [4]] : tensor<2x4x3x77x24xi8> into tensor<2x12x77x24xi8>
  %ve = tensor.empty() : tensor<2x4x3x77x40xi8>
  %vb = linalg.broadcast ins(%v : tensor<2x4x77x40xi8>) outs(%ve : tensor<2x4x3x77x40xi8>) dimensions = [2]
  %vc = tensor.collapse_shape %vb [[0], [1, 2], [3], [4]] : tensor<2x4x3x77x40xi8> into tensor<2x12x77x40xi8>
  %kw = arith.sitofp %kc : tensor<2x12x77x24xi8> to tensor<2x12x77x24xf32>
  %kf = attn.einsum "bhmk, bhm -> bhmk"(%kw, %ks) : (tensor<2x12x77x24xf32>, tensor<2x12x77xf32>) -> tensor<2x12x77x24xf32>
  %vw = arith.sitofp %vc : tensor<2x12x77x40xi8> to tensor<2x12x77x40xf32>
  %vf = attn.einsum "bhmv, bhm -> bhmv"(%vw, %vs) : (tensor<2x12x77x40xf32>, tensor<2x12x77xf32>) -> tensor<2x12x77x40xf32>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %kf) : (tensor<2x12x24xf32>, tensor<2x12x77x24xf32>) -> tensor<2x12x77xf32>
  %w = attn.softmax "bhm" over "m"(%s) : tensor<2x12x77xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%w, %vf) : (tensor<2x12x77xf32>, tensor<2x12x77x40xf32>) -> tensor<2x12x40xf32>
  return %y : tensor<2x12x40xf32>
}

// A prefix for all sequences, and a suffix for each.
// CHECK-LABEL: @prefix
// CHECK: 7112 at least, 7112 read by the loops
// CHECK: each is attended by itself
// CHECK-NEXT: the key is read as i8 "mk"
// CHECK-NEXT: the value is read as i8 "mv"
// CHECK: the key is read as i8 "bmk"
// CHECK-NEXT: the value is read as i8 "bmv"
func.func @prefix(%q: tensor<2x4x24xf32>, %p: tensor<100x24xi8>, %k: tensor<2x77x24xi8>, %ps: tensor<100xf32>, %ks: tensor<2x77xf32>)
    -> tensor<2x4x24xf32> {
  %pw = arith.sitofp %p : tensor<100x24xi8> to tensor<100x24xf32>
  %pf = attn.einsum "mk, m -> mk"(%pw, %ps) : (tensor<100x24xf32>, tensor<100xf32>) -> tensor<100x24xf32>
  %kw = arith.sitofp %k : tensor<2x77x24xi8> to tensor<2x77x24xf32>
  %kf = attn.einsum "bmk, bm -> bmk"(%kw, %ks) : (tensor<2x77x24xf32>, tensor<2x77xf32>) -> tensor<2x77x24xf32>
  %e = tensor.empty() : tensor<2x100x24xf32>
  %pb = linalg.broadcast ins(%pf : tensor<100x24xf32>) outs(%e : tensor<2x100x24xf32>) dimensions = [0]
  %all = tensor.concat dim(1) %pb, %kf : (tensor<2x100x24xf32>, tensor<2x77x24xf32>) -> tensor<2x177x24xf32>
  %s = attn.einsum "bhk, bmk -> bhm"(%q, %all) : (tensor<2x4x24xf32>, tensor<2x177x24xf32>) -> tensor<2x4x177xf32>
  %w = attn.softmax "bhm" over "m"(%s) : tensor<2x4x177xf32>
  %y = attn.einsum "bhm, bmv -> bhv"(%w, %all) : (tensor<2x4x177xf32>, tensor<2x177x24xf32>) -> tensor<2x4x24xf32>
  return %y : tensor<2x4x24xf32>
}

// Two attentions to one product.
// CHECK-LABEL: @siblings
// CHECK: 2156 at least, 2156 read by the loops
// CHECK: 2 attentions over one K and V are one
func.func @siblings(%q: tensor<4x24xf32>, %r: tensor<4x24xf32>, %k: tensor<77x24xi8>, %ks: tensor<77xf32>)
    -> (tensor<4x24xf32>, tensor<4x24xf32>) {
  %kw = arith.sitofp %k : tensor<77x24xi8> to tensor<77x24xf32>
  %kf = attn.einsum "mk, m -> mk"(%kw, %ks) : (tensor<77x24xf32>, tensor<77xf32>) -> tensor<77x24xf32>
  %s = attn.einsum "hk, mk -> hm"(%q, %kf) : (tensor<4x24xf32>, tensor<77x24xf32>) -> tensor<4x77xf32>
  %w = attn.softmax "hm" over "m"(%s) : tensor<4x77xf32>
  %y = attn.einsum "hm, mv -> hv"(%w, %kf) : (tensor<4x77xf32>, tensor<77x24xf32>) -> tensor<4x24xf32>
  %s2 = attn.einsum "hk, mk -> hm"(%r, %kf) : (tensor<4x24xf32>, tensor<77x24xf32>) -> tensor<4x77xf32>
  %w2 = attn.softmax "hm" over "m"(%s2) : tensor<4x77xf32>
  %y2 = attn.einsum "hm, mv -> hv"(%w2, %kf) : (tensor<4x77xf32>, tensor<77x24xf32>) -> tensor<4x24xf32>
  return %y, %y2 : tensor<4x24xf32>, tensor<4x24xf32>
}

// The same rows with other scales are other keys.
// CHECK-LABEL: @scales_differ
// CHECK: missed{{.*}} the scales of their keys or values differ
func.func @scales_differ(%q: tensor<4x24xf32>, %r: tensor<4x24xf32>, %k: tensor<77x24xi8>, %ks: tensor<77xf32>, %vs: tensor<77xf32>)
    -> (tensor<4x24xf32>, tensor<4x24xf32>) {
  %kw = arith.sitofp %k : tensor<77x24xi8> to tensor<77x24xf32>
  %kf = attn.einsum "mk, m -> mk"(%kw, %ks) : (tensor<77x24xf32>, tensor<77xf32>) -> tensor<77x24xf32>
  %vf = attn.einsum "mk, m -> mk"(%kw, %vs) : (tensor<77x24xf32>, tensor<77xf32>) -> tensor<77x24xf32>
  %s = attn.einsum "hk, mk -> hm"(%q, %kf) : (tensor<4x24xf32>, tensor<77x24xf32>) -> tensor<4x77xf32>
  %w = attn.softmax "hm" over "m"(%s) : tensor<4x77xf32>
  %y = attn.einsum "hm, mv -> hv"(%w, %kf) : (tensor<4x77xf32>, tensor<77x24xf32>) -> tensor<4x24xf32>
  %s2 = attn.einsum "hk, mk -> hm"(%r, %kf) : (tensor<4x24xf32>, tensor<77x24xf32>) -> tensor<4x77xf32>
  %w2 = attn.softmax "hm" over "m"(%s2) : tensor<4x77xf32>
  %y2 = attn.einsum "hm, mv -> hv"(%w2, %vf) : (tensor<4x77xf32>, tensor<77x24xf32>) -> tensor<4x24xf32>
  return %y, %y2 : tensor<4x24xf32>, tensor<4x24xf32>
}

// Latent attention: the value is columns of the product, and so of the rows.
// CHECK-LABEL: @latent
// CHECK: 2156 at least, 2156 read by the loops
// CHECK: the value is read as i8 "mv"
// CHECK: the value is columns 0 to 15 of the key's 24: K alone is read
func.func @latent(%q: tensor<4x24xf32>, %k: tensor<77x24xi8>, %ks: tensor<77xf32>) -> tensor<4x16xf32> {
  %kw = arith.sitofp %k : tensor<77x24xi8> to tensor<77x24xf32>
  %kf = attn.einsum "mk, m -> mk"(%kw, %ks) : (tensor<77x24xf32>, tensor<77xf32>) -> tensor<77x24xf32>
  %vf = tensor.extract_slice %kf[0, 0] [77, 16] [1, 1] : tensor<77x24xf32> to tensor<77x16xf32>
  %s = attn.einsum "hk, mk -> hm"(%q, %kf) : (tensor<4x24xf32>, tensor<77x24xf32>) -> tensor<4x77xf32>
  %w = attn.softmax "hm" over "m"(%s) : tensor<4x77xf32>
  %y = attn.einsum "hm, mv -> hv"(%w, %vf) : (tensor<4x77xf32>, tensor<77x16xf32>) -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}

// Some keys of a cache: the same slice of rows and scales, whatever their order.
// CHECK-LABEL: @some_keys
// CHECK: the key is read as i8 "mhk"
func.func @some_keys(%q: tensor<2x24xf32>, %k: tensor<?x3x24xi8> {attn.name = "k", attn.shape = "m, 3, 24"},
                     %ks: tensor<?x3xf32> {attn.name = "ks", attn.shape = "m, 3"}, %v: tensor<2x9x16xf32>) -> tensor<2x16xf32> {
  %kw = arith.sitofp %k : tensor<?x3x24xi8> to tensor<?x3x24xf32>
  %kf = attn.einsum "mhk, mh -> hmk"(%kw, %ks) : (tensor<?x3x24xf32>, tensor<?x3xf32>) -> tensor<3x?x24xf32>
  %part = tensor.extract_slice %kf[1, 4, 0] [2, 9, 24] [1, 2, 1] : tensor<3x?x24xf32> to tensor<2x9x24xf32>
  %s = attn.einsum "hk, hmk -> hm"(%q, %part) : (tensor<2x24xf32>, tensor<2x9x24xf32>) -> tensor<2x9xf32>
  %w = attn.softmax "hm" over "m"(%s) : tensor<2x9xf32>
  %y = attn.einsum "hm, hmv -> hv"(%w, %v) : (tensor<2x9xf32>, tensor<2x9x16xf32>) -> tensor<2x16xf32>
  return %y : tensor<2x16xf32>
}
