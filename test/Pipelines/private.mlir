// A private function with attention: code where it is called, nothing where it
// is not.  Its arguments have contiguous rows, at any place.
// RUN: einhead-opt %s --einhead-to-cpu='cpu=x86-64-v3 stop-after=vector' | FileCheck %s
// RUN: einhead-opt %s --einhead-to-cpu='cpu=x86-64-v3' -o /dev/null

// A call is what its function is: the one without is checked by the oracle.
// RUN: %einhead run %s --function=direct --size=b=3,m=70 --repeat=1 --output=y=%t.direct.npy | FileCheck %s --check-prefix=ORACLE
// ORACLE: y f32[3,4,32] pass
// RUN: %einhead run %s --function=decode --size=b=3,m=70 --repeat=1 --check=false --output=y=%t.npy
// RUN: %python %S/../Tools/Inputs/close.py %t.npy %t.direct.npy 0
// RUN: %einhead run %s --function=decode --size=b=3,m=70 --repeat=1 --check=false --seed=1 --output=y=%t.npy
// RUN: not %python %S/../Tools/Inputs/close.py %t.npy %t.direct.npy 0

// CHECK-NOT: @unused
// CHECK: func.func private @attend(%{{.*}}: memref<?x4x32xf32, strided<[?, ?, 1], offset: ?>>
// CHECK: vector.load
// CHECK-LABEL: func.func @decode
// CHECK: call @attend
// CHECK-NOT: @unused

func.func private @unused(%q: tensor<2x4x32xf32>, %k: tensor<2x?x32xf32>) -> tensor<2x4x32xf32> {
  %s = attn.einsum "bhk, bmk -> bhm"(%q, %k) : (tensor<2x4x32xf32>, tensor<2x?x32xf32>) -> tensor<2x4x?xf32>
  %p = attn.softmax "bhm" over "m"(%s) : tensor<2x4x?xf32>
  %y = attn.einsum "bhm, bmv -> bhv"(%p, %k) : (tensor<2x4x?xf32>, tensor<2x?x32xf32>) -> tensor<2x4x32xf32>
  return %y : tensor<2x4x32xf32>
}

func.func private @attend(%q: tensor<?x4x32xf32>, %k: tensor<?x?x32xf32>) -> tensor<?x4x32xf32> {
  %s = attn.einsum "bhk, bmk -> bhm"(%q, %k) : (tensor<?x4x32xf32>, tensor<?x?x32xf32>) -> tensor<?x4x?xf32>
  %p = attn.softmax "bhm" over "m"(%s) : tensor<?x4x?xf32>
  %y = attn.einsum "bhm, bmv -> bhv"(%p, %k) : (tensor<?x4x?xf32>, tensor<?x?x32xf32>) -> tensor<?x4x32xf32>
  return %y : tensor<?x4x32xf32>
}

func.func @decode(%q: tensor<?x4x32xf32> {attn.name = "q", attn.shape = "b, 4, 32"},
                  %k: tensor<?x?x32xf32> {attn.name = "k", attn.shape = "b, m, 32"})
    -> (tensor<?x4x32xf32> {attn.name = "y", attn.shape = "b, 4, 32"}) {
  %y = call @attend(%q, %k) : (tensor<?x4x32xf32>, tensor<?x?x32xf32>) -> tensor<?x4x32xf32>
  return %y : tensor<?x4x32xf32>
}

func.func @direct(%q: tensor<?x4x32xf32> {attn.name = "q", attn.shape = "b, 4, 32"},
                  %k: tensor<?x?x32xf32> {attn.name = "k", attn.shape = "b, m, 32"})
    -> (tensor<?x4x32xf32> {attn.name = "y", attn.shape = "b, 4, 32"}) {
  %s = attn.einsum "bhk, bmk -> bhm"(%q, %k) : (tensor<?x4x32xf32>, tensor<?x?x32xf32>) -> tensor<?x4x?xf32>
  %p = attn.softmax "bhm" over "m"(%s) : tensor<?x4x?xf32>
  %y = attn.einsum "bhm, bmv -> bhv"(%p, %k) : (tensor<?x4x?xf32>, tensor<?x?x32xf32>) -> tensor<?x4x32xf32>
  return %y : tensor<?x4x32xf32>
}
