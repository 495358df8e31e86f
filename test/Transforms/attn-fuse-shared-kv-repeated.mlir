// RUN: einhead-opt %s --attn-fuse-shared-kv --remarks-filter='attn.*' 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks

// K and V that repeat the entries of smaller tensors are read from those,
// however the repetition is spelled.

// Multi-query as a broadcast over heads: the heads are rows.
// REMARK: RepeatedKV{{.*}}K and V are repetitions (linalg.broadcast): "h" has one K and V, "bhk, bmk, bmv -> bhv"; K/V bytes: 5040 before, 1008 after
// CHECK-LABEL: func.func @broadcast
// CHECK-SAME: (%[[QUERY:.*]]: tensor<2x5x7xf32>, %[[KEY:.*]]: tensor<2x9x7xf32>, %[[VALUE:.*]]: tensor<2x9x7xf32>, %{{.*}})
func.func @broadcast(%q: tensor<2x5x7xf32>, %k: tensor<2x9x7xf32>, %v: tensor<2x9x7xf32>,
                     %init: tensor<2x5x7xf32>) -> tensor<2x5x7xf32> {
  // CHECK-NOT: linalg
  // CHECK: attn.attention "bhk, bmk, bmv -> bhv"
  // CHECK-SAME: query(%[[QUERY]] :
  // CHECK-SAME: key(%[[KEY]] :
  // CHECK-SAME: value(%[[VALUE]] :
  %empty = tensor.empty() : tensor<2x5x9x7xf32>
  %kr = linalg.broadcast ins(%k : tensor<2x9x7xf32>) outs(%empty : tensor<2x5x9x7xf32>) dimensions = [1]
  %vr = linalg.broadcast ins(%v : tensor<2x9x7xf32>) outs(%empty : tensor<2x5x9x7xf32>) dimensions = [1]
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x5x7xf32>)
    key(%kr : tensor<2x5x9x7xf32>) value(%vr : tensor<2x5x9x7xf32>) scale 0.5
    outs(%init : tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  return %y : tensor<2x5x7xf32>
}

// The same as a generic with a projection, extents dynamic.
// REMARK: RepeatedKV{{.*}}(linalg.generic): "h" has one K and V, "bhk, bmk, bmv -> bhv"; K/V bytes: 56*b*h*m before, 56*b*m after
// CHECK-LABEL: func.func @generic
// CHECK-SAME: (%[[QUERY:[a-z0-9]+]]: tensor<?x?x7xf32>, %[[KEY:[a-z0-9]+]]: tensor<?x?x7xf32>, %[[VALUE:[a-z0-9]+]]: tensor<?x?x7xf32>
func.func @generic(%q: tensor<?x?x7xf32>, %k: tensor<?x?x7xf32>, %v: tensor<?x?x7xf32>,
                   %empty: tensor<?x?x?x7xf32>, %init: tensor<?x?x7xf32>) -> tensor<?x?x7xf32> {
  // CHECK-NOT: linalg
  // CHECK: attn.attention "bhk, bmk, bmv -> bhv"
  // CHECK-SAME: key(%[[KEY]] :
  // CHECK-SAME: value(%[[VALUE]] :
  %kr = linalg.generic {indexing_maps = [affine_map<(b, h, m, k) -> (b, m, k)>, affine_map<(b, h, m, k) -> (b, h, m, k)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%k : tensor<?x?x7xf32>) outs(%empty : tensor<?x?x?x7xf32>) {
    ^bb0(%x: f32, %out: f32):
      linalg.yield %x : f32
    } -> tensor<?x?x?x7xf32>
  %vr = linalg.generic {indexing_maps = [affine_map<(h, b, m, k) -> (b, m, k)>, affine_map<(h, b, m, k) -> (b, h, m, k)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%v : tensor<?x?x7xf32>) outs(%empty : tensor<?x?x?x7xf32>) {
    ^bb0(%x: f32, %out: f32):
      linalg.yield %x : f32
    } -> tensor<?x?x?x7xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<?x?x7xf32>)
    key(%kr : tensor<?x?x?x7xf32>) value(%vr : tensor<?x?x?x7xf32>) scale 0.5
    outs(%init : tensor<?x?x7xf32>) -> tensor<?x?x7xf32>
  return %y : tensor<?x?x7xf32>
}

// repeat_kv: [b, g, m, k] -> [b, g, r, m, k] -> [b, g * r, m, k].  The mask of
// each head is that of g and r; the bias, the sink and the score's index too.
// REMARK: RepeatedKV{{.*}}(linalg.broadcast, tensor.collapse_shape): 'h' is "gr", of which 'r' has one K and V, "bgrk, bgmk, bgmv -> bgrv"; K/V bytes: 6048 before, 2016 after
// CHECK-LABEL: func.func @repeat_kv
// CHECK-SAME: (%[[QUERY:.*]]: tensor<2x6x7xf32>, %[[KEY:.*]]: tensor<2x2x9x7xf32>, %[[VALUE:.*]]: tensor<2x2x9x7xf32>, %[[BIAS:[a-z0-9]+]]: tensor<6x9xf32>, %[[SINK:[a-z0-9]+]]: tensor<6xf32>
func.func @repeat_kv(%q: tensor<2x6x7xf32>, %k: tensor<2x2x9x7xf32>, %v: tensor<2x2x9x7xf32>,
                     %bias: tensor<6x9xf32>, %sink: tensor<6xf32>, %init: tensor<2x6x7xf32>) -> tensor<2x6x7xf32> {
  // CHECK-NOT: linalg
  // CHECK-DAG: %[[SPLIT:.*]] = tensor.expand_shape %[[QUERY]] {{\[\[}}0], [1, 2], [3]] output_shape [2, 2, 3, 7]
  // CHECK-DAG: %[[SPLIT_BIAS:.*]] = tensor.expand_shape %[[BIAS]] {{\[\[}}0, 1], [2]] output_shape [2, 3, 9]
  // CHECK-DAG: %[[SPLIT_SINK:.*]] = tensor.expand_shape %[[SINK]] {{\[\[}}0, 1]] output_shape [2, 3]
  // CHECK: %[[OUT:.*]] = attn.attention "bgrk, bgmk, bgmv -> bgrv"
  // CHECK-SAME: query(%[[SPLIT]] :
  // CHECK-SAME: key(%[[KEY]] :
  // CHECK-SAME: value(%[[VALUE]] :
  // CHECK-SAME: bias "grm"(%[[SPLIT_BIAS]] :
  // CHECK-SAME: mask <"grm", "(d0, d1, d2) : (d0 * 3 + d1 - d2 + 4 >= 0)">
  // CHECK-SAME: sink "gr"(%[[SPLIT_SINK]] :
  // CHECK-SAME: score {
  // CHECK-NEXT: ^bb0(%[[SCORE:.*]]: f32, %{{.*}}: index, %[[G:.*]]: index, %[[R:.*]]: index, %{{.*}}: index):
  // CHECK: %[[SCALED:.*]] = arith.muli %[[G]],
  // CHECK: %[[H:.*]] = arith.addi %[[SCALED]], %[[R]]
  // CHECK: arith.index_cast %[[H]]
  // CHECK: tensor.collapse_shape %[[OUT]] {{\[\[}}0], [1, 2], [3]]
  %empty = tensor.empty() : tensor<2x2x3x9x7xf32>
  %kr = linalg.broadcast ins(%k : tensor<2x2x9x7xf32>) outs(%empty : tensor<2x2x3x9x7xf32>) dimensions = [2]
  %vr = linalg.broadcast ins(%v : tensor<2x2x9x7xf32>) outs(%empty : tensor<2x2x3x9x7xf32>) dimensions = [2]
  %kh = tensor.collapse_shape %kr [[0], [1, 2], [3], [4]] : tensor<2x2x3x9x7xf32> into tensor<2x6x9x7xf32>
  %vh = tensor.collapse_shape %vr [[0], [1, 2], [3], [4]] : tensor<2x2x3x9x7xf32> into tensor<2x6x9x7xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x7xf32>)
    key(%kh : tensor<2x6x9x7xf32>) value(%vh : tensor<2x6x9x7xf32>) scale 0.5
    bias "hm"(%bias : tensor<6x9xf32>)
    mask <"hm", "(h, m) : (h - m + 4 >= 0)">()
    sink "h"(%sink : tensor<6xf32>)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %m: index):
      %i = arith.index_cast %h : index to i32
      %f = arith.sitofp %i : i32 to f32
      %t = arith.addf %s, %f : f32
      attn.yield %t : f32
    }
    outs(%init : tensor<2x6x7xf32>) -> tensor<2x6x7xf32>
  return %y : tensor<2x6x7xf32>
}

// The whole cache again and again: h = r * 2 + g.  Here as a concatenation.
// REMARK: RepeatedKV{{.*}}(tensor.concat): 'h' is "rg", of which 'r' has one K and V, "brgk, bgmk, bgmv -> brgv"
// CHECK-LABEL: func.func @tiled_heads
func.func @tiled_heads(%q: tensor<2x6x7xf32>, %k: tensor<2x2x9x7xf32>, %v: tensor<2x2x9x7xf32>,
                       %init: tensor<2x6x7xf32>) -> tensor<2x6x7xf32> {
  // CHECK-NOT: tensor.concat
  // CHECK: attn.attention "brgk, bgmk, bgmv -> brgv"
  %kh = tensor.concat dim(1) %k, %k, %k : (tensor<2x2x9x7xf32>, tensor<2x2x9x7xf32>, tensor<2x2x9x7xf32>) -> tensor<2x6x9x7xf32>
  %vh = tensor.concat dim(1) %v, %v, %v : (tensor<2x2x9x7xf32>, tensor<2x2x9x7xf32>, tensor<2x2x9x7xf32>) -> tensor<2x6x9x7xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x7xf32>)
    key(%kh : tensor<2x6x9x7xf32>) value(%vh : tensor<2x6x9x7xf32>) scale 0.5
    outs(%init : tensor<2x6x7xf32>) -> tensor<2x6x7xf32>
  return %y : tensor<2x6x7xf32>
}

// A gather by h floordiv 3 (K), and a map with it (V).
// REMARK: RepeatedKV{{.*}}(linalg.generic): 'h' is "gr"
// CHECK-LABEL: func.func @gather
func.func @gather(%q: tensor<2x6x7xf32>, %k: tensor<2x2x9x7xf32>, %v: tensor<2x2x9x7xf32>,
                  %init: tensor<2x6x7xf32>) -> tensor<2x6x7xf32> {
  // CHECK-NOT: linalg
  // CHECK: attn.attention "bgrk, bgmk, bgmv -> bgrv"
  %empty = tensor.empty() : tensor<2x6x9x7xf32>
  %three = arith.constant 3 : index
  %kh = linalg.generic {indexing_maps = [affine_map<(b, h, m, k) -> (b, h, m, k)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]} outs(%empty : tensor<2x6x9x7xf32>) {
    ^bb0(%out: f32):
      %b = linalg.index 0 : index
      %h = linalg.index 1 : index
      %m = linalg.index 2 : index
      %d = linalg.index 3 : index
      %g = arith.divui %h, %three : index
      %x = tensor.extract %k[%b, %g, %m, %d] : tensor<2x2x9x7xf32>
      linalg.yield %x : f32
    } -> tensor<2x6x9x7xf32>
  %vh = linalg.generic {indexing_maps = [affine_map<(b, h, m, k) -> (b, h floordiv 3, m, k)>, affine_map<(b, h, m, k) -> (b, h, m, k)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%v : tensor<2x2x9x7xf32>) outs(%empty : tensor<2x6x9x7xf32>) {
    ^bb0(%x: f32, %out: f32):
      linalg.yield %x : f32
    } -> tensor<2x6x9x7xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x7xf32>)
    key(%kh : tensor<2x6x9x7xf32>) value(%vh : tensor<2x6x9x7xf32>) scale 0.5
    outs(%init : tensor<2x6x7xf32>) -> tensor<2x6x7xf32>
  return %y : tensor<2x6x7xf32>
}

// Each head of a cache, sliced and put together again three times over.
// REMARK: RepeatedKV{{.*}}(tensor.insert_slice): 'h' is "gr"
// CHECK-LABEL: func.func @copied_heads
func.func @copied_heads(%q: tensor<2x4x7xf32>, %k: tensor<2x2x9x7xf32>, %init: tensor<2x4x7xf32>) -> tensor<2x4x7xf32> {
  // CHECK-NOT: tensor.insert_slice
  // CHECK: attn.attention "bgrk, bgmk, bgmv -> bgrv"
  %k0 = tensor.extract_slice %k[0, 0, 0, 0] [2, 1, 9, 7] [1, 1, 1, 1] : tensor<2x2x9x7xf32> to tensor<2x9x7xf32>
  %k1 = tensor.extract_slice %k[0, 1, 0, 0] [2, 1, 9, 7] [1, 1, 1, 1] : tensor<2x2x9x7xf32> to tensor<2x9x7xf32>
  %e = tensor.empty() : tensor<2x4x9x7xf32>
  %h0 = tensor.insert_slice %k0 into %e[0, 0, 0, 0] [2, 1, 9, 7] [1, 1, 1, 1] : tensor<2x9x7xf32> into tensor<2x4x9x7xf32>
  %h1 = tensor.insert_slice %k0 into %h0[0, 1, 0, 0] [2, 1, 9, 7] [1, 1, 1, 1] : tensor<2x9x7xf32> into tensor<2x4x9x7xf32>
  %h2 = tensor.insert_slice %k1 into %h1[0, 2, 0, 0] [2, 1, 9, 7] [1, 1, 1, 1] : tensor<2x9x7xf32> into tensor<2x4x9x7xf32>
  %h3 = tensor.insert_slice %k1 into %h2[0, 3, 0, 0] [2, 1, 9, 7] [1, 1, 1, 1] : tensor<2x9x7xf32> into tensor<2x4x9x7xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x4x7xf32>)
    key(%h3 : tensor<2x4x9x7xf32>) value(%h3 : tensor<2x4x9x7xf32>) scale 0.5
    outs(%init : tensor<2x4x7xf32>) -> tensor<2x4x7xf32>
  return %y : tensor<2x4x7xf32>
}

// A permutation before the repetition stays, one behind it goes; the number of
// heads is 3 times one that is not known.
// REMARK: RepeatedKV{{.*}}(linalg.broadcast, tensor.collapse_shape, linalg.transpose): 'h' is "gr"{{.*}}, "bgrk, bmgk, bmgv -> bgrv"
// CHECK-LABEL: func.func @permuted
func.func @permuted(%q: tensor<2x?x7xf32>, %k: tensor<2x?x9x7xf32>, %re: tensor<2x9x?x3x7xf32>, %te: tensor<2x?x9x7xf32>,
                    %init: tensor<2x?x7xf32>) -> tensor<2x?x7xf32> {
  // CHECK: %[[PERMUTED:.*]] = attn.einsum "bgmk -> bmgk"
  // CHECK-NOT: linalg
  // CHECK: attn.attention "bgrk, bmgk, bmgv -> bgrv"
  // CHECK-SAME: key(%[[PERMUTED]] :
  // CHECK-SAME: value(%[[PERMUTED]] :
  %m = attn.einsum "bgmk -> bmgk"(%k) : (tensor<2x?x9x7xf32>) -> tensor<2x9x?x7xf32>
  %r = linalg.broadcast ins(%m : tensor<2x9x?x7xf32>) outs(%re : tensor<2x9x?x3x7xf32>) dimensions = [3]
  %c = tensor.collapse_shape %r [[0], [1], [2, 3], [4]] : tensor<2x9x?x3x7xf32> into tensor<2x9x?x7xf32>
  %h = linalg.transpose ins(%c : tensor<2x9x?x7xf32>) outs(%te : tensor<2x?x9x7xf32>) permutation = [0, 2, 1, 3]
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x?x7xf32>)
    key(%h : tensor<2x?x9x7xf32>) value(%h : tensor<2x?x9x7xf32>) scale 0.5
    outs(%init : tensor<2x?x7xf32>) -> tensor<2x?x7xf32>
  return %y : tensor<2x?x7xf32>
}

//===----------------------------------------------------------------------===//
// What is no sharing
//===----------------------------------------------------------------------===//

// Only the key is repeated.
// REMARK: RepeatedKV{{.*}}the key repeats over 'h', the value does not: each 'h' has a value of its own
// CHECK-LABEL: func.func @key_only
// CHECK: linalg.broadcast
// CHECK: attn.attention "bhk, bhmk, bhmv -> bhv"
func.func @key_only(%q: tensor<2x5x7xf32>, %k: tensor<2x9x7xf32>, %v: tensor<2x5x9x7xf32>,
                    %init: tensor<2x5x7xf32>) -> tensor<2x5x7xf32> {
  %empty = tensor.empty() : tensor<2x5x9x7xf32>
  %kr = linalg.broadcast ins(%k : tensor<2x9x7xf32>) outs(%empty : tensor<2x5x9x7xf32>) dimensions = [1]
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x5x7xf32>)
    key(%kr : tensor<2x5x9x7xf32>) value(%v : tensor<2x5x9x7xf32>) scale 0.5
    outs(%init : tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  return %y : tensor<2x5x7xf32>
}

// Key and value are repeated in different ways.
// REMARK: RepeatedKV{{.*}}the key repeats each entry of 'h' 3 times, the value 'h' after 2 entries
// CHECK-LABEL: func.func @two_ways
// CHECK: attn.attention "bhk, bhmk, bhmv -> bhv"
func.func @two_ways(%q: tensor<2x6x7xf32>, %k: tensor<2x2x9x7xf32>, %init: tensor<2x6x7xf32>) -> tensor<2x6x7xf32> {
  %empty = tensor.empty() : tensor<2x2x3x9x7xf32>
  %kr = linalg.broadcast ins(%k : tensor<2x2x9x7xf32>) outs(%empty : tensor<2x2x3x9x7xf32>) dimensions = [2]
  %kh = tensor.collapse_shape %kr [[0], [1, 2], [3], [4]] : tensor<2x2x3x9x7xf32> into tensor<2x6x9x7xf32>
  %vh = tensor.concat dim(1) %k, %k, %k : (tensor<2x2x9x7xf32>, tensor<2x2x9x7xf32>, tensor<2x2x9x7xf32>) -> tensor<2x6x9x7xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x7xf32>)
    key(%kh : tensor<2x6x9x7xf32>) value(%vh : tensor<2x6x9x7xf32>) scale 0.5
    outs(%init : tensor<2x6x7xf32>) -> tensor<2x6x7xf32>
  return %y : tensor<2x6x7xf32>
}

// Groups of 4 and 2 heads are no letter.
// REMARK: RepeatedKV{{.*}}the key repeats each entry of 'h' 4 times, which does not divide its extent 6
// CHECK-LABEL: func.func @uneven
// CHECK: attn.attention "bhk, bhmk, bhmv -> bhv"
func.func @uneven(%q: tensor<2x6x7xf32>, %k: tensor<2x2x9x7xf32>, %init: tensor<2x6x7xf32>) -> tensor<2x6x7xf32> {
  %empty = tensor.empty() : tensor<2x6x9x7xf32>
  %kh = linalg.generic {indexing_maps = [affine_map<(b, h, m, k) -> (b, h floordiv 4, m, k)>, affine_map<(b, h, m, k) -> (b, h, m, k)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%k : tensor<2x2x9x7xf32>) outs(%empty : tensor<2x6x9x7xf32>) {
    ^bb0(%x: f32, %out: f32):
      linalg.yield %x : f32
    } -> tensor<2x6x9x7xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x6x7xf32>)
    key(%kh : tensor<2x6x9x7xf32>) value(%kh : tensor<2x6x9x7xf32>) scale 0.5
    outs(%init : tensor<2x6x7xf32>) -> tensor<2x6x7xf32>
  return %y : tensor<2x6x7xf32>
}

// Lengths by the letter that K and V lack: a row has no length of its own.
// REMARK: RepeatedKV{{.*}}K and V repeat over 'b', but each 'b' has a length of its own
// CHECK-LABEL: func.func @lengths
// CHECK: attn.attention "bhk, bmk, bmv -> bhv"
func.func @lengths(%q: tensor<2x5x7xf32>, %k: tensor<9x7xf32>, %valid: tensor<2xi64>,
                   %init: tensor<2x5x7xf32>) -> tensor<2x5x7xf32> {
  %empty = tensor.empty() : tensor<2x9x7xf32>
  %kr = linalg.broadcast ins(%k : tensor<9x7xf32>) outs(%empty : tensor<2x9x7xf32>) dimensions = [0]
  %y = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x5x7xf32>)
    key(%kr : tensor<2x9x7xf32>) value(%kr : tensor<2x9x7xf32>) scale 0.5 valid(%valid : tensor<2xi64>)
    outs(%init : tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  return %y : tensor<2x5x7xf32>
}

// Not the same entries: the second copy is of other numbers.
// REMARK-NOT: RepeatedKV
// CHECK-LABEL: func.func @other_numbers
// CHECK: attn.attention "bhk, bhmk, bhmv -> bhv"
func.func @other_numbers(%q: tensor<2x2x7xf32>, %k: tensor<2x1x9x7xf32>, %l: tensor<2x1x9x7xf32>,
                         %init: tensor<2x2x7xf32>) -> tensor<2x2x7xf32> {
  %kh = tensor.concat dim(1) %k, %l : (tensor<2x1x9x7xf32>, tensor<2x1x9x7xf32>) -> tensor<2x2x9x7xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<2x2x7xf32>)
    key(%kh : tensor<2x2x9x7xf32>) value(%kh : tensor<2x2x9x7xf32>) scale 0.5
    outs(%init : tensor<2x2x7xf32>) -> tensor<2x2x7xf32>
  return %y : tensor<2x2x7xf32>
}
