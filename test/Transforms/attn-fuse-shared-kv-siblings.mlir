// RUN: einhead-opt %s --attn-fuse-shared-kv --remarks-filter='attn.*' 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks

// Attentions over one K and V become one, with the rows of all.

// Heads unrolled: slices of one query, which is read in place, and results that
// make up one tensor again.  Letters and the order of the heads do not matter.
// REMARK: SiblingAttention{{.*}}3 attentions over one K and V are one: their queries are rows 'h' of one tensor, read in place, "bhk, bmk, bmv -> bhv"; K/V bytes: 3024 before, 1008 after
// CHECK-LABEL: func.func @unrolled
// CHECK-SAME: (%[[QUERY:.*]]: tensor<2x3x7xf32>, %[[KEY:.*]]: tensor<2x9x7xf32>, %[[VALUE:.*]]: tensor<2x9x7xf32>)
func.func @unrolled(%q: tensor<2x3x7xf32>, %k: tensor<2x9x7xf32>, %v: tensor<2x9x7xf32>) -> tensor<2x3x7xf32> {
  // CHECK: %[[INIT:.*]] = tensor.empty() : tensor<2x3x7xf32>
  // CHECK: %[[OUT:.*]] = attn.attention "bhk, bmk, bmv -> bhv"
  // CHECK-SAME: query(%[[QUERY]] :
  // CHECK-SAME: key(%[[KEY]] :
  // CHECK-SAME: value(%[[VALUE]] :
  // CHECK-SAME: outs(%[[INIT]] :
  // CHECK-NOT: attn.attention
  // CHECK: return %[[OUT]]
  %init = tensor.empty() : tensor<2x7xf32>
  %q1 = tensor.extract_slice %q[0, 1, 0] [2, 1, 7] [1, 1, 1] : tensor<2x3x7xf32> to tensor<2x7xf32>
  %y1 = attn.attention "bk, bmk, bmv -> bv" query(%q1 : tensor<2x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%v : tensor<2x9x7xf32>) scale 0.5
    outs(%init : tensor<2x7xf32>) -> tensor<2x7xf32>
  %q0 = tensor.extract_slice %q[0, 0, 0] [2, 1, 7] [1, 1, 1] : tensor<2x3x7xf32> to tensor<2x7xf32>
  %y0 = attn.attention "xd, xjd, xje -> xe" query(%q0 : tensor<2x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%v : tensor<2x9x7xf32>) scale 0.5
    outs(%init : tensor<2x7xf32>) -> tensor<2x7xf32>
  %q2 = tensor.extract_slice %q[0, 2, 0] [2, 1, 7] [1, 1, 1] : tensor<2x3x7xf32> to tensor<2x7xf32>
  %y2 = attn.attention "bk, bmk, bmv -> bv" query(%q2 : tensor<2x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%v : tensor<2x9x7xf32>) scale 0.5
    outs(%init : tensor<2x7xf32>) -> tensor<2x7xf32>
  %e0 = tensor.expand_shape %y0 [[0], [1, 2]] output_shape [2, 1, 7] : tensor<2x7xf32> into tensor<2x1x7xf32>
  %e1 = tensor.expand_shape %y1 [[0], [1, 2]] output_shape [2, 1, 7] : tensor<2x7xf32> into tensor<2x1x7xf32>
  %e2 = tensor.expand_shape %y2 [[0], [1, 2]] output_shape [2, 1, 7] : tensor<2x7xf32> into tensor<2x1x7xf32>
  %y = tensor.concat dim(1) %e0, %e1, %e2 : (tensor<2x1x7xf32>, tensor<2x1x7xf32>, tensor<2x1x7xf32>) -> tensor<2x3x7xf32>
  return %y : tensor<2x3x7xf32>
}

// Queries of two tensors: stacked behind the batch letter, which the lengths
// are by.  A score region of each, which says the same, gets one more index.
// REMARK: SiblingAttention{{.*}}2 attentions over one K and V are one: their queries are stacked along the new row letter 's', "bsnk, bmk, bmv -> bsnv"
// CHECK-LABEL: func.func @stacked
func.func @stacked(%p: tensor<2x3x7xf32>, %q: tensor<2x3x7xf32>, %k: tensor<2x9x7xf32>, %v: tensor<2x9x7xf32>,
                   %valid: tensor<2xi64>, %init: tensor<2x3x7xf32>) -> (tensor<2x3x7xf32>, tensor<2x3x7xf32>) {
  // CHECK: %[[QUERIES:.*]] = tensor.concat dim(1) {{.*}} -> tensor<2x2x3x7xf32>
  // CHECK: %[[OUT:.*]] = attn.attention "bsnk, bmk, bmv -> bsnv"
  // CHECK-SAME: query(%[[QUERIES]] :
  // CHECK-SAME: valid(
  // CHECK-SAME: mask <"nm",
  // CHECK-SAME: score {
  // CHECK-NEXT: ^bb0(%{{.*}}: f32, %{{.*}}: index, %{{.*}}: index, %[[N:.*]]: index, %{{.*}}: index):
  // CHECK: arith.index_cast %[[N]]
  // CHECK: %[[FIRST:.*]] = tensor.extract_slice %[[OUT]][0, 0, 0, 0] [2, 1, 3, 7]
  // CHECK: %[[SECOND:.*]] = tensor.extract_slice %[[OUT]][0, 1, 0, 0] [2, 1, 3, 7]
  // CHECK: return %[[FIRST]], %[[SECOND]]
  %y = attn.attention "bnk, bmk, bmv -> bnv" query(%p : tensor<2x3x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%v : tensor<2x9x7xf32>) scale 0.5 valid(%valid : tensor<2xi64>)
    mask <"nm", "(n, m) : (n - m + 4 >= 0)">()
    score {
    ^bb0(%s: f32, %b: index, %n: index, %m: index):
      %i = arith.index_cast %n : index to i32
      %f = arith.sitofp %i : i32 to f32
      %t = arith.addf %s, %f : f32
      attn.yield %t : f32
    }
    outs(%init : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  %z = attn.attention "bnk, bmk, bmv -> bnv" query(%q : tensor<2x3x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%v : tensor<2x9x7xf32>) scale 0.5 valid(%valid : tensor<2xi64>)
    mask <"nm", "(n, m) : (n - m + 4 >= 0)">()
    score {
    ^bb0(%s: f32, %b: index, %n: index, %m: index):
      %i = arith.index_cast %n : index to i32
      %f = arith.sitofp %i : i32 to f32
      %t = arith.addf %s, %f : f32
      attn.yield %t : f32
    }
    outs(%init : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  return %y, %z : tensor<2x3x7xf32>, tensor<2x3x7xf32>
}

// Other numbers of rows: concatenated, and the mask of each is that of its own
// rows.
// REMARK: SiblingAttention{{.*}}2 attentions over one K and V are one: their queries are concatenated along 'n', "bnk, bmk, bmv -> bnv"; K/V bytes: 2016 before, 1008 after
// CHECK-LABEL: func.func @concatenated
func.func @concatenated(%p: tensor<2x3x7xf32>, %q: tensor<2x5x7xf32>, %k: tensor<2x9x7xf32>, %v: tensor<2x9x7xf32>,
                        %i: tensor<2x3x7xf32>, %j: tensor<2x5x7xf32>, %at: index) -> (tensor<2x3x7xf32>, tensor<2x5x7xf32>) {
  // CHECK: %[[QUERIES:.*]] = tensor.concat dim(1) {{.*}} -> tensor<2x8x7xf32>
  // CHECK: %[[OUT:.*]] = attn.attention "bnk, bmk, bmv -> bnv"
  // CHECK-SAME: query(%[[QUERIES]] :
  // CHECK-SAME: mask <"nm", "(d0, d1)[s0] : (d0 - d1 + s0 >= 0, -d0 + 2 >= 0)", "(d0, d1)[s0] : (d0 - d1 + s0 - 3 >= 0, d0 - 3 >= 0)">
  // CHECK: %[[FIRST:.*]] = tensor.extract_slice %[[OUT]][0, 0, 0] [2, 3, 7]
  // CHECK: %[[SECOND:.*]] = tensor.extract_slice %[[OUT]][0, 3, 0] [2, 5, 7]
  // CHECK: return %[[FIRST]], %[[SECOND]]
  %y = attn.attention "bnk, bmk, bmv -> bnv" query(%p : tensor<2x3x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%v : tensor<2x9x7xf32>) scale 0.5
    mask <"nm", "(n, m)[p] : (n - m + p >= 0)">(%at)
    outs(%i : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  %z = attn.attention "bnk, bmk, bmv -> bnv" query(%q : tensor<2x5x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%v : tensor<2x9x7xf32>) scale 0.5
    mask <"nm", "(n, m)[p] : (n - m + p >= 0)">(%at)
    outs(%j : tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  return %y, %z : tensor<2x3x7xf32>, tensor<2x5x7xf32>
}

// Heads unrolled over a repeated cache: their slices of it are the same keys.
// REMARK: SiblingAttention{{.*}}2 attentions over one K and V are one
// CHECK-LABEL: func.func @slices_of_repeated
func.func @slices_of_repeated(%q: tensor<2x2x7xf32>, %k: tensor<2x9x7xf32>) -> (tensor<2x7xf32>, tensor<2x7xf32>) {
  // CHECK: attn.attention "bhk, bmk, bmv -> bhv"
  // CHECK-NOT: attn.attention
  %empty = tensor.empty() : tensor<2x2x9x7xf32>
  %kr = linalg.broadcast ins(%k : tensor<2x9x7xf32>) outs(%empty : tensor<2x2x9x7xf32>) dimensions = [1]
  %init = tensor.empty() : tensor<2x7xf32>
  %q0 = tensor.extract_slice %q[0, 0, 0] [2, 1, 7] [1, 1, 1] : tensor<2x2x7xf32> to tensor<2x7xf32>
  %k0 = tensor.extract_slice %kr[0, 0, 0, 0] [2, 1, 9, 7] [1, 1, 1, 1] : tensor<2x2x9x7xf32> to tensor<2x9x7xf32>
  %y0 = attn.attention "bk, bmk, bmv -> bv" query(%q0 : tensor<2x7xf32>)
    key(%k0 : tensor<2x9x7xf32>) value(%k0 : tensor<2x9x7xf32>) scale 0.5
    outs(%init : tensor<2x7xf32>) -> tensor<2x7xf32>
  %q1 = tensor.extract_slice %q[0, 1, 0] [2, 1, 7] [1, 1, 1] : tensor<2x2x7xf32> to tensor<2x7xf32>
  %k1 = tensor.extract_slice %kr[0, 1, 0, 0] [2, 1, 9, 7] [1, 1, 1, 1] : tensor<2x2x9x7xf32> to tensor<2x9x7xf32>
  %y1 = attn.attention "bk, bmk, bmv -> bv" query(%q1 : tensor<2x7xf32>)
    key(%k1 : tensor<2x9x7xf32>) value(%k1 : tensor<2x9x7xf32>) scale 0.5
    outs(%init : tensor<2x7xf32>) -> tensor<2x7xf32>
  return %y0, %y1 : tensor<2x7xf32>, tensor<2x7xf32>
}

//===----------------------------------------------------------------------===//
// What stays apart
//===----------------------------------------------------------------------===//

// One after the other: the second looks at what the first found.
// REMARK: SiblingAttention{{.*}}it reads the K and V of another attention, but its query depends on the result of the other
// CHECK-LABEL: func.func @chained
// CHECK-COUNT-2: attn.attention "bk, bmk, bmv -> bv"
func.func @chained(%q: tensor<2x7xf32>, %k: tensor<2x9x7xf32>, %init: tensor<2x7xf32>) -> tensor<2x7xf32> {
  %y = attn.attention "bk, bmk, bmv -> bv" query(%q : tensor<2x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5
    outs(%init : tensor<2x7xf32>) -> tensor<2x7xf32>
  %p = arith.addf %y, %q : tensor<2x7xf32>
  %z = attn.attention "bk, bmk, bmv -> bv" query(%p : tensor<2x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5
    outs(%init : tensor<2x7xf32>) -> tensor<2x7xf32>
  return %z : tensor<2x7xf32>
}

// Two scales; two masks.
// REMARK: SiblingAttention{{.*}}their scales differ
// REMARK: SiblingAttention{{.*}}their masks differ
// CHECK-LABEL: func.func @different
// CHECK-COUNT-3: attn.attention "bnk, bmk, bmv -> bnv"
func.func @different(%p: tensor<2x3x7xf32>, %k: tensor<2x9x7xf32>, %init: tensor<2x3x7xf32>, %at: index)
    -> (tensor<2x3x7xf32>, tensor<2x3x7xf32>, tensor<2x3x7xf32>) {
  %x = attn.attention "bnk, bmk, bmv -> bnv" query(%p : tensor<2x3x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5
    outs(%init : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  %y = attn.attention "bnk, bmk, bmv -> bnv" query(%p : tensor<2x3x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.25
    outs(%init : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  %z = attn.attention "bnk, bmk, bmv -> bnv" query(%p : tensor<2x3x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5 mask <"nm", causal>(%at)
    outs(%init : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  return %x, %y, %z : tensor<2x3x7xf32>, tensor<2x3x7xf32>, tensor<2x3x7xf32>
}

// A mask by rows whose number is not known cannot be moved.
// REMARK: SiblingAttention{{.*}}the mask looks at 'n', and how many rows come first is not known
// CHECK-LABEL: func.func @unknown_rows
// CHECK-COUNT-2: attn.attention "bnk, bmk, bmv -> bnv"
func.func @unknown_rows(%p: tensor<2x?x7xf32>, %q: tensor<2x?x7xf32>, %k: tensor<2x9x7xf32>,
                        %i: tensor<2x?x7xf32>, %j: tensor<2x?x7xf32>, %at: index) -> (tensor<2x?x7xf32>, tensor<2x?x7xf32>) {
  %y = attn.attention "bnk, bmk, bmv -> bnv" query(%p : tensor<2x?x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5 mask <"nm", causal>(%at)
    outs(%i : tensor<2x?x7xf32>) -> tensor<2x?x7xf32>
  %z = attn.attention "bnk, bmk, bmv -> bnv" query(%q : tensor<2x?x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5 mask <"nm", causal>(%at)
    outs(%j : tensor<2x?x7xf32>) -> tensor<2x?x7xf32>
  return %y, %z : tensor<2x?x7xf32>, tensor<2x?x7xf32>
}

// Heads with keys of their own: slices of one cache at other places.
// REMARK-NOT: SiblingAttention
// CHECK-LABEL: func.func @own_keys
// CHECK-COUNT-2: attn.attention "bk, bmk, bmv -> bv"
func.func @own_keys(%q: tensor<2x7xf32>, %k: tensor<2x2x9x7xf32>, %init: tensor<2x7xf32>) -> (tensor<2x7xf32>, tensor<2x7xf32>) {
  %k0 = tensor.extract_slice %k[0, 0, 0, 0] [2, 1, 9, 7] [1, 1, 1, 1] : tensor<2x2x9x7xf32> to tensor<2x9x7xf32>
  %k1 = tensor.extract_slice %k[0, 1, 0, 0] [2, 1, 9, 7] [1, 1, 1, 1] : tensor<2x2x9x7xf32> to tensor<2x9x7xf32>
  %y = attn.attention "bk, bmk, bmv -> bv" query(%q : tensor<2x7xf32>)
    key(%k0 : tensor<2x9x7xf32>) value(%k0 : tensor<2x9x7xf32>) scale 0.5
    outs(%init : tensor<2x7xf32>) -> tensor<2x7xf32>
  %z = attn.attention "bk, bmk, bmv -> bv" query(%q : tensor<2x7xf32>)
    key(%k1 : tensor<2x9x7xf32>) value(%k1 : tensor<2x9x7xf32>) scale 0.5
    outs(%init : tensor<2x7xf32>) -> tensor<2x7xf32>
  return %y, %z : tensor<2x7xf32>, tensor<2x7xf32>
}
