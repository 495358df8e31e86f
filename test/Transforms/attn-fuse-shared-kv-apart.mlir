// RUN: einhead-opt %s --attn-fuse-shared-kv --remarks-filter='attn.*' --split-input-file 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks

// Attentions over one K and V that differ in one thing each stay apart, and the
// remark says in which; the first two differ in nothing but the query.

// REMARK: [Passed] SiblingAttention{{.*}}2 attentions over one K and V are one
// CHECK-LABEL: func.func @nothing
// CHECK-COUNT-1: attn.attention
// CHECK-NOT: attn.attention
func.func @nothing(%p: tensor<2x3x7xf32>, %q: tensor<2x3x7xf32>, %k: tensor<2x9x7xf32>, %init: tensor<2x3x7xf32>) -> (tensor<2x3x7xf32>, tensor<2x3x7xf32>) {
  %y = attn.attention "bnk, bmk, bmv -> bnv" query(%p : tensor<2x3x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5 
    outs(%init : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  %z = attn.attention "bnk, bmk, bmv -> bnv" query(%q : tensor<2x3x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5 
    outs(%init : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  return %y, %z : tensor<2x3x7xf32>, tensor<2x3x7xf32>
}

// -----

// Lengths of their own.
// REMARK: [Missed] SiblingAttention{{.*}}it reads the K and V of another attention, but their lengths (valid) differ
// CHECK-LABEL: func.func @lengths
// CHECK-COUNT-2: attn.attention "bnk, bmk, bmv -> bnv"
func.func @lengths(%p: tensor<2x3x7xf32>, %q: tensor<2x3x7xf32>, %k: tensor<2x9x7xf32>, %init: tensor<2x3x7xf32>, %l: tensor<2xi64>, %m: tensor<2xi64>) -> (tensor<2x3x7xf32>, tensor<2x3x7xf32>) {
  %y = attn.attention "bnk, bmk, bmv -> bnv" query(%p : tensor<2x3x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5 valid(%l : tensor<2xi64>)
    outs(%init : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  %z = attn.attention "bnk, bmk, bmv -> bnv" query(%q : tensor<2x3x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5 valid(%m : tensor<2xi64>)
    outs(%init : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  return %y, %z : tensor<2x3x7xf32>, tensor<2x3x7xf32>
}

// -----

// Biases of their own.
// REMARK: [Missed] SiblingAttention{{.*}}it reads the K and V of another attention, but their biases differ
// CHECK-LABEL: func.func @biases
// CHECK-COUNT-2: attn.attention "bnk, bmk, bmv -> bnv"
func.func @biases(%p: tensor<2x3x7xf32>, %q: tensor<2x3x7xf32>, %k: tensor<2x9x7xf32>, %init: tensor<2x3x7xf32>, %l: tensor<3x9xf32>, %m: tensor<3x9xf32>) -> (tensor<2x3x7xf32>, tensor<2x3x7xf32>) {
  %y = attn.attention "bnk, bmk, bmv -> bnv" query(%p : tensor<2x3x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5 bias "nm"(%l : tensor<3x9xf32>)
    outs(%init : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  %z = attn.attention "bnk, bmk, bmv -> bnv" query(%q : tensor<2x3x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5 bias "nm"(%m : tensor<3x9xf32>)
    outs(%init : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  return %y, %z : tensor<2x3x7xf32>, tensor<2x3x7xf32>
}

// -----

// Lists of blocks of their own.
// REMARK: [Missed] SiblingAttention{{.*}}it reads the K and V of another attention, but their block lists differ
// CHECK-LABEL: func.func @block_lists
// CHECK-COUNT-2: attn.attention "bnk, bmk, bmv -> bnv"
func.func @block_lists(%p: tensor<2x3x7xf32>, %q: tensor<2x3x7xf32>, %k: tensor<2x9x7xf32>, %init: tensor<2x3x7xf32>, %l: tensor<2x2xi64>, %m: tensor<2x2xi64>) -> (tensor<2x3x7xf32>, tensor<2x3x7xf32>) {
  %y = attn.attention "bnk, bmk, bmv -> bnv" query(%p : tensor<2x3x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5 blocks "b"(%l : tensor<2x2xi64>) size 2
    outs(%init : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  %z = attn.attention "bnk, bmk, bmv -> bnv" query(%q : tensor<2x3x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5 blocks "b"(%m : tensor<2x2xi64>) size 2
    outs(%init : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  return %y, %z : tensor<2x3x7xf32>, tensor<2x3x7xf32>
}

// -----

// Only one has a sink.
// REMARK: [Missed] SiblingAttention{{.*}}it reads the K and V of another attention, but their sinks differ
// CHECK-LABEL: func.func @sinks
// CHECK-COUNT-2: attn.attention "bnk, bmk, bmv -> bnv"
func.func @sinks(%p: tensor<2x3x7xf32>, %q: tensor<2x3x7xf32>, %k: tensor<2x9x7xf32>, %init: tensor<2x3x7xf32>, %l: tensor<3xf32>) -> (tensor<2x3x7xf32>, tensor<2x3x7xf32>) {
  %y = attn.attention "bnk, bmk, bmv -> bnv" query(%p : tensor<2x3x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5 sink "n"(%l : tensor<3xf32>)
    outs(%init : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  %z = attn.attention "bnk, bmk, bmv -> bnv" query(%q : tensor<2x3x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5 
    outs(%init : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  return %y, %z : tensor<2x3x7xf32>, tensor<2x3x7xf32>
}

// -----

// Two score regions.
// REMARK: [Missed] SiblingAttention{{.*}}it reads the K and V of another attention, but their score regions differ
// CHECK-LABEL: func.func @scores
// CHECK-COUNT-2: attn.attention "bnk, bmk, bmv -> bnv"
func.func @scores(%p: tensor<2x3x7xf32>, %q: tensor<2x3x7xf32>, %k: tensor<2x9x7xf32>, %init: tensor<2x3x7xf32>) -> (tensor<2x3x7xf32>, tensor<2x3x7xf32>) {
  %y = attn.attention "bnk, bmk, bmv -> bnv" query(%p : tensor<2x3x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5 score {
    ^bb0(%s: f32, %b: index, %n: index, %m: index):
      %t = math.tanh %s : f32
      attn.yield %t : f32
    }
    outs(%init : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  %z = attn.attention "bnk, bmk, bmv -> bnv" query(%q : tensor<2x3x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5 score {
    ^bb0(%s: f32, %b: index, %n: index, %m: index):
      %t = math.absf %s : f32
      attn.yield %t : f32
    }
    outs(%init : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  return %y, %z : tensor<2x3x7xf32>, tensor<2x3x7xf32>
}

// -----

// Only one returns its log-sum-exp.
// REMARK: [Missed] SiblingAttention{{.*}}it reads the K and V of another attention, but only one of them returns its log-sum-exp
// CHECK-LABEL: func.func @one_lse
// CHECK-COUNT-2: attn.attention "bnk, bmk, bmv -> bnv"
func.func @one_lse(%p: tensor<2x3x7xf32>, %q: tensor<2x3x7xf32>, %k: tensor<2x9x7xf32>, %init: tensor<2x3x7xf32>, %none: tensor<2x3xf32>) -> (tensor<2x3x7xf32>, tensor<2x3x7xf32>) {
  %y:2 = attn.attention "bnk, bmk, bmv -> bnv" query(%p : tensor<2x3x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5 
    outs(%init : tensor<2x3x7xf32>) lse(%none : tensor<2x3xf32>) -> tensor<2x3x7xf32>, tensor<2x3xf32>
  %z = attn.attention "bnk, bmk, bmv -> bnv" query(%q : tensor<2x3x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5 
    outs(%init : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  return %y#0, %z : tensor<2x3x7xf32>, tensor<2x3x7xf32>
}

// -----

// Masks at positions of their own.
// REMARK: [Missed] SiblingAttention{{.*}}it reads the K and V of another attention, but their masks differ
// CHECK-LABEL: func.func @positions
// CHECK-COUNT-2: attn.attention "bnk, bmk, bmv -> bnv"
func.func @positions(%p: tensor<2x3x7xf32>, %q: tensor<2x3x7xf32>, %k: tensor<2x9x7xf32>, %init: tensor<2x3x7xf32>, %l: index, %m: index) -> (tensor<2x3x7xf32>, tensor<2x3x7xf32>) {
  %y = attn.attention "bnk, bmk, bmv -> bnv" query(%p : tensor<2x3x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5 mask <"nm", causal>(%l)
    outs(%init : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  %z = attn.attention "bnk, bmk, bmv -> bnv" query(%q : tensor<2x3x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5 mask <"nm", causal>(%m)
    outs(%init : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  return %y, %z : tensor<2x3x7xf32>, tensor<2x3x7xf32>
}

// -----

// Queries of two types.
// REMARK: [Missed] SiblingAttention{{.*}}it reads the K and V of another attention, but their element types differ
// CHECK-LABEL: func.func @query_types
// CHECK-COUNT-2: attn.attention "bnk, bmk, bmv -> bnv"
func.func @query_types(%p: tensor<2x3x7xf32>, %q: tensor<2x3x7xf32>, %k: tensor<2x9x7xf32>, %init: tensor<2x3x7xf32>, %r: tensor<2x3x7xbf16>) -> (tensor<2x3x7xf32>, tensor<2x3x7xf32>) {
  %y = attn.attention "bnk, bmk, bmv -> bnv" query(%p : tensor<2x3x7xf32>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5 
    outs(%init : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  %z = attn.attention "bnk, bmk, bmv -> bnv" query(%r : tensor<2x3x7xbf16>)
    key(%k : tensor<2x9x7xf32>) value(%k : tensor<2x9x7xf32>) scale 0.5 
    outs(%init : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  return %y, %z : tensor<2x3x7xf32>, tensor<2x3x7xf32>
}
