// RUN: einhead-opt %s --attn-to-vector --canonicalize --cse | FileCheck %s

// The ways to multiply, on four rows by 32 keys of 64 columns.

// Rows of K as they lie, 32 bf16 a vector: each load meets four rows.
// CHECK-LABEL: func.func @dot
// CHECK-SAME: %[[KEY:[a-z0-9]+]]: memref<32x64xbf16>, %[[VALUE:[a-z0-9]+]]: memref<32x64xbf16>
// CHECK: vector.load %[[KEY]]{{.*}} vector<32xbf16>
// CHECK-COUNT-4: x86vector.avx512.dot
// CHECK: vector.load %[[KEY]]{{.*}} vector<32xbf16>
// CHECK-COUNT-4: x86vector.avx512.dot
// Weights are rounded, and summed as they will be used.
// CHECK: x86vector.avx512.cvt.packed.f32_to_bf16
// CHECK: x86vector.avx512.dot
// Two rows of V are interleaved; the pair of weights is spread.
// CHECK: scf.for {{.*}} step %c2 iter_args
// CHECK: vector.load %[[VALUE]]{{.*}} vector<32xbf16>
// CHECK: vector.shuffle {{.*}} [0, 32, 1, 33, 2, 34, 3, 35, 8, 40,
// CHECK-COUNT-16: x86vector.avx512.dot
func.func @dot(%q: memref<4x64xbf16>, %k: memref<32x64xbf16>, %v: memref<32x64xbf16>,
               %max: memref<4xf32>, %sum: memref<4xf32>, %acc: memref<4x64xf32>) {
  attn.partial_attention "rk, mk, mv -> rv" query(%q : memref<4x64xbf16>)
    key(%k : memref<32x64xbf16>) value(%v : memref<32x64xbf16>) scale 1.0
    schedule #attn.schedule<chunk = 32, key_tile = 32, row_tile = 4, lanes = 16, products = dot>
    outs(%max, %sum, %acc : memref<4xf32>, memref<4xf32>, memref<4x64xf32>)
  return
}

// K is turned once, so that a query's element is spread over 16 keys; no sum
// over lanes is left.
// CHECK-LABEL: func.func @packed
// CHECK-SAME: %[[KEY:[a-z0-9]+]]: memref<32x64xf32>
// CHECK-DAG: memref.alloca() {alignment = 64 : i64} : memref<64x32xf32>
// CHECK: scf.for
// CHECK-COUNT-16: vector.load %[[KEY]]
// CHECK-COUNT-64: vector.shuffle
// CHECK-COUNT-16: vector.store
// CHECK-NOT: vector.load %[[KEY]]
// CHECK: scf.for {{.*}} iter_args({{.*}}) -> (vector<16xf32>,
// CHECK-COUNT-2: vector.load
// CHECK: memref.load
// CHECK: vector.broadcast
// CHECK-COUNT-8: vector.fma
// CHECK: scf.yield
// CHECK: vector.reduction <or>
func.func @packed(%q: memref<4x64xf32>, %k: memref<32x64xf32>, %v: memref<32x64xf32>,
                  %max: memref<4xf32>, %sum: memref<4xf32>, %acc: memref<4x64xf32>) {
  attn.partial_attention "rk, mk, mv -> rv" query(%q : memref<4x64xf32>)
    key(%k : memref<32x64xf32>) value(%v : memref<32x64xf32>) scale 1.0
    schedule #attn.schedule<chunk = 32, key_tile = 32, row_tile = 4, lanes = 16, packed = true>
    outs(%max, %sum, %acc : memref<4xf32>, memref<4xf32>, memref<4x64xf32>)
  return
}

// Pairs of a packed tile: scores become weights in the registers that they are
// summed in, compared with the maximum so far; the lanes of their sums are added
// at the end.
// CHECK-LABEL: func.func @weighed
// CHECK: %[[TOTALS:.*]] = memref.alloca() {alignment = 64 : i64} : memref<4x16xf32>
// CHECK-COUNT-8: x86vector.avx512.dot
// CHECK: vector.reduction <or>
// CHECK: scf.if
// CHECK-NOT: vector.load {{.*}} memref<4x32xf32>
// CHECK: arith.shli {{.*}} : vector<16xi32>
// CHECK: x86vector.avx512.cvt.packed.f32_to_bf16
// CHECK: vector.store {{.*}}, %[[TOTALS]]
// CHECK: vector.reduction <add>
func.func @weighed(%q: memref<4x64xbf16>, %k: memref<32x64xbf16>, %v: memref<32x64xbf16>,
                   %max: memref<4xf32>, %sum: memref<4xf32>, %acc: memref<4x64xf32>) {
  attn.partial_attention "rk, mk, mv -> rv" query(%q : memref<4x64xbf16>)
    key(%k : memref<32x64xbf16>) value(%v : memref<32x64xbf16>) scale 1.0
    schedule #attn.schedule<chunk = 32, key_tile = 32, row_tile = 4, lanes = 16, products = dot, packed = true>
    outs(%max, %sum, %acc : memref<4xf32>, memref<4xf32>, memref<4x64xf32>)
  return
}

// Matrix tiles, all of one shape: keys as they lie by queries over two steps of
// the depth, beside the unpacking of V; 4 rows are turned close to each other, so
// that a vector has 4 keys of all. A maximum is raised where a score is 8 above
// it. Sums of all columns are tiles, whose columns are put in order at the end.
// CHECK-LABEL: func.func @tiles
// CHECK-SAME: %[[KEY:[a-z0-9]+]]: memref<32x64xbf16>, %[[VALUE:[a-z0-9]+]]: memref<32x64xbf16>
// CHECK-COUNT-2: amx.tile_zero
// CHECK: amx.tile_load %{{.*}}[%c0], %c8 : memref<280xbf16>
// CHECK: amx.tile_load %[[KEY]][%c0, %c0], %c64
// CHECK: amx.tile_mulf {{.*}} !amx.tile<16x32xbf16>, !amx.tile<16x32xbf16>, !amx.tile<16x16xf32>
// CHECK: vector.load %[[VALUE]]
// CHECK: vector.shuffle {{.*}} [0, 32, 1, 33, 2, 34, 3, 35, 8, 40,
// CHECK-COUNT-3: amx.tile_mulf
// CHECK-COUNT-2: amx.tile_store %{{.*}}, %c4 : memref<152xf32>
// CHECK: arith.addf {{.*}}, %[[SLACK:.*]] : vector<16xf32>
// CHECK: vector.reduction <or>
// CHECK-COUNT-4: llvm.call_intrinsic "llvm.x86.avx512bf16.cvtne2ps2bf16.512"
// CHECK-NOT: cvtne
// CHECK-COUNT-4: amx.tile_mulf
// CHECK-COUNT-4: amx.tile_store
// CHECK: vector.shuffle {{.*}} [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23]
func.func @tiles(%q: memref<4x64xbf16>, %k: memref<32x64xbf16>, %v: memref<32x64xbf16>,
                 %max: memref<4xf32>, %sum: memref<4xf32>, %acc: memref<4x64xf32>) {
  attn.partial_attention "rk, mk, mv -> rv" query(%q : memref<4x64xbf16>)
    key(%k : memref<32x64xbf16>) value(%v : memref<32x64xbf16>) scale 1.0
    schedule #attn.schedule<chunk = 32, key_tile = 32, row_tile = 4, lanes = 16, products = tiles, packed = true>
    outs(%max, %sum, %acc : memref<4xf32>, memref<4xf32>, memref<4x64xf32>)
  return
}

// Three blocks of rows: scores of two, then those of the third beside the
// weights of the first two. New sums are not read.
// CHECK-LABEL: func.func @blocks
// CHECK-SAME: %[[KEY:[a-z0-9]+]]: memref<32x64xbf16>
// CHECK-NOT: linalg.fill
// CHECK-COUNT-8: amx.tile_mulf
// CHECK-COUNT-2: vector.reduction <or>
// CHECK: amx.tile_load %[[KEY]]
// CHECK: amx.tile_mulf
// CHECK: x86vector.avx512.mask.scalef
// CHECK: cvtne2ps2bf16
// CHECK: amx.tile_mulf
// CHECK: x86vector.avx512.mask.scalef
// CHECK: cvtne2ps2bf16
// CHECK: amx.tile_mulf
// CHECK: vector.reduction <or>
func.func @blocks(%q: memref<40x64xbf16>, %k: memref<32x64xbf16>, %v: memref<32x64xbf16>,
                  %max: memref<40xf32>, %sum: memref<40xf32>, %acc: memref<40x64xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%acc : memref<40x64xf32>)
  attn.partial_attention "rk, mk, mv -> rv" query(%q : memref<40x64xbf16>)
    key(%k : memref<32x64xbf16>) value(%v : memref<32x64xbf16>) scale 1.0
    schedule #attn.schedule<chunk = 32, key_tile = 32, row_tile = 64, lanes = 16, products = tiles, packed = true>
    outs(%max, %sum, %acc : memref<40xf32>, memref<40xf32>, memref<40x64xf32>)
  return
}

// A key that may not count is asked for: f32, whatever the schedule says.
// CHECK-LABEL: func.func @masked
// CHECK-NOT: x86vector
// CHECK: return
func.func @masked(%q: memref<4x64xbf16>, %k: memref<32x64xbf16>, %v: memref<32x64xbf16>,
                  %max: memref<4xf32>, %sum: memref<4xf32>, %acc: memref<4x64xf32>) {
  attn.partial_attention "rk, mk, mv -> rv" query(%q : memref<4x64xbf16>)
    key(%k : memref<32x64xbf16>) value(%v : memref<32x64xbf16>) scale 1.0
    mask #attn.mask<"m", "(m) : (m - 5 >= 0)">()
    schedule #attn.schedule<chunk = 32, key_tile = 32, row_tile = 4, lanes = 16, products = dot>
    outs(%max, %sum, %acc : memref<4xf32>, memref<4xf32>, memref<4x64xf32>)
  return
}
