// RUN: einhead-opt %s --attn-schedule=cpu=znver4 | FileCheck %s

// i8 rows are multiplied as f32, whatever the query is: no pairs of bf16.

// CHECK-LABEL: func.func @scaled
// CHECK: schedule <chunk = 512, key_tile = 64, row_tile = 1, lanes = 16, prefetch = 128>
func.func @scaled(%q: tensor<8x128xbf16>, %k: tensor<8x?x128xi8>, %v: tensor<8x?x128xi8>, %ks: tensor<8x?xf32>, %vs: tensor<8x?xf32>,
                  %init: tensor<8x128xf32>) -> tensor<8x128xf32> {
  %y = attn.attention "gk, gmk, gmv -> gv" query(%q : tensor<8x128xbf16>) key(%k : tensor<8x?x128xi8>) value(%v : tensor<8x?x128xi8>)
      scale 1.0 key_scale(%ks : tensor<8x?xf32>) value_scale(%vs : tensor<8x?xf32>) outs(%init : tensor<8x128xf32>) -> tensor<8x128xf32>
  return %y : tensor<8x128xf32>
}

// The near miss: the same in bf16.
// CHECK-LABEL: func.func @pairs
// CHECK: products = dot
func.func @pairs(%q: tensor<8x128xbf16>, %k: tensor<8x?x128xbf16>, %v: tensor<8x?x128xbf16>, %init: tensor<8x128xf32>) -> tensor<8x128xf32> {
  %y = attn.attention "gk, gmk, gmv -> gv" query(%q : tensor<8x128xbf16>) key(%k : tensor<8x?x128xbf16>) value(%v : tensor<8x?x128xbf16>)
      scale 1.0 outs(%init : tensor<8x128xf32>) -> tensor<8x128xf32>
  return %y : tensor<8x128xf32>
}
