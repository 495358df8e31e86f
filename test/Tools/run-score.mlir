// What is done with each score: soft-cap, ALiBi, boolean masks and repeated
// biases against the oracle, at odd sizes; an error in one element is seen.

// RUN: %einhead run %s --function=soft_cap --require-fused --repeat=1 --size=b=2,n=5,m=37 | FileCheck %s
// RUN: %einhead run %s --function=soft_cap --require-fused --repeat=1 --size=b=1,n=3,m=517 --threads=2 | FileCheck %s
// RUN: %einhead run %s --function=soft_cap --no-fuse --repeat=1 --size=b=2,n=5,m=37 | FileCheck %s
// RUN: not %einhead run %s --function=soft_cap --repeat=1 --size=b=2,n=5,m=37 --perturb=1e-2 2>&1 | FileCheck %s --check-prefix=WRONG
// RUN: %einhead run %s --function=alibi --require-fused --repeat=1 --size=b=2,n=5,m=37 | FileCheck %s
// RUN: %einhead run %s --function=alibi --require-fused --repeat=1 --size=b=1,n=3,m=517 --threads=2 | FileCheck %s
// RUN: %einhead run %s --function=alibi --no-fuse --repeat=1 --size=b=2,n=5,m=37 | FileCheck %s
// RUN: %einhead run %s --function=boolean_mask --require-fused --repeat=1 --size=b=2,n=5,m=37 | FileCheck %s
// RUN: %einhead run %s --function=boolean_mask --require-fused --repeat=1 --size=b=1,n=3,m=517 --threads=2 | FileCheck %s
// RUN: not %einhead run %s --function=boolean_mask --repeat=1 --size=b=2,n=5,m=37 --perturb=1e-2 2>&1 | FileCheck %s --check-prefix=WRONG
// RUN: %einhead run %s --function=repeated_bias --require-fused --repeat=1 --size=b=2,n=5,m=37 | FileCheck %s
// RUN: %einhead run %s --function=repeated_bias --require-fused --repeat=1 --size=b=1,n=3,m=517 --threads=2 | FileCheck %s
// RUN: %einhead run %s --function=repeated_bias --no-fuse --repeat=1 --size=b=2,n=5,m=37 | FileCheck %s
// CHECK: output f32[{{.*}}] pass
// WRONG: error: wrong result

#id = affine_map<(b, h, n, m) -> (b, h, n, m)>
#h = affine_map<(b, h, n, m) -> (h)>
#bm = affine_map<(b, h, n, m) -> (b, m)>
#nm = affine_map<(b, h, n, m) -> (n, m)>

func.func @soft_cap(
    %q: tensor<?x3x?x7xf32> {attn.name = "query", attn.shape = "b, 3, n, 7"},
    %k: tensor<?x?x7xf32> {attn.name = "key", attn.shape = "b, m, 7"},
    %v: tensor<?x?x5xf32> {attn.name = "value", attn.shape = "b, m, 5"})
    -> (tensor<?x3x?x5xf32> {attn.name = "output", attn.shape = "b, 3, n, 5"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %b = tensor.dim %q, %c0 : tensor<?x3x?x7xf32>
  %n = tensor.dim %q, %c2 : tensor<?x3x?x7xf32>
  %m = tensor.dim %k, %c1 : tensor<?x?x7xf32>
  %s = attn.einsum "bhnk, bmk -> bhnm"(%q, %k)
    : (tensor<?x3x?x7xf32>, tensor<?x?x7xf32>) -> tensor<?x3x?x?xf32>
  %two = arith.constant 2.0 : f32
  %cap = tensor.splat %two[%b, %n, %m] : tensor<?x3x?x?xf32>
  %t = arith.divf %s, %cap : tensor<?x3x?x?xf32>
  %u = math.tanh %t : tensor<?x3x?x?xf32>
  %w = arith.mulf %u, %cap : tensor<?x3x?x?xf32>
  %p = attn.softmax "bhnm" over "m"(%w) : tensor<?x3x?x?xf32>
  %y = attn.einsum "bhnm, bmv -> bhnv"(%p, %v)
    : (tensor<?x3x?x?xf32>, tensor<?x?x5xf32>) -> tensor<?x3x?x5xf32>
  return %y : tensor<?x3x?x5xf32>
}

func.func @alibi(
    %q: tensor<?x3x?x7xf32> {attn.name = "query", attn.shape = "b, 3, n, 7"},
    %k: tensor<?x?x7xf32> {attn.name = "key", attn.shape = "b, m, 7"},
    %v: tensor<?x?x5xf32> {attn.name = "value", attn.shape = "b, m, 5"},
    %slopes: tensor<3xf32> {attn.name = "slopes", attn.shape = "3"})
    -> (tensor<?x?x3x5xf32> {attn.name = "output", attn.shape = "b, n, 3, 5"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %b = tensor.dim %q, %c0 : tensor<?x3x?x7xf32>
  %rows = tensor.dim %q, %c2 : tensor<?x3x?x7xf32>
  %keys = tensor.dim %k, %c1 : tensor<?x?x7xf32>
  %s = attn.einsum "bhnk, bmk -> bhnm"(%q, %k)
    : (tensor<?x3x?x7xf32>, tensor<?x?x7xf32>) -> tensor<?x3x?x?xf32>
  %empty = tensor.empty(%b, %rows, %keys) : tensor<?x3x?x?xf32>
  %bias = linalg.generic {indexing_maps = [#h, #id],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%slopes : tensor<3xf32>) outs(%empty : tensor<?x3x?x?xf32>) {
    ^bb0(%slope: f32, %out: f32):
      %n = linalg.index 2 : index
      %m = linalg.index 3 : index
      %distance = arith.subi %m, %n : index
      %i = arith.index_cast %distance : index to i64
      %f = arith.sitofp %i : i64 to f32
      %r = arith.mulf %f, %slope : f32
      linalg.yield %r : f32
  } -> tensor<?x3x?x?xf32>
  %t = arith.addf %s, %bias : tensor<?x3x?x?xf32>
  %p = attn.softmax "bhnm" over "m"(%t) : tensor<?x3x?x?xf32>
  %y = attn.einsum "bhnm, bmv -> bnhv"(%p, %v)
    : (tensor<?x3x?x?xf32>, tensor<?x?x5xf32>) -> tensor<?x?x3x5xf32>
  return %y : tensor<?x?x3x5xf32>
}

// The mask holds where a number of the caller's is positive.
func.func @boolean_mask(
    %q: tensor<?x3x?x7xf32> {attn.name = "query", attn.shape = "b, 3, n, 7"},
    %k: tensor<?x?x7xf32> {attn.name = "key", attn.shape = "b, m, 7"},
    %v: tensor<?x?x5xf32> {attn.name = "value", attn.shape = "b, m, 5"},
    %sign: tensor<?x?xf32> {attn.name = "sign", attn.shape = "n, m"})
    -> (tensor<?x3x?x5xf32> {attn.name = "output", attn.shape = "b, 3, n, 5"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %b = tensor.dim %q, %c0 : tensor<?x3x?x7xf32>
  %n = tensor.dim %q, %c2 : tensor<?x3x?x7xf32>
  %m = tensor.dim %k, %c1 : tensor<?x?x7xf32>
  %s = attn.einsum "bhnk, bmk -> bhnm"(%q, %k)
    : (tensor<?x3x?x7xf32>, tensor<?x?x7xf32>) -> tensor<?x3x?x?xf32>
  %empty = tensor.empty(%b, %n, %m) : tensor<?x3x?x?xf32>
  %t = linalg.generic {indexing_maps = [#id, #nm, #id],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%s, %sign : tensor<?x3x?x?xf32>, tensor<?x?xf32>) outs(%empty : tensor<?x3x?x?xf32>) {
    ^bb0(%score: f32, %x: f32, %out: f32):
      %zero = arith.constant 0.0 : f32
      %dead = arith.constant 0xFF800000 : f32
      %holds = arith.cmpf ogt, %x, %zero : f32
      %r = arith.select %holds, %score, %dead : f32
      linalg.yield %r : f32
  } -> tensor<?x3x?x?xf32>
  %p = attn.softmax "bhnm" over "m"(%t) : tensor<?x3x?x?xf32>
  %y = attn.einsum "bhnm, bmv -> bhnv"(%p, %v)
    : (tensor<?x3x?x?xf32>, tensor<?x?x5xf32>) -> tensor<?x3x?x5xf32>
  return %y : tensor<?x3x?x5xf32>
}

// A bias of the keys alone, as an operand beside a region.
func.func @repeated_bias(
    %q: tensor<?x3x?x7xf32> {attn.name = "query", attn.shape = "b, 3, n, 7"},
    %k: tensor<?x?x7xf32> {attn.name = "key", attn.shape = "b, m, 7"},
    %v: tensor<?x?x5xf32> {attn.name = "value", attn.shape = "b, m, 5"},
    %bias: tensor<?x?xf32> {attn.name = "bias", attn.shape = "b, m"})
    -> (tensor<?x3x?x5xf32> {attn.name = "output", attn.shape = "b, 3, n, 5"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %b = tensor.dim %q, %c0 : tensor<?x3x?x7xf32>
  %n = tensor.dim %q, %c2 : tensor<?x3x?x7xf32>
  %m = tensor.dim %k, %c1 : tensor<?x?x7xf32>
  %s = attn.einsum "bhnk, bmk -> bhnm"(%q, %k)
    : (tensor<?x3x?x7xf32>, tensor<?x?x7xf32>) -> tensor<?x3x?x?xf32>
  %t = math.tanh %s : tensor<?x3x?x?xf32>
  %empty = tensor.empty(%b, %n, %m) : tensor<?x3x?x?xf32>
  %repeated = linalg.generic {indexing_maps = [#bm, #id],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%bias : tensor<?x?xf32>) outs(%empty : tensor<?x3x?x?xf32>) {
    ^bb0(%x: f32, %out: f32):
      linalg.yield %x : f32
  } -> tensor<?x3x?x?xf32>
  %u = arith.addf %t, %repeated : tensor<?x3x?x?xf32>
  %p = attn.softmax "bhnm" over "m"(%u) : tensor<?x3x?x?xf32>
  %y = attn.einsum "bhnm, bmv -> bhnv"(%p, %v)
    : (tensor<?x3x?x?xf32>, tensor<?x?x5xf32>) -> tensor<?x3x?x5xf32>
  return %y : tensor<?x3x?x5xf32>
}
