// Masks that are walked in other parts than they are written in: with conditions
// on heads, keys in no list, rows that share a walk, sets that overlap.

// RUN: %einhead run %s --function=half_of_the_heads --size=m=200 --repeat=1 | FileCheck %s
// RUN: %einhead run %s --function=half_of_the_rows --size=m=200 --repeat=1 | FileCheck %s
// RUN: %einhead run %s --function=three_of_four --size=m=200 --repeat=1 | FileCheck %s
// RUN: %einhead run %s --function=many_rows --size=m=200 --repeat=1 | FileCheck %s
// RUN: %einhead run %s --function=overlapping --size=m=200 --repeat=1 | FileCheck %s
// CHECK: y f32{{.*}} pass

// RUN: not %einhead run %s --function=half_of_the_heads --size=m=200 --repeat=1 --perturb=1e-2
// RUN: not %einhead run %s --function=half_of_the_rows --size=m=200 --repeat=1 --perturb=1e-2
// RUN: not %einhead run %s --function=three_of_four --size=m=200 --repeat=1 --perturb=1e-2
// RUN: not %einhead run %s --function=many_rows --size=m=200 --repeat=1 --perturb=1e-2
// RUN: not %einhead run %s --function=overlapping --size=m=200 --repeat=1 --perturb=1e-2

func.func @half_of_the_heads(%q: tensor<8x16xf32> {attn.shape = "8, 16"}, %k: tensor<8x?x16xf32> {attn.shape = "8, m, 16"}, %v: tensor<8x?x16xf32> {attn.shape = "8, m, 16"})
    -> (tensor<8x16xf32> {attn.name = "y", attn.shape = "8, 16"}) {
  %p = arith.constant 150 : index
  %init = tensor.empty() : tensor<8x16xf32>
  %y = attn.attention "hk, hmk, hmv -> hv" query(%q : tensor<8x16xf32>)
    key(%k : tensor<8x?x16xf32>) value(%v : tensor<8x?x16xf32>) scale 0.25
    mask <"hm", "(h, m)[p] : (h - 4 >= 0, p - m >= 0)",
      "(h, m)[p] : (3 - h >= 0, m - p + 15 >= 0, p - m >= 0)">(%p)
    outs(%init : tensor<8x16xf32>) -> tensor<8x16xf32>
  return %y : tensor<8x16xf32>
}

func.func @three_of_four(%q: tensor<8x9x16xf32> {attn.shape = "8, 9, 16"}, %k: tensor<?x16xf32> {attn.shape = "m, 16"}, %v: tensor<?x16xf32> {attn.shape = "m, 16"})
    -> (tensor<8x9x16xf32> {attn.name = "y", attn.shape = "8, 9, 16"}) {
  %p = arith.constant 150 : index
  %init = tensor.empty() : tensor<8x9x16xf32>
  %y = attn.attention "hnk, mk, mv -> hnv" query(%q : tensor<8x9x16xf32>)
    key(%k : tensor<?x16xf32>) value(%v : tensor<?x16xf32>) scale 0.25
    mask <"nm", "(n, m)[p] : (p + n - m >= 0, m mod 4 - 1 >= 0)">(%p)
    outs(%init : tensor<8x9x16xf32>) -> tensor<8x9x16xf32>
  return %y : tensor<8x9x16xf32>
}

func.func @many_rows(%q: tensor<8x9x16xf32> {attn.shape = "8, 9, 16"}, %k: tensor<?x16xf32> {attn.shape = "m, 16"}, %v: tensor<?x16xf32> {attn.shape = "m, 16"})
    -> (tensor<8x9x16xf32> {attn.name = "y", attn.shape = "8, 9, 16"}) {
  %p = arith.constant 150 : index
  %init = tensor.empty() : tensor<8x9x16xf32>
  %y = attn.attention "hnk, mk, mv -> hnv" query(%q : tensor<8x9x16xf32>)
    key(%k : tensor<?x16xf32>) value(%v : tensor<?x16xf32>) scale 0.25
    mask <"nm", strided(2)>(%p)
    outs(%init : tensor<8x9x16xf32>) -> tensor<8x9x16xf32>
  return %y : tensor<8x9x16xf32>
}

func.func @overlapping(%q: tensor<8x16xf32> {attn.shape = "8, 16"}, %k: tensor<8x?x16xf32> {attn.shape = "8, m, 16"}, %v: tensor<8x?x16xf32> {attn.shape = "8, m, 16"})
    -> (tensor<8x16xf32> {attn.name = "y", attn.shape = "8, 16"}) {
  %p = arith.constant 3 : index
  %init = tensor.empty() : tensor<8x16xf32>
  %y = attn.attention "hk, hmk, hmv -> hv" query(%q : tensor<8x16xf32>)
    key(%k : tensor<8x?x16xf32>) value(%v : tensor<8x?x16xf32>) scale 0.25
    mask <"hm", "(h, m)[p] : ((8 - m) mod 2 - 1 >= 0, p - 4 >= 0)",
      "(h, m)[p] : ((h + 10) mod 5 - 1 >= 0, h + p - 6 == 0)", "(h, m)[p] : (p - h + 1 >= 0)">(%p)
    outs(%init : tensor<8x16xf32>) -> tensor<8x16xf32>
  return %y : tensor<8x16xf32>
}

// Heads over one K and V are rows of one tile: no key counts for all of them,
// and half of them attend none.
func.func @half_of_the_rows(%q: tensor<8x16xf32> {attn.shape = "8, 16"}, %k: tensor<?x16xf32> {attn.shape = "m, 16"}, %v: tensor<?x16xf32> {attn.shape = "m, 16"})
    -> (tensor<8x16xf32> {attn.name = "y", attn.shape = "8, 16"}) {
  %p = arith.constant 150 : index
  %init = tensor.empty() : tensor<8x16xf32>
  %y = attn.attention "hk, mk, mv -> hv" query(%q : tensor<8x16xf32>)
    key(%k : tensor<?x16xf32>) value(%v : tensor<?x16xf32>) scale 0.25
    mask <"hm", "(h, m)[p] : (h - 4 >= 0, p - m >= 0)">(%p)
    outs(%init : tensor<8x16xf32>) -> tensor<8x16xf32>
  return %y : tensor<8x16xf32>
}
