// A boolean mask and a soft-cap in a score region, a sink and the log-sum-exp
// are run and checked; an error planted in an output is found.

// RUN: %einhead run %s --size=m=137 --repeat=1 | FileCheck %s
// CHECK: output f32[2,3,16] pass
// CHECK-NEXT: lse f32[2,3] pass
// RUN: %einhead run %s --size=m=1 --repeat=1 --seed=3 | FileCheck %s
// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --size=m=137 --repeat=1 --perturb=1e-3 | FileCheck %s --check-prefix=PERTURB
// PERTURB: output f32[2,3,16] FAIL
// PERTURB: error: wrong result in @attend

func.func @attend(
    %q: tensor<2x3x16xf32> {attn.name = "query"},
    %k: tensor<?x16xf32> {attn.name = "key", attn.shape = "m, 16"},
    %v: tensor<?x16xf32> {attn.name = "value", attn.shape = "m, 16"},
    %keep: tensor<3x?xi1> {attn.name = "keep", attn.shape = "3, m"},
    %sink: tensor<2xf32> {attn.name = "sink"})
    -> (tensor<2x3x16xf32> {attn.name = "output"},
        tensor<2x3xf32> {attn.name = "lse"}) {
  %cap = arith.constant 20.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %init = tensor.empty() : tensor<2x3x16xf32>
  %none = tensor.empty() : tensor<2x3xf32>
  %y, %lse = attn.attention "hnk, mk, mv -> hnv"
      query(%q : tensor<2x3x16xf32>) key(%k : tensor<?x16xf32>)
      value(%v : tensor<?x16xf32>) scale 0.25
      sink "h"(%sink : tensor<2xf32>)
      score {
      ^bb0(%s: f32, %h: index, %n: index, %m: index):
        %kept = tensor.extract %keep[%n, %m] : tensor<3x?xi1>
        %a = arith.divf %s, %cap : f32
        %b = math.tanh %a : f32
        %c = arith.mulf %b, %cap : f32
        %t = arith.select %kept, %c, %low : f32
        attn.yield %t : f32
      }
      outs(%init : tensor<2x3x16xf32>) lse(%none : tensor<2x3xf32>)
      -> tensor<2x3x16xf32>, tensor<2x3xf32>
  return %y, %lse : tensor<2x3x16xf32>, tensor<2x3xf32>
}
