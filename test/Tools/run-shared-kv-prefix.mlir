// A prefix that all beams share and a suffix of each are attended by themselves
// and merged; the result is what the oracle says of the whole.

// Fewer valid keys than the prefix has, as many, some more, all.
// RUN: %einhead run %s --function=beams --length=4 --repeat=1 | FileCheck %s
// RUN: %einhead run %s --function=beams --length=11 --repeat=1 | FileCheck %s
// RUN: %einhead run %s --function=beams --length=15 --repeat=1 | FileCheck %s
// RUN: %einhead run %s --function=beams --length=18 --repeat=1 | FileCheck %s
// RUN: %einhead run %s --function=beams --length=15 --repeat=1 --no-fuse | FileCheck %s
// RUN: %einhead run %s --function=masked --repeat=1 | FileCheck %s
// RUN: %einhead run %s --function=grouped --repeat=1 | FileCheck %s
// CHECK: pass
// CHECK-NOT: FAIL

// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --function=masked --perturb=1e-3 --repeat=1
// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --function=grouped --perturb=1e-3 --repeat=1

// Each is merged.
// RUN: %einhead explain %s | FileCheck %s --check-prefix=EXPLAIN
// EXPLAIN-LABEL: @beams
// EXPLAIN: the same for all "b"
// EXPLAIN-LABEL: @masked
// EXPLAIN: the same for all "b"
// EXPLAIN-LABEL: @grouped
// EXPLAIN: "bgrk, gmk, gmv -> bgrv"
// EXPLAIN: the same for all "b"

func.func @beams(
    %q: tensor<3x2x5xf32> {attn.name = "query", attn.shape = "3, 2, 5"},
    %p: tensor<11x5xf32> {attn.name = "prefix", attn.shape = "11, 5"},
    %s: tensor<3x7x5xf32> {attn.name = "suffix", attn.shape = "3, 7, 5"},
    %length: index {attn.name = "length", attn.length})
    -> (tensor<3x2x5xf32> {attn.name = "output", attn.shape = "3, 2, 5"}) {
  %e = tensor.empty() : tensor<3x11x5xf32>
  %pb = linalg.broadcast ins(%p : tensor<11x5xf32>) outs(%e : tensor<3x11x5xf32>) dimensions = [0]
  %k = tensor.concat dim(1) %pb, %s : (tensor<3x11x5xf32>, tensor<3x7x5xf32>) -> tensor<3x18x5xf32>
  %c = attn.einsum "bhk, bmk -> bhm"(%q, %k) : (tensor<3x2x5xf32>, tensor<3x18x5xf32>) -> tensor<3x2x18xf32>
  %w = attn.softmax "bhm" over "m"(%c) valid(%length : index) : tensor<3x2x18xf32>
  %y = attn.einsum "bhm, bmv -> bhv"(%w, %k) : (tensor<3x2x18xf32>, tensor<3x18x5xf32>) -> tensor<3x2x5xf32>
  return %y : tensor<3x2x5xf32>
}

// A mask by the key and a bias: row 0 sees keys of the prefix only.
func.func @masked(
    %q: tensor<3x4x5xf32> {attn.name = "query", attn.shape = "3, 4, 5"},
    %p: tensor<11x5xf32> {attn.name = "prefix", attn.shape = "11, 5"},
    %s: tensor<3x7x5xf32> {attn.name = "suffix", attn.shape = "3, 7, 5"},
    %bias: tensor<3x4x18xf32> {attn.name = "bias", attn.shape = "3, 4, 18"})
    -> (tensor<3x4x5xf32> {attn.name = "output", attn.shape = "3, 4, 5"}) {
  %e = tensor.empty() : tensor<3x11x5xf32>
  %pb = linalg.broadcast ins(%p : tensor<11x5xf32>) outs(%e : tensor<3x11x5xf32>) dimensions = [0]
  %w = tensor.empty() : tensor<3x18x5xf32>
  %k0 = tensor.insert_slice %pb into %w[0, 0, 0] [3, 11, 5] [1, 1, 1] : tensor<3x11x5xf32> into tensor<3x18x5xf32>
  %k = tensor.insert_slice %s into %k0[0, 11, 0] [3, 7, 5] [1, 1, 1] : tensor<3x7x5xf32> into tensor<3x18x5xf32>
  %c = attn.einsum "bnk, bmk -> bnm"(%q, %k) : (tensor<3x4x5xf32>, tensor<3x18x5xf32>) -> tensor<3x4x18xf32>
  %d = arith.addf %c, %bias : tensor<3x4x18xf32>
  %x = attn.softmax "bnm" over "m"(%d) mask <"nm", "(n, m) : (3 * n + 7 - m >= 0)">() : tensor<3x4x18xf32>
  %y = attn.einsum "bnm, bmv -> bnv"(%x, %k) : (tensor<3x4x18xf32>, tensor<3x18x5xf32>) -> tensor<3x4x5xf32>
  return %y : tensor<3x4x5xf32>
}

func.func @grouped(
    %q: tensor<3x4x5xf32> {attn.name = "query", attn.shape = "3, 4, 5"},
    %p: tensor<2x11x5xf32> {attn.name = "prefix", attn.shape = "2, 11, 5"},
    %s: tensor<3x2x7x5xf32> {attn.name = "suffix", attn.shape = "3, 2, 7, 5"})
    -> (tensor<3x4x5xf32> {attn.name = "output", attn.shape = "3, 4, 5"}) {
  %b = tensor.empty() : tensor<3x2x11x5xf32>
  %pb = linalg.broadcast ins(%p : tensor<2x11x5xf32>) outs(%b : tensor<3x2x11x5xf32>) dimensions = [0]
  %c = tensor.concat dim(2) %pb, %s : (tensor<3x2x11x5xf32>, tensor<3x2x7x5xf32>) -> tensor<3x2x18x5xf32>
  %e = tensor.empty() : tensor<3x2x2x18x5xf32>
  %r = linalg.broadcast ins(%c : tensor<3x2x18x5xf32>) outs(%e : tensor<3x2x2x18x5xf32>) dimensions = [2]
  %k = tensor.collapse_shape %r [[0], [1, 2], [3], [4]] : tensor<3x2x2x18x5xf32> into tensor<3x4x18x5xf32>
  %x = attn.einsum "bhk, bhmk -> bhm"(%q, %k) : (tensor<3x4x5xf32>, tensor<3x4x18x5xf32>) -> tensor<3x4x18xf32>
  %w = attn.softmax "bhm" over "m"(%x) : tensor<3x4x18xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%w, %k) : (tensor<3x4x18xf32>, tensor<3x4x18x5xf32>) -> tensor<3x4x5xf32>
  return %y : tensor<3x4x5xf32>
}
