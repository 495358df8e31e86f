// RUN: einhead-opt %s --attn-to-gpu | FileCheck %s
// RUN: einhead-opt %s --attn-to-gpu | FileCheck %s --check-prefix=KERNEL

// One launch: tensor maps of K and V, workspace, and a grid that follows from
// the number of multiprocessors.

// CHECK-LABEL: func.func @decode
// CHECK: call @einhead_host_tensor_map
// CHECK: call @einhead_host_tensor_map
// CHECK: call @einhead_host_multiprocessors
// CHECK: %[[NAME:.*]] = llvm.mlir.addressof @einhead_kernel_decode_attention_0
// CHECK: call @einhead_host_clusters(%[[NAME]],
// CHECK: memref.alloc
// CHECK: call @einhead_host_zeroed
// CHECK: gpu.launch_func @kernels::@decode_attention_0 clusters in
// CHECK-SAME: threads in (%{{.*}}, %{{.*}}, %{{.*}}) dynamic_shared_memory_size
// CHECK-NOT: attn.attention

// Tensor maps are parameters by value.  One thread waits for an empty stage and
// asks for a tile; the others multiply 64 keys with 8 rows (4, padded), and 64
// columns of V with them.  Sums are of the weights as they are rounded.

// KERNEL: llvm.func @decode_attention_0(%{{.*}}: !llvm.ptr {llvm.align = 64 : i64, llvm.byval = !llvm.array<128 x i8>, nvvm.grid_constant}
// KERNEL-SAME: gpu.kernel
// KERNEL-SAME: nvvm.maxntid = array<i32: 160, 1, 1>
// KERNEL: nvvm.mbarrier.init
// KERNEL: nvvm.wgmma.mma_async {{.*}}<m = 64, n = 8, k = 16>, D[<f32>, <zero>], A[<bf16>, <one>, <row>], B[<bf16>, <one>, <col>]
// KERNEL: %[[PAIR:.*]] = llvm.bitcast %{{.*}} : vector<2xbf16> to i32
// KERNEL: %[[LOW:.*]] = arith.shli %[[PAIR]], %{{.*}} : i32
// KERNEL: llvm.bitcast %[[LOW]] : i32 to f32
// KERNEL: %[[HIGH:.*]] = arith.andi %[[PAIR]], %{{.*}} : i32
// KERNEL: llvm.bitcast %[[HIGH]] : i32 to f32
// KERNEL: nvvm.stmatrix
// KERNEL: nvvm.wgmma.mma_async {{.*}} D[<f32>, <one>], A[<bf16>, <one>, <col>], B[<bf16>, <one>, <col>]
// KERNEL: nvvm.mbarrier.try_wait.parity
// KERNEL: nvvm.cp.async.bulk.tensor.shared.cluster.global
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

// Latent attention reads its keys once: one tensor map.

// CHECK-LABEL: func.func @latent
// CHECK: call @einhead_host_tensor_map
// CHECK-NOT: call @einhead_host_tensor_map
// CHECK: gpu.launch_func @kernels::@latent_attention_0
func.func @latent(%q: memref<2x16x576xbf16>, %k: memref<2x1024x576xbf16>,
    %out: memref<2x16x512xf32>) {
  %v = memref.subview %k[0, 0, 0] [2, 1024, 512] [1, 1, 1]
      : memref<2x1024x576xbf16> to memref<2x1024x512xbf16, strided<[589824, 576, 1]>>
  attn.attention "bhk, bmk, bmv -> bhv" query(%q : memref<2x16x576xbf16>)
      key(%k : memref<2x1024x576xbf16>)
      value(%v : memref<2x1024x512xbf16, strided<[589824, 576, 1]>>)
      scale 0.0416666 shared_kv
      schedule <chunk = 64, key_tile = 64, row_tile = 16, lanes = 32, products = wgmma>
      outs(%out : memref<2x16x512xf32>)
  return
}

// Keys and values of bytes become f16 in registers, which are a wgmma's operand
// A; boxes have twice as many columns, and queries a factor for each row.

// CHECK-LABEL: func.func @bytes
// CHECK-DAG: %[[CODE:.*]] = arith.constant 0 : i64
// CHECK: call @einhead_host_tensor_map(%{{[^,]*}}, %{{[^,]*}}, %[[CODE]]
// CHECK: gpu.launch_func @kernels::@bytes_attention_0
// KERNEL: llvm.func @bytes_attention_0
// KERNEL-SAME: nvvm.maxntid = array<i32: 160, 1, 1>
// KERNEL: llvm.fpext %{{.*}} : vector<8xbf16> to vector<8xf32>
// KERNEL: nvvm.ldmatrix {{.*}}layout = #nvvm.mma_layout<row>, num = 4
// KERNEL: llvm.call_intrinsic "llvm.nvvm.e4m3x2.to.f16x2.rn"
// KERNEL: llvm.inline_asm has_side_effects {{.*}}wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16
// KERNEL: nvvm.ldmatrix {{.*}}layout = #nvvm.mma_layout<col>, num = 4
// KERNEL: llvm.call_intrinsic "llvm.nvvm.prmt"
// KERNEL: llvm.inline_asm has_side_effects {{.*}}wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16
// KERNEL-NOT: nvvm.wgmma.mma_async
func.func @bytes(%q: memref<2x8x4x128xbf16>, %k: memref<2x8x1024x128xf8E4M3FN>,
    %v: memref<2x8x1024x128xf8E4M3FN>, %lengths: memref<2xi64>,
    %out: memref<2x8x4x128xf32>) {
  attn.attention "bgrk, bgmk, bgmv -> bgrv" query(%q : memref<2x8x4x128xbf16>)
      key(%k : memref<2x8x1024x128xf8E4M3FN>)
      value(%v : memref<2x8x1024x128xf8E4M3FN>)
      scale 0.0883883461 valid(%lengths : memref<2xi64>) shared_kv
      schedule <chunk = 64, key_tile = 64, row_tile = 4, lanes = 32, products = wgmma>
      outs(%out : memref<2x8x4x128xf32>)
  return
}

// Extents may be known at run time alone: of keys that are values too, here.

// CHECK-LABEL: func.func @grows
// CHECK: memref.dim
// CHECK-NOT: tensor.dim
// CHECK: gpu.launch_func @kernels::@grows_attention_0
func.func @grows(%q: memref<2x3x64xbf16>, %k: memref<2x?x64xf8E4M3FN>,
    %out: memref<2x3x64xf32>) {
  attn.attention "brk, bmk, bmv -> brv" query(%q : memref<2x3x64xbf16>)
      key(%k : memref<2x?x64xf8E4M3FN>) value(%k : memref<2x?x64xf8E4M3FN>)
      scale 0.125 shared_kv
      schedule <chunk = 64, key_tile = 64, row_tile = 3, lanes = 32, products = wgmma>
      outs(%out : memref<2x3x64xf32>)
  return
}

// Many rows of bytes: two groups compute weights and a third one outputs, with
// a warpgroup of the producer.  Weights go from one to the other by barriers in
// shared memory.

// CHECK-LABEL: func.func @split
// CHECK: gpu.launch_func @kernels::@split_attention_0
// KERNEL: llvm.func @split_attention_0
// KERNEL-SAME: nvvm.maxntid = array<i32: 512, 1, 1>
// KERNEL: nvvm.setmaxregister increase 160
// KERNEL: nvvm.ldmatrix {{.*}}layout = #nvvm.mma_layout<row>, num = 4
// KERNEL: llvm.inline_asm has_side_effects {{.*}}wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16
// KERNEL: nvvm.stmatrix
// KERNEL: nvvm.mbarrier.arrive
// KERNEL: nvvm.ldmatrix {{.*}}layout = #nvvm.mma_layout<col>, num = 4
// KERNEL: llvm.inline_asm has_side_effects {{.*}}wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16
// KERNEL: nvvm.setmaxregister decrease 24
func.func @split(%q: memref<2x64x128xbf16>, %k: memref<2x1024x128xf8E4M3FN>,
    %v: memref<2x1024x128xf8E4M3FN>, %out: memref<2x64x128xbf16>) {
  attn.attention "brk, bmk, bmv -> brv" query(%q : memref<2x64x128xbf16>)
      key(%k : memref<2x1024x128xf8E4M3FN>)
      value(%v : memref<2x1024x128xf8E4M3FN>) scale 0.0883883461 shared_kv
      schedule <chunk = 128, key_tile = 128, row_tile = 64, lanes = 32, products = wgmma>
      outs(%out : memref<2x64x128xbf16>)
  return
}

// A scale for each key and value: a warp copies those of a tile, 4 bytes each,
// none for keys that do not count.  i8 becomes f16 as the last bits of a number
// from 1024 on.

// CHECK-LABEL: func.func @scaled
// CHECK: gpu.launch_func @kernels::@scaled_attention_0
// KERNEL: llvm.func @scaled_attention_0
// KERNEL: %[[MAGIC:.*]] = arith.constant 1684300900 : i32
// KERNEL: llvm.call_intrinsic "llvm.nvvm.prmt"(%{{.*}}, %[[MAGIC]], %{{.*}})
// KERNEL: arith.constant 1686135936 : i32
// KERNEL: arith.subf %{{.*}} : vector<2xf16>
// KERNEL: nvvm.cp.async.bulk.tensor.shared.cluster.global
// KERNEL: nvvm.cp.async.shared.global {{.*}}, 4, cache = ca, %{{.*}}
// KERNEL: nvvm.cp.async.mbarrier.arrive {{.*}}noinc = true
func.func @scaled(%q: memref<2x8x4x128xbf16>, %k: memref<2x8x1024x128xi8>,
    %v: memref<2x8x1024x128xi8>, %ks: memref<2x8x1024xf32>,
    %vs: memref<2x8x1024xf32>, %lengths: memref<2xi64>,
    %out: memref<2x8x4x128xbf16>) {
  attn.attention "bgrk, bgmk, bgmv -> bgrv" query(%q : memref<2x8x4x128xbf16>)
      key(%k : memref<2x8x1024x128xi8>) value(%v : memref<2x8x1024x128xi8>)
      scale 0.0883883461 key_scale(%ks : memref<2x8x1024xf32>)
      value_scale(%vs : memref<2x8x1024xf32>) valid(%lengths : memref<2xi64>)
      shared_kv
      schedule <chunk = 64, key_tile = 64, row_tile = 4, lanes = 32, products = wgmma>
      outs(%out : memref<2x8x4x128xbf16>)
  return
}
