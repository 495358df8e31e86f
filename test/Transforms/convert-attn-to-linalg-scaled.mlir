// RUN: einhead-opt %s --convert-attn-to-linalg | FileCheck %s

// Without tiles i8 rows are multiplied by their scales first.

// CHECK-DAG: #[[$ROWS:.*]] = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
// CHECK-DAG: #[[$SCALES:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-LABEL: func.func @key
// CHECK-SAME: %[[KEY:[a-z0-9]+]]: tensor<2x77x24xi8>, %[[VALUE:[a-z0-9]+]]: tensor<2x77x24xf32>, %[[SCALE:[a-z0-9]+]]: tensor<2x77xf32>
// CHECK: %[[WIDE:.*]] = arith.sitofp %[[KEY]] : tensor<2x77x24xi8> to tensor<2x77x24xf32>
// CHECK: %[[PRODUCT:.*]] = linalg.generic {indexing_maps = [#[[$ROWS]], #[[$SCALES]], #[[$ROWS]]], iterator_types = ["parallel", "parallel", "parallel"]} ins(%[[WIDE]], %[[SCALE]] :
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[PRODUCT]] :
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[VALUE]] :
func.func @key(%q: tensor<2x3x24xf32>, %k: tensor<2x77x24xi8>, %v: tensor<2x77x24xf32>, %ks: tensor<2x77xf32>,
               %init: tensor<2x3x24xf32>) -> tensor<2x3x24xf32> {
  %y = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x3x24xf32>) key(%k : tensor<2x77x24xi8>)
      value(%v : tensor<2x77x24xf32>) scale 0.125 key_scale(%ks : tensor<2x77xf32>)
      outs(%init : tensor<2x3x24xf32>) -> tensor<2x3x24xf32>
  return %y : tensor<2x3x24xf32>
}
