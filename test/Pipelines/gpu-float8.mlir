// Keys and values of f8E4M3FN in kernels: loaded as bytes, 16 at a time, and
// widened by instructions that every GPU has; a rounded row is appended.

// RUN: einhead-opt --einhead-to-gpu='chip=sm_80 stop-after=vector' %s | FileCheck %s --check-prefix=VECTOR
// RUN: %einhead compile --target=cuda --chip=sm_80 --emit=ptx %s -o - | FileCheck %s --check-prefix=PTX
// RUN: %einhead compile --target=cuda --chip=sm_90a --no-fuse %s -o %t.einhead
// RUN: %einhead inspect %t.einhead | FileCheck %s --check-prefix=INSPECT

// VECTOR-LABEL: gpu.module @kernels
// VECTOR: vector.load {{.*}} {alignment = 16 : i64} : memref<{{.*}}f8E4M3FN{{.*}}>, vector<16xf8E4M3FN>
// VECTOR: arith.extf %{{.*}} : vector<16xf8E4M3FN> to vector<16xf32>

// PTX: .target sm_80
// PTX: 0f7B800000
// PTX-NOT: .extern .func

// INSPECT: cache  keys: f8e4m3[2, m, 64]

func.func @step(%q: tensor<2x3x64xbf16> {attn.name = "q"}, %k: tensor<2x64xbf16> {attn.name = "k"},
                %n: index {attn.name = "n", attn.length},
                %keys: tensor<2x?x64xf8E4M3FN> {attn.name = "keys", attn.cache, attn.shape = "2, m, 64"})
    -> (tensor<2x3x64xf32>, tensor<2x?x64xf8E4M3FN> {attn.cache = "keys"}) {
  %one = arith.constant 1 : index
  %k8 = arith.truncf %k : tensor<2x64xbf16> to tensor<2x64xf8E4M3FN>
  %k1 = attn.append "bk -> bmk"(%k8 into %keys at %n : index) : tensor<2x64xf8E4M3FN> into tensor<2x?x64xf8E4M3FN>
  %n1 = arith.addi %n, %one : index
  %s = attn.einsum "brk, bmk -> brm"(%q, %k1) : (tensor<2x3x64xbf16>, tensor<2x?x64xf8E4M3FN>) -> tensor<2x3x?xf32>
  %w = attn.softmax "brm" over "m"(%s) valid(%n1 : index) : tensor<2x3x?xf32>
  %y = attn.einsum "brm, bmv -> brv"(%w, %k1) : (tensor<2x3x?xf32>, tensor<2x?x64xf8E4M3FN>) -> tensor<2x3x64xf32>
  return %y, %k1 : tensor<2x3x64xf32>, tensor<2x?x64xf8E4M3FN>
}
