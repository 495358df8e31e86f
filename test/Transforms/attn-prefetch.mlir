// RUN: einhead-opt %s --attn-prefetch=cpu=sapphirerapids --canonicalize --cse --split-input-file | FileCheck %s
// RUN: einhead-opt %s --attn-prefetch=cpu=znver4 --canonicalize --cse --split-input-file | FileCheck %s --check-prefix=ZEN4
// RUN: not einhead-opt %s --attn-prefetch=cpu=abacus --split-input-file 2>&1 | FileCheck %s --check-prefix=UNKNOWN

// UNKNOWN: unknown CPU "abacus"

// Two rows of two lines, one request before each quarter of the code: lines in
// the order of addresses.

// CHECK-LABEL: func.func @straight
// CHECK-SAME: %[[K:[a-z0-9]+]]: memref<64x32xf32>
// CHECK-NOT: attn.read_ahead
// CHECK: memref.prefetch %[[K]][%c8, %c0], read, locality<2>, data
// CHECK-NEXT: arith.addf
// CHECK-NEXT: memref.prefetch %[[K]][%c8, %c16]
// CHECK-NEXT: arith.addf
// CHECK-NEXT: memref.prefetch %[[K]][%c9, %c0]
// CHECK-NEXT: arith.addf
// CHECK-NEXT: memref.prefetch %[[K]][%c9, %c16]
// CHECK-NEXT: arith.addf
// CHECK-NOT: memref.prefetch
func.func @straight(%k: memref<64x32xf32>, %x: vector<16xf32>) -> vector<16xf32> {
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  attn.read_ahead %k[%c8, %c0] dimension 0 rows 2 columns 32 : memref<64x32xf32>
  %0 = arith.addf %x, %x : vector<16xf32>
  %1 = arith.addf %0, %x : vector<16xf32>
  %2 = arith.addf %1, %x : vector<16xf32>
  %3 = arith.addf %2, %x : vector<16xf32>
  return %3 : vector<16xf32>
}

// -----

// A loop of eight steps takes 16 lines as two a step.

// CHECK-LABEL: func.func @loop
// CHECK: scf.for %[[I:.*]] = %c0 to %c8 step %c1
// CHECK: %[[LINE:.*]] = arith.muli %[[I]], %c2
// CHECK: %[[ROW:.*]] = arith.divui %[[LINE]], %c2
// CHECK: memref.prefetch %{{.*}}[%[[ROW]],
// CHECK: arith.addi %[[LINE]], %c1
// CHECK: memref.prefetch
// CHECK-NOT: memref.prefetch
// CHECK: vector.store
func.func @loop(%k: memref<64x32xf32>, %to: memref<64xf32>, %x: vector<16xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  attn.read_ahead %k[%c0, %c0] dimension 0 rows 8 columns 32 : memref<64x32xf32>
  scf.for %i = %c0 to %c8 step %c1 {
    %0 = arith.addf %x, %x : vector<16xf32>
    vector.store %0, %to[%i] : memref<64xf32>, vector<16xf32>
  }
  return
}

// -----

// 20 requests in 64 steps: one in each third step.

// CHECK-LABEL: func.func @some
// CHECK: scf.for %[[I:.*]] = %c0 to %c64 step %c1
// CHECK: %[[PLACE:.*]] = arith.remui %[[I]], %c3
// CHECK: %[[TURN:.*]] = arith.cmpi eq, %[[PLACE]], %c0
// CHECK: scf.if %[[TURN]]
// CHECK: arith.divui %[[I]], %c3
// CHECK: memref.prefetch
func.func @some(%k: memref<64x32xf32>, %to: memref<64xf32>, %x: vector<16xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  attn.read_ahead %k[%c0, %c0] dimension 0 rows 10 columns 32 : memref<64x32xf32>
  scf.for %i = %c0 to %c64 step %c1 {
    vector.store %x, %to[%i] : memref<64xf32>, vector<16xf32>
  }
  return
}

// -----

// Two memories side by side; where the code reads in order, Zen 4 is asked once
// for a kilobyte.

// CHECK-LABEL: func.func @in_order
// CHECK-SAME: %[[K:[a-z0-9]+]]: memref<64x32xf32>, %[[V:[a-z0-9]+]]: memref<64x32xf32>
// CHECK-COUNT-16: memref.prefetch
// ZEN4-LABEL: func.func @in_order
// ZEN4-SAME: %[[K:[a-z0-9]+]]: memref<64x32xf32>, %[[V:[a-z0-9]+]]: memref<64x32xf32>
// ZEN4-DAG: memref.prefetch %[[K]][%c0, %c0]
// ZEN4-DAG: memref.prefetch %[[V]][%c0, %c0]
// ZEN4: arith.addf
// ZEN4-NOT: memref.prefetch
func.func @in_order(%k: memref<64x32xf32>, %v: memref<64x32xf32>, %x: vector<16xf32>) -> vector<16xf32> {
  %c0 = arith.constant 0 : index
  attn.read_ahead %k[%c0, %c0] dimension 0 rows 4 columns 32 in_order : memref<64x32xf32>
  attn.read_ahead %v[%c0, %c0] dimension 0 rows 4 columns 32 in_order : memref<64x32xf32>
  %0 = arith.addf %x, %x : vector<16xf32>
  return %0 : vector<16xf32>
}
