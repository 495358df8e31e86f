// Sums of products on buffers: the weight's columns or its sums are vectors, and
// the sums are carried by the loops, in registers.
// RUN: einhead-opt %s --pass-pipeline='builtin.module(func.func(einhead-contractions-to-vector{cpu=x86-64-v4},cse,canonicalize))' --split-input-file | FileCheck %s
// RUN: einhead-opt %s --pass-pipeline='builtin.module(func.func(einhead-contractions-to-vector{cpu=znver4},cse,canonicalize))' --split-input-file | FileCheck %s --check-prefix=DOT

// 3 rows of x by 7 vectors of 100 columns: panels of 64 rows of w, as many as
// reach as far ahead as memory wants, then the 8 that are left.
// CHECK-LABEL: func.func @columns
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<3x200xf32>, %[[W:[a-z0-9]+]]: memref<200x100xf32>, %[[Y:[a-z0-9]+]]: memref<3x100xf32>
// CHECK: scf.for %[[PANEL:.*]] = %c0 to %c192 step %c64
// CHECK: %[[END:.*]] = arith.addi %[[PANEL]], %c64
// CHECK-COUNT-6: vector.load %[[Y]]
// CHECK: vector.maskedload %[[Y]]
// CHECK: %[[SUMS:.*]]:23 = scf.for %[[ROW:.*]] = %[[PANEL]] to %[[END]] step %c1 iter_args(
// CHECK: memref.prefetch %[[W]]
// CHECK: vector.load %[[W]][%[[ROW]], %c0]
// CHECK: memref.load %[[X]][%c0, %[[ROW]]]
// CHECK-COUNT-21: vector.fma
// CHECK: scf.yield
// CHECK: vector.store %[[SUMS]]#0, %[[Y]][%c0, %c0]
// CHECK: scf.for {{.*}} = %c192 to %c200
// CHECK-NOT: linalg.generic
// One form for what is not bf16.
// DOT-LABEL: func.func @columns
// DOT-NOT: x86vector
func.func @columns(%x: memref<3x200xf32>, %w: memref<200x100xf32>, %y: memref<3x100xf32>) {
  linalg.generic {indexing_maps = [affine_map<(b, d, n) -> (b, d)>, affine_map<(b, d, n) -> (d, n)>, affine_map<(b, d, n) -> (b, n)>],
                  iterator_types = ["parallel", "reduction", "parallel"]}
    ins(%x, %w : memref<3x200xf32>, memref<200x100xf32>) outs(%y : memref<3x100xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  }
  return
}

// -----

// One row, and rows of w of 2400 bytes: 8 of them are written out, each with a
// load of its own.
// CHECK-LABEL: func.func @streams
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<1x16xf32>, %[[W:[a-z0-9]+]]: memref<16x600xf32>, %[[Y:[a-z0-9]+]]: memref<1x600xf32>
// CHECK: scf.for %{{.*}} = %c0 to %c16 step %c8
// CHECK: scf.for %{{.*}} = %c0 to %c592 step %c16
// CHECK: vector.load %[[Y]]
// CHECK-COUNT-8: memref.prefetch %[[W]]
// CHECK-COUNT-8: vector.fma
// CHECK-NOT: vector.fma
// CHECK: vector.store {{.*}}, %[[Y]]
func.func @streams(%x: memref<1x16xf32>, %w: memref<16x600xf32>, %y: memref<1x600xf32>) {
  linalg.generic {indexing_maps = [affine_map<(b, d, n) -> (b, d)>, affine_map<(b, d, n) -> (d, n)>, affine_map<(b, d, n) -> (b, n)>],
                  iterator_types = ["parallel", "reduction", "parallel"]}
    ins(%x, %w : memref<1x16xf32>, memref<16x600xf32>) outs(%y : memref<1x600xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  }
  return
}

// -----

// Contiguous sums: 4 rows of x by 6 of w, whose lanes are added at the end.  In
// bf16 two neighbours at a time where the CPU's rates say so, else widened.
// CHECK-LABEL: func.func @sums
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<4x200xbf16>, %[[W:[a-z0-9]+]]: memref<6x200xbf16>, %[[Y:[a-z0-9]+]]: memref<4x6xf32>
// CHECK: scf.for %{{.*}} = %c0 to %c192 step %c16 iter_args(
// CHECK-COUNT-6: vector.load %[[W]]{{.*}} vector<16xbf16>
// CHECK: vector.load %[[X]]
// CHECK: arith.extf
// CHECK-COUNT-24: vector.fma
// CHECK: vector.constant_mask [8]
// CHECK-COUNT-6: vector.maskedload %[[W]]
// CHECK: vector.shuffle
// CHECK-COUNT-24: memref.store %{{.*}}, %[[Y]]
// CHECK-NOT: linalg.generic
// DOT-LABEL: func.func @sums
// DOT: scf.for %{{.*}} = %c0 to %c192 step %c32 iter_args(
// DOT-COUNT-24: x86vector.avx512.dot
// DOT-NOT: vector.fma
func.func @sums(%x: memref<4x200xbf16>, %w: memref<6x200xbf16>, %y: memref<4x6xf32>) {
  linalg.generic {indexing_maps = [affine_map<(b, n, d) -> (b, d)>, affine_map<(b, n, d) -> (n, d)>, affine_map<(b, n, d) -> (b, n)>],
                  iterator_types = ["parallel", "parallel", "reduction"]}
    ins(%x, %w : memref<4x200xbf16>, memref<6x200xbf16>) outs(%y : memref<4x6xf32>) {
  ^bb0(%a: bf16, %b: bf16, %c: f32):
    %u = arith.extf %a : bf16 to f32
    %v = arith.extf %b : bf16 to f32
    %p = arith.mulf %u, %v : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  }
  return
}

// -----

// No vector can be read: the columns of the result are apart, or a factor is
// not an operand.
// CHECK-LABEL: func.func @others
// CHECK-COUNT-2: linalg.generic
// CHECK-NOT: scf.for
func.func @others(%x: memref<4x20xf32>, %w: memref<20x30xf32>, %turned: memref<30x4xf32>, %y: memref<4x30xf32>) {
  linalg.generic {indexing_maps = [affine_map<(b, d, n) -> (b, d)>, affine_map<(b, d, n) -> (d, n)>, affine_map<(b, d, n) -> (n, b)>],
                  iterator_types = ["parallel", "reduction", "parallel"]}
    ins(%x, %w : memref<4x20xf32>, memref<20x30xf32>) outs(%turned : memref<30x4xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  }
  linalg.generic {indexing_maps = [affine_map<(b, d, n) -> (b, d)>, affine_map<(b, d, n) -> (d, n)>, affine_map<(b, d, n) -> (b, n)>],
                  iterator_types = ["parallel", "reduction", "parallel"]}
    ins(%x, %w : memref<4x20xf32>, memref<20x30xf32>) outs(%y : memref<4x30xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %n = arith.negf %a : f32
    %p = arith.mulf %n, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  }
  return
}
