// The rows of K are read one after the other, each in the order of its
// addresses: LLVM's schedulers would take two rows in turns.  The vectors of a
// row, of four keys.

// RUN: rm -rf %t && mkdir %t
// RUN: %einhead compile %s --cpu=znver4 --emit=so -o %t/zen4.so
// RUN: llvm-objdump -d --no-show-raw-insn %t/zen4.so > %t/zen4.s
// RUN: FileCheck %s < %t/zen4.s

// CHECK: <heads_parallel_0>:
// CHECK: prefetcht1
// CHECK: vdpbf16ps 0x40([[A:%[^)]+]]), %zmm
// CHECK-NOT: vdpbf16ps{{.*}}(
// CHECK: vdpbf16ps 0x80([[A]]), %zmm
// CHECK-NOT: vdpbf16ps{{.*}}(
// CHECK: vdpbf16ps 0xc0([[A]]), %zmm
// CHECK: vdpbf16ps 0x40([[B:%[^)]+]]), %zmm
// CHECK-NOT: vdpbf16ps{{.*}}(
// CHECK: vdpbf16ps 0x80([[B]]), %zmm
// CHECK-NOT: vdpbf16ps{{.*}}(
// CHECK: vdpbf16ps 0xc0([[B]]), %zmm
// CHECK: vdpbf16ps 0x40([[C:%[^)]+]]), %zmm
// CHECK-NOT: vdpbf16ps{{.*}}(
// CHECK: vdpbf16ps 0x80([[C]]), %zmm
// CHECK-NOT: vdpbf16ps{{.*}}(
// CHECK: vdpbf16ps 0xc0([[C]]), %zmm
// CHECK: vdpbf16ps 0x40([[D:%[^)]+]]), %zmm
// CHECK-NOT: vdpbf16ps{{.*}}(
// CHECK: vdpbf16ps 0x80([[D]]), %zmm
// CHECK-NOT: vdpbf16ps{{.*}}(
// CHECK: vdpbf16ps 0xc0([[D]]), %zmm
func.func @heads(%q: tensor<1x8x128xbf16>, %k: tensor<1x8x2048x128xbf16>, %v: tensor<1x8x2048x128xbf16>)
    -> tensor<1x8x128xf32> {
  %s = attn.einsum "bgk, bgmk -> bgm"(%q, %k)
    : (tensor<1x8x128xbf16>, tensor<1x8x2048x128xbf16>) -> tensor<1x8x2048xf32>
  %p = attn.softmax "bgm" over "m"(%s) : tensor<1x8x2048xf32>
  %y = attn.einsum "bgm, bgmv -> bgv"(%p, %v)
    : (tensor<1x8x2048xf32>, tensor<1x8x2048x128xbf16>) -> tensor<1x8x128xf32>
  return %y : tensor<1x8x128xf32>
}
