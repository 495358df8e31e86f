// Latent attention over bf16 and f16, absorbed, against the oracle, which projects
// the keys and rounds them as the graph does; an error in one element is seen.

// RUN: %einhead explain %s --size=b=2,m=37 2>&1 | FileCheck %s --check-prefix=EXPLAIN
// EXPLAIN-COUNT-4: the weights of keys and values are absorbed

// RUN: %einhead run %s --function=bf16 --require-fused --repeat=1 --size=b=2,m=37 | FileCheck %s
// RUN: %einhead run %s --function=bf16 --require-fused --repeat=1 --size=b=1,m=1 | FileCheck %s
// RUN: %einhead run %s --function=bf16 --require-fused --repeat=1 --size=b=3,m=517 | FileCheck %s
// RUN: %einhead run %s --function=bf16 --no-fuse --repeat=1 --size=b=2,m=37 | FileCheck %s
// RUN: %einhead run %s --function=f16 --require-fused --repeat=1 --size=b=2,m=37 | FileCheck %s
// RUN: %einhead run %s --function=f16 --require-fused --repeat=1 --size=b=1,m=1 | FileCheck %s
// RUN: %einhead run %s --function=f16 --require-fused --repeat=1 --size=b=3,m=517 | FileCheck %s
// RUN: %einhead run %s --function=f16 --no-fuse --repeat=1 --size=b=2,m=37 | FileCheck %s
// RUN: %einhead run %s --function=bf16_two --require-fused --repeat=1 --size=b=2,m=37 | FileCheck %s
// RUN: %einhead run %s --function=bf16_two --require-fused --repeat=1 --size=b=1,m=1 | FileCheck %s
// RUN: %einhead run %s --function=bf16_two --require-fused --repeat=1 --size=b=3,m=517 | FileCheck %s
// RUN: %einhead run %s --function=bf16_two --no-fuse --repeat=1 --size=b=2,m=37 | FileCheck %s
// RUN: %einhead run %s --function=f16_two --require-fused --repeat=1 --size=b=2,m=37 | FileCheck %s
// RUN: %einhead run %s --function=f16_two --require-fused --repeat=1 --size=b=1,m=1 | FileCheck %s
// RUN: %einhead run %s --function=f16_two --require-fused --repeat=1 --size=b=3,m=517 | FileCheck %s
// RUN: %einhead run %s --function=f16_two --no-fuse --repeat=1 --size=b=2,m=37 | FileCheck %s
// CHECK: output {{b?}}f{{[0-9]+}}[{{.*}}] pass

// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --function=bf16 --repeat=1 --size=b=2,m=37 --perturb=1e-1 | FileCheck %s --check-prefix=WRONG
// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --function=f16 --repeat=1 --size=b=2,m=37 --perturb=1e-2 | FileCheck %s --check-prefix=WRONG
// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --function=bf16_two --repeat=1 --size=b=2,m=37 --perturb=1e-1 | FileCheck %s --check-prefix=WRONG
// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --function=f16_two --repeat=1 --size=b=2,m=37 --perturb=1e-2 | FileCheck %s --check-prefix=WRONG
// WRONG: error: wrong result

func.func @bf16(
    %q: tensor<?x3x7xbf16> {attn.name = "query", attn.shape = "b, 3, 7"},
    %qr: tensor<?x3x3xbf16> {attn.name = "rotary", attn.shape = "b, 3, 3"},
    %cache: tensor<?x?x14xbf16> {attn.name = "cache", attn.shape = "b, m, 14"},
    %uk: tensor<3x11x7xbf16> {attn.name = "up_k", attn.shape = "3, 11, 7"},
    %uv: tensor<3x11x5xbf16> {attn.name = "up_v", attn.shape = "3, 11, 5"})
    -> (tensor<?x3x5xf32> {attn.name = "output", attn.shape = "b, 3, 5"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %cache, %c0 : tensor<?x?x14xbf16>
  %m = tensor.dim %cache, %c1 : tensor<?x?x14xbf16>
  %c = tensor.extract_slice %cache[0, 0, 0] [%b, %m, 11] [1, 1, 1]
    : tensor<?x?x14xbf16> to tensor<?x?x11xbf16>
  %kr = tensor.extract_slice %cache[0, 0, 11] [%b, %m, 3] [1, 1, 1]
    : tensor<?x?x14xbf16> to tensor<?x?x3xbf16>
  %k = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<?x?x11xbf16>, tensor<3x11x7xbf16>) -> tensor<?x3x?x7xbf16>
  %v = attn.einsum "bmc, hcv -> bhmv"(%c, %uv)
    : (tensor<?x?x11xbf16>, tensor<3x11x5xbf16>) -> tensor<?x3x?x5xbf16>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %k)
    : (tensor<?x3x7xbf16>, tensor<?x3x?x7xbf16>) -> tensor<?x3x?xf32>
  %r = attn.einsum "bhr, bmr -> bhm"(%qr, %kr)
    : (tensor<?x3x3xbf16>, tensor<?x?x3xbf16>) -> tensor<?x3x?xf32>
  %t = arith.addf %s, %r : tensor<?x3x?xf32>
  %p = attn.softmax "bhm" over "m"(%t) : tensor<?x3x?xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %v)
    : (tensor<?x3x?xf32>, tensor<?x3x?x5xbf16>) -> tensor<?x3x5xf32>
  return %y : tensor<?x3x5xf32>
}

func.func @f16(
    %q: tensor<?x3x7xf16> {attn.name = "query", attn.shape = "b, 3, 7"},
    %qr: tensor<?x3x3xf16> {attn.name = "rotary", attn.shape = "b, 3, 3"},
    %cache: tensor<?x?x14xf16> {attn.name = "cache", attn.shape = "b, m, 14"},
    %uk: tensor<3x11x7xf16> {attn.name = "up_k", attn.shape = "3, 11, 7"},
    %uv: tensor<3x11x5xf16> {attn.name = "up_v", attn.shape = "3, 11, 5"})
    -> (tensor<?x3x5xf32> {attn.name = "output", attn.shape = "b, 3, 5"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %cache, %c0 : tensor<?x?x14xf16>
  %m = tensor.dim %cache, %c1 : tensor<?x?x14xf16>
  %c = tensor.extract_slice %cache[0, 0, 0] [%b, %m, 11] [1, 1, 1]
    : tensor<?x?x14xf16> to tensor<?x?x11xf16>
  %kr = tensor.extract_slice %cache[0, 0, 11] [%b, %m, 3] [1, 1, 1]
    : tensor<?x?x14xf16> to tensor<?x?x3xf16>
  %k = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<?x?x11xf16>, tensor<3x11x7xf16>) -> tensor<?x3x?x7xf16>
  %v = attn.einsum "bmc, hcv -> bhmv"(%c, %uv)
    : (tensor<?x?x11xf16>, tensor<3x11x5xf16>) -> tensor<?x3x?x5xf16>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %k)
    : (tensor<?x3x7xf16>, tensor<?x3x?x7xf16>) -> tensor<?x3x?xf32>
  %r = attn.einsum "bhr, bmr -> bhm"(%qr, %kr)
    : (tensor<?x3x3xf16>, tensor<?x?x3xf16>) -> tensor<?x3x?xf32>
  %t = arith.addf %s, %r : tensor<?x3x?xf32>
  %p = attn.softmax "bhm" over "m"(%t) : tensor<?x3x?xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %v)
    : (tensor<?x3x?xf32>, tensor<?x3x?x5xf16>) -> tensor<?x3x5xf32>
  return %y : tensor<?x3x5xf32>
}

func.func @bf16_two(
    %q: tensor<?x3x7xbf16> {attn.name = "query", attn.shape = "b, 3, 7"},
    %qr: tensor<?x3x3xbf16> {attn.name = "rotary", attn.shape = "b, 3, 3"},
    %c: tensor<?x?x11xbf16> {attn.name = "latent", attn.shape = "b, m, 11"},
    %kr: tensor<?x?x3xbf16> {attn.name = "rotary_key", attn.shape = "b, m, 3"},
    %uk: tensor<3x11x7xbf16> {attn.name = "up_k", attn.shape = "3, 11, 7"},
    %uv: tensor<3x11x5xbf16> {attn.name = "up_v", attn.shape = "3, 11, 5"})
    -> (tensor<?x3x5xbf16> {attn.name = "output", attn.shape = "b, 3, 5"}) {
  %k = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<?x?x11xbf16>, tensor<3x11x7xbf16>) -> tensor<?x3x?x7xf32>
  %v = attn.einsum "bmc, hcv -> bhmv"(%c, %uv)
    : (tensor<?x?x11xbf16>, tensor<3x11x5xbf16>) -> tensor<?x3x?x5xf32>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %k)
    : (tensor<?x3x7xbf16>, tensor<?x3x?x7xf32>) -> tensor<?x3x?xf32>
  %r = attn.einsum "bhr, bmr -> bhm"(%qr, %kr)
    : (tensor<?x3x3xbf16>, tensor<?x?x3xbf16>) -> tensor<?x3x?xf32>
  %t = arith.addf %s, %r : tensor<?x3x?xf32>
  %p = attn.softmax "bhm" over "m"(%t) : tensor<?x3x?xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %v)
    : (tensor<?x3x?xf32>, tensor<?x3x?x5xf32>) -> tensor<?x3x5xbf16>
  return %y : tensor<?x3x5xbf16>
}

func.func @f16_two(
    %q: tensor<?x3x7xf16> {attn.name = "query", attn.shape = "b, 3, 7"},
    %qr: tensor<?x3x3xf16> {attn.name = "rotary", attn.shape = "b, 3, 3"},
    %c: tensor<?x?x11xf16> {attn.name = "latent", attn.shape = "b, m, 11"},
    %kr: tensor<?x?x3xf16> {attn.name = "rotary_key", attn.shape = "b, m, 3"},
    %uk: tensor<3x11x7xf16> {attn.name = "up_k", attn.shape = "3, 11, 7"},
    %uv: tensor<3x11x5xf16> {attn.name = "up_v", attn.shape = "3, 11, 5"})
    -> (tensor<?x3x5xf16> {attn.name = "output", attn.shape = "b, 3, 5"}) {
  %k = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<?x?x11xf16>, tensor<3x11x7xf16>) -> tensor<?x3x?x7xf32>
  %v = attn.einsum "bmc, hcv -> bhmv"(%c, %uv)
    : (tensor<?x?x11xf16>, tensor<3x11x5xf16>) -> tensor<?x3x?x5xf32>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %k)
    : (tensor<?x3x7xf16>, tensor<?x3x?x7xf32>) -> tensor<?x3x?xf32>
  %r = attn.einsum "bhr, bmr -> bhm"(%qr, %kr)
    : (tensor<?x3x3xf16>, tensor<?x?x3xf16>) -> tensor<?x3x?xf32>
  %t = arith.addf %s, %r : tensor<?x3x?xf32>
  %p = attn.softmax "bhm" over "m"(%t) : tensor<?x3x?xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %v)
    : (tensor<?x3x?xf32>, tensor<?x3x?x5xf32>) -> tensor<?x3x5xf16>
  return %y : tensor<?x3x5xf16>
}
