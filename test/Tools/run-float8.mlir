// Caches of f8E4M3FN: the graph rounds new rows to it, with no more than 448, and
// appends them; garbage past them is never read.  A scale of all keys stands in
// the scale of the scores, one of all values with the result.
// RUN: %einhead explain %s | FileCheck %s --check-prefix=EXPLAIN
// RUN: %einhead run %s --size=b=2,m=150 --length=0 --poison | FileCheck %s --check-prefix=PASS
// RUN: %einhead run %s --size=b=2,m=150 --length=64 --poison | FileCheck %s --check-prefix=PASS
// RUN: %einhead run %s --size=b=2,m=150 --length=149 --poison | FileCheck %s --check-prefix=PASS
// RUN: %einhead run %s --size=b=2,m=150 --length=97 --poison --no-fuse | FileCheck %s --check-prefix=PASS
// RUN: %einhead run %s --size=b=2,m=150 --length=97 --poison --no-share-kv | FileCheck %s --check-prefix=PASS
// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --size=b=2,m=150 --length=97 --perturb=1e-1 | FileCheck %s --check-prefix=WRONG

// 4 heads, 24 + 40 bytes of each.
// EXPLAIN: K/V bytes: 256*b*m
// PASS: keys  f8e4m3[2,4,150,24]{{.*}} pass
// PASS: pass
// WRONG: FAIL

#id = affine_map<(a, b, c, d) -> (a, b, c, d)>
func.func @step(%q: tensor<?x4x3x24xbf16> {attn.name = "q", attn.shape = "b, 4, 3, 24"},
                %k: tensor<?x4x24xbf16> {attn.name = "k", attn.shape = "b, 4, 24"},
                %v: tensor<?x4x40xf32> {attn.name = "v", attn.shape = "b, 4, 40"},
                %n: index {attn.name = "n", attn.length},
                %keys: tensor<?x4x?x24xf8E4M3FN> {attn.name = "keys", attn.cache, attn.shape = "b, 4, m, 24"},
                %values: tensor<?x4x?x40xf8E4M3FN> {attn.name = "values", attn.cache, attn.shape = "b, 4, m, 40"})
    -> (tensor<?x4x3x40xf32> {attn.name = "y", attn.shape = "b, 4, 3, 40"},
        tensor<?x4x?x24xf8E4M3FN> {attn.cache = "keys"}, tensor<?x4x?x40xf8E4M3FN> {attn.cache = "values"}) {
  %one = arith.constant 1 : index
  %k8 = arith.truncf %k : tensor<?x4x24xbf16> to tensor<?x4x24xf8E4M3FN>
  %v8 = arith.truncf %v : tensor<?x4x40xf32> to tensor<?x4x40xf8E4M3FN>
  %k1 = attn.append "bgk -> bgmk"(%k8 into %keys at %n : index) : tensor<?x4x24xf8E4M3FN> into tensor<?x4x?x24xf8E4M3FN>
  %v1 = attn.append "bgv -> bgmv"(%v8 into %values at %n : index) : tensor<?x4x40xf8E4M3FN> into tensor<?x4x?x40xf8E4M3FN>
  %n1 = arith.addi %n, %one : index
  %s = attn.einsum "bgrk, bgmk -> bgrm"(%q, %k1) : (tensor<?x4x3x24xbf16>, tensor<?x4x?x24xf8E4M3FN>) -> tensor<?x4x3x?xf32>
  %small = arith.constant 0.25 : f32
  %t = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%s : tensor<?x4x3x?xf32>) outs(%s : tensor<?x4x3x?xf32>) {
  ^bb0(%x: f32, %unused: f32):
    %scaled = arith.mulf %x, %small : f32
    linalg.yield %scaled : f32
  } -> tensor<?x4x3x?xf32>
  %w = attn.softmax "bgrm" over "m"(%t) valid(%n1 : index) : tensor<?x4x3x?xf32>
  %y = attn.einsum "bgrm, bgmv -> bgrv"(%w, %v1) : (tensor<?x4x3x?xf32>, tensor<?x4x?x40xf8E4M3FN>) -> tensor<?x4x3x40xf32>
  return %y, %k1, %v1 : tensor<?x4x3x40xf32>, tensor<?x4x?x24xf8E4M3FN>, tensor<?x4x?x40xf8E4M3FN>
}
