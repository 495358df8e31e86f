// Latent attention whose key is one tensor of a projected and a rotary part, run
// absorbed, against the oracle, which puts the key together; an error in one
// element is seen.

// RUN: %einhead explain %s --size=b=2,m=37 2>&1 | FileCheck %s --check-prefix=EXPLAIN
// EXPLAIN-LABEL: @concatenated
// EXPLAIN: the weights of keys and values are absorbed
// EXPLAIN: the value is columns 0 to 10 of the key's 14: K alone is read
// EXPLAIN-LABEL: @inserted
// EXPLAIN: the weights of keys and values are absorbed
// EXPLAIN: the value is columns 0 to 10 of the key's 14: K alone is read

// RUN: %einhead run %s --function=concatenated --require-fused --repeat=1 --size=b=2,m=37 | FileCheck %s
// RUN: %einhead run %s --function=concatenated --require-fused --repeat=1 --size=b=1,m=1 | FileCheck %s
// RUN: %einhead run %s --function=concatenated --require-fused --repeat=1 --size=b=3,m=517 --threads=2 | FileCheck %s
// RUN: %einhead run %s --function=concatenated --no-fuse --repeat=1 --size=b=2,m=37 | FileCheck %s
// RUN: %einhead run %s --function=inserted --require-fused --repeat=1 --size=m=37 | FileCheck %s
// RUN: %einhead run %s --function=inserted --require-fused --repeat=1 --size=m=1 | FileCheck %s
// RUN: %einhead run %s --function=inserted --no-fuse --repeat=1 --size=m=37 | FileCheck %s
// CHECK: output f32[{{.*}}] pass

// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --function=concatenated --repeat=1 --size=b=2,m=37 --perturb=1e-2 | FileCheck %s --check-prefix=WRONG
// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --function=inserted --repeat=1 --size=m=37 --perturb=1e-2 | FileCheck %s --check-prefix=WRONG
// WRONG: error: wrong result

func.func @concatenated(
    %q: tensor<?x3x7xf32> {attn.name = "query", attn.shape = "b, 3, 7"},
    %qr: tensor<?x3x3xf32> {attn.name = "rotary", attn.shape = "b, 3, 3"},
    %cache: tensor<?x?x14xf32> {attn.name = "cache", attn.shape = "b, m, 14"},
    %uk: tensor<3x11x7xf32> {attn.name = "up_k", attn.shape = "3, 11, 7"},
    %uv: tensor<3x11x5xf32> {attn.name = "up_v", attn.shape = "3, 11, 5"})
    -> (tensor<?x3x5xf32> {attn.name = "output", attn.shape = "b, 3, 5"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %cache, %c0 : tensor<?x?x14xf32>
  %m = tensor.dim %cache, %c1 : tensor<?x?x14xf32>
  %c = tensor.extract_slice %cache[0, 0, 0] [%b, %m, 11] [1, 1, 1]
    : tensor<?x?x14xf32> to tensor<?x?x11xf32>
  %kr = tensor.extract_slice %cache[0, 0, 11] [%b, %m, 3] [1, 1, 1]
    : tensor<?x?x14xf32> to tensor<?x?x3xf32>
  %kn = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<?x?x11xf32>, tensor<3x11x7xf32>) -> tensor<?x3x?x7xf32>
  %v = attn.einsum "bmc, hcv -> bhmv"(%c, %uv)
    : (tensor<?x?x11xf32>, tensor<3x11x5xf32>) -> tensor<?x3x?x5xf32>
  %e = tensor.empty(%b, %m) : tensor<?x3x?x3xf32>
  %krh = linalg.broadcast ins(%kr : tensor<?x?x3xf32>) outs(%e : tensor<?x3x?x3xf32>) dimensions = [1]
  %k = tensor.concat dim(3) %kn, %krh : (tensor<?x3x?x7xf32>, tensor<?x3x?x3xf32>) -> tensor<?x3x?x10xf32>
  %qk = tensor.concat dim(2) %q, %qr : (tensor<?x3x7xf32>, tensor<?x3x3xf32>) -> tensor<?x3x10xf32>
  %s = attn.einsum "bhk, bhmk -> bhm"(%qk, %k)
    : (tensor<?x3x10xf32>, tensor<?x3x?x10xf32>) -> tensor<?x3x?xf32>
  %p = attn.softmax "bhm" over "m"(%s) : tensor<?x3x?xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %v)
    : (tensor<?x3x?xf32>, tensor<?x3x?x5xf32>) -> tensor<?x3x5xf32>
  return %y : tensor<?x3x5xf32>
}

// The rotary part first, in a tensor of its own; the query is one tensor.
func.func @inserted(
    %q: tensor<3x10xf32> {attn.name = "query", attn.shape = "3, 10"},
    %c: tensor<?x11xf32> {attn.name = "latent", attn.shape = "m, 11"},
    %kr: tensor<?x3xf32> {attn.name = "rotary_key", attn.shape = "m, 3"},
    %uk: tensor<3x11x7xf32> {attn.name = "up_k", attn.shape = "3, 11, 7"},
    %uv: tensor<3x11x5xf32> {attn.name = "up_v", attn.shape = "3, 11, 5"})
    -> (tensor<3x5xf32> {attn.name = "output", attn.shape = "3, 5"}) {
  %c0 = arith.constant 0 : index
  %m = tensor.dim %c, %c0 : tensor<?x11xf32>
  %kn = attn.einsum "mc, hck -> hmk"(%c, %uk) : (tensor<?x11xf32>, tensor<3x11x7xf32>) -> tensor<3x?x7xf32>
  %v = attn.einsum "mc, hcv -> hmv"(%c, %uv) : (tensor<?x11xf32>, tensor<3x11x5xf32>) -> tensor<3x?x5xf32>
  %e = tensor.empty(%m) : tensor<3x?x3xf32>
  %krh = linalg.broadcast ins(%kr : tensor<?x3xf32>) outs(%e : tensor<3x?x3xf32>) dimensions = [0]
  %k0 = tensor.empty(%m) : tensor<3x?x10xf32>
  %k1 = tensor.insert_slice %krh into %k0[0, 0, 0] [3, %m, 3] [1, 1, 1] : tensor<3x?x3xf32> into tensor<3x?x10xf32>
  %k = tensor.insert_slice %kn into %k1[0, 0, 3] [3, %m, 7] [1, 1, 1] : tensor<3x?x7xf32> into tensor<3x?x10xf32>
  %s = attn.einsum "hk, hmk -> hm"(%q, %k) : (tensor<3x10xf32>, tensor<3x?x10xf32>) -> tensor<3x?xf32>
  %p = attn.softmax "hm" over "m"(%s) : tensor<3x?xf32>
  %y = attn.einsum "hm, hmv -> hv"(%p, %v) : (tensor<3x?xf32>, tensor<3x?x5xf32>) -> tensor<3x5xf32>
  return %y : tensor<3x5xf32>
}
