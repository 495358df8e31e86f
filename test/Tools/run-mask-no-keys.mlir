// No valid key under a mask that an equality gives: nothing is read, rows are 0.

// RUN: %einhead run %s --repeat=1 | FileCheck %s
// CHECK: output f32[4,64] pass

// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --repeat=1 --perturb=1e-3 | FileCheck %s --check-prefix=PERTURB
// PERTURB: error: wrong result in @no_keys

func.func @no_keys(%q: tensor<4x16xf32>, %k: tensor<37x16xf32>, %v: tensor<37x64xf32>)
    -> (tensor<4x64xf32> {attn.name = "output"}) {
  %n = arith.constant 0 : index
  %p = arith.constant 15 : index
  %init = tensor.empty() : tensor<4x64xf32>
  %y = attn.attention "nk, mk, mv -> nv" query(%q : tensor<4x16xf32>) key(%k : tensor<37x16xf32>)
      value(%v : tensor<37x64xf32>) scale 0.25 valid(%n : index)
      mask <"nm", "(n, m)[p] : (3 * m - n - 4 == 0, p - m >= 0)">(%p)
      outs(%init : tensor<4x64xf32>) -> tensor<4x64xf32>
  return %y : tensor<4x64xf32>
}
