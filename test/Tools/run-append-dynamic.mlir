// A row is appended between a dimension of one and a dynamic one.  The module is
// compiled without sizes; the oracle checks the one that has them.

// RUN: %einhead compile %s -o %t.einhead
// RUN: %einhead run %t.einhead --size=h=5 --length=9 --repeat=1 --check=false --output=y=%t.dynamic.npy
// RUN: %einhead run %s --size=h=5 --length=9 --repeat=1 --output=y=%t.npy | FileCheck %s
// CHECK: y f32[1,5,22,3] pass
// RUN: %python %S/Inputs/close.py %t.dynamic.npy %t.npy 0

// Another place is another cache.
// RUN: %einhead run %t.einhead --size=h=5 --length=8 --repeat=1 --check=false --output=y=%t.dynamic.npy
// RUN: not %python %S/Inputs/close.py %t.dynamic.npy %t.npy 0

func.func @append(
    %new: tensor<3x?x1xf32> {attn.name = "new", attn.shape = "3, h, 1"},
    %cache: tensor<1x?x22x3xf32> {attn.cache, attn.name = "cache", attn.shape = "1, h, 22, 3"},
    %n: tensor<1xi64> {attn.length, attn.name = "n", attn.shape = "1"})
    -> (tensor<1x?x22x3xf32> {attn.name = "y", attn.shape = "1, h, 22, 3"}, tensor<1x?x22x3xf32> {attn.cache = "cache"}) {
  %grown = attn.append "khb -> bhmk"(%new into %cache at %n : tensor<1xi64>)
    : tensor<3x?x1xf32> into tensor<1x?x22x3xf32>
  %y = arith.negf %grown : tensor<1x?x22x3xf32>
  return %y, %grown : tensor<1x?x22x3xf32>, tensor<1x?x22x3xf32>
}
