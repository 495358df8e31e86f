// A step with caches and a length: new rows are appended, the cache after the
// call is compared too, and rows past the length may hold anything.

// RUN: %einhead run %s --size=b=2,m=19 --length=6 --repeat=2 | FileCheck %s
// RUN: %einhead run %s --size=b=2,m=19 --length=0 --poison | FileCheck %s
// RUN: %einhead run %s --size=b=2,m=19 --length=18 --poison | FileCheck %s
// CHECK: @step, length [[N:[0-9]+]],[[N]]
// CHECK-NEXT: output f32[2,3,8] pass
// CHECK-NEXT: keys f32[2,19,8] pass

// One more does not fit.
// RUN: %python %S/Inputs/exits.py 2 %einhead run %s --size=b=2,m=19 --length=19 | FileCheck %s --check-prefix=FULL
// FULL: error: calling 'step'
// FULL: help:

#b = affine_map<(b) -> (b)>

func.func @step(
    %q: tensor<?x3x8xf32> {attn.name = "query", attn.shape = "b, 3, 8"},
    %new: tensor<?x8xf32> {attn.name = "row", attn.shape = "b, 8"},
    %length: tensor<?xi64> {attn.length, attn.name = "length", attn.shape = "b"},
    %cache: tensor<?x?x8xf32> {attn.cache, attn.name = "keys", attn.shape = "b, m, 8"})
    -> (tensor<?x3x8xf32> {attn.name = "output", attn.shape = "b, 3, 8"}, tensor<?x?x8xf32> {attn.cache = "keys"}) {
  %k = attn.append "bk -> bmk"(%new into %cache at %length : tensor<?xi64>)
    : tensor<?x8xf32> into tensor<?x?x8xf32>
  %0 = attn.einsum "bhk, bmk -> bhm"(%q, %k)
    : (tensor<?x3x8xf32>, tensor<?x?x8xf32>) -> tensor<?x3x?xf32>
  %c0 = arith.constant 0 : index
  %b = tensor.dim %length, %c0 : tensor<?xi64>
  %empty = tensor.empty(%b) : tensor<?xi64>
  %valid = linalg.generic {indexing_maps = [#b, #b], iterator_types = ["parallel"]}
      ins(%length : tensor<?xi64>) outs(%empty : tensor<?xi64>) {
  ^bb0(%old: i64, %unused: i64):
    %one = arith.constant 1 : i64
    %sum = arith.addi %old, %one : i64
    linalg.yield %sum : i64
  } -> tensor<?xi64>
  %1 = attn.softmax "bhm" over "m"(%0) valid(%valid : tensor<?xi64>) : tensor<?x3x?xf32>
  %2 = attn.einsum "bhm, bmk -> bhk"(%1, %k)
    : (tensor<?x3x?xf32>, tensor<?x?x8xf32>) -> tensor<?x3x8xf32>
  return %2, %k : tensor<?x3x8xf32>, tensor<?x?x8xf32>
}
