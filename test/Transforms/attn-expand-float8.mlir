// RUN: einhead-opt %s --attn-expand-float8 --split-input-file --verify-diagnostics | FileCheck %s

// Moved to where f32 has exponent and mantissa, times 2^120; NaN apart.
// CHECK-LABEL: @widen
// CHECK-SAME: (%[[X:.*]]: vector<16xf8E4M3FN>)
func.func @widen(%x: vector<16xf8E4M3FN>) -> vector<16xf32> {
  // CHECK-DAG: %[[NAN:.*]] = arith.constant dense<0x7FC00000> : vector<16xf32>
  // CHECK-DAG: %[[RAISE:.*]] = arith.constant dense<1.329228E+36> : vector<16xf32>
  // CHECK-DAG: %[[KEPT:.*]] = arith.constant dense<-2013265921> : vector<16xi32>
  // CHECK-DAG: %[[PLACES:.*]] = arith.constant dense<20> : vector<16xi32>
  // CHECK: %[[BYTE:.*]] = arith.bitcast %[[X]] : vector<16xf8E4M3FN> to vector<16xi8>
  // CHECK: %[[BITS:.*]] = arith.extsi %[[BYTE]] : vector<16xi8> to vector<16xi32>
  // CHECK: %[[HIGH:.*]] = arith.shli %[[BITS]], %[[PLACES]]
  // CHECK: %[[CLEAN:.*]] = arith.andi %[[HIGH]], %[[KEPT]]
  // CHECK: %[[SMALL:.*]] = arith.bitcast %[[CLEAN]] : vector<16xi32> to vector<16xf32>
  // CHECK: %[[WIDE:.*]] = arith.mulf %[[SMALL]], %[[RAISE]]
  // CHECK: %[[ISNAN:.*]] = arith.cmpi eq
  // CHECK: %[[Y:.*]] = arith.select %[[ISNAN]], %[[NAN]], %[[WIDE]]
  // CHECK: return %[[Y]]
  %y = arith.extf %x : vector<16xf8E4M3FN> to vector<16xf32>
  return %y : vector<16xf32>
}

// -----

// Other types by way of f32, which all numbers of f8E4M3FN are exact in.
// CHECK-LABEL: @widen_to_f64
// CHECK-NOT: f8E4M3FN to f
// CHECK: %[[WIDE:.*]] = arith.select %{{.*}} : f32
// CHECK: arith.extf %[[WIDE]] : f32 to f64
func.func @widen_to_f64(%x: f8E4M3FN) -> f64 {
  %y = arith.extf %x : f8E4M3FN to f64
  return %y : f64
}

// -----

// CHECK-LABEL: @narrow
// CHECK-SAME: (%[[X:.*]]: bf16)
// CHECK-DAG: %[[LARGEST:.*]] = arith.constant 1138753536 : i32
// CHECK: %[[WIDE:.*]] = arith.extf %[[X]] : bf16 to f32
// CHECK: %[[BITS:.*]] = arith.bitcast %[[WIDE]] : f32 to i32
// CHECK: arith.minsi %{{.*}}, %[[LARGEST]] : i32
// CHECK: %[[BYTE:.*]] = arith.trunci %{{.*}} : i32 to i8
// CHECK: %[[Y:.*]] = arith.bitcast %[[BYTE]] : i8 to f8E4M3FN
// CHECK: return %[[Y]]
func.func @narrow(%x: bf16) -> f8E4M3FN {
  %y = arith.truncf %x : bf16 to f8E4M3FN
  return %y : f8E4M3FN
}

// -----

// What only moves bits stays.
// CHECK-LABEL: @moved
// CHECK: %[[ONE:.*]] = arith.constant 1.000000e+00 : f8E4M3FN
// CHECK: arith.select %{{.*}}, %{{.*}}, %[[ONE]] : f8E4M3FN
func.func @moved(%x: f8E4M3FN, %which: i1) -> f8E4M3FN {
  %one = arith.constant 1.0 : f8E4M3FN
  %y = arith.select %which, %x, %one : f8E4M3FN
  return %y : f8E4M3FN
}

// -----

func.func @arithmetic(%x: f8E4M3FN) -> f8E4M3FN {
  // expected-error @+1 {{computes in f8E4M3FN, which is a type of stored numbers; widen them first, with arith.extf}}
  %y = arith.mulf %x, %x : f8E4M3FN
  return %y : f8E4M3FN
}

// -----

func.func @twice(%x: f64) -> f8E4M3FN {
  // expected-error @+1 {{rounds f64 to f8E4M3FN by way of f32, which is twice; round to f32 first}}
  %y = arith.truncf %x : f64 to f8E4M3FN
  return %y : f8E4M3FN
}

// -----

func.func @downward(%x: f32) -> f8E4M3FN {
  // expected-error @+1 {{rounds to f8E4M3FN in another way than to the nearest, ties to even, which is the only one}}
  %y = arith.truncf %x downward : f32 to f8E4M3FN
  return %y : f8E4M3FN
}
