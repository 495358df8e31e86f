// RUN: einhead-opt %s --attn-to-gpu | FileCheck %s
// RUN: einhead-opt %s --attn-to-gpu | FileCheck %s --check-prefix=HOST

// 128 heads of latent attention: two blocks of 64 rows, which are the M of a
// wgmma.  Two warpgroups have 256 columns of the output each: scores of their
// half of a tile, then weights times values of both halves.

// CHECK: llvm.func @latent_attention_0
// CHECK-SAME: nvvm.maxntid = array<i32: 384, 1, 1>
// CHECK: nvvm.wgmma.mma_async {{.*}}<m = 64, n = 64, k = 16>, D[<f32>, <zero>], A[<bf16>, <one>, <row>], B[<bf16>, <one>, <col>]
// CHECK: nvvm.stmatrix
// CHECK: nvvm.barrier.arrive
// CHECK: nvvm.wgmma.mma_async {{.*}}<m = 64, n = 256, k = 16>, D[<f32>, <one>], A[<bf16>, <one>, <row>], B[<bf16>, <one>, <row>]

// The latent is one tensor map, of boxes of 64 keys; blocks come in pairs.

// HOST-LABEL: func.func @latent
// HOST-DAG: %[[TWO:.*]] = arith.constant 2 : index
// HOST: call @einhead_host_tensor_map
// HOST-NOT: call @einhead_host_tensor_map
// HOST: %[[PROCESSORS:.*]] = call @einhead_host_multiprocessors
// HOST: arith.divui %[[PROCESSORS]], %[[TWO]]
// HOST: gpu.launch_func @kernels::@latent_attention_0
func.func @latent(%q: memref<4x128x576xbf16>, %k: memref<4x1024x576xbf16>,
    %lengths: memref<4xi64>, %out: memref<4x128x512xf32>) {
  %v = memref.subview %k[0, 0, 0] [4, 1024, 512] [1, 1, 1]
      : memref<4x1024x576xbf16> to memref<4x1024x512xbf16, strided<[589824, 576, 1]>>
  attn.attention "bhk, bmk, bmv -> bhv" query(%q : memref<4x128x576xbf16>)
      key(%k : memref<4x1024x576xbf16>)
      value(%v : memref<4x1024x512xbf16, strided<[589824, 576, 1]>>)
      scale 0.0416666679 valid(%lengths : memref<4xi64>) shared_kv
      schedule <chunk = 64, key_tile = 64, row_tile = 4, lanes = 32, products = wgmma>
      outs(%out : memref<4x128x512xf32>)
  return
}
