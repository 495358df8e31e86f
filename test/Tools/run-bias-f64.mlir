// A bias of f64 is rounded to f32, where the keys are the last dimension and where
// they are not.

// RUN: %einhead run %s --function=rows --repeat=1 | FileCheck %s
// RUN: %einhead run %s --function=columns --repeat=1 | FileCheck %s
// CHECK: y f32[3,5] pass
// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --function=columns --repeat=1 --perturb=1e-3 | FileCheck %s --check-prefix=PERTURB
// PERTURB: error: wrong result in @columns

func.func @rows(%q: tensor<3x8xf32>, %k: tensor<45x8xbf16>, %v: tensor<45x5xbf16>, %bias: tensor<3x45xf64>)
    -> (tensor<3x5xf32> {attn.name = "y"}) {
  %init = tensor.empty() : tensor<3x5xf32>
  %y = attn.attention "ct, mt, me -> ce" query(%q : tensor<3x8xf32>) key(%k : tensor<45x8xbf16>)
      value(%v : tensor<45x5xbf16>) scale 0.25 bias "cm"(%bias : tensor<3x45xf64>)
      outs(%init : tensor<3x5xf32>) -> tensor<3x5xf32>
  return %y : tensor<3x5xf32>
}

func.func @columns(%q: tensor<3x8xf32>, %k: tensor<8x45xbf16>, %v: tensor<45x5xbf16>, %bias: tensor<3x45xf64>)
    -> (tensor<3x5xf32> {attn.name = "y"}) {
  %init = tensor.empty() : tensor<3x5xf32>
  %y = attn.attention "ct, tm, me -> ce" query(%q : tensor<3x8xf32>) key(%k : tensor<8x45xbf16>)
      value(%v : tensor<45x5xbf16>) scale 0.25 bias "cm"(%bias : tensor<3x45xf64>)
      outs(%init : tensor<3x5xf32>) -> tensor<3x5xf32>
  return %y : tensor<3x5xf32>
}
