// RUN: einhead-opt %s -split-input-file --einhead-contractions-to-gpu | FileCheck %s
// RUN: einhead-opt %s -split-input-file --einhead-contractions-to-gpu --remarks-filter=einhead-contractions-to-gpu --remark-format=emitRemark 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK
// RUN: einhead-opt %s -split-input-file --einhead-contractions-to-gpu=chip=sm_89 --remarks-filter=einhead-contractions-to-gpu --remark-format=emitRemark 2>&1 >/dev/null | FileCheck %s --check-prefix=SMALL
// RUN: not einhead-opt %s -split-input-file --einhead-contractions-to-gpu=chip=abacus 2>&1 | FileCheck %s --check-prefix=CHIP
// CHIP: error: {{.*}}abacus

// A multiprocessor with less shared memory has fewer stages.
// SMALL: tiles of 32 rows by 64 columns, 128 threads, 4 stages of 12288 bytes

#x = affine_map<(b, h, d, k) -> (b, d)>
#w = affine_map<(b, h, d, k) -> (h, d, k)>
#y = affine_map<(b, h, d, k) -> (b, h, k)>
#all = affine_map<(b, h, k) -> (b, h, k)>

// Twenty rows, 120 columns that are neighbours in memory, 96 sums; fill, sums
// and rounding are one kernel.
// REMARK: tensor cores: tiles of 32 rows by 64 columns, 128 threads, 8 stages of 12288 bytes, sums rounded as they are stored
// CHECK-LABEL: func.func @rounded
// CHECK-NOT: linalg
// CHECK: %[[MULTIPROCESSORS:.*]] = call @einhead_host_multiprocessors
// CHECK: call @einhead_host_zeroed
// CHECK: gpu.launch_func @kernels::@rounded_product_0
// CHECK-SAME: dynamic_shared_memory_size %{{.*}} args(
// CHECK-NOT: linalg
// CHECK: return
// CHECK: llvm.func @rounded_product_0
// CHECK-SAME: gpu.kernel
// CHECK: nvvm.cp.async.shared.global {{.*}} 16, cache =  cg
// CHECK: nvvm.cp.async.commit.group
// CHECK: scf.for
// CHECK: nvvm.cp.async.wait.group 6
// CHECK: nvvm.barrier
// CHECK: nvvm.ldmatrix {{.*}}layout = #nvvm.mma_layout<row>
// CHECK: nvvm.ldmatrix {{.*}}layout = #nvvm.mma_layout<col>
// CHECK: nvvm.mma.sync {{.*}}multiplicandAPtxType = #nvvm.mma_type<bf16>
// CHECK: arith.truncf
func.func @rounded(%x: memref<20x96xbf16, strided<[?, 1]>>, %w: memref<3x96x40xbf16>,
                   %out: memref<20x3x40xbf16>) {
  %zero = arith.constant 0.0 : f32
  %sums = memref.alloc() : memref<20x3x40xf32>
  linalg.fill ins(%zero : f32) outs(%sums : memref<20x3x40xf32>)
  linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction", "parallel"]}
      ins(%x, %w : memref<20x96xbf16, strided<[?, 1]>>, memref<3x96x40xbf16>) outs(%sums : memref<20x3x40xf32>) {
  ^bb0(%a: bf16, %b: bf16, %c: f32):
    %0 = arith.extf %a : bf16 to f32
    %1 = arith.extf %b : bf16 to f32
    %2 = arith.mulf %0, %1 : f32
    %3 = arith.addf %c, %2 : f32
    linalg.yield %3 : f32
  }
  linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%sums : memref<20x3x40xf32>) outs(%out : memref<20x3x40xbf16>) {
  ^bb0(%a: f32, %c: bf16):
    %0 = arith.truncf %a : f32 to bf16
    linalg.yield %0 : bf16
  }
  return
}

// -----

#x = affine_map<(b, n, d) -> (b, d)>
#w = affine_map<(b, n, d) -> (n, d)>
#y = affine_map<(b, n, d) -> (b, n)>
#all = affine_map<(b, n) -> (b, n)>

// The sums are used twice: they are stored as they are, and rounded later.
// Without a fill they start with what is there.
// REMARK: tensor cores: tiles of 128 rows by 64 columns, 256 threads, 4 stages of 24576 bytes"
// CHECK-LABEL: func.func @kept
// CHECK: gpu.launch_func @kernels::@kept_product_0
// CHECK: linalg.generic
// CHECK: arith.truncf
// CHECK: return
// CHECK: llvm.func @kept_product_0
// CHECK: nvvm.mma.sync {{.*}} : (vector<2xf16>, vector<2xf16>, f32)
// CHECK: llvm.load {{.*}} -> f32
// CHECK-NOT: arith.truncf
func.func @kept(%x: memref<?x96xf16>, %w: memref<33x96xf16>, %sums: memref<?x33xf32>, %out: memref<?x33xf16>) {
  linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : memref<?x96xf16>, memref<33x96xf16>) outs(%sums : memref<?x33xf32>) {
  ^bb0(%a: f16, %b: f16, %c: f32):
    %0 = arith.extf %a : f16 to f32
    %1 = arith.extf %b : f16 to f32
    %2 = arith.mulf %0, %1 : f32
    %3 = arith.addf %c, %2 : f32
    linalg.yield %3 : f32
  }
  linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%sums : memref<?x33xf32>) outs(%out : memref<?x33xf16>) {
  ^bb0(%a: f32, %c: f16):
    %0 = arith.truncf %a : f32 to f16
    linalg.yield %0 : f16
  }
  return
}

// -----

#x = affine_map<(b, n, d) -> (b, d)>
#w = affine_map<(b, n, d) -> (d, n)>
#y = affine_map<(b, n, d) -> (b, n)>

// REMARK: no tensor cores for a sum of products: its operands are not both bf16 or both f16, and tensor cores would round them
// CHECK-LABEL: func.func @single
// CHECK-NOT: gpu.launch_func
// CHECK: linalg.generic
func.func @single(%x: memref<20x96xf32>, %w: memref<96x40xf32>, %out: memref<20x40xf32>) {
  linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : memref<20x96xf32>, memref<96x40xf32>) outs(%out : memref<20x40xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %c, %0 : f32
    linalg.yield %1 : f32
  }
  return
}

// -----

#x = affine_map<(b, n, d) -> (b, d)>
#w = affine_map<(b, n, d) -> (d, n)>
#y = affine_map<(b, n, d) -> (b, n)>

// REMARK: no tensor cores for a sum of products: fewer than 16 products are summed
// CHECK-LABEL: func.func @short
// CHECK-NOT: gpu.launch_func
// CHECK: linalg.generic
func.func @short(%x: memref<20x15xbf16>, %w: memref<15x40xbf16>, %out: memref<20x40xf32>) {
  linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : memref<20x15xbf16>, memref<15x40xbf16>) outs(%out : memref<20x40xf32>) {
  ^bb0(%a: bf16, %b: bf16, %c: f32):
    %0 = arith.extf %a : bf16 to f32
    %1 = arith.extf %b : bf16 to f32
    %2 = arith.mulf %0, %1 : f32
    %3 = arith.addf %c, %2 : f32
    linalg.yield %3 : f32
  }
  return
}

// -----

#x = affine_map<(b, d) -> (b, d)>
#y = affine_map<(b, d) -> (b)>

// REMARK: no tensor cores for a sum of products: each result is a sum of its own: no letter is in one operand alone
// CHECK-LABEL: func.func @apart
// CHECK-NOT: gpu.launch_func
// CHECK: linalg.generic
func.func @apart(%x: memref<20x96xbf16>, %w: memref<20x96xbf16>, %out: memref<20xf32>) {
  linalg.generic {indexing_maps = [#x, #x, #y], iterator_types = ["parallel", "reduction"]}
      ins(%x, %w : memref<20x96xbf16>, memref<20x96xbf16>) outs(%out : memref<20xf32>) {
  ^bb0(%a: bf16, %b: bf16, %c: f32):
    %0 = arith.extf %a : bf16 to f32
    %1 = arith.extf %b : bf16 to f32
    %2 = arith.mulf %0, %1 : f32
    %3 = arith.addf %c, %2 : f32
    linalg.yield %3 : f32
  }
  return
}
