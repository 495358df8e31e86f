// RUN: einhead-opt %s --attn-fuse-shared-kv --remarks-filter='attn.*' 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks

// Keys that are a prefix of all and a suffix of each: two attentions, whose
// results are states that attn.merge joins.

// A prompt of 5 keys before what each of 3 beams has: in the prefix the beams
// are rows.  The lengths count in both parts.
// REMARK: PrefixSuffix{{.*}}the keys are 2 parts, of which one is the same for all "b": each is attended by itself, their results are merged; K/V bytes: 84*m before, 28*m and 84*m after
// CHECK-LABEL: func.func @beams
// CHECK-SAME: (%[[QUERY:.*]]: tensor<3x2x7xf32>, %[[PREFIX:.*]]: tensor<5x7xf32>, %[[SUFFIX:.*]]: tensor<3x?x7xf32>, %[[VALID:.*]]: index,
func.func @beams(%q: tensor<3x2x7xf32>, %p: tensor<5x7xf32>, %s: tensor<3x?x7xf32>, %valid: index,
                 %init: tensor<3x2x7xf32>) -> tensor<3x2x7xf32> {
  // CHECK: %[[IN_PREFIX:.*]] = arith.minsi %[[VALID]], %{{.*}}
  // CHECK: %[[OF_PREFIX:.*]]:2 = attn.attention "bhk, mk, mv -> bhv"
  // CHECK-SAME: query(%[[QUERY]] :
  // CHECK-SAME: key(%[[PREFIX]] :
  // CHECK-SAME: value(%[[PREFIX]] :
  // CHECK-SAME: valid(%[[IN_PREFIX]] : index)
  // CHECK-SAME: lse(
  // CHECK: %[[BEHIND:.*]] = arith.subi %[[VALID]],
  // CHECK: %[[POSITIVE:.*]] = arith.maxsi %[[BEHIND]],
  // CHECK: %[[IN_SUFFIX:.*]] = arith.minsi %[[POSITIVE]],
  // CHECK: %[[OF_SUFFIX:.*]]:2 = attn.attention "bhk, bmk, bmv -> bhv"
  // CHECK-SAME: key(%[[SUFFIX]] :
  // CHECK-SAME: valid(%[[IN_SUFFIX]] : index)
  // CHECK-SAME: lse(
  // CHECK: %[[LSE:.*]] = tensor.concat dim(0) {{.*}} -> tensor<2x3x2xf32>
  // CHECK: %[[LOG2E:.*]] = arith.constant 1.44269502 : f32
  // CHECK: %[[FACTORS:.*]] = tensor.splat %[[LOG2E]] : tensor<2x3x2xf32>
  // CHECK: %[[MAX:.*]] = arith.mulf %[[LSE]], %[[FACTORS]]
  // CHECK: %[[ACC:.*]] = tensor.concat dim(0) {{.*}} -> tensor<2x3x2x7xf32>
  // CHECK: %[[ONE:.*]] = arith.constant 1.000000e+00 : f32
  // CHECK: %[[SUM:.*]] = tensor.splat %[[ONE]] : tensor<2x3x2xf32>
  // CHECK: attn.merge "bh, bhv -> bhv"(%[[MAX]], %[[SUM]], %[[ACC]] :
  %e = tensor.empty() : tensor<3x5x7xf32>
  %pb = linalg.broadcast ins(%p : tensor<5x7xf32>) outs(%e : tensor<3x5x7xf32>) dimensions = [0]
  %k = tensor.concat dim(1) %pb, %s : (tensor<3x5x7xf32>, tensor<3x?x7xf32>) -> tensor<3x?x7xf32>
  %y = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<3x2x7xf32>)
    key(%k : tensor<3x?x7xf32>) value(%k : tensor<3x?x7xf32>) scale 0.5 valid(%valid : index)
    outs(%init : tensor<3x2x7xf32>) -> tensor<3x2x7xf32>
  return %y : tensor<3x2x7xf32>
}

// A mask by the key: the suffix starts at key 5.  The bias is cut, the sink
// counts once.
// REMARK: PrefixSuffix{{.*}}the keys are 2 parts
// CHECK-LABEL: func.func @masked
func.func @masked(%q: tensor<3x2x7xf32>, %p: tensor<5x7xf32>, %s: tensor<3x4x7xf32>, %bias: tensor<2x9xf32>,
                  %sink: tensor<2xf32>, %at: index, %init: tensor<3x2x7xf32>) -> tensor<3x2x7xf32> {
  // CHECK: %[[LEFT:.*]] = tensor.extract_slice %{{.*}}[0, 0] [2, 5] [1, 1] : tensor<2x9xf32> to tensor<2x5xf32>
  // CHECK: attn.attention "bnk, mk, mv -> bnv"
  // CHECK-SAME: bias "nm"(%[[LEFT]] :
  // CHECK-SAME: mask <"nm",
  // CHECK-NOT: sink
  // CHECK-NOT: offsets
  // CHECK: %[[RIGHT:.*]] = tensor.extract_slice %{{.*}}[0, 5] [2, 4] [1, 1] : tensor<2x9xf32> to tensor<2x4xf32>
  // CHECK: %[[FIVE:.*]] = arith.constant 5 : index
  // CHECK: attn.attention "bnk, bmk, bmv -> bnv"
  // CHECK-SAME: bias "nm"(%[[RIGHT]] :
  // CHECK-SAME: mask <"nm",
  // CHECK-SAME: offsets "m"(%[[FIVE]])
  // CHECK-SAME: sink "n"
  // CHECK: attn.merge
  %e = tensor.empty() : tensor<3x9x7xf32>
  %b = tensor.empty() : tensor<3x5x7xf32>
  %pb = linalg.broadcast ins(%p : tensor<5x7xf32>) outs(%b : tensor<3x5x7xf32>) dimensions = [0]
  %k0 = tensor.insert_slice %pb into %e[0, 0, 0] [3, 5, 7] [1, 1, 1] : tensor<3x5x7xf32> into tensor<3x9x7xf32>
  %k = tensor.insert_slice %s into %k0[0, 5, 0] [3, 4, 7] [1, 1, 1] : tensor<3x4x7xf32> into tensor<3x9x7xf32>
  %y = attn.attention "bnk, bmk, bmv -> bnv" query(%q : tensor<3x2x7xf32>)
    key(%k : tensor<3x9x7xf32>) value(%k : tensor<3x9x7xf32>) scale 0.5
    bias "nm"(%bias : tensor<2x9xf32>) mask <"nm", causal>(%at) sink "n"(%sink : tensor<2xf32>)
    outs(%init : tensor<3x2x7xf32>) -> tensor<3x2x7xf32>
  return %y : tensor<3x2x7xf32>
}

// Grouped heads over both: the repetition over heads is read first.
// REMARK: RepeatedKV{{.*}}"bgrk, bgmk, bgmv -> bgrv"
// REMARK: RepeatedKV{{.*}}"bgrk, gmk, gmv -> bgrv"
// REMARK: PrefixSuffix{{.*}}the same for all "b"{{.*}}; K/V bytes: 1512 before, 280 and 672 after
// CHECK-LABEL: func.func @grouped
func.func @grouped(%q: tensor<3x4x7xf32>, %p: tensor<2x5x7xf32>, %s: tensor<3x2x4x7xf32>, %init: tensor<3x4x7xf32>) -> tensor<3x4x7xf32> {
  // CHECK: attn.attention "bgrk, gmk, gmv -> bgrv"
  // CHECK: attn.attention "bgrk, bgmk, bgmv -> bgrv"
  // CHECK: attn.merge "bgr, bgrv -> bgrv"
  %b = tensor.empty() : tensor<3x2x5x7xf32>
  %pb = linalg.broadcast ins(%p : tensor<2x5x7xf32>) outs(%b : tensor<3x2x5x7xf32>) dimensions = [0]
  %c = tensor.concat dim(2) %pb, %s : (tensor<3x2x5x7xf32>, tensor<3x2x4x7xf32>) -> tensor<3x2x9x7xf32>
  %e = tensor.empty() : tensor<3x2x2x9x7xf32>
  %r = linalg.broadcast ins(%c : tensor<3x2x9x7xf32>) outs(%e : tensor<3x2x2x9x7xf32>) dimensions = [2]
  %k = tensor.collapse_shape %r [[0], [1, 2], [3], [4]] : tensor<3x2x2x9x7xf32> into tensor<3x4x9x7xf32>
  %y = attn.attention "bhk, bhmk, bhmv -> bhv" query(%q : tensor<3x4x7xf32>)
    key(%k : tensor<3x4x9x7xf32>) value(%k : tensor<3x4x9x7xf32>) scale 0.5
    outs(%init : tensor<3x4x7xf32>) -> tensor<3x4x7xf32>
  return %y : tensor<3x4x7xf32>
}

//===----------------------------------------------------------------------===//
// What stays whole
//===----------------------------------------------------------------------===//

// Nothing repeats: two parts of keys that each sequence has for itself.
// REMARK-NOT: PrefixSuffix
// CHECK-LABEL: func.func @no_repetition
// CHECK-COUNT-1: attn.attention
// CHECK-NOT: attn.merge
func.func @no_repetition(%q: tensor<3x2x7xf32>, %p: tensor<3x5x7xf32>, %s: tensor<3x4x7xf32>, %init: tensor<3x2x7xf32>) -> tensor<3x2x7xf32> {
  %k = tensor.concat dim(1) %p, %s : (tensor<3x5x7xf32>, tensor<3x4x7xf32>) -> tensor<3x9x7xf32>
  %y = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<3x2x7xf32>)
    key(%k : tensor<3x9x7xf32>) value(%k : tensor<3x9x7xf32>) scale 0.5
    outs(%init : tensor<3x2x7xf32>) -> tensor<3x2x7xf32>
  return %y : tensor<3x2x7xf32>
}

// The keys' prefix repeats, the values' does not.
// REMARK: PrefixSuffix{{.*}}its keys are parts, but the key repeats over 'b', the value does not
// CHECK-LABEL: func.func @values_of_each
// CHECK-NOT: attn.merge
func.func @values_of_each(%q: tensor<3x2x7xf32>, %p: tensor<5x7xf32>, %w: tensor<3x5x7xf32>, %s: tensor<3x4x7xf32>,
                          %init: tensor<3x2x7xf32>) -> tensor<3x2x7xf32> {
  %e = tensor.empty() : tensor<3x5x7xf32>
  %pb = linalg.broadcast ins(%p : tensor<5x7xf32>) outs(%e : tensor<3x5x7xf32>) dimensions = [0]
  %k = tensor.concat dim(1) %pb, %s : (tensor<3x5x7xf32>, tensor<3x4x7xf32>) -> tensor<3x9x7xf32>
  %v = tensor.concat dim(1) %w, %s : (tensor<3x5x7xf32>, tensor<3x4x7xf32>) -> tensor<3x9x7xf32>
  %y = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<3x2x7xf32>)
    key(%k : tensor<3x9x7xf32>) value(%v : tensor<3x9x7xf32>) scale 0.5
    outs(%init : tensor<3x2x7xf32>) -> tensor<3x2x7xf32>
  return %y : tensor<3x2x7xf32>
}

// Each sequence has a length of its own, which a row has not.
// REMARK: PrefixSuffix{{.*}}its keys are parts, but K and V repeat over 'b', but each 'b' has a length of its own
// CHECK-LABEL: func.func @lengths
// CHECK-NOT: attn.merge
func.func @lengths(%q: tensor<3x2x7xf32>, %p: tensor<5x7xf32>, %s: tensor<3x4x7xf32>, %valid: tensor<3xi64>,
                   %init: tensor<3x2x7xf32>) -> tensor<3x2x7xf32> {
  %e = tensor.empty() : tensor<3x5x7xf32>
  %pb = linalg.broadcast ins(%p : tensor<5x7xf32>) outs(%e : tensor<3x5x7xf32>) dimensions = [0]
  %k = tensor.concat dim(1) %pb, %s : (tensor<3x5x7xf32>, tensor<3x4x7xf32>) -> tensor<3x9x7xf32>
  %y = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<3x2x7xf32>)
    key(%k : tensor<3x9x7xf32>) value(%k : tensor<3x9x7xf32>) scale 0.5 valid(%valid : tensor<3xi64>)
    outs(%init : tensor<3x2x7xf32>) -> tensor<3x2x7xf32>
  return %y : tensor<3x2x7xf32>
}

// Key and value are cut at places that need not be the same.
// REMARK: PrefixSuffix{{.*}}a part of its keys is the same for all "b", but K and V are not known to be cut at the same keys
// CHECK-LABEL: func.func @other_cuts
// CHECK-NOT: attn.merge
func.func @other_cuts(%q: tensor<3x2x7xf32>, %p: tensor<5x7xf32>, %w: tensor<4x7xf32>, %s: tensor<3x4x7xf32>, %t: tensor<3x5x7xf32>,
                      %init: tensor<3x2x7xf32>) -> tensor<3x2x7xf32> {
  %e = tensor.empty() : tensor<3x5x7xf32>
  %f = tensor.empty() : tensor<3x4x7xf32>
  %pb = linalg.broadcast ins(%p : tensor<5x7xf32>) outs(%e : tensor<3x5x7xf32>) dimensions = [0]
  %wb = linalg.broadcast ins(%w : tensor<4x7xf32>) outs(%f : tensor<3x4x7xf32>) dimensions = [0]
  %k = tensor.concat dim(1) %pb, %s : (tensor<3x5x7xf32>, tensor<3x4x7xf32>) -> tensor<3x9x7xf32>
  %v = tensor.concat dim(1) %wb, %t : (tensor<3x4x7xf32>, tensor<3x5x7xf32>) -> tensor<3x9x7xf32>
  %y = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<3x2x7xf32>)
    key(%k : tensor<3x9x7xf32>) value(%v : tensor<3x9x7xf32>) scale 0.5
    outs(%init : tensor<3x2x7xf32>) -> tensor<3x2x7xf32>
  return %y : tensor<3x2x7xf32>
}
