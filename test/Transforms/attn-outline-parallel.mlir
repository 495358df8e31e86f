// Parallel loops become functions that the host calls.
// RUN: einhead-opt %s -attn-outline-parallel -canonicalize -split-input-file -verify-diagnostics | FileCheck %s

// CHECK: llvm.mlir.global external @einhead_module_host(#llvm.zero) {{.*}}: !llvm.ptr
// CHECK-LABEL: func.func @rows
// CHECK-SAME: %[[X:.*]]: memref<?x8xf32>, %[[V:.*]]: f32
func.func @rows(%x: memref<?x8xf32>, %v: f32) {
  // CHECK: %[[CONTEXT:.*]] = llvm.alloca %{{.*}} x !llvm.struct<(
  // CHECK: %[[N:.*]] = memref.dim %[[X]]
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %n = memref.dim %x, %c0 : memref<?x8xf32>
  // CHECK: %[[MANY:.*]] = arith.cmpi sgt
  // CHECK: scf.if %[[MANY]] {
  // CHECK:   %[[TABLE:.*]] = llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
  // CHECK:   %[[FOR:.*]] = llvm.load %[[TABLE]]
  // CHECK:   llvm.call %[[FOR]](%{{.*}}, %{{.*}}, %[[CONTEXT]]) : !llvm.ptr, (i64, !llvm.ptr, !llvm.ptr) -> ()
  // CHECK: } else {
  // CHECK:   call @rows_parallel_0(%[[CONTEXT]], %{{.*}}, %{{.*}})
  scf.forall (%i, %j) in (%n, 8) {
    memref.store %v, %x[%i, %j] : memref<?x8xf32>
  }
  return
}
// CHECK-LABEL: func.func private @rows_parallel_0
// CHECK-SAME: (%[[ARG:.*]]: !llvm.ptr, %[[B:.*]]: i64, %[[E:.*]]: i64)
// CHECK-DAG: %[[BEGIN:.*]] = arith.index_cast %[[B]]
// CHECK-DAG: %[[END:.*]] = arith.index_cast %[[E]]
// CHECK: scf.for %[[IV:.*]] = %[[BEGIN]] to %[[END]]
// CHECK: %[[J:.*]] = arith.remui %[[IV]], %{{.*}}
// CHECK: %[[I:.*]] = arith.divui %[[IV]], %{{.*}}
// CHECK: memref.store %{{.*}}, %{{.*}}[%[[I]], %[[J]]]

// -----

// Bounds and steps; one task needs no host; what a body allocates is on its
// stack, outside of loops; nested loops stay inside.
// CHECK-LABEL: func.func @single
// CHECK-NOT: llvm.call
// CHECK: call @single_parallel_0
// CHECK-LABEL: func.func private @single_parallel_0
// CHECK: %[[T:.*]] = memref.alloca() : memref<4xf32>
// CHECK: scf.for
// CHECK: scf.for
// CHECK: memref.store %{{.*}}, %[[T]]
func.func @single(%x: memref<64xf32>, %y: memref<4xf32>) {
  scf.forall (%i) = (3) to (7) step (4) {
    %t = memref.alloc() : memref<4xf32>
    scf.forall (%j) in (4) {
      %k = arith.addi %i, %j : index
      %v = memref.load %x[%k] : memref<64xf32>
      memref.store %v, %t[%j] : memref<4xf32>
    }
    memref.copy %t, %y : memref<4xf32> to memref<4xf32>
  }
  return
}

// -----

func.func @dynamic(%x: memref<?xf32>, %n: index) {
  scf.forall (%i) in (%n) {
    // expected-error @+1 {{allocates memory of a dynamic size in a parallel body}}
    %t = memref.alloc(%n) : memref<?xf32>
    memref.copy %t, %x : memref<?xf32> to memref<?xf32>
  }
  return
}

// -----

func.func @large(%x: memref<1048576xf32>) {
  scf.forall (%i) in (2) {
    // expected-error @+1 {{brings the memory of a parallel body above 524288 bytes}}
    %t = memref.alloc() : memref<1048576xf32>
    memref.copy %t, %x : memref<1048576xf32> to memref<1048576xf32>
  }
  return
}

// -----

func.func @tensors(%x: tensor<8xf32>) -> tensor<8xf32> {
  // expected-error @+1 {{is on tensors; bufferize before attn-outline-parallel}}
  %0 = scf.forall (%i) in (8) shared_outs(%o = %x) -> tensor<8xf32> {
    scf.forall.in_parallel {
    }
  }
  return %0 : tensor<8xf32>
}
