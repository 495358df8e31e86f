// One decode step through all levels, each of which it can stop at.
// RUN: einhead-opt %s -einhead-to-cpu="cpu=x86-64-v3 stop-after=attention" | FileCheck %s --check-prefix=ATTENTION
// RUN: einhead-opt %s -einhead-to-cpu="cpu=x86-64-v3 stop-after=shared" | FileCheck %s --check-prefix=SHARED
// RUN: einhead-opt %s -einhead-to-cpu="cpu=x86-64-v3 stop-after=shared share-kv=false" | FileCheck %s --check-prefix=UNSHARED
// RUN: einhead-opt %s -einhead-to-cpu="cpu=x86-64-v3 stop-after=scheduled" | FileCheck %s --check-prefix=SCHEDULED
// RUN: einhead-opt %s -einhead-to-cpu="cpu=x86-64-v3 stop-after=tiled sizes=b=1" | FileCheck %s --check-prefix=TILED
// RUN: einhead-opt %s -einhead-to-cpu="cpu=x86-64-v3 stop-after=vector" | FileCheck %s --check-prefix=VECTOR
// RUN: einhead-opt %s -einhead-to-cpu="cpu=x86-64-v3" | FileCheck %s --check-prefix=LLVM
// RUN: einhead-opt %s -einhead-to-cpu="fuse=false stop-after=vector" | FileCheck %s --check-prefix=UNFUSED
// The levels are pipelines of their own.
// RUN: einhead-opt %s -einhead-to-attention -einhead-to-shared -einhead-to-scheduled=cpu=x86-64-v3 \
// RUN:   -einhead-to-tiled -einhead-to-vector -einhead-to-llvm | FileCheck %s --check-prefix=LLVM

// ATTENTION-LABEL: func.func @step
// ATTENTION-NOT: attn.softmax
// ATTENTION: attn.append
// ATTENTION: attn.attention
// ATTENTION-NOT: shared_kv

// SHARED: attn.attention {{.*}} shared_kv
// UNSHARED: attn.attention
// UNSHARED-NOT: shared_kv
// SCHEDULED: attn.attention {{.*}} schedule <

// TILED-LABEL: func.func @step
// TILED-SAME: tensor<1x2x4x32xf32>
// TILED: scf.forall
// TILED: attn.partial_attention
// TILED: attn.merge

// On buffers: results are arguments, the caches are written in place, and
// nothing is copied.
// VECTOR-LABEL: func.func @step
// VECTOR-SAME: memref<?x2x4x32xf32, strided<[?, ?, ?, 1]>>
// VECTOR-SAME: memref<?x2x?x32xf32>
// VECTOR-NOT: ->
// VECTOR: scf.forall
// VECTOR: vector.
// VECTOR-NOT: memref.copy
// VECTOR-NOT: attn.{{[a-z]+}} "
// VECTOR-NOT: linalg.

// UNFUSED-LABEL: func.func @step
// UNFUSED-NOT: vector.
// UNFUSED: math.exp
// UNFUSED-NOT: memref.copy

// LLVM-DAG: llvm.mlir.global external @einhead_module_host
// LLVM-DAG: llvm.mlir.global external constant @einhead_module_abi(1 : i32)
// LLVM-DAG: llvm.func internal @step_parallel_0(
// LLVM-DAG: llvm.func @einhead_entry_step(
// LLVM-DAG: llvm.func internal @_mlir_memref_to_llvm_aligned_alloc(
// LLVM-NOT: unrealized_conversion_cast
func.func @step(%q: tensor<?x2x4x32xf32> {attn.name = "q", attn.shape = "b, 2, 4, 32"},
                %k: tensor<?x2x32xf32> {attn.name = "k", attn.shape = "b, 2, 32"},
                %n: index {attn.name = "n", attn.length},
                %cache: tensor<?x2x?x32xf32> {attn.cache, attn.name = "k0", attn.shape = "b, 2, m, 32"})
    -> (tensor<?x2x4x32xf32> {attn.name = "y", attn.shape = "b, 2, 4, 32"},
        tensor<?x2x?x32xf32> {attn.cache = "k0"}) {
  %one = arith.constant 1 : index
  %keys = attn.append "bgk -> bgmk"(%k into %cache at %n : index)
    : tensor<?x2x32xf32> into tensor<?x2x?x32xf32>
  %valid = arith.addi %n, %one : index
  %s = attn.einsum "bgrk, bgmk -> bgrm"(%q, %keys)
    : (tensor<?x2x4x32xf32>, tensor<?x2x?x32xf32>) -> tensor<?x2x4x?xf32>
  %p = attn.softmax "bgrm" over "m"(%s) valid(%valid : index) : tensor<?x2x4x?xf32>
  %y = attn.einsum "bgrm, bgmv -> bgrv"(%p, %keys)
    : (tensor<?x2x4x?xf32>, tensor<?x2x?x32xf32>) -> tensor<?x2x4x32xf32>
  return %y, %keys : tensor<?x2x4x32xf32>, tensor<?x2x?x32xf32>
}
