// RUN: einhead-opt %s --convert-attn-to-linalg | FileCheck %s
// RUN: einhead-opt %s --convert-attn-to-linalg | FileCheck %s --check-prefix=NONE
// NONE-NOT: attn.

// Every graph op has a lowering through upstream linalg.

// The output's letters are parallel, the others reduce; the unit-stride letter of
// the largest operand is innermost.
// CHECK-DAG: #[[$QUERY:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d3)>
// CHECK-DAG: #[[$KEY:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d2, d3)>
// CHECK-DAG: #[[$SCORE:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>
// CHECK-LABEL: func.func @einsum
func.func @einsum(%q: tensor<2x5x7xf32>, %k: tensor<2x?x7xbf16>) -> tensor<2x5x?xf32> {
  // CHECK: linalg.fill
  // CHECK: linalg.generic {indexing_maps = [#[[$QUERY]], #[[$KEY]], #[[$SCORE]]], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
  // CHECK: arith.extf
  // CHECK: arith.mulf
  // CHECK: arith.addf
  %s = attn.einsum "bnk, bmk -> bnm"(%q, %k)
    : (tensor<2x5x7xf32>, tensor<2x?x7xbf16>) -> tensor<2x5x?xf32>
  return %s : tensor<2x5x?xf32>
}

// Three operands: two products of two.
// CHECK-LABEL: func.func @three
// CHECK-COUNT-2: linalg.generic
// CHECK-NOT: linalg.generic
func.func @three(%x: tensor<2x8xf32>, %s: tensor<2xf32>, %w: tensor<8xbf16>) -> tensor<2x8xf32> {
  %y = attn.einsum "bd, b, d -> bd"(%x, %s, %w)
    : (tensor<2x8xf32>, tensor<2xf32>, tensor<8xbf16>) -> tensor<2x8xf32>
  return %y : tensor<2x8xf32>
}

// CHECK-LABEL: func.func @softmax
// CHECK-SAME: %[[LENGTH:[a-z0-9]+]]: index)
func.func @softmax(%s: tensor<2x5xf32>, %length: index) -> tensor<2x5xf32> {
  // Dead scores are -inf.
  // CHECK: linalg.index 1
  // CHECK: arith.cmpi slt, %{{.*}}, %[[LENGTH]]
  // CHECK: arith.maximumf
  // CHECK: math.exp
  // CHECK: arith.addf
  // CHECK: arith.divf
  %p = attn.softmax "bm" over "m"(%s) valid(%length : index) : tensor<2x5xf32>
  return %p : tensor<2x5xf32>
}

// CHECK-LABEL: func.func @append_row
// CHECK-SAME: %[[NEW:[a-z0-9]+]]: tensor<2x8xf32>, %[[CACHE:[a-z0-9]+]]: tensor<2x?x8xf32>, %[[AT:[a-z0-9]+]]: index
func.func @append_row(%new: tensor<2x8xf32>, %cache: tensor<2x?x8xf32>, %at: index) -> tensor<2x?x8xf32> {
  // CHECK: tensor.insert_slice %[[NEW]] into %[[CACHE]][0, %[[AT]], 0] [2, 1, 8] [1, 1, 1]
  %r = attn.append "bk -> bmk"(%new into %cache at %at : index)
    : tensor<2x8xf32> into tensor<2x?x8xf32>
  return %r : tensor<2x?x8xf32>
}

// Positions for each sequence: one insertion for each.
// CHECK-LABEL: func.func @append_ragged
func.func @append_ragged(%new: tensor<2x3x8xf32>, %cache: tensor<2x?x8xf32>, %at: tensor<2xi64>) -> tensor<2x?x8xf32> {
  // CHECK: scf.for %[[SEQUENCE:.*]] = {{.*}} iter_args(%[[STATE:.*]] =
  // CHECK: tensor.extract
  // CHECK: tensor.insert_slice %{{.*}} into %[[STATE]][%[[SEQUENCE]], %{{.*}}, 0] [1, 3, 8] [1, 1, 1]
  %r = attn.append "bnk -> bmk"(%new into %cache at %at : tensor<2xi64>)
    : tensor<2x3x8xf32> into tensor<2x?x8xf32>
  return %r : tensor<2x?x8xf32>
}

// An attention without a schedule becomes its graph again, bias and all.
// CHECK-LABEL: func.func @decomposed
func.func @decomposed(%q: tensor<4x16xf32>, %k: tensor<9x16xf32>, %v: tensor<9x8xf32>,
                      %bias: tensor<9xf32>, %init: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // CHECK: arith.mulf
  // CHECK: math.exp
  // CHECK: return
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<4x16xf32>)
    key(%k : tensor<9x16xf32>) value(%v : tensor<9x8xf32>) scale 0.25
    bias "m"(%bias : tensor<9xf32>)
    outs(%init : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// Operands that know more extents than the result: it keeps its type.
// CHECK-LABEL: func.func @operands_know_more
func.func @operands_know_more(%x: tensor<2x3xf32>, %w: tensor<3x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xbf16>) {
  // CHECK: %[[WIDE:.*]] = tensor.cast %{{.*}} : tensor<2x4xf32> to tensor<?x4xf32>
  %y = attn.einsum "bd, dk -> bk"(%x, %w) : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<?x4xf32>
  // CHECK: arith.truncf %{{.*}} : tensor<2x4xf32> to tensor<2x4xbf16>
  // CHECK: %[[NARROW:.*]] = tensor.cast %{{.*}} : tensor<2x4xbf16> to tensor<?x4xbf16>
  // CHECK: return %[[WIDE]], %[[NARROW]]
  %z = attn.einsum "bd, dk -> bk"(%x, %w) : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<?x4xbf16>
  return %y, %z : tensor<?x4xf32>, tensor<?x4xbf16>
}

// Between a dimension of one and a dynamic one: the rows get the dimension that
// they lack, or it could be taken for the other.
// CHECK-LABEL: func.func @append_between
// CHECK-SAME: %[[NEW:[a-z0-9]+]]: tensor<1x?x3xf16>, %[[CACHE:[a-z0-9]+]]: tensor<1x?x22x3xf16>, %[[AT:[a-z0-9]+]]: index
func.func @append_between(%new: tensor<1x?x3xf16>, %cache: tensor<1x?x22x3xf16>, %at: index) -> tensor<1x?x22x3xf16> {
  // CHECK: %[[ROWS:.*]] = tensor.expand_shape %[[NEW]] {{\[\[}}0], [1, 2], [3]] output_shape [1, %{{.*}}, 1, 3]
  // CHECK: tensor.insert_slice %[[ROWS]] into %[[CACHE]][0, 0, %[[AT]], 0] [1, %{{.*}}, 1, 3]
  %r = attn.append "bhk -> bhmk"(%new into %cache at %at : index) : tensor<1x?x3xf16> into tensor<1x?x22x3xf16>
  return %r : tensor<1x?x22x3xf16>
}
