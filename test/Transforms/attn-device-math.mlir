// RUN: einhead-opt --attn-device-math --split-input-file --verify-diagnostics %s | FileCheck %s

// Instructions stay, in f32 whatever the type; functions become arithmetic, in f64 where f32 would lose places.

// CHECK-LABEL: func.func @instructions
func.func @instructions(%x: f32, %h: f16, %d: f64) -> (f32, f32, f16, f64) {
  // CHECK: math.sqrt %{{.*}} : f32
  %0 = math.sqrt %x : f32
  // CHECK: math.exp2 %{{.*}} : f32
  %1 = math.exp2 %x : f32
  // CHECK: %[[WIDE:.*]] = arith.extf %{{.*}} : f16 to f32
  // CHECK: %[[ROOT:.*]] = math.sqrt %[[WIDE]] : f32
  // CHECK: arith.truncf %[[ROOT]] : f32 to f16
  %2 = math.sqrt %h : f16
  // CHECK: math.floor %{{.*}} : f64
  %3 = math.floor %d : f64
  return %0, %1, %2, %3 : f32, f32, f16, f64
}

// CHECK-LABEL: func.func @functions
func.func @functions(%x: f32, %h: bf16, %v: vector<4xf32>, %i: i32) -> (f32, bf16, vector<4xf32>, f32, f32) {
  // CHECK-NOT: f64
  // CHECK: math.exp2 %{{.*}} : f32
  // CHECK-NOT: math.exp %
  %0 = math.exp %x : f32
  // CHECK: arith.extf %{{.*}} : bf16 to f64
  // CHECK-NOT: math.sin
  // CHECK: arith.truncf %{{.*}} : f64 to bf16
  %1 = math.sin %h : bf16
  // CHECK: vector<4xf64>
  // CHECK-NOT: math.tanh
  %2 = math.tanh %v : vector<4xf32>
  // CHECK: arith.sitofp %{{.*}} : i32 to f64
  // CHECK-NOT: math.fpowi
  %3 = math.fpowi %x, %i : f32, i32
  // CHECK-NOT: math.rsqrt
  // CHECK: math.sqrt
  // CHECK: arith.divf
  %4 = math.rsqrt %x : f32
  // CHECK: return
  return %0, %1, %2, %3, %4 : f32, bf16, vector<4xf32>, f32, f32
}

// -----

func.func @none(%x: f64) -> f64 {
  // expected-error @below {{has no form on a GPU; compile with --target=cpu, or write it with functions that have one}}
  %0 = math.cbrt %x : f64
  return %0 : f64
}

// -----

func.func @integers(%x: i32) -> i32 {
  // expected-error @below {{of integers has no form on a GPU}}
  %0 = math.ipowi %x, %x : i32
  return %0 : i32
}
