// RUN: einhead-opt %s --attn-fuse-shared-kv --remarks-filter='attn.*' --split-input-file 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks

// Spelled like a repetition of K and V, but nothing repeats, or not over whole
// groups: read as it stands.

// (h + 1) floordiv 3: the first and the last group are smaller.
// REMARK-NOT: RepeatedKV
// REMARK: every row has its own K/V
// CHECK-LABEL: func.func @gather_shifted
// CHECK: attn.attention "bhk, bhmk, bhmv -> bhv"
func.func @gather_shifted(%q: tensor<2x6x5xf32>, %k: tensor<2x3x9x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %one = arith.constant 1 : index
  %three = arith.constant 3 : index
  %e = tensor.empty() : tensor<2x6x9x5xf32>
  %kh = linalg.generic {indexing_maps = [affine_map<(b, h, m, k) -> (b, h, m, k)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]} outs(%e : tensor<2x6x9x5xf32>) {
    ^bb0(%out: f32):
      %b = linalg.index 0 : index
      %h = linalg.index 1 : index
      %m = linalg.index 2 : index
      %d = linalg.index 3 : index
      %i = arith.addi %h, %one : index
      %g = arith.divui %i, %three : index
      %x = tensor.extract %k[%b, %g, %m, %d] : tensor<2x3x9x5xf32>
      linalg.yield %x : f32
    } -> tensor<2x6x9x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x9x5xf32>) value(%kh : tensor<2x6x9x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}

// -----

// Which group a head reads stands in a tensor.
// REMARK-NOT: RepeatedKV
// REMARK: every row has its own K/V
// CHECK-LABEL: func.func @gather_by_data
// CHECK: attn.attention "bhk, bhmk, bhmv -> bhv"
func.func @gather_by_data(%q: tensor<2x6x5xf32>, %k: tensor<2x2x9x5xf32>, %table: tensor<6xi64>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %two = arith.constant 2 : i64
  %e = tensor.empty() : tensor<2x6x9x5xf32>
  %kh = linalg.generic {indexing_maps = [affine_map<(b, h, m, k) -> (b, h, m, k)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]} outs(%e : tensor<2x6x9x5xf32>) {
    ^bb0(%out: f32):
      %b = linalg.index 0 : index
      %h = linalg.index 1 : index
      %m = linalg.index 2 : index
      %d = linalg.index 3 : index
      %i = tensor.extract %table[%h] : tensor<6xi64>
      %j = arith.remui %i, %two : i64
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

// Groups of heads, but each head reads the keys from its own number on.
// REMARK-NOT: RepeatedKV
// REMARK: every row has its own K/V
// CHECK-LABEL: func.func @gather_other_keys
// CHECK: attn.attention "bhk, bhmk, bhmv -> bhv"
func.func @gather_other_keys(%q: tensor<2x6x5xf32>, %k: tensor<2x2x9x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %three = arith.constant 3 : index
  %nine = arith.constant 9 : index
  %e = tensor.empty() : tensor<2x6x9x5xf32>
  %kh = linalg.generic {indexing_maps = [affine_map<(b, h, m, k) -> (b, h, m, k)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]} outs(%e : tensor<2x6x9x5xf32>) {
    ^bb0(%out: f32):
      %b = linalg.index 0 : index
      %h = linalg.index 1 : index
      %m = linalg.index 2 : index
      %d = linalg.index 3 : index
      %g = arith.divui %h, %three : index
      %s = arith.addi %m, %h : index
      %t = arith.remui %s, %nine : index
      %x = tensor.extract %k[%b, %g, %t, %d] : tensor<2x2x9x5xf32>
      linalg.yield %x : f32
    } -> tensor<2x6x9x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x9x5xf32>) value(%kh : tensor<2x6x9x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}

// -----

// Two bits hold no head above 3: heads 4 and 5 read what 0 and 1 read.
// REMARK-NOT: RepeatedKV
// REMARK: every row has its own K/V
// CHECK-LABEL: func.func @gather_narrow
// CHECK: attn.attention "bhk, bhmk, bhmv -> bhv"
func.func @gather_narrow(%q: tensor<2x6x5xf32>, %k: tensor<2x2x9x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %three = arith.constant 3 : index
  %e = tensor.empty() : tensor<2x6x9x5xf32>
  %kh = linalg.generic {indexing_maps = [affine_map<(b, h, m, k) -> (b, h, m, k)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]} outs(%e : tensor<2x6x9x5xf32>) {
    ^bb0(%out: f32):
      %b = linalg.index 0 : index
      %h = linalg.index 1 : index
      %m = linalg.index 2 : index
      %d = linalg.index 3 : index
      %i = arith.index_cast %h : index to i2
      %j = arith.index_castui %i : i2 to index
      %g = arith.divui %j, %three : index
      %x = tensor.extract %k[%b, %g, %m, %d] : tensor<2x2x9x5xf32>
      linalg.yield %x : f32
    } -> tensor<2x6x9x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x9x5xf32>) value(%kh : tensor<2x6x9x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}

// -----

// Groups of 4 and 2.
// REMARK: [Missed] RepeatedKV{{.*}}the key repeats each entry of 'h' 4 times, which does not divide its extent 6
// REMARK: every row has its own K/V
// CHECK-LABEL: func.func @map_uneven
// CHECK: attn.attention "bhk, bhmk, bhmv -> bhv"
func.func @map_uneven(%q: tensor<2x6x5xf32>, %k: tensor<2x2x9x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %e = tensor.empty() : tensor<2x6x9x5xf32>
  %kh = linalg.generic {indexing_maps = [affine_map<(b, h, m, k) -> (b, h floordiv 4, m, k)>, affine_map<(b, h, m, k) -> (b, h, m, k)>],
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

// The keys repeat, the heads do not.
// REMARK-NOT: RepeatedKV
// REMARK: every row has its own K/V
// CHECK-LABEL: func.func @map_of_keys
// CHECK: attn.attention "bhk, bhmk, bhmv -> bhv"
func.func @map_of_keys(%q: tensor<2x6x5xf32>, %k: tensor<2x6x3x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %e = tensor.empty() : tensor<2x6x9x5xf32>
  %kh = linalg.generic {indexing_maps = [affine_map<(b, h, m, k) -> (b, h, m floordiv 3, k)>, affine_map<(b, h, m, k) -> (b, h, m, k)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%k : tensor<2x6x3x5xf32>) outs(%e : tensor<2x6x9x5xf32>) {
    ^bb0(%x: f32, %out: f32):
      linalg.yield %x : f32
    } -> tensor<2x6x9x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x9x5xf32>) value(%kh : tensor<2x6x9x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}

// -----

// Heads of a cache taken apart and put together again: all are different.
// REMARK-NOT: RepeatedKV
// REMARK: every row has its own K/V
// CHECK-LABEL: func.func @expanded_apart
// CHECK: attn.attention "bhk, bhmk, bhmv -> bhv"
func.func @expanded_apart(%q: tensor<2x6x5xf32>, %k: tensor<2x6x9x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %u = tensor.expand_shape %k [[0], [1, 2], [3], [4]] output_shape [2, 2, 3, 9, 5] : tensor<2x6x9x5xf32> into tensor<2x2x3x9x5xf32>
  %kh = tensor.collapse_shape %u [[0], [1, 2], [3], [4]] : tensor<2x2x3x9x5xf32> into tensor<2x6x9x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x9x5xf32>) value(%kh : tensor<2x6x9x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}

// -----

// Copies of each key, collapsed into the keys.
// REMARK-NOT: RepeatedKV
// REMARK: every row has its own K/V
// CHECK-LABEL: func.func @collapsed_keys
// CHECK: attn.attention "bhk, bhmk, bhmv -> bhv"
func.func @collapsed_keys(%q: tensor<2x6x5xf32>, %k: tensor<2x6x3x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %e = tensor.empty() : tensor<2x6x3x3x5xf32>
  %r = linalg.broadcast ins(%k : tensor<2x6x3x5xf32>) outs(%e : tensor<2x6x3x3x5xf32>) dimensions = [3]
  %kh = tensor.collapse_shape %r [[0], [1], [2, 3], [4]] : tensor<2x6x3x3x5xf32> into tensor<2x6x9x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x9x5xf32>) value(%kh : tensor<2x6x9x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}

// -----

// Each head three times, in no order that is a group or a round.
// REMARK-NOT: RepeatedKV
// REMARK: every row has its own K/V
// CHECK-LABEL: func.func @inserted_order
// CHECK: attn.attention "bhk, bhmk, bhmv -> bhv"
func.func @inserted_order(%q: tensor<2x6x5xf32>, %k: tensor<2x2x9x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %k0 = tensor.extract_slice %k[0, 0, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x2x9x5xf32> to tensor<2x9x5xf32>
  %k1 = tensor.extract_slice %k[0, 1, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x2x9x5xf32> to tensor<2x9x5xf32>
  %e = tensor.empty() : tensor<2x6x9x5xf32>
  %i0 = tensor.insert_slice %k0 into %e[0, 0, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x9x5xf32> into tensor<2x6x9x5xf32>
  %i1 = tensor.insert_slice %k1 into %i0[0, 1, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x9x5xf32> into tensor<2x6x9x5xf32>
  %i2 = tensor.insert_slice %k1 into %i1[0, 2, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x9x5xf32> into tensor<2x6x9x5xf32>
  %i3 = tensor.insert_slice %k0 into %i2[0, 3, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x9x5xf32> into tensor<2x6x9x5xf32>
  %i4 = tensor.insert_slice %k0 into %i3[0, 4, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x9x5xf32> into tensor<2x6x9x5xf32>
  %kh = tensor.insert_slice %k1 into %i4[0, 5, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x9x5xf32> into tensor<2x6x9x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x9x5xf32>) value(%kh : tensor<2x6x9x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}

// -----

// One head is what the destination held.
// REMARK-NOT: RepeatedKV
// REMARK: every row has its own K/V
// CHECK-LABEL: func.func @inserted_gap
// CHECK: attn.attention "bhk, bhmk, bhmv -> bhv"
func.func @inserted_gap(%q: tensor<2x6x5xf32>, %k: tensor<2x2x9x5xf32>, %old: tensor<2x6x9x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %k0 = tensor.extract_slice %k[0, 0, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x2x9x5xf32> to tensor<2x9x5xf32>
  %k1 = tensor.extract_slice %k[0, 1, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x2x9x5xf32> to tensor<2x9x5xf32>
  %i0 = tensor.insert_slice %k0 into %old[0, 0, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x9x5xf32> into tensor<2x6x9x5xf32>
  %i1 = tensor.insert_slice %k0 into %i0[0, 1, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x9x5xf32> into tensor<2x6x9x5xf32>
  %i2 = tensor.insert_slice %k0 into %i1[0, 2, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x9x5xf32> into tensor<2x6x9x5xf32>
  %i3 = tensor.insert_slice %k1 into %i2[0, 3, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x9x5xf32> into tensor<2x6x9x5xf32>
  %kh = tensor.insert_slice %k1 into %i3[0, 4, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x9x5xf32> into tensor<2x6x9x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x9x5xf32>) value(%kh : tensor<2x6x9x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}

// -----

// Every third head: a stride, which is not followed.
// REMARK-NOT: RepeatedKV
// REMARK: every row has its own K/V
// CHECK-LABEL: func.func @inserted_strided
// CHECK: attn.attention "bhk, bhmk, bhmv -> bhv"
func.func @inserted_strided(%q: tensor<2x6x5xf32>, %k: tensor<2x2x9x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %e = tensor.empty() : tensor<2x6x9x5xf32>
  %i0 = tensor.insert_slice %k into %e[0, 0, 0, 0] [2, 2, 9, 5] [1, 3, 1, 1] : tensor<2x2x9x5xf32> into tensor<2x6x9x5xf32>
  %i1 = tensor.insert_slice %k into %i0[0, 1, 0, 0] [2, 2, 9, 5] [1, 3, 1, 1] : tensor<2x2x9x5xf32> into tensor<2x6x9x5xf32>
  %kh = tensor.insert_slice %k into %i1[0, 2, 0, 0] [2, 2, 9, 5] [1, 3, 1, 1] : tensor<2x2x9x5xf32> into tensor<2x6x9x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x9x5xf32>) value(%kh : tensor<2x6x9x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}

// -----

// The same order of slices, concatenated.
// REMARK-NOT: RepeatedKV
// REMARK: every row has its own K/V
// CHECK-LABEL: func.func @concatenated_order
// CHECK: attn.attention "bhk, bhmk, bhmv -> bhv"
func.func @concatenated_order(%q: tensor<2x6x5xf32>, %k: tensor<2x2x9x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %k0 = tensor.extract_slice %k[0, 0, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x2x9x5xf32> to tensor<2x1x9x5xf32>
  %k1 = tensor.extract_slice %k[0, 1, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x2x9x5xf32> to tensor<2x1x9x5xf32>
  %kh = tensor.concat dim(1) %k0, %k1, %k1, %k0, %k0, %k1 : (tensor<2x1x9x5xf32>, tensor<2x1x9x5xf32>, tensor<2x1x9x5xf32>, tensor<2x1x9x5xf32>, tensor<2x1x9x5xf32>, tensor<2x1x9x5xf32>) -> tensor<2x6x9x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x9x5xf32>) value(%kh : tensor<2x6x9x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}

// -----

// A slice that starts inside a group.
// REMARK-NOT: RepeatedKV
// REMARK: every row has its own K/V
// CHECK-LABEL: func.func @sliced_shifted
// CHECK: attn.attention "bhk, bhmk, bhmv -> bhv"
func.func @sliced_shifted(%q: tensor<2x6x5xf32>, %k: tensor<2x3x9x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %e = tensor.empty() : tensor<2x3x3x9x5xf32>
  %r = linalg.broadcast ins(%k : tensor<2x3x9x5xf32>) outs(%e : tensor<2x3x3x9x5xf32>) dimensions = [2]
  %c = tensor.collapse_shape %r [[0], [1, 2], [3], [4]] : tensor<2x3x3x9x5xf32> into tensor<2x9x9x5xf32>
  %kh = tensor.extract_slice %c[0, 1, 0, 0] [2, 6, 9, 5] [1, 1, 1, 1] : tensor<2x9x9x5xf32> to tensor<2x6x9x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x9x5xf32>) value(%kh : tensor<2x6x9x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}

// -----

// Repeated as heads, but read as keys: the einsum swaps the two.
// REMARK-NOT: RepeatedKV
// REMARK: every row has its own K/V
// CHECK-LABEL: func.func @swapped
// CHECK: attn.attention "bhk, bhmk, bhmv -> bhv"
func.func @swapped(%q: tensor<2x6x5xf32>, %k: tensor<2x2x6x5xf32>, %init: tensor<2x6x5xf32>) -> tensor<2x6x5xf32> {
  %e = tensor.empty() : tensor<2x2x3x6x5xf32>
  %r = linalg.broadcast ins(%k : tensor<2x2x6x5xf32>) outs(%e : tensor<2x2x3x6x5xf32>) dimensions = [2]
  %c = tensor.collapse_shape %r [[0], [1, 2], [3], [4]] : tensor<2x2x3x6x5xf32> into tensor<2x6x6x5xf32>
  %kh = attn.einsum "bmhk -> bhmk"(%c) : (tensor<2x6x6x5xf32>) -> tensor<2x6x6x5xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x5xf32>)
    key(%kh : tensor<2x6x6x5xf32>) value(%kh : tensor<2x6x6x5xf32>) scale 0.5
    outs(%init : tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}
