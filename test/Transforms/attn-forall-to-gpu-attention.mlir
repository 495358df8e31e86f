// The stages of a tile, each shared by the threads, with a barrier behind it.
// RUN: einhead-opt %s --attn-forall-to-gpu --canonicalize --cse --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @tile
// CHECK-SAME: %[[Q:.*]]: memref<8x4x64xbf16>, %[[K:.*]]: memref<8x64x64xbf16>, %[[V:.*]]: memref<8x64x64xbf16>
// CHECK: gpu.launch
// Addresses are asked whether accesses of 16 bytes can be made.
// CHECK: memref.extract_aligned_pointer_as_index
// CHECK: arith.andi %{{.*}}, %c15
// CHECK: %[[WHOLE:.*]] = arith.cmpi eq
// Queries as f32; rows of K, then of V, beside each other.
// CHECK: memref.store %{{.*}}, %[[QUERIES:.*]][%{{.*}}, %{{.*}}] : memref<4x64xf32, #gpu.address_space<workgroup>>
// CHECK-NOT: gpu.barrier
// CHECK: scf.if
// CHECK:   vector.load %{{.*}} {alignment = 16 : i64} : {{.*}}, vector<8xbf16>
// CHECK:   vector.store %{{.*}} {alignment = 16 : i64} : memref<64x72xbf16, #gpu.address_space<workgroup>>, vector<8xbf16>
// CHECK: } else {
// CHECK:   memref.store %{{.*}} : memref<64x72xbf16, #gpu.address_space<workgroup>>
// CHECK: }
// CHECK: gpu.barrier
// CHECK: vector.fma {{.*}} : vector<8xf32>
// CHECK: vector.reduction <add>
// CHECK: memref.store %{{.*}} : memref<4x64xf32, #gpu.address_space<workgroup>>
// CHECK: gpu.barrier
// CHECK: arith.cmpf ogt
// CHECK: memref.store %{{.*}} : memref<4x8xf32, #gpu.address_space<workgroup>>
// CHECK: gpu.barrier
// CHECK: math.exp2
// CHECK: gpu.barrier
// CHECK: vector.fma {{.*}} : vector<2xf32>
// CHECK-NOT: arith.select
// CHECK: gpu.barrier
// CHECK-NOT: attn.
func.func @tile(%q: memref<8x4x64xbf16>, %k: memref<8x64x64xbf16>, %v: memref<8x64x64xbf16>,
                %max: memref<8x4xf32>, %sum: memref<8x4xf32>, %acc: memref<8x4x64xf32>) {
  scf.forall (%g) in (8) {
    %q1 = memref.subview %q[%g, 0, 0] [1, 4, 64] [1, 1, 1] : memref<8x4x64xbf16> to memref<4x64xbf16, strided<[64, 1], offset: ?>>
    %k1 = memref.subview %k[%g, 0, 0] [1, 64, 64] [1, 1, 1] : memref<8x64x64xbf16> to memref<64x64xbf16, strided<[64, 1], offset: ?>>
    %v1 = memref.subview %v[%g, 0, 0] [1, 64, 64] [1, 1, 1] : memref<8x64x64xbf16> to memref<64x64xbf16, strided<[64, 1], offset: ?>>
    %m1 = memref.subview %max[%g, 0] [1, 4] [1, 1] : memref<8x4xf32> to memref<4xf32, strided<[1], offset: ?>>
    %s1 = memref.subview %sum[%g, 0] [1, 4] [1, 1] : memref<8x4xf32> to memref<4xf32, strided<[1], offset: ?>>
    %a1 = memref.subview %acc[%g, 0, 0] [1, 4, 64] [1, 1, 1] : memref<8x4x64xf32> to memref<4x64xf32, strided<[64, 1], offset: ?>>
    attn.partial_attention "rk, mk, mv -> rv" query(%q1 : memref<4x64xbf16, strided<[64, 1], offset: ?>>)
      key(%k1 : memref<64x64xbf16, strided<[64, 1], offset: ?>>) value(%v1 : memref<64x64xbf16, strided<[64, 1], offset: ?>>)
      scale 0.125 schedule #attn.schedule<chunk = 64, key_tile = 64, row_tile = 4, lanes = 16>
      outs(%m1, %s1, %a1 : memref<4xf32, strided<[1], offset: ?>>, memref<4xf32, strided<[1], offset: ?>>, memref<4x64xf32, strided<[64, 1], offset: ?>>)
  }
  return
}

// -----

// A key that the mask excludes has the score -inf and a weight that its value does not count with; depth 33 is
// padded with zeros in shared memory alone.

// CHECK-LABEL: func.func @masked
// CHECK: gpu.launch
// CHECK-NOT: arith.andi %{{.*}}, %c15
// CHECK: memref.store %{{.*}} : memref<3x36xf32, #gpu.address_space<workgroup>>
// CHECK: memref.store %{{.*}} : memref<16x36xf32, #gpu.address_space<workgroup>>
// CHECK: %[[LIVE:.*]] = arith.cmpi {{.*}} : index
// CHECK: arith.select %{{.*}}, %{{.*}}, %[[NONE:.*]] : f32
// CHECK: math.exp2
// CHECK: arith.bitcast
// CHECK: %[[DEAD:.*]] = arith.cmpi eq, %{{.*}}, %c-2147483648_i32
// CHECK: arith.select %[[DEAD]]
func.func @masked(%q: memref<3x33xf32>, %k: memref<16x33xf32>, %v: memref<16x7xf32>, %p: index,
                  %max: memref<3xf32>, %sum: memref<3xf32>, %acc: memref<3x7xf32>) {
  scf.forall (%i) in (1) {
    attn.partial_attention "nk, mk, mv -> nv" query(%q : memref<3x33xf32>)
      key(%k : memref<16x33xf32>) value(%v : memref<16x7xf32>) scale 1.0
      mask #attn.mask<"nm", causal>(%p)
      schedule #attn.schedule<chunk = 16, key_tile = 16, row_tile = 4, lanes = 16>
      outs(%max, %sum, %acc : memref<3xf32>, memref<3xf32>, memref<3x7xf32>)
  }
  return
}

// -----

// Merges: a column each, then a log-sum-exp each.  Outside of a loop they are a launch of one block.

// CHECK-LABEL: func.func @merge
// CHECK-SAME: %[[MAX:.*]]: memref<4x3xf32>, %[[SUM:.*]]: memref<4x3xf32>, %[[ACC:.*]]: memref<4x3x64xf32>, %[[Y:.*]]: memref<3x64xbf16>, %[[LSE:.*]]: memref<3xf32>
// CHECK: gpu.launch blocks{{.*}} in (%{{.*}} = %c1,
// CHECK: scf.for %{{.*}} = %{{.*}} to %c192 step %c128
// CHECK:   scf.for {{.*}} to %c4
// CHECK:     memref.load %[[MAX]]
// CHECK:   scf.for {{.*}} to %c4
// CHECK:     math.exp2
// CHECK:     memref.load %[[ACC]]
// CHECK:     math.fma
// CHECK:   arith.divf
// CHECK:   arith.truncf
// CHECK:   memref.store %{{.*}}, %[[Y]]
// CHECK: math.log
// CHECK: memref.store %{{.*}}, %[[LSE]]
// CHECK: gpu.barrier
func.func @merge(%max: memref<4x3xf32>, %sum: memref<4x3xf32>, %acc: memref<4x3x64xf32>,
                 %y: memref<3x64xbf16>, %lse: memref<3xf32>) {
  attn.merge "r, rv -> rv"(%max, %sum, %acc : memref<4x3xf32>, memref<4x3xf32>, memref<4x3x64xf32>)
    outs(%y : memref<3x64xbf16>) lse(%lse : memref<3xf32>)
  return
}
