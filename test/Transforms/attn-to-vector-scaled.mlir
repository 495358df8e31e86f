// RUN: einhead-opt %s --attn-to-vector --canonicalize --cse | FileCheck %s

// Four rows by 16 i8 keys of 32 columns, 16 lanes.  Each i8 vector is widened
// once for all four rows; the scales of the tile are read once, and multiply a
// row's scores and weights, not the elements of K and V.

// CHECK-LABEL: func.func @one_tile
// CHECK-SAME: %[[KEY:[a-z0-9]+]]: memref<16x32xi8>, %[[VALUE:[a-z0-9]+]]: memref<16x32xi8>, %[[KEY_SCALES:[a-z0-9]+]]: memref<16xf32>, %[[VALUE_SCALES:[a-z0-9]+]]: memref<16xf32>
// CHECK-DAG: %[[SCORES:.*]] = memref.alloca() {alignment = 64 : i64} : memref<4x16xf32>
// CHECK: vector.load %[[KEY]]{{.*}} : memref<16x32xi8>, vector<16xi8>
// CHECK-NEXT: arith.sitofp %{{.*}} : vector<16xi8> to vector<16xf32>
// CHECK: vector.fma
// CHECK-NOT: arith.mulf
// CHECK: vector.load %[[KEY_SCALES]]
// CHECK: vector.load %[[VALUE_SCALES]]
// CHECK: scf.for
// CHECK: %[[SCORE:.*]] = vector.load %[[SCORES]]
// CHECK: %[[SCALED:.*]] = arith.mulf %[[SCORE]],
// CHECK-NEXT: vector.store %[[SCALED]], %[[SCORES]]
// The sum is that of the weights, the values get them times their scale.
// CHECK: scf.if
// CHECK: arith.shli
// CHECK: memref.load
// CHECK: arith.shli
// CHECK: %[[WEIGHT:.*]] = arith.select
// CHECK-NEXT: arith.addf %[[WEIGHT]], %[[NONE:.*]] :
// CHECK-NEXT: %[[SCALE:.*]] = vector.load %[[OF_VALUES:.*]][%c0]
// CHECK-NEXT: %[[SCALED_WEIGHT:.*]] = arith.mulf %[[WEIGHT]], %[[SCALE]]
// CHECK-NEXT: vector.store %[[SCALED_WEIGHT]], %[[SCORES]]
// CHECK: vector.load %[[VALUE]]{{.*}} : memref<16x32xi8>, vector<16xi8>
// CHECK-NEXT: arith.sitofp
// CHECK-NOT: arith.mulf
// CHECK: return
func.func @one_tile(%q: memref<4x32xf32>, %k: memref<16x32xi8>, %v: memref<16x32xi8>, %ks: memref<16xf32>, %vs: memref<16xf32>,
                    %max: memref<4xf32>, %sum: memref<4xf32>, %acc: memref<4x32xf32>) {
  attn.partial_attention "hk, mk, mv -> hv" query(%q : memref<4x32xf32>)
      key(%k : memref<16x32xi8>) value(%v : memref<16x32xi8>) scale 1.0
      key_scale(%ks : memref<16xf32>) value_scale(%vs : memref<16xf32>)
      schedule #attn.schedule<chunk = 16, key_tile = 16, row_tile = 4, lanes = 16>
      outs(%max, %sum, %acc : memref<4xf32>, memref<4xf32>, memref<4x32xf32>)
  return
}

// A tile of part of the keys reads no scale past the last one; scales that lie
// apart are read one by one.
// CHECK-LABEL: func.func @part
// CHECK-SAME: %[[KEY_SCALES:[a-z0-9]+]]: memref<?xf32>, %[[VALUE_SCALES:[a-z0-9]+]]: memref<?xf32, strided<[?], offset: ?>>
// CHECK: vector.create_mask
// CHECK: vector.maskedload %[[KEY_SCALES]]
// CHECK: memref.load %[[VALUE_SCALES]]
// CHECK-NOT: vector.load %[[KEY_SCALES]]
func.func @part(%q: memref<4x32xf32>, %k: memref<?x32xi8>, %v: memref<?x32xi8>, %ks: memref<?xf32>, %vs: memref<?xf32, strided<[?], offset: ?>>,
                %max: memref<4xf32>, %sum: memref<4xf32>, %acc: memref<4x32xf32>) {
  attn.partial_attention "hk, mk, mv -> hv" query(%q : memref<4x32xf32>)
      key(%k : memref<?x32xi8>) value(%v : memref<?x32xi8>) scale 1.0
      key_scale(%ks : memref<?xf32>) value_scale(%vs : memref<?xf32, strided<[?], offset: ?>>)
      schedule #attn.schedule<chunk = 16, key_tile = 16, row_tile = 4, lanes = 16>
      outs(%max, %sum, %acc : memref<4xf32>, memref<4xf32>, memref<4x32xf32>)
  return
}
