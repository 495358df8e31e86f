// A parallel loop becomes a row of blocks, one for each iteration, whose threads take turns.
// RUN: einhead-opt %s --attn-forall-to-gpu --canonicalize --cse --split-input-file | FileCheck %s
// RUN: einhead-opt %s --attn-forall-to-gpu=threads=32 --split-input-file | FileCheck %s --check-prefix=FEW

// CHECK-LABEL: func.func @steps
// CHECK-SAME: %[[X:.*]]: memref<?x8xf32>, %[[FROM:.*]]: index, %[[TO:.*]]: index
// CHECK-DAG: %[[TRIPS:.*]] = arith.maxsi
// CHECK-DAG: %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG: %[[C128:.*]] = arith.constant 128 : index
// CHECK: %[[COUNT:.*]] = arith.muli %[[TRIPS]], %{{.*}} : index
// No blocks are no launch.
// CHECK: %[[SOME:.*]] = arith.cmpi sgt, %[[COUNT]], %[[C0]]
// CHECK: scf.if %[[SOME]] {
// CHECK: gpu.launch blocks(%[[BLOCK:.*]], %{{.*}}, %{{.*}}) in (%{{.*}} = %[[COUNT]], %{{.*}}, %{{.*}}) threads(%[[THREAD:.*]], %{{.*}}, %{{.*}}) in (%{{.*}} = %[[C128]],
// CHECK-NOT: dynamic_shared_memory_size
// CHECK: %[[J:.*]] = arith.remui %[[BLOCK]],
// CHECK: %[[I:.*]] = arith.divui %[[BLOCK]],
// CHECK: %[[STEPS:.*]] = arith.muli %[[I]], %{{.*}}
// CHECK: %[[ROW:.*]] = arith.addi %[[STEPS]], %[[FROM]]
// CHECK: memref.subview %[[X]][%[[ROW]], %[[J]]]
// CHECK: gpu.terminator
// FEW: gpu.launch {{.*}} in (%{{.*}} = %c32
func.func @steps(%x: memref<?x8xf32>, %from: index, %to: index, %v: f32) {
  scf.forall (%i, %j) = (%from, 0) to (%to, 8) step (3, 1) {
    %s = memref.subview %x[%i, %j] [1, 1] [1, 1] : memref<?x8xf32> to memref<1x1xf32, strided<[8, 1], offset: ?>>
    linalg.fill ins(%v : f32) outs(%s : memref<1x1xf32, strided<[8, 1], offset: ?>>)
  }
  return
}

// -----

// As many items as threads: one each.  Fewer: a branch.  More: a loop.

// CHECK-LABEL: func.func @items
// CHECK: gpu.launch {{.*}} threads(%[[THREAD:[a-z0-9]+]],
// CHECK-NOT: scf.for
// CHECK: memref.store %{{.*}}, %{{.*}}[%[[THREAD]]] : memref<128xf32>
// CHECK: gpu.barrier
// CHECK: %[[MINE:.*]] = arith.cmpi ult, %[[THREAD]], %c5
// CHECK: scf.if %[[MINE]] {
// CHECK:   memref.store %{{.*}}, %{{.*}}[%[[THREAD]]] : memref<5xf32>
// CHECK: }
// CHECK: gpu.barrier
// CHECK: scf.for %[[ITEM:.*]] = %[[THREAD]] to %c1000 step %c128 {
// CHECK:   memref.store %{{.*}}, %{{.*}}[%[[ITEM]]] : memref<1000xf32>
// CHECK: }
// CHECK: gpu.barrier
func.func @items(%a: memref<128xf32>, %b: memref<5xf32>, %c: memref<1000xf32>, %v: f32) {
  scf.forall (%i) in (1) {
    linalg.fill ins(%v : f32) outs(%a : memref<128xf32>)
    linalg.fill ins(%v : f32) outs(%b : memref<5xf32>)
    linalg.fill ins(%v : f32) outs(%c : memref<1000xf32>)
  }
  return
}

// -----

// An inner parallel loop is a loop of the block.

// CHECK-LABEL: func.func @nested
// CHECK: gpu.launch
// CHECK: scf.for
// CHECK:   memref.subview
// CHECK: gpu.terminator
// CHECK-NOT: scf.forall
func.func @nested(%x: memref<4x8x16xf32>, %v: f32) {
  scf.forall (%i) in (4) {
    scf.forall (%j) in (8) {
      %s = memref.subview %x[%i, %j, 0] [1, 1, 16] [1, 1, 1] : memref<4x8x16xf32> to memref<16xf32, strided<[1], offset: ?>>
      linalg.fill ins(%v : f32) outs(%s : memref<16xf32, strided<[1], offset: ?>>)
    }
  }
  return
}
