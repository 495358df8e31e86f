// Projections of one x in one parallel loop against the oracle, at odd sizes; an
// error in one element is seen, and threads change no bit.

// RUN: %einhead explain %s --size=b=2 | FileCheck %s --check-prefix=EXPLAIN
// EXPLAIN: "bd, hdk -> bhk", "bd, dk -> bk", "dv, bd -> bv" read one activation
// EXPLAIN: "bhk, hko -> bo" is one parallel loop

// RUN: %einhead run %s --repeat=1 --size=b=1 --threads=1 | FileCheck %s
// RUN: %einhead run %s --repeat=1 --size=b=67 --threads=2 --output=y=%t.2.npy | FileCheck %s
// RUN: %einhead run %s --repeat=1 --size=b=67 --threads=1 --output=y=%t.1.npy | FileCheck %s
// RUN: diff %t.1.npy %t.2.npy
// CHECK: k f32[{{.*}}] pass
// CHECK: v bf16[{{.*}}] pass
// CHECK: y f32[{{.*}}] pass

// RUN: not %einhead run %s --repeat=1 --size=b=1 --perturb=1e-2 2>&1 | FileCheck %s --check-prefix=WRONG
// WRONG: error: wrong result

func.func @qkv(
    %x: tensor<?x201xf32> {attn.name = "x", attn.shape = "b, 201"},
    %wq: tensor<5x201x67xf32> {attn.name = "P_q", attn.shape = "5, 201, 67"},
    %wk: tensor<201x135xf32> {attn.name = "P_k", attn.shape = "201, 135"},
    %wv: tensor<201x121xf32> {attn.name = "P_v", attn.shape = "201, 121"},
    %wo: tensor<5x67x333xf32> {attn.name = "P_o", attn.shape = "5, 67, 333"})
    -> (tensor<?x135xf32> {attn.name = "k", attn.shape = "b, 135"},
        tensor<?x121xbf16> {attn.name = "v", attn.shape = "b, 121"},
        tensor<?x333xf32> {attn.name = "y", attn.shape = "b, 333"}) {
  %q = attn.einsum "bd, hdk -> bhk"(%x, %wq) : (tensor<?x201xf32>, tensor<5x201x67xf32>) -> tensor<?x5x67xf32>
  %k = attn.einsum "bd, dk -> bk"(%x, %wk) : (tensor<?x201xf32>, tensor<201x135xf32>) -> tensor<?x135xf32>
  %v = attn.einsum "dv, bd -> bv"(%wv, %x) : (tensor<201x121xf32>, tensor<?x201xf32>) -> tensor<?x121xbf16>
  %y = attn.einsum "bhk, hko -> bo"(%q, %wo) : (tensor<?x5x67xf32>, tensor<5x67x333xf32>) -> tensor<?x333xf32>
  return %k, %v, %y : tensor<?x135xf32>, tensor<?x121xbf16>, tensor<?x333xf32>
}
