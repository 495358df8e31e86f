// RUN: einhead-opt --attn-linalg-to-gpu --canonicalize --cse --split-input-file %s | FileCheck %s

// A thread for each point of the parallel loops, in the order of the output; the sum in a register.

// CHECK-LABEL: func.func @sums
// CHECK-SAME: (%[[A:.*]]: memref<?x48x8xbf16>, %[[S:.*]]: memref<8x?xf32>)
func.func @sums(%a: memref<?x48x8xbf16>, %s: memref<8x?xf32>) {
  // CHECK: %[[N:.*]] = memref.dim %[[A]], %c0
  // CHECK: %[[TOTAL:.*]] = arith.muli %[[N]], %c8
  // CHECK: %[[BLOCKS:.*]] = arith.ceildivui %[[TOTAL]], %c256
  // CHECK: %[[GRID:.*]] = arith.maxui %[[BLOCKS]], %c1
  // CHECK: gpu.launch blocks(%[[BX:[^,]*]], {{.*}}) in (%{{.*}} = %[[GRID]], {{.*}}) threads(%[[TX:[^,]*]], {{.*}}) in (%{{.*}} = %c256
  // CHECK: %[[FIRST:.*]] = arith.muli %[[BX]], %c256
  // CHECK: %[[ID:.*]] = arith.addi %[[FIRST]], %[[TX]]
  // CHECK: %[[INSIDE:.*]] = arith.cmpi ult, %[[ID]], %[[TOTAL]]
  // CHECK: scf.if %[[INSIDE]]
  // The output's last dimension is the first letter of the loops.
  // CHECK: %[[I:.*]] = arith.remui %[[ID]], %[[N]]
  // CHECK: %[[J:.*]] = arith.divui %[[ID]], %[[N]]
  // CHECK: %[[START:.*]] = memref.load %[[S]][%[[J]], %[[I]]]
  // CHECK: %[[SUM:.*]] = scf.for %[[K:.*]] = %c0 to %c48 step %c1 iter_args(%[[PART:.*]] = %[[START]])
  // CHECK: %[[X:.*]] = memref.load %[[A]][%[[I]], %[[K]], %[[J]]]
  // CHECK: %[[WIDE:.*]] = arith.extf %[[X]]
  // CHECK: arith.addf %[[PART]], %[[WIDE]]
  // CHECK: memref.store %[[SUM]], %[[S]][%[[J]], %[[I]]]
  // CHECK: gpu.terminator
  // CHECK-NOT: linalg
  linalg.generic {
    indexing_maps = [affine_map<(i, k, j) -> (i, k, j)>, affine_map<(i, k, j) -> (j, i)>],
    iterator_types = ["parallel", "reduction", "parallel"]}
    ins(%a : memref<?x48x8xbf16>) outs(%s : memref<8x?xf32>) {
  ^bb0(%x: bf16, %y: f32):
    %0 = arith.extf %x : bf16 to f32
    %1 = arith.addf %y, %0 : f32
    linalg.yield %1 : f32
  }
  return
}

// -----

// An append of each sequence at its length: one kernel, which loads the length.

// CHECK-LABEL: func.func @append
// CHECK-SAME: (%[[CACHE:.*]]: memref<?x4x?x64xbf16>, %[[ROWS:.*]]: memref<?x4x64xbf16>, %[[LENGTHS:.*]]: memref<?xi64>)
func.func @append(%cache: memref<?x4x?x64xbf16>, %rows: memref<?x4x64xbf16>, %lengths: memref<?xi64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = memref.dim %cache, %c0 : memref<?x4x?x64xbf16>
  // CHECK-NOT: scf.for
  // CHECK-NOT: memref.load
  // CHECK: gpu.launch
  // CHECK: %[[P:.*]] = memref.load %[[LENGTHS]][%[[B:.*]]]
  // CHECK: %[[AT:.*]] = arith.index_cast %[[P]]
  // CHECK: memref.subview %[[ROWS]][%[[B]], 0, 0]
  // CHECK: memref.subview %[[CACHE]][%[[B]], 0, %[[AT]], 0]
  scf.for %b = %c0 to %n step %c1 {
    %p = memref.load %lengths[%b] : memref<?xi64>
    %at = arith.index_cast %p : i64 to index
    %from = memref.subview %rows[%b, 0, 0] [1, 4, 64] [1, 1, 1]
      : memref<?x4x64xbf16> to memref<1x4x64xbf16, strided<[256, 64, 1], offset: ?>>
    %to = memref.subview %cache[%b, 0, %at, 0] [1, 4, 1, 64] [1, 1, 1, 1]
      : memref<?x4x?x64xbf16> to memref<1x4x64xbf16, strided<[?, ?, 1], offset: ?>>
    memref.copy %from, %to
      : memref<1x4x64xbf16, strided<[256, 64, 1], offset: ?>> to memref<1x4x64xbf16, strided<[?, ?, 1], offset: ?>>
  }
  return
}

// -----

// Turns that write the same rows keep their order: a launch in each.  The number that they read is loaded by the kernel.

// CHECK-LABEL: func.func @same_rows
func.func @same_rows(%cache: memref<8x64xf32>, %rows: memref<4x64xf32>, %at: memref<4xi64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  // CHECK: scf.for
  // CHECK-NOT: memref.load
  // CHECK: gpu.launch
  // CHECK: memref.load
  // CHECK: memref.subview
  scf.for %b = %c0 to %c4 step %c1 {
    %p = memref.load %at[%b] : memref<4xi64>
    %i = arith.index_cast %p : i64 to index
    %from = memref.subview %rows[%b, 0] [1, 64] [1, 1] : memref<4x64xf32> to memref<1x64xf32, strided<[64, 1], offset: ?>>
    %to = memref.subview %cache[%i, 0] [1, 64] [1, 1] : memref<8x64xf32> to memref<1x64xf32, strided<[64, 1], offset: ?>>
    memref.copy %from, %to : memref<1x64xf32, strided<[64, 1], offset: ?>> to memref<1x64xf32, strided<[64, 1], offset: ?>>
  }
  return
}

// -----

// A number that is written before the kernel runs stays where it was loaded (and is an error later); one that is written before it is loaded goes along.

// CHECK-LABEL: func.func @moved
// CHECK-SAME: (%[[N:.*]]: memref<i64>, %[[M:.*]]: memref<i64>
func.func @moved(%n: memref<i64>, %m: memref<i64>, %x: memref<64xi64>, %y: memref<64xi64>, %v: i64) {
  // CHECK: gpu.launch
  // CHECK: memref.store %{{.*}}, %[[M]][]
  linalg.fill ins(%v : i64) outs(%m : memref<i64>)
  // CHECK: %[[STAYS:.*]] = memref.load %[[N]][]
  %0 = memref.load %n[] : memref<i64>
  %1 = memref.load %m[] : memref<i64>
  // CHECK: gpu.launch
  // CHECK: memref.store %{{.*}}, %[[N]][]
  linalg.fill ins(%v : i64) outs(%n : memref<i64>)
  // CHECK: gpu.launch
  // CHECK-NOT: memref.load
  // CHECK: memref.store %[[STAYS]]
  linalg.fill ins(%0 : i64) outs(%x : memref<64xi64>)
  // CHECK: gpu.launch
  // CHECK: %[[GOES:.*]] = memref.load %[[M]][]
  // CHECK: memref.store %[[GOES]]
  linalg.fill ins(%1 : i64) outs(%y : memref<64xi64>)
  return
}

// -----

// Constants in memory are the kernel's own; one number is stored by one thread.

memref.global "private" constant @table : memref<4xf32> = dense<[1.0, 2.0, 3.0, 4.0]>

// CHECK-LABEL: func.func @constants
func.func @constants(%x: memref<4xf32>, %one: memref<f32>, %v: f32) {
  // CHECK-NOT: memref.get_global
  // CHECK: gpu.launch
  // CHECK: memref.get_global @table
  %0 = memref.get_global @table : memref<4xf32>
  memref.copy %0, %x : memref<4xf32> to memref<4xf32>
  // CHECK: gpu.launch {{.*}} threads({{.*}}) in (%{{.*}} = %c1
  // CHECK: memref.store
  memref.store %v, %one[] : memref<f32>
  return
}

// -----

// A long reduction along the rows that are read: 32 neighbouring threads have a part of it each, the first adds them up.

// CHECK-LABEL: func.func @along_rows
// CHECK-SAME: (%[[A:.*]]: memref<?x512xf32>, %[[S:.*]]: memref<?xf32>)
func.func @along_rows(%a: memref<?x512xf32>, %s: memref<?xf32>) {
  // CHECK: %[[N:.*]] = memref.dim %[[A]], %c0
  // CHECK: arith.ceildivui %[[N]], %c8
  // CHECK: gpu.launch blocks(%[[BX:[^,]*]], {{.*}} threads(%[[TX:[^,]*]], {{.*}}) in (%{{.*}} = %c256{{.*}} dynamic_shared_memory_size %c1024_i32
  // CHECK: %[[PART:.*]] = arith.remui %[[TX]], %c32
  // CHECK: %[[POINT:.*]] = arith.divui %[[TX]], %c32
  // CHECK: %[[FIRST:.*]] = arith.muli %[[BX]], %c8
  // CHECK: %[[I:.*]] = arith.addi %[[FIRST]], %[[POINT]]
  // CHECK: %[[SUMS:.*]] = memref.view {{.*}} to memref<32x8xf32, #gpu.address_space<workgroup>>
  // CHECK: scf.if
  // CHECK: %[[SUM:.*]] = scf.for %[[K:.*]] = %[[PART]] to %c512 step %c32 iter_args(%{{.*}} = %cst) -> (f32)
  // CHECK: memref.load %[[A]][%[[I]], %[[K]]]
  // CHECK: memref.store %[[SUM]], %[[SUMS]][%[[PART]], %[[POINT]]]
  // CHECK: gpu.barrier
  // CHECK: arith.cmpi eq, %[[PART]], %c0
  // CHECK: scf.if
  // CHECK: %[[START:.*]] = memref.load %[[S]][%[[I]]]
  // CHECK: scf.for %[[P:.*]] = %c0 to %c32 step %c1 iter_args(%[[SO_FAR:.*]] = %[[START]]) -> (f32)
  // CHECK: %[[NEXT:.*]] = memref.load %[[SUMS]][%[[P]], %[[POINT]]]
  // CHECK: arith.maximumf %[[SO_FAR]], %[[NEXT]]
  // CHECK: memref.store %{{.*}}, %[[S]][%[[I]]]
  linalg.generic {
    indexing_maps = [affine_map<(i, k) -> (i, k)>, affine_map<(i, k) -> (i)>], iterator_types = ["parallel", "reduction"]}
    ins(%a : memref<?x512xf32>) outs(%s : memref<?xf32>) {
  ^bb0(%x: f32, %y: f32):
    %0 = arith.maximumf %y, %x : f32
    linalg.yield %0 : f32
  }
  return
}

// -----

// Across rows that the output has too: 32 neighbouring threads read one, eight groups of them have a part each.

// CHECK-LABEL: func.func @across_rows
func.func @across_rows(%a: memref<512x?xbf16>, %x: memref<512xbf16>, %s: memref<?xf32>) {
  // CHECK: gpu.launch blocks({{.*}} threads(%[[TX:[^,]*]], {{.*}} dynamic_shared_memory_size %c1024_i32
  // CHECK: %[[POINT:.*]] = arith.remui %[[TX]], %c32
  // CHECK: %[[PART:.*]] = arith.divui %[[TX]], %c32
  // CHECK: memref<8x32xf32, #gpu.address_space<workgroup>>
  // CHECK: scf.for %{{.*}} = %[[PART]] to %c512 step %c8
  // CHECK: gpu.barrier
  linalg.generic {
    indexing_maps = [affine_map<(i, k) -> (k, i)>, affine_map<(i, k) -> (k)>, affine_map<(i, k) -> (i)>],
    iterator_types = ["parallel", "reduction"]}
    ins(%a, %x : memref<512x?xbf16>, memref<512xbf16>) outs(%s : memref<?xf32>) {
  ^bb0(%u: bf16, %v: bf16, %y: f32):
    %0 = arith.extf %u : bf16 to f32
    %1 = arith.extf %v : bf16 to f32
    %2 = arith.mulf %0, %1 : f32
    %3 = arith.addf %y, %2 : f32
    linalg.yield %3 : f32
  }
  return
}

// -----

// A fill before a sum is where the sum starts; one whose memory is used in between stays.

// CHECK-LABEL: func.func @fills
// CHECK-SAME: (%[[A:.*]]: memref<4x8xf32>, %[[S:.*]]: memref<4xf32>, %[[T:.*]]: memref<4xf32>)
func.func @fills(%a: memref<4x8xf32>, %s: memref<4xf32>, %t: memref<4xf32>) {
  %zero = arith.constant 0.0 : f32
  // CHECK: gpu.launch
  // CHECK-NOT: memref.load %[[S]]
  // CHECK: scf.for {{.*}} iter_args(%{{.*}} = %[[ZERO:.*]])
  // CHECK: memref.store %{{.*}}, %[[S]]
  linalg.fill ins(%zero : f32) outs(%s : memref<4xf32>)
  linalg.generic {
    indexing_maps = [affine_map<(i, k) -> (i, k)>, affine_map<(i, k) -> (i)>], iterator_types = ["parallel", "reduction"]}
    ins(%a : memref<4x8xf32>) outs(%s : memref<4xf32>) {
  ^bb0(%x: f32, %y: f32):
    %0 = arith.addf %y, %x : f32
    linalg.yield %0 : f32
  }
  // CHECK: gpu.launch
  // CHECK: memref.store %[[ZERO]], %[[S]]
  // CHECK: gpu.launch
  // CHECK: memref.load %[[S]]
  // CHECK: gpu.launch
  // CHECK: memref.load %[[S]]
  linalg.fill ins(%zero : f32) outs(%s : memref<4xf32>)
  linalg.generic {
    indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
    ins(%s : memref<4xf32>) outs(%t : memref<4xf32>) {
  ^bb0(%x: f32, %y: f32):
    linalg.yield %x : f32
  }
  linalg.generic {
    indexing_maps = [affine_map<(i, k) -> (i, k)>, affine_map<(i, k) -> (i)>], iterator_types = ["parallel", "reduction"]}
    ins(%a : memref<4x8xf32>) outs(%s : memref<4xf32>) {
  ^bb0(%x: f32, %y: f32):
    %0 = arith.addf %y, %x : f32
    linalg.yield %0 : f32
  }
  return
}
