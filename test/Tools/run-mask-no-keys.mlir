// No valid key under a mask that an equality gives: nothing is read, rows are 0.

// RUN: %einhead run %s --function=no_keys --repeat=1 | FileCheck %s
// CHECK: output f32[4,64] pass

// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --function=no_keys --repeat=1 --perturb=1e-3 | FileCheck %s --check-prefix=PERTURB
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

// All bounds are numbers, and no key lies between them.  The log-sum-exp of no
// key is -inf, its exponential 0; with one key inside (row 1: key 4) it is not.

// RUN: %einhead run %s --function=none_at_all --repeat=1 --output=weight=%t.none.npy | FileCheck %s --check-prefix=NONE
// RUN: %einhead run %s --function=one --repeat=1 --output=weight=%t.one.npy | FileCheck %s --check-prefix=ONE
// NONE: y f32[2,1,8] pass
// NONE-NEXT: weight f32[2,1] pass
// ONE: y f32[2,1,8] pass
// ONE-NEXT: weight f32[2,1] pass
// RUN: not %python %S/Inputs/close.py %t.none.npy %t.one.npy 0

func.func @none_at_all(%q: tensor<2x1x5xf16>, %k: tensor<2x14x5xf16>, %v: tensor<2x14x8xf16>)
    -> (tensor<2x1x8xf32> {attn.name = "y"}, tensor<2x1xf32> {attn.name = "weight"}) {
  %init = tensor.empty() : tensor<2x1x8xf32>
  %lse = tensor.empty() : tensor<2x1xf32>
  %y:2 = attn.attention "akg, alg, alv -> akv" query(%q : tensor<2x1x5xf16>) key(%k : tensor<2x14x5xf16>)
      value(%v : tensor<2x14x8xf16>) scale 0.5 mask <"al", "(a, l) : (a - l - 3 == 0)">()
      outs(%init : tensor<2x1x8xf32>) lse(%lse : tensor<2x1xf32>) -> tensor<2x1x8xf32>, tensor<2x1xf32>
  %weight = math.exp %y#1 : tensor<2x1xf32>
  return %y#0, %weight : tensor<2x1x8xf32>, tensor<2x1xf32>
}

func.func @one(%q: tensor<2x1x5xf16>, %k: tensor<2x14x5xf16>, %v: tensor<2x14x8xf16>)
    -> (tensor<2x1x8xf32> {attn.name = "y"}, tensor<2x1xf32> {attn.name = "weight"}) {
  %init = tensor.empty() : tensor<2x1x8xf32>
  %lse = tensor.empty() : tensor<2x1xf32>
  %y:2 = attn.attention "akg, alg, alv -> akv" query(%q : tensor<2x1x5xf16>) key(%k : tensor<2x14x5xf16>)
      value(%v : tensor<2x14x8xf16>) scale 0.5 mask <"al", "(a, l) : (a - l + 3 == 0, a - 1 >= 0)">()
      outs(%init : tensor<2x1x8xf32>) lse(%lse : tensor<2x1xf32>) -> tensor<2x1x8xf32>, tensor<2x1xf32>
  %weight = math.exp %y#1 : tensor<2x1xf32>
  return %y#0, %weight : tensor<2x1x8xf32>, tensor<2x1xf32>
}
