// RUN: einhead-opt %s --attn-raise --remarks-filter='attn.*' 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks

// What is done with each score between the einsum and the softmax becomes the
// score region; a bias that is in memory stays an operand.

// Soft-cap: cap * tanh(s / cap); the division joins the scale.
// REMARK: attention "bnk, bmk, bma -> bna": {{.*}}; score region of 2 ops
// CHECK-LABEL: func.func @soft_cap
// CHECK: attn.attention "bnk, bmk, bma -> bna"
// CHECK-SAME: scale 0.0083{{[0-9]*}} score {
// CHECK-NEXT: ^bb0(%[[S:.*]]: f32, %{{.*}}: index, %{{.*}}: index, %{{.*}}: index):
// CHECK: %[[T:.*]] = math.tanh %[[S]] : f32
// CHECK: %[[C:.*]] = arith.mulf %[[T]], %{{.*}} : f32
// CHECK: attn.yield %[[C]] : f32
func.func @soft_cap(%q: tensor<2x5x4xf32>, %k: tensor<2x9x4xf32>) -> tensor<2x5x4xf32> {
  %s = attn.einsum "bnk, bmk -> bnm"(%q, %k)
    : (tensor<2x5x4xf32>, tensor<2x9x4xf32>) -> tensor<2x5x9xf32>
  %quarter = arith.constant dense<0.25> : tensor<2x5x9xf32>
  %cap = arith.constant dense<30.0> : tensor<2x5x9xf32>
  %t = arith.mulf %s, %quarter : tensor<2x5x9xf32>
  %u = arith.divf %t, %cap : tensor<2x5x9xf32>
  %w = math.tanh %u : tensor<2x5x9xf32>
  %x = arith.mulf %w, %cap : tensor<2x5x9xf32>
  %p = attn.softmax "bnm" over "m"(%x) : tensor<2x5x9xf32>
  %y = attn.einsum "bnm, bmk -> bnk"(%p, %k)
    : (tensor<2x5x9xf32>, tensor<2x9x4xf32>) -> tensor<2x5x4xf32>
  return %y : tensor<2x5x4xf32>
}

// ALiBi: slope[h] * (m - n), from the indices.  The output's letters stand in
// another order than those of the scores, and the region's go by the output.
// REMARK: attention "bhnk, bmk, bma -> nbha": {{.*}}; score region of {{[0-9]+}} ops, which reads 1 tensor
// CHECK-LABEL: func.func @alibi
// CHECK-SAME: %[[SLOPES:[a-z0-9]+]]: tensor<3xf32>)
// CHECK: attn.attention "bhnk, bmk, bma -> nbha"
// CHECK-SAME: score {
// CHECK-NEXT: ^bb0(%[[S:.*]]: f32, %[[N:.*]]: index, %{{.*}}: index, %[[H:.*]]: index, %[[M:.*]]: index):
// CHECK: %[[SLOPE:.*]] = tensor.extract %[[SLOPES]][%[[H]]]
// CHECK: %[[D:.*]] = arith.subi %[[M]], %[[N]]
// CHECK: arith.index_cast %[[D]]
// CHECK: %[[B:.*]] = arith.mulf %{{.*}}, %[[SLOPE]]
// CHECK: %[[R:.*]] = arith.addf %[[S]], %[[B]]
// CHECK: attn.yield %[[R]]
#id = affine_map<(b, h, n, m) -> (b, h, n, m)>
#h = affine_map<(b, h, n, m) -> (h)>
func.func @alibi(%q: tensor<2x3x5x4xf32>, %k: tensor<2x9x4xf32>, %slopes: tensor<3xf32>)
    -> tensor<5x2x3x4xf32> {
  %s = attn.einsum "bhnk, bmk -> bhnm"(%q, %k)
    : (tensor<2x3x5x4xf32>, tensor<2x9x4xf32>) -> tensor<2x3x5x9xf32>
  %empty = tensor.empty() : tensor<2x3x5x9xf32>
  %bias = linalg.generic {indexing_maps = [#h, #id],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%slopes : tensor<3xf32>) outs(%empty : tensor<2x3x5x9xf32>) {
    ^bb0(%slope: f32, %out: f32):
      %n = linalg.index 2 : index
      %m = linalg.index 3 : index
      %distance = arith.subi %m, %n : index
      %i = arith.index_cast %distance : index to i64
      %f = arith.sitofp %i : i64 to f32
      %r = arith.mulf %f, %slope : f32
      linalg.yield %r : f32
  } -> tensor<2x3x5x9xf32>
  %t = arith.addf %s, %bias : tensor<2x3x5x9xf32>
  %p = attn.softmax "bhnm" over "m"(%t) : tensor<2x3x5x9xf32>
  %y = attn.einsum "bhnm, bmk -> nbhk"(%p, %k)
    : (tensor<2x3x5x9xf32>, tensor<2x9x4xf32>) -> tensor<5x2x3x4xf32>
  return %y : tensor<5x2x3x4xf32>
}

// ALiBi as positions of the keys times slopes, each repeated over the rest: the
// positions are computed once, and read at the key.
// CHECK-LABEL: func.func @alibi_broadcast
// CHECK-SAME: %[[SLOPES:[a-z0-9]+]]: tensor<3xf32>)
// CHECK: %[[POSITIONS:.*]] = linalg.generic
// CHECK: score {
// CHECK-NEXT: ^bb0(%{{.*}}: f32, %{{.*}}: index, %[[H:.*]]: index, %[[M:.*]]: index):
// CHECK-DAG: tensor.extract %[[POSITIONS]][%[[M]]]
// CHECK-DAG: tensor.extract %[[SLOPES]][%[[H]]]
// CHECK: attn.yield
func.func @alibi_broadcast(%q: tensor<2x3x4xf32>, %k: tensor<2x9x4xf32>, %slopes: tensor<3xf32>)
    -> tensor<2x3x4xf32> {
  %s = attn.einsum "bhk, bmk -> bhm"(%q, %k)
    : (tensor<2x3x4xf32>, tensor<2x9x4xf32>) -> tensor<2x3x9xf32>
  %e1 = tensor.empty() : tensor<9xf32>
  %positions = linalg.generic {indexing_maps = [affine_map<(m) -> (m)>], iterator_types = ["parallel"]}
      outs(%e1 : tensor<9xf32>) {
    ^bb0(%out: f32):
      %m = linalg.index 0 : index
      %i = arith.index_cast %m : index to i64
      %f = arith.sitofp %i : i64 to f32
      linalg.yield %f : f32
  } -> tensor<9xf32>
  %e3 = tensor.empty() : tensor<2x3x9xf32>
  %far = linalg.broadcast ins(%positions : tensor<9xf32>) outs(%e3 : tensor<2x3x9xf32>) dimensions = [0, 1]
  %steep = linalg.broadcast ins(%slopes : tensor<3xf32>) outs(%e3 : tensor<2x3x9xf32>) dimensions = [0, 2]
  %bias = arith.mulf %far, %steep : tensor<2x3x9xf32>
  %t = arith.addf %bias, %s : tensor<2x3x9xf32>
  %p = attn.softmax "bhm" over "m"(%t) : tensor<2x3x9xf32>
  %y = attn.einsum "bhm, bmk -> bhk"(%p, %k)
    : (tensor<2x3x9xf32>, tensor<2x9x4xf32>) -> tensor<2x3x4xf32>
  return %y : tensor<2x3x4xf32>
}

// A boolean mask, repeated over the heads.
// REMARK: attention "bhnk, bmk, bma -> bhna": {{.*}}; score region of 1 op, which reads 1 tensor
// CHECK-LABEL: func.func @boolean_mask
// CHECK-SAME: %[[MASK:[a-z0-9]+]]: tensor<5x9xi1>)
// CHECK: score {
// CHECK-NEXT: ^bb0(%[[S:.*]]: f32, %{{.*}}: index, %{{.*}}: index, %[[N:.*]]: index, %[[M:.*]]: index):
// CHECK: %[[HOLDS:.*]] = tensor.extract %[[MASK]][%[[N]], %[[M]]]
// CHECK: %[[R:.*]] = arith.select %[[HOLDS]], %[[S]], %{{.*}} : f32
// CHECK: attn.yield %[[R]]
func.func @boolean_mask(%q: tensor<2x3x5x4xf32>, %k: tensor<2x9x4xf32>, %mask: tensor<5x9xi1>)
    -> tensor<2x3x5x4xf32> {
  %s = attn.einsum "bhnk, bmk -> bhnm"(%q, %k)
    : (tensor<2x3x5x4xf32>, tensor<2x9x4xf32>) -> tensor<2x3x5x9xf32>
  %e = tensor.empty() : tensor<2x3x5x9xi1>
  %holds = linalg.broadcast ins(%mask : tensor<5x9xi1>) outs(%e : tensor<2x3x5x9xi1>) dimensions = [0, 1]
  %dead = arith.constant dense<0xFF800000> : tensor<2x3x5x9xf32>
  %t = arith.select %holds, %s, %dead : tensor<2x3x5x9xi1>, tensor<2x3x5x9xf32>
  %p = attn.softmax "bhnm" over "m"(%t) : tensor<2x3x5x9xf32>
  %y = attn.einsum "bhnm, bmk -> bhnk"(%p, %k)
    : (tensor<2x3x5x9xf32>, tensor<2x9x4xf32>) -> tensor<2x3x5x4xf32>
  return %y : tensor<2x3x5x4xf32>
}

// The scale follows the bias.
// CHECK-LABEL: func.func @scaled_bias
// CHECK-SAME: %[[BIAS:[a-z0-9]+]]: tensor<2x5x9xf32>)
// CHECK: scale 1.000000e+00 score {
// CHECK-NEXT: ^bb0(%[[S:.*]]: f32, %[[B:.*]]: index, %[[N:.*]]: index, %[[M:.*]]: index):
// CHECK: %[[X:.*]] = tensor.extract %[[BIAS]][%[[B]], %[[N]], %[[M]]]
// CHECK: %[[SUM:.*]] = arith.addf %[[S]], %[[X]]
// CHECK: arith.mulf %[[SUM]]
func.func @scaled_bias(%q: tensor<2x5x4xf32>, %k: tensor<2x9x4xf32>,
                       %bias: tensor<2x5x9xf32>) -> tensor<2x5x4xf32> {
  %s = attn.einsum "bnk, bmk -> bnm"(%q, %k)
    : (tensor<2x5x4xf32>, tensor<2x9x4xf32>) -> tensor<2x5x9xf32>
  %t = arith.addf %s, %bias : tensor<2x5x9xf32>
  %half = arith.constant dense<0.5> : tensor<2x5x9xf32>
  %u = arith.mulf %t, %half : tensor<2x5x9xf32>
  %p = attn.softmax "bnm" over "m"(%u) : tensor<2x5x9xf32>
  %y = attn.einsum "bnm, bmk -> bnk"(%p, %k)
    : (tensor<2x5x9xf32>, tensor<2x9x4xf32>) -> tensor<2x5x4xf32>
  return %y : tensor<2x5x4xf32>
}

// A bias that is repeated over batch and rows is read as it is stored, after a
// soft-cap in the region.
// CHECK-LABEL: func.func @repeated_bias
// CHECK-SAME: %[[BIAS:[a-z0-9]+]]: tensor<9xf32>)
// CHECK: bias "m"(%[[BIAS]] : tensor<9xf32>) score {
// CHECK: math.tanh
// CHECK-NEXT: attn.yield
func.func @repeated_bias(%q: tensor<2x5x4xf32>, %k: tensor<2x9x4xf32>, %bias: tensor<9xf32>)
    -> tensor<2x5x4xf32> {
  %s = attn.einsum "bnk, bmk -> bnm"(%q, %k)
    : (tensor<2x5x4xf32>, tensor<2x9x4xf32>) -> tensor<2x5x9xf32>
  %t = math.tanh %s : tensor<2x5x9xf32>
  %e = tensor.empty() : tensor<2x5x9xf32>
  %repeated = linalg.broadcast ins(%bias : tensor<9xf32>) outs(%e : tensor<2x5x9xf32>) dimensions = [0, 1]
  %u = arith.addf %t, %repeated : tensor<2x5x9xf32>
  %p = attn.softmax "bnm" over "m"(%u) : tensor<2x5x9xf32>
  %y = attn.einsum "bnm, bmk -> bnk"(%p, %k)
    : (tensor<2x5x9xf32>, tensor<2x9x4xf32>) -> tensor<2x5x4xf32>
  return %y : tensor<2x5x4xf32>
}

// A generic op on the scores with their indices; the scores are used twice in
// the chain, and nowhere else.
// CHECK-LABEL: func.func @causal_generic
// CHECK: score {
// CHECK-NEXT: ^bb0(%[[S:.*]]: f32, %{{.*}}: index, %[[N:.*]]: index, %[[M:.*]]: index):
// CHECK: %[[HOLDS:.*]] = arith.cmpi ule, %[[M]], %[[N]]
// CHECK: %[[X:.*]] = arith.select %[[HOLDS]], %[[S]]
// CHECK: %[[Y:.*]] = arith.mulf %[[S]], %[[S]]
// CHECK: arith.subf %[[X]], %[[Y]]
#id3 = affine_map<(b, n, m) -> (b, n, m)>
func.func @causal_generic(%q: tensor<2x5x4xf32>, %k: tensor<2x9x4xf32>) -> tensor<2x5x4xf32> {
  %s = attn.einsum "bnk, bmk -> bnm"(%q, %k)
    : (tensor<2x5x4xf32>, tensor<2x9x4xf32>) -> tensor<2x5x9xf32>
  %dead = arith.constant -1.0e9 : f32
  %e = tensor.empty() : tensor<2x5x9xf32>
  %t = linalg.generic {indexing_maps = [#id3, #id3], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%s : tensor<2x5x9xf32>) outs(%e : tensor<2x5x9xf32>) {
    ^bb0(%score: f32, %out: f32):
      %n = linalg.index 1 : index
      %m = linalg.index 2 : index
      %holds = arith.cmpi ule, %m, %n : index
      %r = arith.select %holds, %score, %dead : f32
      linalg.yield %r : f32
  } -> tensor<2x5x9xf32>
  %square = arith.mulf %s, %s : tensor<2x5x9xf32>
  %u = arith.subf %t, %square : tensor<2x5x9xf32>
  %p = attn.softmax "bnm" over "m"(%u) : tensor<2x5x9xf32>
  %y = attn.einsum "bnm, bmk -> bnk"(%p, %k)
    : (tensor<2x5x9xf32>, tensor<2x9x4xf32>) -> tensor<2x5x4xf32>
  return %y : tensor<2x5x4xf32>
}
