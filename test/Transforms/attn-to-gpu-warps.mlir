// RUN: einhead-opt %s --attn-to-gpu="chip=sm_80" | FileCheck %s
// RUN: not einhead-opt %s --attn-to-gpu="chip=sm_1" 2>&1 | FileCheck %s --check-prefix=CHIP

// Without wgmma a block is warps: no tensor maps, no clusters, no mbarriers.
// Threads fill the ring by cp.async; eight warps have 16 keys of a tile each.

// CHIP: error: unknown chip "sm_1"

// CHECK-LABEL: func.func @decode
// CHECK-NOT: einhead_host_tensor_map
// CHECK: call @einhead_host_multiprocessors
// CHECK: gpu.launch_func @kernels::@decode_attention_0
// CHECK-NOT: attn.attention

// CHECK: llvm.func @decode_attention_0
// CHECK-SAME: nvvm.maxntid = array<i32: 256, 1, 1>
// CHECK-NOT: nvvm.mbarrier
// CHECK-NOT: nvvm.wgmma
// CHECK: nvvm.cp.async.shared.global %{{.*}}, %{{.*}}, 16, cache = cg
// CHECK: nvvm.ldmatrix {{.*}}num = 4
// CHECK: nvvm.cp.async.wait.group
// CHECK: nvvm.mma.sync
// CHECK: nvvm.ldmatrix {{.*}}#nvvm.mma_layout<col>
func.func @decode(%q: memref<2x8x4x128xbf16>, %k: memref<2x8x1024x128xbf16>,
    %v: memref<2x8x1024x128xbf16>, %lengths: memref<2xi64>,
    %out: memref<2x8x4x128xf32>) {
  attn.attention "bgrk, bgmk, bgmv -> bgrv" query(%q : memref<2x8x4x128xbf16>)
      key(%k : memref<2x8x1024x128xbf16>) value(%v : memref<2x8x1024x128xbf16>)
      scale 0.0883883461 valid(%lengths : memref<2xi64>) shared_kv
      schedule <chunk = 64, key_tile = 64, row_tile = 4, lanes = 32, products = wgmma>
      outs(%out : memref<2x8x4x128xf32>)
  return
}
