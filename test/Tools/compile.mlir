// What `compile` writes.

// RUN: %einhead compile %s -o - --stop-after=attention | FileCheck %s --check-prefix=ATTENTION
// ATTENTION: attn.attention "bhk, bmk, bmv -> bhv"
// RUN: %einhead compile %s -o - --emit=llvm | FileCheck %s --check-prefix=LLVM
// LLVM: define {{.*}}@einhead_entry_decode
// RUN: %einhead compile %s -o %t.o --emit=obj
// RUN: llvm-nm %t.o | FileCheck %s --check-prefix=OBJECT
// OBJECT: einhead_entry_decode

// Parameter files of the input are named relative to the output.
// RUN: rm -rf %t && mkdir -p %t/a/b && cp %s %t/a/in.mlir
// RUN: %einhead compile %t/a/in.mlir -o %t/a/b/out.einhead
// RUN: %einhead inspect --manifest %t/a/b/out.einhead | FileCheck %s --check-prefix=MANIFEST
// MANIFEST: "parameters":["../w/model.safetensors"]
// RUN: %einhead inspect %t/a/b/out.einhead | FileCheck %s --check-prefix=INSPECT
// INSPECT: parameters {{.*}}w/model.safetensors missing

// Nothing but the output is left behind.
// RUN: ls %t/a/b | count 1

module attributes {attn.parameters = ["w/model.safetensors"]} {
  func.func @decode(%q: tensor<1x8x64xf32>, %k: tensor<1x128x64xf32>,
                    %v: tensor<1x128x64xf32>) -> tensor<1x8x64xf32> {
    %0 = attn.einsum "bhk, bmk -> bhm"(%q, %k)
      : (tensor<1x8x64xf32>, tensor<1x128x64xf32>) -> tensor<1x8x128xf32>
    %1 = attn.softmax "bhm" over "m"(%0) : tensor<1x8x128xf32>
    %2 = attn.einsum "bhm, bmv -> bhv"(%1, %v)
      : (tensor<1x8x128xf32>, tensor<1x128x64xf32>) -> tensor<1x8x64xf32>
    return %2 : tensor<1x8x64xf32>
  }
}
