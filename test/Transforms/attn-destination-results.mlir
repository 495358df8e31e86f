// Results become arguments that the function fills.
// RUN: einhead-opt %s -attn-destination-results -split-input-file -verify-diagnostics | FileCheck %s

// CHECK-LABEL: func.func @add
// CHECK-SAME: %[[A:.*]]: tensor<?x8xf32> {attn.shape = "n, 8", bufferization.buffer_layout = strided<[?, 1]>, bufferization.writable = false}
// CHECK-SAME: %[[OUT:.*]]: tensor<?x8xf32> {attn.name = "y", attn.shape = "n, 8", bufferization.buffer_layout = strided<[?, 1]>, bufferization.writable = true}
func.func @add(%a: tensor<?x8xf32> {attn.shape = "n, 8"})
    -> (tensor<?x8xf32> {attn.name = "y", attn.shape = "n, 8"}) {
  // CHECK: %[[SUM:.*]] = arith.addf %[[A]], %[[A]]
  %0 = arith.addf %a, %a : tensor<?x8xf32>
  // CHECK: %[[WRITTEN:.*]] = bufferization.materialize_in_destination %[[SUM]] in %[[OUT]]
  // CHECK: return %[[WRITTEN]]
  return %0 : tensor<?x8xf32>
}

// -----

// A number comes back in a tensor of rank 0, under a name of its own.
// CHECK-LABEL: func.func @count
// CHECK-SAME: %[[OUT:[a-z0-9]+]]: tensor<i64> {attn.name = "result0"
func.func @count(%n: i64) -> i64 {
  // CHECK: %[[T:.*]] = tensor.from_elements %{{.*}} : tensor<i64>
  // CHECK: materialize_in_destination %[[T]] in %[[OUT]]
  return %n : i64
}

// -----

// A cache is written in place, the session's tensors are dense; what is private
// stays as it is.
// CHECK-LABEL: func.func @step
// CHECK-SAME: tensor<2x?xf32> {attn.cache, attn.name = "k0", attn.shape = "2, m", bufferization.buffer_layout = affine_map<(d0, d1) -> (d0, d1)>, bufferization.writable = true}
// CHECK-SAME: tensor<4x4xf32> {attn.parameter = "w", bufferization.buffer_layout = affine_map<(d0, d1) -> (d0, d1)>, bufferization.writable = false}
// CHECK-SAME: -> (tensor<2x?xf32> {attn.cache = "k0"})
func.func @step(%k: tensor<2x?xf32> {attn.cache, attn.name = "k0", attn.shape = "2, m"},
                %w: tensor<4x4xf32> {attn.parameter = "w"})
    -> (tensor<2x?xf32> {attn.cache = "k0"}) {
  return %k : tensor<2x?xf32>
}
// CHECK-LABEL: func.func private @helper
// CHECK-SAME: (%{{.*}}: tensor<4xf32> {bufferization.buffer_layout = strided<[1], offset: ?>}) -> tensor<4xf32>
func.func private @helper(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}

// -----

// expected-error @+1 {{result #0 is the new state of "k1", but no cache argument has that name}}
func.func @unknown(%k: tensor<4xf32> {attn.cache, attn.name = "k0"})
    -> (tensor<4xf32> {attn.cache = "k1"}) {
  return %k : tensor<4xf32>
}

// -----

// expected-error @+1 {{result #0 has type 'tensor<4xf32>', its cache "k0" has type 'tensor<8xf32>'}}
func.func @mismatch(%k: tensor<8xf32> {attn.cache, attn.name = "k0"}, %x: tensor<4xf32>)
    -> (tensor<4xf32> {attn.cache = "k0"}) {
  return %x : tensor<4xf32>
}

// -----

// expected-error @+1 {{result #0 needs the name of its cache}}
func.func @nameless(%k: tensor<8xf32> {attn.cache, attn.name = "k0"})
    -> (tensor<8xf32> {attn.cache}) {
  return %k : tensor<8xf32>
}

// -----

// expected-error @+1 {{is neither a ranked tensor nor a number}}
func.func @vector(%x: vector<4xf32>) -> vector<4xf32> {
  return %x : vector<4xf32>
}

// -----

// expected-error @+1 {{is public and called in its module}}
func.func @called(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
func.func private @caller(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = call @called(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// expected-error @+1 {{has branches between blocks}}
func.func @blocks(%x: tensor<4xf32>) -> tensor<4xf32> {
  cf.br ^end
^end:
  return %x : tensor<4xf32>
}
