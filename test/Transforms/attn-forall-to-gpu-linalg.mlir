// Elements are shared by threads; a sum is one thread's; barriers stand behind, and around what all threads read.
// RUN: einhead-opt %s --attn-forall-to-gpu=threads=64 --canonicalize --cse --split-input-file | FileCheck %s

#x = affine_map<(n, k) -> (k)>
#w = affine_map<(n, k) -> (k, n)>
#y = affine_map<(n, k) -> (n)>

// CHECK-LABEL: func.func @sums
// CHECK-SAME: %[[X:.*]]: memref<32xf32>, %[[W:.*]]: memref<32x100xf32>, %[[Y:.*]]: memref<100xf32>
// CHECK: gpu.launch {{.*}} threads(%[[THREAD:[a-z0-9]+]],
// CHECK: scf.for %[[N:.*]] = %[[THREAD]] to %c100 step %c64 {
// CHECK:   %[[BEFORE:.*]] = memref.load %[[Y]][%[[N]]]
// CHECK:   %[[SUM:.*]] = scf.for %[[K:.*]] = %c0 to %c32 step %c1 iter_args(%[[CARRIED:.*]] = %[[BEFORE]])
// CHECK:     memref.load %[[X]][%[[K]]]
// CHECK:     memref.load %[[W]][%[[K]], %[[N]]]
// CHECK:   memref.store %[[SUM]], %[[Y]][%[[N]]]
// CHECK: }
// CHECK-NEXT: gpu.barrier
func.func @sums(%x: memref<32xf32>, %w: memref<32x100xf32>, %y: memref<100xf32>) {
  scf.forall (%i) in (1) {
    linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "reduction"]}
        ins(%x, %w : memref<32xf32>, memref<32x100xf32>) outs(%y : memref<100xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %p = arith.mulf %a, %b : f32
      %s = arith.addf %c, %p : f32
      linalg.yield %s : f32
    }
  }
  return
}

// -----

// The block loads at its own index, and a loop's bound is the same for all.

// CHECK-LABEL: func.func @lengths
// CHECK-SAME: %[[N:.*]]: memref<4xi64>
// CHECK: gpu.launch blocks(%[[BLOCK:[a-z0-9]+]],
// CHECK: memref.load %[[N]][%[[BLOCK]]]
// CHECK-NOT: gpu.barrier
// CHECK: scf.for %{{.*}} = %c0 to
// CHECK:   scf.for
// CHECK:     memref.store
// CHECK:   gpu.barrier
func.func @lengths(%n: memref<4xi64>, %x: memref<4x?x100xf32>, %v: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.forall (%i) in (4) {
    %l = memref.load %n[%i] : memref<4xi64>
    %count = arith.index_cast %l : i64 to index
    scf.for %j = %c0 to %count step %c1 {
      %s = memref.subview %x[%i, %j, 0] [1, 1, 100] [1, 1, 1] : memref<4x?x100xf32> to memref<100xf32, strided<[1], offset: ?>>
      linalg.fill ins(%v : f32) outs(%s : memref<100xf32, strided<[1], offset: ?>>)
    }
  }
  return
}

// -----

// What the body writes, all have loaded before one writes it again; one thread stores a number.

// CHECK-LABEL: func.func @written
// CHECK: gpu.launch {{.*}} threads(%[[THREAD:[a-z0-9]+]],
// CHECK: %[[OLD:.*]] = memref.load
// CHECK-NEXT: gpu.barrier
// CHECK: gpu.barrier
// CHECK: %[[FIRST:.*]] = arith.cmpi ult, %[[THREAD]], %c1
// CHECK: scf.if %[[FIRST]] {
// CHECK:   memref.store
// CHECK: }
// CHECK-NEXT: gpu.barrier
func.func @written(%x: memref<4xf32>, %v: f32) {
  scf.forall (%i) in (4) {
    %old = memref.load %x[%i] : memref<4xf32>
    %new = arith.addf %old, %v : f32
    memref.store %new, %x[%i] : memref<4xf32>
  }
  return
}

// -----

// Memory of the body is shared memory; a copy is shared work.

// CHECK-LABEL: func.func @memory
// CHECK: gpu.launch {{.*}} dynamic_shared_memory_size %c464_i32
// CHECK: %[[BYTES:.*]] = gpu.dynamic_shared_memory : memref<?xi8, #gpu.address_space<workgroup>>
// CHECK: %[[A:.*]] = memref.view %[[BYTES]][%c0][] : {{.*}} to memref<100xf32, #gpu.address_space<workgroup>>
// CHECK: memref.memory_space_cast %[[A]]
// CHECK: memref.view %[[BYTES]][%c400][] : {{.*}} to memref<25xbf16, #gpu.address_space<workgroup>>
// CHECK-NOT: memref.copy
// CHECK-NOT: memref.dealloc
// CHECK: gpu.terminator
func.func @memory(%x: memref<100xf32>, %y: memref<25xbf16>) {
  scf.forall (%i) in (4) {
    %a = memref.alloc() : memref<100xf32>
    %b = memref.alloca() : memref<25xbf16>
    memref.copy %x, %a : memref<100xf32> to memref<100xf32>
    memref.copy %b, %y : memref<25xbf16> to memref<25xbf16>
    memref.copy %a, %x : memref<100xf32> to memref<100xf32>
    memref.dealloc %a : memref<100xf32>
  }
  return
}
