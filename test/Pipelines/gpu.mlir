// A step of an einsum, a function of its elements and an append as kernels: level by level.

// RUN: einhead-opt --einhead-to-gpu='stop-after=vector' %s | FileCheck %s --check-prefix=VECTOR
// RUN: einhead-opt --einhead-to-gpu='chip=sm_80' %s | FileCheck %s --check-prefix=LLVM
// RUN: %einhead compile --target=cuda --emit=ptx %s -o - | FileCheck %s --check-prefix=PTX
// RUN: %einhead compile --target=cuda --chip=sm_80 --emit=ptx %s -o - | FileCheck %s --check-prefix=OLDER
// RUN: %einhead compile --target=cuda --emit=llvm %s -o - | FileCheck %s --check-prefix=HOST

// The host has extents, memory and launches; kernels have everything else, the lengths too.
// VECTOR-LABEL: func.func @step
// VECTOR-NOT: {{memref.load|memref.store|memref.copy|linalg|scf.for}}
// VECTOR: gpu.launch_func @kernels::@step_product_0
// VECTOR-NOT: {{memref.load|memref.store|memref.copy|linalg|scf.for}}
// VECTOR: gpu.launch_func @kernels::@step_0
// VECTOR-NOT: {{memref.load|memref.store|memref.copy|linalg|scf.for}}
// VECTOR: return
// VECTOR: gpu.module @kernels
// VECTOR: llvm.func @step_product_0({{.*}}gpu.kernel
// VECTOR: nvvm.mma.sync
// VECTOR: gpu.func @step_0({{.*}}) kernel
// VECTOR: math.exp
// VECTOR: memref.load %{{.*}} : memref<?xi64>

// LLVM-NOT: func.func
// LLVM: llvm.func internal @step(
// LLVM: gpu.module @kernels
// LLVM: llvm.func @step_product_0({{.*}}) attributes {{{.*}}nvvm.kernel
// LLVM: nvvm.mma.sync
// LLVM: llvm.func @step_0({{.*}}) attributes {{{.*}}nvvm.kernel
// LLVM: nvvm.read.ptx.sreg.ctaid.x
// LLVM-NOT: {{memref\.|arith\.|math\.|scf\.|cf\.|__nv_|unrealized}}
// LLVM: llvm.func @einhead_entry_step

// PTX: .version 8.1
// PTX: .target sm_90a
// Shared memory of a size that the launch says.
// PTX: .extern .shared .align 1024 .b8 {{.*}}[];
// PTX: .visible .entry step_product_0(
// PTX: cp.async.cg.shared.global
// PTX: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// PTX: .visible .entry step_0(
// PTX: ex2.approx
// PTX-NOT: .extern .func
// OLDER: .version 8.1
// OLDER: .target sm_80

// HOST: target triple = "x86_64
// HOST: c"step_{{product_0|0}}\00"
// HOST: define void @einhead_entry_step(
// HOST-NOT: define {{.*}} @step_0(

func.func @step(%x: tensor<?x512xbf16> {attn.name = "x", attn.shape = "b, d"},
                %length: tensor<?xi64> {attn.name = "length", attn.length, attn.shape = "b"},
                %w: tensor<512x4x64xbf16> {attn.name = "w", attn.shape = "d, h, k"},
                %cache: tensor<?x4x?x64xbf16> {attn.name = "K", attn.cache, attn.shape = "b, h, m, k"})
    -> (tensor<?x4x64xf32> {attn.name = "q", attn.shape = "b, h, k"}, tensor<?x4x?x64xbf16> {attn.cache = "K"}) {
  %q = attn.einsum "bd, dhk -> bhk"(%x, %w) : (tensor<?x512xbf16>, tensor<512x4x64xbf16>) -> tensor<?x4x64xf32>
  %e = math.exp %q : tensor<?x4x64xf32>
  %t = arith.truncf %e : tensor<?x4x64xf32> to tensor<?x4x64xbf16>
  %c = attn.append "bhk -> bhmk"(%t into %cache at %length : tensor<?xi64>) : tensor<?x4x64xbf16> into tensor<?x4x?x64xbf16>
  return %e, %c : tensor<?x4x64xf32>, tensor<?x4x?x64xbf16>
}
