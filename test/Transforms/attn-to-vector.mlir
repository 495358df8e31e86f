// RUN: einhead-opt %s --attn-to-vector --canonicalize --cse | FileCheck %s
// RUN: einhead-opt %s --attn-to-vector --canonicalize --cse | FileCheck %s --check-prefix=ONCE
// RUN: einhead-opt %s --attn-to-vector | FileCheck %s --check-prefix=NONE

// NONE-NOT: attn.

// Four rows by 16 keys of 32 columns, 16 lanes. The queries stay in registers
// while K is read key by key; each K vector and each V vector is loaded once and
// multiplied with all four rows.

// CHECK-LABEL: func.func @one_tile
// CHECK-SAME: %[[KEY:[a-z0-9]+]]: memref<16x32xf32>, %[[VALUE:[a-z0-9]+]]: memref<16x32xf32>
// CHECK-DAG: %[[Q:.*]] = memref.alloca() {alignment = 64 : i64} : memref<4x32xf32>
// CHECK-DAG: %[[S:.*]] = memref.alloca() {alignment = 64 : i64} : memref<4x16xf32>
// CHECK-COUNT-8: vector.load %[[Q]]
// CHECK: scf.for
// CHECK: vector.load %[[KEY]]
// CHECK-COUNT-4: vector.fma
// CHECK: vector.load %[[KEY]]
// CHECK-COUNT-4: vector.fma
// CHECK: vector.load %[[KEY]]
// Lane sums of two keys, by butterflies, before the other two keys come.
// CHECK: vector.shuffle
// CHECK: vector.load %[[KEY]]
// CHECK-NOT: vector.load %[[Q]]
// CHECK-COUNT-4: vector.store %{{.*}}, %[[S]]
// The weights.
// CHECK: vector.reduction <or>
// CHECK: scf.if
// CHECK: math.fma
// The values: two vectors of a V row for four rows.
// CHECK: scf.for {{.*}} iter_args({{.*}}) -> (vector<16xf32>,
// CHECK-COUNT-2: vector.load %[[VALUE]]
// CHECK-COUNT-8: vector.fma
// CHECK: scf.yield

// Nowhere else are K and V read.
// ONCE-LABEL: func.func @one_tile
// ONCE-SAME: %[[KEY:[a-z0-9]+]]: memref<16x32xf32>, %[[VALUE:[a-z0-9]+]]: memref<16x32xf32>
// ONCE-COUNT-8: load %[[KEY]]
// ONCE-NOT: load %[[KEY]]
// ONCE-COUNT-2: load %[[VALUE]]
// ONCE-NOT: load %[[VALUE]]
// ONCE: return
func.func @one_tile(%q: memref<4x32xf32>, %k: memref<16x32xf32>, %v: memref<16x32xf32>,
                    %max: memref<4xf32>, %sum: memref<4xf32>, %acc: memref<4x32xf32>) {
  attn.partial_attention "rk, mk, mv -> rv" query(%q : memref<4x32xf32>)
    key(%k : memref<16x32xf32>) value(%v : memref<16x32xf32>) scale 1.0
    schedule #attn.schedule<chunk = 16, key_tile = 16, row_tile = 4, lanes = 16>
    outs(%max, %sum, %acc : memref<4xf32>, memref<4xf32>, memref<4x32xf32>)
  return
}

// The last tile has fewer keys: loads stay inside, scores beyond them are -inf.
// CHECK-LABEL: func.func @rest
// CHECK: memref.dim
// CHECK: arith.minui
// CHECK: vector.create_mask
// CHECK: arith.select
func.func @rest(%q: memref<4x32xf32>, %k: memref<?x32xf32>, %v: memref<?x32xf32>,
                %max: memref<4xf32>, %sum: memref<4xf32>, %acc: memref<4x32xf32>) {
  attn.partial_attention "rk, mk, mv -> rv" query(%q : memref<4x32xf32>)
    key(%k : memref<?x32xf32>) value(%v : memref<?x32xf32>) scale 1.0
    schedule #attn.schedule<chunk = 16, key_tile = 16, row_tile = 4, lanes = 16>
    outs(%max, %sum, %acc : memref<4xf32>, memref<4xf32>, memref<4x32xf32>)
  return
}

// Extents that are no multiple of the lanes: masked loads and stores.
// CHECK-LABEL: func.func @odd
// CHECK: vector.constant_mask [7] : vector<16xi1>
// CHECK: vector.maskedload
// CHECK: vector.constant_mask [5] : vector<16xi1>
// CHECK: vector.maskedstore
func.func @odd(%q: memref<3x7xf32>, %k: memref<16x7xbf16>, %v: memref<16x5xbf16>,
               %max: memref<3xf32>, %sum: memref<3xf32>, %acc: memref<3x5xf32>) {
  attn.partial_attention "rk, mk, mv -> rv" query(%q : memref<3x7xf32>)
    key(%k : memref<16x7xbf16>) value(%v : memref<16x5xbf16>) scale 1.0
    schedule #attn.schedule<chunk = 16, key_tile = 16, row_tile = 4, lanes = 16>
    outs(%max, %sum, %acc : memref<3xf32>, memref<3xf32>, memref<3x5xf32>)
  return
}

// Two splits joined in their order, a vector of columns at a time.
// CHECK-LABEL: func.func @merge
// CHECK: scf.for {{.*}} iter_args({{.*}}) -> (f32, vector<16xf32>)
// CHECK: vector.maskedload
// CHECK: vector.fma
// CHECK: arith.divf
// CHECK: vector.maskedstore
func.func @merge(%max: memref<2x4xf32>, %sum: memref<2x4xf32>, %acc: memref<2x4x8xf32>,
                 %out: memref<4x8xf32>) {
  attn.merge "r, rv -> rv"(%max, %sum, %acc : memref<2x4xf32>, memref<2x4xf32>, memref<2x4x8xf32>)
    outs(%out : memref<4x8xf32>)
  return
}
