// RUN: einhead-opt %s --attn-fuse-shared-kv --remarks-filter='attn.*' --split-input-file 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks

// Each spelling of a repetition of K and V is read as what repeats.  What is
// spelled alike and is none stands in attn-fuse-shared-kv-unshared.mlir; both are
// run in test/Tools.

// A gather by h floordiv 3.
// REMARK: [Passed] RepeatedKV{{.*}}K and V are repetitions (linalg.generic): 'h' is "gr", of which 'r' has one K and V, "bgrk, bgmk, bgmv -> bgrv"; K/V bytes: 2160 before, 720 after
// CHECK-LABEL: func.func @gather_div
// CHECK: attn.attention "bgrk, bgmk, bgmv -> bgrv"
func.func @gather_div(%q: tensor<2x6x5xf32>, %k: tensor<2x2x9x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %three = arith.constant 3 : index
  %e = tensor.empty() : tensor<2x6x9x5xf32>
  %kh = linalg.generic {indexing_maps = [affine_map<(b, h, m, k) -> (b, h, m, k)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]} outs(%e : tensor<2x6x9x5xf32>) {
    ^bb0(%out: f32):
      %b = linalg.index 0 : index
      %h = linalg.index 1 : index
      %m = linalg.index 2 : index
      %d = linalg.index 3 : index
      %g = arith.divui %h, %three : index
      %x = tensor.extract %k[%b, %g, %m, %d] : tensor<2x2x9x5xf32>
      linalg.yield %x : f32
    } -> tensor<2x6x9x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x9x5xf32>) value(%kh : tensor<2x6x9x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}

// -----

// A gather by h mod 2, as i64.
// REMARK: [Passed] RepeatedKV{{.*}}K and V are repetitions (linalg.generic): 'h' is "rg", of which 'r' has one K and V, "brgk, bgmk, bgmv -> brgv"; K/V bytes: 2160 before, 720 after
// CHECK-LABEL: func.func @gather_mod
// CHECK: attn.attention "brgk, bgmk, bgmv -> brgv"
func.func @gather_mod(%q: tensor<2x6x5xf32>, %k: tensor<2x2x9x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %two = arith.constant 2 : i64
  %e = tensor.empty() : tensor<2x6x9x5xf32>
  %kh = linalg.generic {indexing_maps = [affine_map<(b, h, m, k) -> (b, h, m, k)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]} outs(%e : tensor<2x6x9x5xf32>) {
    ^bb0(%out: f32):
      %b = linalg.index 0 : index
      %h = linalg.index 1 : index
      %m = linalg.index 2 : index
      %d = linalg.index 3 : index
      %i = arith.index_cast %h : index to i64
      %j = arith.remsi %i, %two : i64
      %g = arith.index_cast %j : i64 to index
      %x = tensor.extract %k[%b, %g, %m, %d] : tensor<2x2x9x5xf32>
      linalg.yield %x : f32
    } -> tensor<2x6x9x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x9x5xf32>) value(%kh : tensor<2x6x9x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}

// -----

// A map with h floordiv 3.
// REMARK: [Passed] RepeatedKV{{.*}}K and V are repetitions (linalg.generic): 'h' is "gr", of which 'r' has one K and V, "bgrk, bgmk, bgmv -> bgrv"; K/V bytes: 2160 before, 720 after
// CHECK-LABEL: func.func @map_div
// CHECK: attn.attention "bgrk, bgmk, bgmv -> bgrv"
func.func @map_div(%q: tensor<2x6x5xf32>, %k: tensor<2x2x9x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %e = tensor.empty() : tensor<2x6x9x5xf32>
  %kh = linalg.generic {indexing_maps = [affine_map<(b, h, m, k) -> (b, h floordiv 3, m, k)>, affine_map<(b, h, m, k) -> (b, h, m, k)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%k : tensor<2x2x9x5xf32>) outs(%e : tensor<2x6x9x5xf32>) {
    ^bb0(%x: f32, %out: f32):
      linalg.yield %x : f32
    } -> tensor<2x6x9x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x9x5xf32>) value(%kh : tensor<2x6x9x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}

// -----

// A map with h mod 2.
// REMARK: [Passed] RepeatedKV{{.*}}K and V are repetitions (linalg.generic): 'h' is "rg", of which 'r' has one K and V, "brgk, bgmk, bgmv -> brgv"; K/V bytes: 2160 before, 720 after
// CHECK-LABEL: func.func @map_mod
// CHECK: attn.attention "brgk, bgmk, bgmv -> brgv"
func.func @map_mod(%q: tensor<2x6x5xf32>, %k: tensor<2x2x9x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %e = tensor.empty() : tensor<2x6x9x5xf32>
  %kh = linalg.generic {indexing_maps = [affine_map<(b, h, m, k) -> (b, h mod 2, m, k)>, affine_map<(b, h, m, k) -> (b, h, m, k)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%k : tensor<2x2x9x5xf32>) outs(%e : tensor<2x6x9x5xf32>) {
    ^bb0(%x: f32, %out: f32):
      linalg.yield %x : f32
    } -> tensor<2x6x9x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x9x5xf32>) value(%kh : tensor<2x6x9x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}

// -----

// One head, as an extent of 1 that a map reads at 0.
// REMARK: [Passed] RepeatedKV{{.*}}K and V are repetitions (linalg.generic): "h" has one K and V, "bhk, bmk, bmv -> bhv"; K/V bytes: 2160 before, 360 after
// CHECK-LABEL: func.func @expanded
// CHECK: attn.attention "bhk, bmk, bmv -> bhv"
func.func @expanded(%q: tensor<2x6x5xf32>, %k: tensor<2x9x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %u = tensor.expand_shape %k [[0, 1], [2], [3]] output_shape [2, 1, 9, 5] : tensor<2x9x5xf32> into tensor<2x1x9x5xf32>
  %e = tensor.empty() : tensor<2x6x9x5xf32>
  %kh = linalg.generic {indexing_maps = [affine_map<(b, h, m, k) -> (b, 0, m, k)>, affine_map<(b, h, m, k) -> (b, h, m, k)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%u : tensor<2x1x9x5xf32>) outs(%e : tensor<2x6x9x5xf32>) {
    ^bb0(%x: f32, %out: f32):
      linalg.yield %x : f32
    } -> tensor<2x6x9x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x9x5xf32>) value(%kh : tensor<2x6x9x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}

// -----

// Copies of the whole cache, collapsed: h = r * 2 + g.
// REMARK: [Passed] RepeatedKV{{.*}}K and V are repetitions (linalg.broadcast, tensor.collapse_shape): 'h' is "rg", of which 'r' has one K and V, "brgk, bgmk, bgmv -> brgv"; K/V bytes: 2160 before, 720 after
// CHECK-LABEL: func.func @collapsed
// CHECK: attn.attention "brgk, bgmk, bgmv -> brgv"
func.func @collapsed(%q: tensor<2x6x5xf32>, %k: tensor<2x2x9x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %e = tensor.empty() : tensor<2x3x2x9x5xf32>
  %r = linalg.broadcast ins(%k : tensor<2x2x9x5xf32>) outs(%e : tensor<2x3x2x9x5xf32>) dimensions = [1]
  %kh = tensor.collapse_shape %r [[0], [1, 2], [3], [4]] : tensor<2x3x2x9x5xf32> into tensor<2x6x9x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x9x5xf32>) value(%kh : tensor<2x6x9x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}

// -----

// Each head inserted three times, in any order; what is overwritten does not count.
// REMARK: [Passed] RepeatedKV{{.*}}K and V are repetitions (tensor.insert_slice): 'h' is "gr", of which 'r' has one K and V, "bgrk, bgmk, bgmv -> bgrv"; K/V bytes: 2160 before, 720 after
// CHECK-LABEL: func.func @inserted
// CHECK: attn.attention "bgrk, bgmk, bgmv -> bgrv"
func.func @inserted(%q: tensor<2x6x5xf32>, %k: tensor<2x2x9x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %k0 = tensor.extract_slice %k[0, 0, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x2x9x5xf32> to tensor<2x9x5xf32>
  %k1 = tensor.extract_slice %k[0, 1, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x2x9x5xf32> to tensor<2x9x5xf32>
  %e = tensor.empty() : tensor<2x6x9x5xf32>
  %i0 = tensor.insert_slice %k0 into %e[0, 5, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x9x5xf32> into tensor<2x6x9x5xf32>
  %i1 = tensor.insert_slice %k1 into %i0[0, 5, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x9x5xf32> into tensor<2x6x9x5xf32>
  %i2 = tensor.insert_slice %k0 into %i1[0, 0, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x9x5xf32> into tensor<2x6x9x5xf32>
  %i3 = tensor.insert_slice %k0 into %i2[0, 2, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x9x5xf32> into tensor<2x6x9x5xf32>
  %i4 = tensor.insert_slice %k0 into %i3[0, 1, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x9x5xf32> into tensor<2x6x9x5xf32>
  %i5 = tensor.insert_slice %k1 into %i4[0, 3, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x9x5xf32> into tensor<2x6x9x5xf32>
  %kh = tensor.insert_slice %k1 into %i5[0, 4, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x9x5xf32> into tensor<2x6x9x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x9x5xf32>) value(%kh : tensor<2x6x9x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}

// -----

// The whole cache inserted three times.
// REMARK: [Passed] RepeatedKV{{.*}}K and V are repetitions (tensor.insert_slice): 'h' is "rg", of which 'r' has one K and V, "brgk, bgmk, bgmv -> brgv"; K/V bytes: 2160 before, 720 after
// CHECK-LABEL: func.func @inserted_caches
// CHECK: attn.attention "brgk, bgmk, bgmv -> brgv"
func.func @inserted_caches(%q: tensor<2x6x5xf32>, %k: tensor<2x2x9x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %e = tensor.empty() : tensor<2x6x9x5xf32>
  %i0 = tensor.insert_slice %k into %e[0, 0, 0, 0] [2, 2, 9, 5] [1, 1, 1, 1] : tensor<2x2x9x5xf32> into tensor<2x6x9x5xf32>
  %i1 = tensor.insert_slice %k into %i0[0, 2, 0, 0] [2, 2, 9, 5] [1, 1, 1, 1] : tensor<2x2x9x5xf32> into tensor<2x6x9x5xf32>
  %kh = tensor.insert_slice %k into %i1[0, 4, 0, 0] [2, 2, 9, 5] [1, 1, 1, 1] : tensor<2x2x9x5xf32> into tensor<2x6x9x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x9x5xf32>) value(%kh : tensor<2x6x9x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}

// -----

// Slices of heads, three of each, concatenated.
// REMARK: [Passed] RepeatedKV{{.*}}K and V are repetitions (tensor.concat): 'h' is "gr", of which 'r' has one K and V, "bgrk, bgmk, bgmv -> bgrv"; K/V bytes: 2160 before, 720 after
// CHECK-LABEL: func.func @concatenated
// CHECK: attn.attention "bgrk, bgmk, bgmv -> bgrv"
func.func @concatenated(%q: tensor<2x6x5xf32>, %k: tensor<2x2x9x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %k0 = tensor.extract_slice %k[0, 0, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x2x9x5xf32> to tensor<2x1x9x5xf32>
  %k1 = tensor.extract_slice %k[0, 1, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x2x9x5xf32> to tensor<2x1x9x5xf32>
  %kh = tensor.concat dim(1) %k0, %k0, %k0, %k1, %k1, %k1 : (tensor<2x1x9x5xf32>, tensor<2x1x9x5xf32>, tensor<2x1x9x5xf32>, tensor<2x1x9x5xf32>, tensor<2x1x9x5xf32>, tensor<2x1x9x5xf32>) -> tensor<2x6x9x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x9x5xf32>) value(%kh : tensor<2x6x9x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}

// -----

// A slice of more copies.
// REMARK: [Passed] RepeatedKV{{.*}}K and V are repetitions (linalg.broadcast, tensor.extract_slice): "h" has one K and V, "bhk, bmk, bmv -> bhv"; K/V bytes: 2160 before, 360 after
// CHECK-LABEL: func.func @sliced
// CHECK: attn.attention "bhk, bmk, bmv -> bhv"
func.func @sliced(%q: tensor<2x6x5xf32>, %k: tensor<2x9x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %e = tensor.empty() : tensor<2x9x9x5xf32>
  %r = linalg.broadcast ins(%k : tensor<2x9x5xf32>) outs(%e : tensor<2x9x9x5xf32>) dimensions = [1]
  %kh = tensor.extract_slice %r[0, 2, 0, 0] [2, 6, 9, 5] [1, 1, 1, 1] : tensor<2x9x9x5xf32> to tensor<2x6x9x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x9x5xf32>) value(%kh : tensor<2x6x9x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}

// -----

// A slice of whole groups: the groups from the second on.
// REMARK: [Passed] RepeatedKV{{.*}}K and V are repetitions (linalg.broadcast, tensor.collapse_shape, tensor.extract_slice): 'h' is "gr", of which 'r' has one K and V, "bgrk, bgmk, bgmv -> bgrv"; K/V bytes: 2160 before, 720 after
// CHECK-LABEL: func.func @sliced_groups
// CHECK: attn.attention "bgrk, bgmk, bgmv -> bgrv"
func.func @sliced_groups(%q: tensor<2x6x5xf32>, %k: tensor<2x3x9x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %e = tensor.empty() : tensor<2x3x3x9x5xf32>
  %r = linalg.broadcast ins(%k : tensor<2x3x9x5xf32>) outs(%e : tensor<2x3x3x9x5xf32>) dimensions = [2]
  %c = tensor.collapse_shape %r [[0], [1, 2], [3], [4]] : tensor<2x3x3x9x5xf32> into tensor<2x9x9x5xf32>
  %kh = tensor.extract_slice %c[0, 3, 0, 0] [2, 6, 9, 5] [1, 1, 1, 1] : tensor<2x9x9x5xf32> to tensor<2x6x9x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x9x5xf32>) value(%kh : tensor<2x6x9x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}

// -----

// Repeated where the heads come behind the keys, then permuted by an einsum.
// REMARK: [Passed] RepeatedKV{{.*}}K and V are repetitions (linalg.broadcast, tensor.collapse_shape, attn.einsum): 'h' is "gr", of which 'r' has one K and V, "bgrk, bmgk, bmgv -> bgrv"; K/V bytes: 2160 before, 720 after
// CHECK-LABEL: func.func @permuted
// CHECK: attn.attention "bgrk, bmgk, bmgv -> bgrv"
func.func @permuted(%q: tensor<2x6x5xf32>, %k: tensor<2x9x2x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %e = tensor.empty() : tensor<2x9x2x3x5xf32>
  %r = linalg.broadcast ins(%k : tensor<2x9x2x5xf32>) outs(%e : tensor<2x9x2x3x5xf32>) dimensions = [3]
  %c = tensor.collapse_shape %r [[0], [1], [2, 3], [4]] : tensor<2x9x2x3x5xf32> into tensor<2x9x6x5xf32>
  %kh = attn.einsum "bmhk -> bhmk"(%c) : (tensor<2x9x6x5xf32>) -> tensor<2x6x9x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x9x5xf32>) value(%kh : tensor<2x6x9x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}
