// What the tiled loops do not take is decomposed, with all that shapes its
// scores, and gives the oracle's numbers; an error planted in an output is found.

// RUN: %einhead run %s --size=m=29 --repeat=1 --function=blocks | FileCheck %s --check-prefix=BLOCKS
// BLOCKS: y f32[2,3,4,2] pass
// BLOCKS-NEXT: lse f32[2,3] pass
// RUN: %einhead run %s --size=m=29 --repeat=1 --function=moved | FileCheck %s --check-prefix=MOVED
// MOVED: y f32[3,5,4,2] pass
// MOVED-NEXT: lse f32[3,5] pass
// RUN: %einhead run %s --size=m=29 --repeat=1 --function=moved_lists | FileCheck %s --check-prefix=LISTS
// LISTS: y f32[3,16] pass
// RUN: %einhead run %s --size=m=6,p=7 --repeat=1 --function=keys | FileCheck %s --check-prefix=KEYS
// RUN: %einhead run %s --size=m=1,p=1 --repeat=1 --function=keys | FileCheck %s --check-prefix=KEYS
// KEYS: y f32[5,2,8] pass
// KEYS-NEXT: lse f32[5,2] pass
// RUN: %einhead run %s --size=m=29 --repeat=1 --function=lengths | FileCheck %s --check-prefix=LENGTHS
// LENGTHS: y f32[4,3,8,2] pass
// RUN: %einhead run %s --repeat=1 --function=wide | FileCheck %s --check-prefix=WIDE
// WIDE: y f64[3,8] pass
// WIDE-NEXT: lse f32[3] pass

// The same code for extents that are known only at the call.
// RUN: %einhead compile %s -o %t.einhead
// RUN: %einhead run %s --size=m=6,p=7 --repeat=1 --function=keys --output=y=%t.npy
// RUN: %einhead run %t.einhead --size=m=6,p=7 --repeat=1 --function=keys --output=y=%t-dynamic.npy
// RUN: %python %S/Inputs/close.py %t.npy %t-dynamic.npy 1e-6
// RUN: %einhead run %t.einhead --size=m=7,p=6 --repeat=1 --function=keys --output=y=%t-others.npy
// RUN: not %python %S/Inputs/close.py %t.npy %t-others.npy 1e-6

// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --size=m=29 --repeat=1 --function=blocks --perturb=1e-3 | FileCheck %s --check-prefix=PERTURB
// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --size=m=29 --repeat=1 --function=moved --perturb=1e-3 | FileCheck %s --check-prefix=PERTURB
// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --size=m=29 --repeat=1 --function=moved_lists --perturb=1e-3 | FileCheck %s --check-prefix=PERTURB
// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --size=m=6,p=7 --repeat=1 --function=keys --perturb=1e-3 | FileCheck %s --check-prefix=PERTURB
// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --size=m=29 --repeat=1 --function=lengths --perturb=1e-3 | FileCheck %s --check-prefix=PERTURB
// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --repeat=1 --function=wide --perturb=1e-5 | FileCheck %s --check-prefix=PERTURB
// PERTURB: y f{{32|64}}{{.*}} FAIL
// PERTURB: error: wrong result in @

// Two value letters.  Lists of 8 keys: an entry of none, the last block shorter,
// one past all keys, and a head that attends nothing.
func.func @blocks(
    %q: tensor<2x3x16xf32> {attn.name = "query"},
    %k: tensor<?x16xf32> {attn.name = "key", attn.shape = "m, 16"},
    %v: tensor<?x4x2xf32> {attn.name = "value", attn.shape = "m, 4, 2"})
    -> (tensor<2x3x4x2xf32> {attn.name = "y"}, tensor<2x3xf32> {attn.name = "lse"}) {
  %lists = arith.constant dense<[[3, -1, 0], [1, 7, 2], [-1, -1, -1]]> : tensor<3x3xi64>
  %init = tensor.empty() : tensor<2x3x4x2xf32>
  %none = tensor.empty() : tensor<2x3xf32>
  %y, %lse = attn.attention "nhk, mk, mvw -> nhvw"
      query(%q : tensor<2x3x16xf32>) key(%k : tensor<?x16xf32>)
      value(%v : tensor<?x4x2xf32>) scale 0.25
      blocks "h"(%lists : tensor<3x3xi64>) size 8
      outs(%init : tensor<2x3x4x2xf32>) lse(%none : tensor<2x3xf32>)
      -> tensor<2x3x4x2xf32>, tensor<2x3xf32>
  return %y, %lse : tensor<2x3x4x2xf32>, tensor<2x3xf32>
}

// A tile that starts at row 2 and key 10: the mask, the length, the lists and
// the score's index count from there.
func.func @moved(
    %q: tensor<3x5x16xf32> {attn.name = "query"},
    %k: tensor<?x16xf32> {attn.name = "key", attn.shape = "m, 16"},
    %v: tensor<?x4x2xf32> {attn.name = "value", attn.shape = "m, 4, 2"})
    -> (tensor<3x5x4x2xf32> {attn.name = "y"}, tensor<3x5xf32> {attn.name = "lse"}) {
  %c2 = arith.constant 2 : index
  %c10 = arith.constant 10 : index
  %c25 = arith.constant 25 : index
  %slope = arith.constant 0.0625 : f32
  %lists = arith.constant dense<[2, 7, 5, 6]> : tensor<4xi64>
  %init = tensor.empty() : tensor<3x5x4x2xf32>
  %none = tensor.empty() : tensor<3x5xf32>
  %y, %lse = attn.attention "hnk, mk, mvw -> hnvw"
      query(%q : tensor<3x5x16xf32>) key(%k : tensor<?x16xf32>)
      value(%v : tensor<?x4x2xf32>) scale 0.25
      valid(%c25 : index) mask <"nm", "(n, m)[p] : (p + 3 * n - m >= 0)">(%c10)
      offsets "nm"(%c2, %c10) blocks ""(%lists : tensor<4xi64>) size 3
      score {
      ^bb0(%s: f32, %h: index, %n: index, %m: index):
        %d = arith.subi %n, %m : index
        %i = arith.index_cast %d : index to i32
        %f = arith.sitofp %i : i32 to f32
        %b = arith.mulf %f, %slope : f32
        %t = arith.addf %s, %b : f32
        attn.yield %t : f32
      }
      outs(%init : tensor<3x5x4x2xf32>) lse(%none : tensor<3x5xf32>)
      -> tensor<3x5x4x2xf32>, tensor<3x5xf32>
  return %y, %lse : tensor<3x5x4x2xf32>, tensor<3x5xf32>
}

// One letter of each role, but the lists count from a key before K's first.
func.func @moved_lists(
    %q: tensor<3x16xf32> {attn.name = "query"},
    %k: tensor<?x16xf32> {attn.name = "key", attn.shape = "m, 16"})
    -> (tensor<3x16xf32> {attn.name = "y"}) {
  %c10 = arith.constant 10 : index
  %lists = arith.constant dense<[5, 3]> : tensor<2xi64>
  %init = tensor.empty() : tensor<3x16xf32>
  %y = attn.attention "nk, mk, mv -> nv"
      query(%q : tensor<3x16xf32>) key(%k : tensor<?x16xf32>)
      value(%k : tensor<?x16xf32>) scale 0.25
      offsets "m"(%c10) blocks ""(%lists : tensor<2xi64>) size 4
      outs(%init : tensor<3x16xf32>) -> tensor<3x16xf32>
  return %y : tensor<3x16xf32>
}

// Keys of two letters, both in the mask; row 0 attends none but the sink.
func.func @keys(
    %q: tensor<5x2x16xf32> {attn.name = "query"},
    %k: tensor<?x?x16xf32> {attn.name = "key", attn.shape = "m, p, 16"},
    %v: tensor<?x?x8xf32> {attn.name = "value", attn.shape = "p, m, 8"},
    %bias: tensor<?x5xf32> {attn.name = "bias", attn.shape = "p, 5"},
    %sink: tensor<2xf32> {attn.name = "sink"})
    -> (tensor<5x2x8xf32> {attn.name = "y"}, tensor<5x2xf32> {attn.name = "lse"}) {
  %init = tensor.empty() : tensor<5x2x8xf32>
  %none = tensor.empty() : tensor<5x2xf32>
  %y, %lse = attn.attention "nhk, mpk, pmv -> nhv"
      query(%q : tensor<5x2x16xf32>) key(%k : tensor<?x?x16xf32>)
      value(%v : tensor<?x?x8xf32>) scale 0.25
      bias "pn"(%bias : tensor<?x5xf32>)
      mask <"nmp", "(n, m, p) : (2 * n - m - p - 1 >= 0)">()
      sink "h"(%sink : tensor<2xf32>)
      outs(%init : tensor<5x2x8xf32>) lse(%none : tensor<5x2xf32>)
      -> tensor<5x2x8xf32>, tensor<5x2xf32>
  return %y, %lse : tensor<5x2x8xf32>, tensor<5x2xf32>
}

// A length of each sequence, whose letter is the query's first but not the
// output's; one is 0.
func.func @lengths(
    %q: tensor<3x4x16xf32> {attn.name = "query"},
    %k: tensor<3x?x16xf32> {attn.name = "key", attn.shape = "3, m, 16"},
    %v: tensor<3x?x8x2xf32> {attn.name = "value", attn.shape = "3, m, 8, 2"})
    -> (tensor<4x3x8x2xf32> {attn.name = "y"}) {
  %n = arith.constant dense<[17, 0, 29]> : tensor<3xi64>
  %init = tensor.empty() : tensor<4x3x8x2xf32>
  %y = attn.attention "bhk, bmk, bmvw -> hbvw"
      query(%q : tensor<3x4x16xf32>) key(%k : tensor<3x?x16xf32>)
      value(%v : tensor<3x?x8x2xf32>) scale 0.25 valid(%n : tensor<3xi64>)
      outs(%init : tensor<4x3x8x2xf32>) -> tensor<4x3x8x2xf32>
  return %y : tensor<4x3x8x2xf32>
}

// Operands of f64.
func.func @wide(
    %q: tensor<3x16xf64> {attn.name = "query"}, %k: tensor<17x16xf64> {attn.name = "key"},
    %v: tensor<17x8xf64> {attn.name = "value"})
    -> (tensor<3x8xf64> {attn.name = "y"}, tensor<3xf32> {attn.name = "lse"}) {
  %lists = arith.constant dense<[3, 1]> : tensor<2xi64>
  %init = tensor.empty() : tensor<3x8xf64>
  %none = tensor.empty() : tensor<3xf32>
  %y, %lse = attn.attention "nk, mk, mv -> nv" query(%q : tensor<3x16xf64>)
      key(%k : tensor<17x16xf64>) value(%v : tensor<17x8xf64>) scale 0.25
      blocks ""(%lists : tensor<2xi64>) size 4
      outs(%init : tensor<3x8xf64>) lse(%none : tensor<3xf32>)
      -> tensor<3x8xf64>, tensor<3xf32>
  return %y, %lse : tensor<3x8xf64>, tensor<3xf32>
}
