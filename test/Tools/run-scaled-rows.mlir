// i8 caches with a scale for each row: rows of both are appended, garbage past
// them is never read, and the session keeps them from call to call.
// RUN: %einhead explain %s | FileCheck %s --check-prefix=EXPLAIN
// RUN: %einhead run %s --size=b=2,m=150 --length=0 --poison | FileCheck %s --check-prefix=PASS
// RUN: %einhead run %s --size=b=2,m=150 --length=64 --poison | FileCheck %s --check-prefix=PASS
// RUN: %einhead run %s --size=b=2,m=150 --length=149 --poison | FileCheck %s --check-prefix=PASS
// RUN: %einhead run %s --size=b=2,m=150 --length=97 --poison --no-fuse | FileCheck %s --check-prefix=PASS
// RUN: %einhead run %s --size=b=2,m=150 --length=97 --poison --no-share-kv | FileCheck %s --check-prefix=PASS
// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --size=b=2,m=150 --length=97 --perturb=1e-2 | FileCheck %s --check-prefix=WRONG

// EXPLAIN: the key is read as i8 "bgmk" and multiplied by its scale where it is used
// EXPLAIN: the value is read as i8 "bgmv" and multiplied by its scale where it is used
// 4 heads, 24 + 40 bytes and two scales of 4 for each.
// EXPLAIN: K/V bytes: 288*b*m
// PASS: pass
// WRONG: FAIL

func.func @step(%q: tensor<?x4x3x24xf32> {attn.name = "q", attn.shape = "b, 4, 3, 24"},
                %k: tensor<?x4x24xi8> {attn.name = "k", attn.shape = "b, 4, 24"},
                %v: tensor<?x4x40xi8> {attn.name = "v", attn.shape = "b, 4, 40"},
                %ks: tensor<?x4xf32> {attn.name = "ks", attn.shape = "b, 4"},
                %vs: tensor<?x4xf32> {attn.name = "vs", attn.shape = "b, 4"},
                %n: index {attn.name = "n", attn.length},
                %keys: tensor<?x4x?x24xi8> {attn.name = "keys", attn.cache, attn.shape = "b, 4, m, 24"},
                %values: tensor<?x4x?x40xi8> {attn.name = "values", attn.cache, attn.shape = "b, 4, m, 40"},
                %keyScales: tensor<?x4x?xf32> {attn.name = "key_scales", attn.cache, attn.shape = "b, 4, m"},
                %valueScales: tensor<?x4x?xf32> {attn.name = "value_scales", attn.cache, attn.shape = "b, 4, m"})
    -> (tensor<?x4x3x40xf32> {attn.name = "y", attn.shape = "b, 4, 3, 40"},
        tensor<?x4x?x24xi8> {attn.cache = "keys"}, tensor<?x4x?x40xi8> {attn.cache = "values"},
        tensor<?x4x?xf32> {attn.cache = "key_scales"}, tensor<?x4x?xf32> {attn.cache = "value_scales"}) {
  %one = arith.constant 1 : index
  %k1 = attn.append "bgk -> bgmk"(%k into %keys at %n : index) : tensor<?x4x24xi8> into tensor<?x4x?x24xi8>
  %v1 = attn.append "bgv -> bgmv"(%v into %values at %n : index) : tensor<?x4x40xi8> into tensor<?x4x?x40xi8>
  %ks1 = attn.append "bg -> bgm"(%ks into %keyScales at %n : index) : tensor<?x4xf32> into tensor<?x4x?xf32>
  %vs1 = attn.append "bg -> bgm"(%vs into %valueScales at %n : index) : tensor<?x4xf32> into tensor<?x4x?xf32>
  %n1 = arith.addi %n, %one : index
  %kw = arith.sitofp %k1 : tensor<?x4x?x24xi8> to tensor<?x4x?x24xf32>
  %kf = attn.einsum "bgmk, bgm -> bgmk"(%kw, %ks1) : (tensor<?x4x?x24xf32>, tensor<?x4x?xf32>) -> tensor<?x4x?x24xf32>
  %vw = arith.sitofp %v1 : tensor<?x4x?x40xi8> to tensor<?x4x?x40xf32>
  %vf = attn.einsum "bgmv, bgm -> bgmv"(%vw, %vs1) : (tensor<?x4x?x40xf32>, tensor<?x4x?xf32>) -> tensor<?x4x?x40xf32>
  %s = attn.einsum "bgrk, bgmk -> bgrm"(%q, %kf) : (tensor<?x4x3x24xf32>, tensor<?x4x?x24xf32>) -> tensor<?x4x3x?xf32>
  %small = arith.constant 0.0078125 : f32
  %t = linalg.generic {indexing_maps = [affine_map<(a, b, c, d) -> (a, b, c, d)>, affine_map<(a, b, c, d) -> (a, b, c, d)>],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%s : tensor<?x4x3x?xf32>) outs(%s : tensor<?x4x3x?xf32>) {
  ^bb0(%x: f32, %unused: f32):
    %scaled = arith.mulf %x, %small : f32
    linalg.yield %scaled : f32
  } -> tensor<?x4x3x?xf32>
  %w = attn.softmax "bgrm" over "m"(%t) valid(%n1 : index) : tensor<?x4x3x?xf32>
  %y = attn.einsum "bgrm, bgmv -> bgrv"(%w, %vf) : (tensor<?x4x3x?xf32>, tensor<?x4x?x40xf32>) -> tensor<?x4x3x40xf32>
  return %y, %k1, %v1, %ks1, %vs1 : tensor<?x4x3x40xf32>, tensor<?x4x?x24xi8>, tensor<?x4x?x40xi8>, tensor<?x4x?xf32>, tensor<?x4x?xf32>
}
