// An attention without a schedule is decomposed with all that shapes its scores.
// RUN: einhead-opt %s --convert-attn-to-linalg --cse --split-input-file | FileCheck %s
// RUN: einhead-opt %s --convert-attn-to-linalg --split-input-file | FileCheck %s --check-prefix=NONE
// NONE-NOT: attn.

// A key counts if its block stands in the head's list; the others are -inf.  The
// largest score and the sum are those of the softmax, and give the log-sum-exp.
// CHECK-DAG: #[[$LIST:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG: #[[$KEY:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-DAG: #[[$OF_HEAD:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-LABEL: func.func @blocks
// CHECK-SAME: %[[LISTS:[a-z0-9]+]]: tensor<3x5xi64>
func.func @blocks(%q: tensor<2x3x16xf32>, %k: tensor<?x16xf32>, %v: tensor<?x4x2xf32>, %lists: tensor<3x5xi64>,
                  %init: tensor<2x3x4x2xf32>, %none: tensor<2x3xf32>) -> (tensor<2x3x4x2xf32>, tensor<2x3xf32>) {
  // CHECK-DAG: %[[SIZE:.*]] = arith.constant 8 : index
  // CHECK-DAG: %[[NOT_LISTED:.*]] = arith.constant false
  // CHECK-DAG: %[[DEAD:.*]] = arith.constant 0xFF800000 : f32
  // CHECK: %[[NO_KEY:.*]] = linalg.fill ins(%[[NOT_LISTED]] : i1)
  // CHECK: %[[LISTED:.*]] = linalg.generic {indexing_maps = [#[[$LIST]], #[[$KEY]]], iterator_types = ["parallel", "parallel", "reduction"]} ins(%[[LISTS]] : tensor<3x5xi64>) outs(%[[NO_KEY]] : tensor<3x?xi1>)
  // CHECK: %[[INDEX:.*]] = linalg.index 1
  // CHECK: %[[BLOCK:.*]] = arith.divui %[[INDEX]], %[[SIZE]]
  // CHECK: arith.cmpi eq, %{{.*}}, %[[BLOCK]]
  // CHECK: arith.ori
  // CHECK: linalg.generic {{.*}}, #[[$OF_HEAD]], {{.*}} ins(%{{.*}}, %[[LISTED]] : tensor<2x3x?xf32>, tensor<3x?xi1>)
  // CHECK-NEXT: ^bb0(%[[SCORE:.*]]: f32, %[[LIVE:.*]]: i1, %{{.*}}: f32):
  // CHECK-NEXT: arith.select %[[LIVE]], %[[SCORE]], %[[DEAD]]
  // CHECK: %[[MAX:.*]] = linalg.generic
  // CHECK: arith.maximumf
  // CHECK-NOT: arith.maximumf
  // CHECK: %[[SUM:.*]] = linalg.generic {{.*}} "reduction"]
  // CHECK: linalg.generic {{.*}} ins(%[[MAX]], %[[SUM]] : tensor<2x3xf32>, tensor<2x3xf32>)
  // CHECK: %[[LOG:.*]] = math.log
  // CHECK-NEXT: arith.addf %{{.*}}, %[[LOG]]
  // CHECK: return
  %y, %lse = attn.attention "nhk, mk, mvw -> nhvw"
      query(%q : tensor<2x3x16xf32>) key(%k : tensor<?x16xf32>) value(%v : tensor<?x4x2xf32>) scale 0.25
      blocks "h"(%lists : tensor<3x5xi64>) size 8
      outs(%init : tensor<2x3x4x2xf32>) lse(%none : tensor<2x3xf32>) -> tensor<2x3x4x2xf32>, tensor<2x3xf32>
  return %y, %lse : tensor<2x3x4x2xf32>, tensor<2x3xf32>
}

// -----

// Without lists and log-sum-exp there is neither.
// CHECK-LABEL: func.func @no_blocks
// CHECK-NOT: i1>
// CHECK-NOT: math.log
// CHECK: return
func.func @no_blocks(%q: tensor<2x3x16xf32>, %k: tensor<?x16xf32>, %v: tensor<?x4x2xf32>,
                     %init: tensor<2x3x4x2xf32>) -> tensor<2x3x4x2xf32> {
  %y = attn.attention "nhk, mk, mvw -> nhvw"
      query(%q : tensor<2x3x16xf32>) key(%k : tensor<?x16xf32>) value(%v : tensor<?x4x2xf32>) scale 0.25
      outs(%init : tensor<2x3x4x2xf32>) -> tensor<2x3x4x2xf32>
  return %y : tensor<2x3x4x2xf32>
}

// -----

// Row 0 of the tile is row %N, key 0 is key %M: mask and length count from there.
// CHECK-LABEL: func.func @moved
// CHECK-SAME: %[[VALID:[a-z0-9]+]]: index, %[[N:[a-z0-9]+]]: index, %[[M:[a-z0-9]+]]: index
func.func @moved(%q: tensor<5x16xf32>, %k: tensor<?x16xf32>, %v: tensor<?x4x2xf32>, %valid: index, %n: index, %m: index,
                 %init: tensor<5x4x2xf32>) -> tensor<5x4x2xf32> {
  // CHECK: %[[KEY:.*]] = linalg.index 1
  // CHECK-NEXT: %[[KEY_AT:.*]] = arith.addi %[[KEY]], %[[M]]
  // CHECK-NEXT: arith.cmpi slt, %[[KEY_AT]], %[[VALID]]
  // CHECK-NEXT: %[[ROW:.*]] = linalg.index 0
  // CHECK-NEXT: %[[ROW_AT:.*]] = arith.addi %[[ROW]], %[[N]]
  // CHECK: arith.addi %[[ROW_AT]],
  // CHECK: arith.andi
  // CHECK: arith.select
  %y = attn.attention "nk, mk, mvw -> nvw"
      query(%q : tensor<5x16xf32>) key(%k : tensor<?x16xf32>) value(%v : tensor<?x4x2xf32>) scale 0.25
      valid(%valid : index) mask <"nm", "(n, m) : (n - m >= 0)">() offsets "nm"(%n, %m)
      outs(%init : tensor<5x4x2xf32>) -> tensor<5x4x2xf32>
  return %y : tensor<5x4x2xf32>
}

// -----

// Two key letters: both are reductions, of the softmax and of the values; a
// weight of 0 has no value.
// CHECK-LABEL: func.func @keys
func.func @keys(%q: tensor<5x2x16xbf16>, %k: tensor<?x?x16xbf16>, %v: tensor<?x?x8xbf16>, %init: tensor<5x2x8xbf16>)
    -> tensor<5x2x8xbf16> {
  // CHECK-DAG: %[[ZERO:.*]] = arith.constant 0.000000e+00 : f32
  // CHECK-DAG: %[[DEAD:.*]] = arith.constant 0xFF800000 : f32
  // CHECK: arith.select %{{.*}}, %{{.*}}, %[[DEAD]]
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction", "reduction"]
  // CHECK: arith.maximumf
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction", "reduction"]
  // CHECK: arith.addf
  // CHECK: arith.divf
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction", "reduction", "parallel"]
  // CHECK: %[[IS_ZERO:.*]] = arith.cmpf oeq, %[[WEIGHT:.*]], %[[ZERO]]
  // CHECK-NEXT: %[[PRODUCT:.*]] = arith.mulf %[[WEIGHT]]
  // CHECK-NEXT: arith.select %[[IS_ZERO]], %[[ZERO]], %[[PRODUCT]]
  // CHECK: arith.truncf %{{.*}} : tensor<5x2x8xf32> to tensor<5x2x8xbf16>
  %y = attn.attention "nhk, mpk, pmv -> nhv"
      query(%q : tensor<5x2x16xbf16>) key(%k : tensor<?x?x16xbf16>) value(%v : tensor<?x?x8xbf16>) scale 0.25
      mask <"nmp", "(n, m, p) : (2 * n - m - p - 1 >= 0)">()
      outs(%init : tensor<5x2x8xbf16>) -> tensor<5x2x8xbf16>
  return %y : tensor<5x2x8xbf16>
}

// -----

// A length of each sequence, by a letter that is not the output's first.
// CHECK-DAG: #[[$SEQUENCE:.*]] = affine_map<(d0, d1, d2) -> (d1)>
// CHECK-LABEL: func.func @lengths
// CHECK-SAME: %[[LENGTHS:[a-z0-9]+]]: tensor<3xi64>
func.func @lengths(%q: tensor<3x4x16xf32>, %k: tensor<3x?x16xf32>, %v: tensor<3x?x8x2xf32>, %n: tensor<3xi64>,
                   %init: tensor<4x3x8x2xf32>) -> tensor<4x3x8x2xf32> {
  // CHECK: linalg.generic {{.*}}, #[[$SEQUENCE]], {{.*}} ins(%{{.*}}, %[[LENGTHS]] : tensor<4x3x?xf32>, tensor<3xi64>)
  // CHECK: %[[LENGTH:.*]] = arith.index_cast
  // CHECK: %[[KEY:.*]] = linalg.index 2
  // CHECK: arith.cmpi slt, %[[KEY]], %[[LENGTH]]
  %y = attn.attention "bhk, bmk, bmvw -> hbvw"
      query(%q : tensor<3x4x16xf32>) key(%k : tensor<3x?x16xf32>) value(%v : tensor<3x?x8x2xf32>) scale 0.25
      valid(%n : tensor<3xi64>) outs(%init : tensor<4x3x8x2xf32>) -> tensor<4x3x8x2xf32>
  return %y : tensor<4x3x8x2xf32>
}

// -----

// A result of f64 is computed in f64; the log-sum-exp stays f32.
// CHECK-LABEL: func.func @wide
func.func @wide(%q: tensor<3x16xf64>, %k: tensor<17x16xf64>, %init: tensor<3x16xf64>, %none: tensor<3xf32>)
    -> (tensor<3x16xf64>, tensor<3xf32>) {
  // CHECK-NOT: arith.truncf
  // CHECK: math.exp %{{.*}} : f64
  // CHECK: math.log %{{.*}} : f64
  // CHECK: arith.truncf %{{.*}} : f64 to f32
  %y, %lse = attn.attention "nk, mk, mv -> nv" query(%q : tensor<3x16xf64>) key(%k : tensor<17x16xf64>)
      value(%k : tensor<17x16xf64>) scale 0.25
      outs(%init : tensor<3x16xf64>) lse(%none : tensor<3xf32>) -> tensor<3x16xf64>, tensor<3xf32>
  return %y, %lse : tensor<3x16xf64>, tensor<3xf32>
}
