// RUN: einhead-opt --attn-launch-through-host --split-input-file --verify-diagnostics %s | FileCheck %s

// Sizes, the addresses of the expanded operands, the name; all through the table.

// CHECK-DAG: llvm.mlir.global external @einhead_module_host(
// CHECK-DAG: llvm.mlir.global internal constant @einhead_kernel_step_0("step_0\00")
// CHECK-LABEL: func.func @step
// CHECK-SAME: (%[[X:.*]]: memref<?xf32>, %[[N:.*]]: index, %[[MAP:.*]]: !llvm.ptr, %[[P:.*]]: !llvm.ptr, %[[FLAG:.*]]: i1)
module attributes {gpu.container_module} {
func.func @step(%x: memref<?xf32>, %n: index, %map: !llvm.ptr, %p: !llvm.ptr, %flag: i1) {
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c256 = arith.constant 256 : index
  %bytes = arith.constant 4096 : i32
  // 5 words of the memref, an address, a pointer, a bit.
  // CHECK: %[[GRID:.*]] = llvm.alloca %{{.*}} x i64
  // CHECK: %[[BLOCK:.*]] = llvm.alloca %{{.*}} x i64
  // CHECK: %[[COUNT:.*]] = llvm.mlir.constant(8 : i64)
  // CHECK: %[[SLOTS:.*]] = llvm.alloca %[[COUNT]] x i64
  // CHECK: %[[POINTERS:.*]] = llvm.alloca %{{.*}} x !llvm.ptr
  // CHECK: llvm.extractvalue %{{.*}}[0]
  // CHECK: llvm.extractvalue %{{.*}}[4, 0]
  // CHECK: %[[FIFTH:.*]] = llvm.getelementptr %[[POINTERS]][5]
  // CHECK: llvm.store %[[MAP]], %[[FIFTH]]
  // CHECK: %[[SIXTH:.*]] = llvm.getelementptr %[[SLOTS]][6]
  // CHECK: llvm.store %[[P]], %[[SIXTH]]
  // CHECK: %[[BYTE:.*]] = llvm.zext %[[FLAG]] : i1 to i8
  // CHECK: llvm.store %[[BYTE]]
  // CHECK: %[[CLUSTER:.*]] = builtin.unrealized_conversion_cast %c2
  // CHECK: %[[SHARED:.*]] = llvm.zext
  // CHECK: %[[TABLE:.*]] = llvm.load
  // CHECK: %[[MEMBER:.*]] = llvm.getelementptr %[[TABLE]][2]
  // CHECK: %[[LAUNCH:.*]] = llvm.load %[[MEMBER]]
  // CHECK: %[[NAME:.*]] = llvm.mlir.addressof @einhead_kernel_step_0
  // CHECK: llvm.call %[[LAUNCH]](%[[NAME]], %[[GRID]], %[[BLOCK]], %[[CLUSTER]], %[[SHARED]], %[[POINTERS]])
  // CHECK-NOT: gpu.launch_func
  gpu.launch_func @kernels::@step_0 clusters in (%c2, %c1, %c1) blocks in (%n, %c1, %c1) threads in (%c256, %c1, %c1)
    dynamic_shared_memory_size %bytes
    args(%x : memref<?xf32>, %map : !llvm.ptr, %p : !llvm.ptr, %flag : i1)
  return
}
gpu.module @kernels {
  llvm.func @step_0(%0: !llvm.ptr, %1: !llvm.ptr, %2: i64, %3: i64, %4: i64,
                    %map: !llvm.ptr {llvm.byval = !llvm.array<128 x i8>, llvm.align = 64 : i64}, %p: !llvm.ptr, %flag: i1)
      attributes {gpu.kernel, nvvm.kernel} {
    llvm.return
  }
}
// CHECK: func.func private @einhead_host_zeroed(%[[BYTES:.*]]: index) -> !llvm.ptr
// CHECK: llvm.getelementptr %{{.*}}[4]
// CHECK: %[[NUMBER:.*]] = builtin.unrealized_conversion_cast %[[BYTES]] : index to i64
// CHECK: %[[MEMORY:.*]] = llvm.call %{{.*}}(%[[NUMBER]])
// CHECK-NEXT: return %[[MEMORY]]
func.func private @einhead_host_zeroed(index) -> !llvm.ptr
// CHECK: func.func private @einhead_host_multiprocessors() -> index
// CHECK: llvm.getelementptr %{{.*}}[5]
func.func private @einhead_host_multiprocessors() -> index
// CHECK: func.func private @einhead_host_clusters(%{{.*}}: !llvm.ptr, %{{.*}}: index
// CHECK: llvm.getelementptr %{{.*}}[6]
func.func private @einhead_host_clusters(!llvm.ptr, index, index, index) -> index
// CHECK: func.func private @einhead_host_tensor_map
// CHECK: llvm.getelementptr %{{.*}}[3]
func.func private @einhead_host_tensor_map(!llvm.ptr, !llvm.ptr, i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, i64)
}

// -----

module attributes {gpu.container_module} {
func.func @later(%n: index) {
  // expected-error @below {{is asynchronous; launches of a step follow each other on one stream}}
  %0 = gpu.launch_func async @kernels::@later_0 blocks in (%n, %n, %n) threads in (%n, %n, %n)
  return
}
gpu.module @kernels {
  gpu.func @later_0() kernel {
    gpu.return
  }
}
}

// -----

module attributes {gpu.container_module} {
func.func @tuple(%n: index, %v: tuple<i32>) {
  // expected-error @below {{has an operand of type 'tuple<i32>', which no kernel takes}}
  gpu.launch_func @kernels::@tuple_0 blocks in (%n, %n, %n) threads in (%n, %n, %n) args(%v : tuple<i32>)
  return
}
gpu.module @kernels {
  gpu.func @tuple_0(%v: tuple<i32>) kernel {
    gpu.return
  }
}
}
