// What the runtime calls and what stays inside.
// RUN: einhead-opt %s -attn-emit-entry-points -split-input-file -verify-diagnostics | FileCheck %s

llvm.func @step(%a: !llvm.ptr, %n: i64) {
  llvm.return
}
llvm.func @_mlir_ciface_step(%a: !llvm.ptr, %n: i64) attributes {llvm.emit_c_interface} {
  llvm.call @step(%a, %n) : (!llvm.ptr, i64) -> ()
  llvm.return
}
llvm.func @_mlir_memref_to_llvm_aligned_alloc(i64, i64) -> !llvm.ptr
llvm.func @_mlir_memref_to_llvm_free(!llvm.ptr)
llvm.func @expf(f32) -> f32
// CHECK: llvm.func internal @step
// CHECK: llvm.func internal @_mlir_ciface_step
// CHECK: llvm.func internal @_mlir_memref_to_llvm_aligned_alloc(%[[ALIGN:.*]]: i64, %[[BYTES:.*]]: i64) -> !llvm.ptr
// CHECK: %[[VARIABLE:.*]] = llvm.mlir.addressof @einhead_module_host
// CHECK: %[[TABLE:.*]] = llvm.load %[[VARIABLE]]
// CHECK: %[[SLOT:.*]] = llvm.getelementptr %[[TABLE]][1]
// CHECK: %[[ALLOCATE:.*]] = llvm.load %[[SLOT]]
// CHECK: llvm.call %[[ALLOCATE]](%[[BYTES]], %[[ALIGN]])
// CHECK: llvm.func internal @_mlir_memref_to_llvm_free
// CHECK-NEXT: llvm.return
// CHECK: llvm.func @expf
// CHECK: llvm.mlir.global external @einhead_module_host
// CHECK: llvm.mlir.global external constant @einhead_module_abi(1 : i32)
// CHECK-LABEL: llvm.func @einhead_entry_step
// CHECK-SAME: (%[[ARGS:.*]]: !llvm.ptr)
// CHECK: %[[S0:.*]] = llvm.getelementptr %[[ARGS]][0]
// CHECK: %[[P0:.*]] = llvm.load %[[S0]]
// CHECK: %[[S1:.*]] = llvm.getelementptr %[[ARGS]][1]
// CHECK: %[[P1:.*]] = llvm.load %[[S1]] : !llvm.ptr -> !llvm.ptr
// CHECK: %[[N:.*]] = llvm.load %[[P1]] : !llvm.ptr -> i64
// CHECK: llvm.call @_mlir_ciface_step(%[[P0]], %[[N]])

// -----

// expected-error @+1 {{has results; make them destinations first}}
llvm.func @_mlir_ciface_bad(%a: !llvm.ptr) -> i64 {
  %0 = llvm.mlir.constant(0 : i64) : i64
  llvm.return %0 : i64
}
