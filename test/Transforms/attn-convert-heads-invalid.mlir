// RUN: einhead-opt %s --split-input-file --attn-convert-heads=kv-heads=2 --verify-diagnostics
// RUN: not einhead-opt %s --attn-convert-heads 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not einhead-opt %s --attn-convert-heads='kv-heads=2 method=median' 2>&1 | FileCheck %s --check-prefix=METHOD

// RUN: not einhead-opt %s --split-input-file --attn-convert-heads='kv-heads=2 method=random' 2>&1 | FileCheck %s --check-prefix=RANDOM

// NONE: error: --attn-convert-heads needs kv-heads of at least 1, got 0
// METHOD: error: no method "median"; the methods are mean, first, random

// Random numbers cannot take the place of what each call gives.
// RANDOM: error: heads cannot be pooled: operand #1 is given at each call; random numbers can only take the place of constants

// Next to what is converted stands what is not: each function here is one step
// from the first, which is.

func.func @near(%x: tensor<3xf32>, %m: tensor<5x3xf32>, %wq: tensor<4x6x3xf32>, %wk: tensor<4x6x3xf32>) -> tensor<4x6xf32> {
  %q = attn.einsum "d, hkd -> hk"(%x, %wq) : (tensor<3xf32>, tensor<4x6x3xf32>) -> tensor<4x6xf32>
  %k = attn.einsum "md, hkd -> hmk"(%m, %wk) : (tensor<5x3xf32>, tensor<4x6x3xf32>) -> tensor<4x5x6xf32>
  %s = attn.einsum "hk, hmk -> hm"(%q, %k) : (tensor<4x6xf32>, tensor<4x5x6xf32>) -> tensor<4x5xf32>
  %p = attn.softmax "hm" over "m"(%s) : tensor<4x5xf32>
  %y = attn.einsum "hm, hmk -> hk"(%p, %k) : (tensor<4x5xf32>, tensor<4x5x6xf32>) -> tensor<4x6xf32>
  return %y : tensor<4x6xf32>
}

// -----

// 5 heads.
func.func @no_divisor(%q: tensor<5x6xf32>, %m: tensor<7x3xf32>, %wk: tensor<5x6x3xf32>) -> tensor<5x6xf32> {
  %k = attn.einsum "md, hkd -> hmk"(%m, %wk) : (tensor<7x3xf32>, tensor<5x6x3xf32>) -> tensor<5x7x6xf32>
  %s = attn.einsum "hk, hmk -> hm"(%q, %k) : (tensor<5x6xf32>, tensor<5x7x6xf32>) -> tensor<5x7xf32>
  // expected-error @below {{2 key/value heads do not divide the present 5; it can be pooled into 1, 5}}
  %p = attn.softmax "hm" over "m"(%s) : tensor<5x7xf32>
  %y = attn.einsum "hm, hmk -> hk"(%p, %k) : (tensor<5x7xf32>, tensor<5x7x6xf32>) -> tensor<5x6xf32>
  return %y : tensor<5x6xf32>
}

// -----

func.func @dynamic(%q: tensor<?x6xf32>, %m: tensor<5x3xf32>, %wk: tensor<?x6x3xf32>) -> tensor<?x6xf32> {
  %k = attn.einsum "md, hkd -> hmk"(%m, %wk) : (tensor<5x3xf32>, tensor<?x6x3xf32>) -> tensor<?x5x6xf32>
  // expected-error @below {{the heads, letter 'h', have no static extent; --attn-specialize gives it}}
  %s = attn.einsum "hk, hmk -> hm"(%q, %k) : (tensor<?x6xf32>, tensor<?x5x6xf32>) -> tensor<?x5xf32>
  %p = attn.softmax "hm" over "m"(%s) : tensor<?x5xf32>
  %y = attn.einsum "hm, hmk -> hk"(%p, %k) : (tensor<?x5xf32>, tensor<?x5x6xf32>) -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}

// -----

// The letter b comes from the activation, which lacks the depth.
func.func @multi_query(%q: tensor<2x4x6xf32>, %m: tensor<2x5x3xf32>, %wk: tensor<6x3xf32>) -> tensor<2x4x6xf32> {
  %k = attn.einsum "bmd, kd -> bmk"(%m, %wk) : (tensor<2x5x3xf32>, tensor<6x3xf32>) -> tensor<2x5x6xf32>
  // expected-error @below {{no heads to pool: none of the letters "b" that query and key share comes from the weight of the key's projection; multi-query attention has one head already}}
  %s = attn.einsum "bhk, bmk -> bhm"(%q, %k) : (tensor<2x4x6xf32>, tensor<2x5x6xf32>) -> tensor<2x4x5xf32>
  %p = attn.softmax "bhm" over "m"(%s) : tensor<2x4x5xf32>
  %y = attn.einsum "bhm, bmk -> bhk"(%p, %k) : (tensor<2x4x5xf32>, tensor<2x5x6xf32>) -> tensor<2x4x6xf32>
  return %y : tensor<2x4x6xf32>
}

// -----

// The value is an input, without a projection.
func.func @value_input(%q: tensor<4x6xf32>, %m: tensor<5x3xf32>, %wk: tensor<4x6x3xf32>, %v: tensor<4x5x6xf32>) -> tensor<4x6xf32> {
  %k = attn.einsum "md, hkd -> hmk"(%m, %wk) : (tensor<5x3xf32>, tensor<4x6x3xf32>) -> tensor<4x5x6xf32>
  %s = attn.einsum "hk, hmk -> hm"(%q, %k) : (tensor<4x6xf32>, tensor<4x5x6xf32>) -> tensor<4x5xf32>
  %p = attn.softmax "hm" over "m"(%s) : tensor<4x5xf32>
  // expected-error @below {{the key/value heads of operand #1 come from argument #3, which is neither a parameter nor a cache; pool them where they are made}}
  %y = attn.einsum "hm, hmk -> hk"(%p, %v) : (tensor<4x5xf32>, tensor<4x5x6xf32>) -> tensor<4x6xf32>
  return %y : tensor<4x6xf32>
}

// -----

// The values lack the heads.
func.func @value_shared(%q: tensor<4x6xf32>, %m: tensor<5x3xf32>, %wk: tensor<4x6x3xf32>, %v: tensor<5x6xf32>) -> tensor<4x6xf32> {
  %k = attn.einsum "md, hkd -> hmk"(%m, %wk) : (tensor<5x3xf32>, tensor<4x6x3xf32>) -> tensor<4x5x6xf32>
  %s = attn.einsum "hk, hmk -> hm"(%q, %k) : (tensor<4x6xf32>, tensor<4x5x6xf32>) -> tensor<4x5xf32>
  %p = attn.softmax "hm" over "m"(%s) : tensor<4x5xf32>
  // expected-error @below {{heads cannot be pooled: their letter 'h' must stand in the values and in the result}}
  %y = attn.einsum "hm, mk -> hk"(%p, %v) : (tensor<4x5xf32>, tensor<5x6xf32>) -> tensor<4x6xf32>
  return %y : tensor<4x6xf32>
}

// -----

// Keys are a result as well.
func.func @key_returned(%q: tensor<4x6xf32>, %m: tensor<5x3xf32>, %wk: tensor<4x6x3xf32>) -> (tensor<4x6xf32>, tensor<4x5x6xf32>) {
  %k = attn.einsum "md, hkd -> hmk"(%m, %wk) : (tensor<5x3xf32>, tensor<4x6x3xf32>) -> tensor<4x5x6xf32>
  %s = attn.einsum "hk, hmk -> hm"(%q, %k) : (tensor<4x6xf32>, tensor<4x5x6xf32>) -> tensor<4x5xf32>
  %p = attn.softmax "hm" over "m"(%s) : tensor<4x5xf32>
  %y = attn.einsum "hm, hmk -> hk"(%p, %k) : (tensor<4x5xf32>, tensor<4x5x6xf32>) -> tensor<4x6xf32>
  // expected-error @below {{uses keys or values besides the attention, as operand #1; with fewer heads it would change}}
  return %y, %k : tensor<4x6xf32>, tensor<4x5x6xf32>
}

// -----

// The scores are a result as well.
func.func @scores_returned(%q: tensor<4x6xf32>, %m: tensor<5x3xf32>, %wk: tensor<4x6x3xf32>) -> (tensor<4x6xf32>, tensor<4x5xf32>) {
  %k = attn.einsum "md, hkd -> hmk"(%m, %wk) : (tensor<5x3xf32>, tensor<4x6x3xf32>) -> tensor<4x5x6xf32>
  // expected-error @below {{heads cannot be pooled: scores or weights are used elsewhere than in the chain to the values}}
  %s = attn.einsum "hk, hmk -> hm"(%q, %k) : (tensor<4x6xf32>, tensor<4x5x6xf32>) -> tensor<4x5xf32>
  %p = attn.softmax "hm" over "m"(%s) : tensor<4x5xf32>
  %y = attn.einsum "hm, hmk -> hk"(%p, %k) : (tensor<4x5xf32>, tensor<4x5x6xf32>) -> tensor<4x6xf32>
  return %y, %s : tensor<4x6xf32>, tensor<4x5xf32>
}

// -----

// The depth comes before the heads in what is reshaped: heads are strided.
func.func @depth_first(%q: tensor<4x6xf32>, %m: tensor<5x3xf32>, %wk: tensor<24x3xf32>) -> tensor<4x6xf32> {
  %flat = attn.einsum "md, ed -> me"(%m, %wk) : (tensor<5x3xf32>, tensor<24x3xf32>) -> tensor<5x24xf32>
  %k = tensor.expand_shape %flat [[0], [1, 2]] output_shape [5, 6, 4] : tensor<5x24xf32> into tensor<5x6x4xf32>
  // expected-error @below {{no heads to pool: none of the letters "h"}}
  %s = attn.einsum "hk, mkh -> hm"(%q, %k) : (tensor<4x6xf32>, tensor<5x6x4xf32>) -> tensor<4x5xf32>
  %p = attn.softmax "hm" over "m"(%s) : tensor<4x5xf32>
  %y = attn.einsum "hm, mkh -> hk"(%p, %k) : (tensor<4x5xf32>, tensor<5x6x4xf32>) -> tensor<4x6xf32>
  return %y : tensor<4x6xf32>
}

// -----

// Each head has a factor of its own.
func.func @factor(%q: tensor<4x6xf32>, %m: tensor<5x3xf32>, %wk: tensor<4x6x3xf32>, %f: tensor<4x6xf32>) -> tensor<4x6xf32> {
  %v = attn.einsum "md, hkd -> hmk"(%m, %wk) : (tensor<5x3xf32>, tensor<4x6x3xf32>) -> tensor<4x5x6xf32>
  // expected-error @below {{key/value heads cannot be pooled: this op multiplies two values that have heads; pooled one by one they are not the pooled product}}
  %w = attn.einsum "hmk, hk -> hmk"(%v, %f) : (tensor<4x5x6xf32>, tensor<4x6xf32>) -> tensor<4x5x6xf32>
  %s = attn.einsum "hk, hmk -> hm"(%q, %v) : (tensor<4x6xf32>, tensor<4x5x6xf32>) -> tensor<4x5xf32>
  %p = attn.softmax "hm" over "m"(%s) : tensor<4x5xf32>
  %y = attn.einsum "hm, hmk -> hk"(%p, %w) : (tensor<4x5xf32>, tensor<4x5x6xf32>) -> tensor<4x6xf32>
  return %y : tensor<4x6xf32>
}

// -----

// Each head sees other keys.
func.func @mask(%q: tensor<4x6xf32>, %m: tensor<5x3xf32>, %wk: tensor<4x6x3xf32>) -> tensor<4x6xf32> {
  %k = attn.einsum "md, hkd -> hmk"(%m, %wk) : (tensor<5x3xf32>, tensor<4x6x3xf32>) -> tensor<4x5x6xf32>
  %s = attn.einsum "hk, hmk -> hm"(%q, %k) : (tensor<4x6xf32>, tensor<4x5x6xf32>) -> tensor<4x5xf32>
  // expected-error @below {{heads cannot be pooled: the mask looks at their letter 'a'}}
  %p = attn.softmax "am" over "m"(%s) mask <"am", affine_set<(a, m) : (a - m >= 0)>>() : tensor<4x5xf32>
  %y = attn.einsum "hm, hmk -> hk"(%p, %k) : (tensor<4x5xf32>, tensor<4x5x6xf32>) -> tensor<4x6xf32>
  return %y : tensor<4x6xf32>
}

// -----

func.func @lengths(%q: tensor<4x6xf32>, %m: tensor<5x3xf32>, %wk: tensor<4x6x3xf32>, %valid: tensor<4xi64>) -> tensor<4x6xf32> {
  %k = attn.einsum "md, hkd -> hmk"(%m, %wk) : (tensor<5x3xf32>, tensor<4x6x3xf32>) -> tensor<4x5x6xf32>
  %s = attn.einsum "hk, hmk -> hm"(%q, %k) : (tensor<4x6xf32>, tensor<4x5x6xf32>) -> tensor<4x5xf32>
  // expected-error @below {{heads cannot be pooled: the lengths are by their letter 'h'}}
  %p = attn.softmax "hm" over "m"(%s) valid(%valid : tensor<4xi64>) : tensor<4x5xf32>
  %y = attn.einsum "hm, hmk -> hk"(%p, %k) : (tensor<4x5xf32>, tensor<4x5x6xf32>) -> tensor<4x6xf32>
  return %y : tensor<4x6xf32>
}

// -----

// Each head has a sink of its own: pooled heads would have to share one.
func.func @sink(%q: tensor<4x6xf32>, %m: tensor<5x3xf32>, %wk: tensor<4x6x3xf32>, %sink: tensor<4xf32>) -> tensor<4x6xf32> {
  %k = attn.einsum "md, hkd -> hmk"(%m, %wk) : (tensor<5x3xf32>, tensor<4x6x3xf32>) -> tensor<4x5x6xf32>
  %s = attn.einsum "hk, hmk -> hm"(%q, %k) : (tensor<4x6xf32>, tensor<4x5x6xf32>) -> tensor<4x5xf32>
  // expected-error @below {{heads cannot be pooled: the sink is by their letter 'h'}}
  %p = attn.softmax "hm" over "m"(%s) sink "h"(%sink : tensor<4xf32>) : tensor<4x5xf32>
  %y = attn.einsum "hm, hmk -> hk"(%p, %k) : (tensor<4x5xf32>, tensor<4x5x6xf32>) -> tensor<4x6xf32>
  return %y : tensor<4x6xf32>
}

// -----

// A sink by another letter is that of every head, and is pooled.
func.func @sink_by_row(%q: tensor<4x2x6xf32>, %m: tensor<5x3xf32>, %wk: tensor<4x6x3xf32>, %sink: tensor<2xf32>) -> tensor<4x2x6xf32> {
  %k = attn.einsum "md, hkd -> hmk"(%m, %wk) : (tensor<5x3xf32>, tensor<4x6x3xf32>) -> tensor<4x5x6xf32>
  %s = attn.einsum "hnk, hmk -> hnm"(%q, %k) : (tensor<4x2x6xf32>, tensor<4x5x6xf32>) -> tensor<4x2x5xf32>
  %p = attn.softmax "hnm" over "m"(%s) sink "n"(%sink : tensor<2xf32>) : tensor<4x2x5xf32>
  %y = attn.einsum "hnm, hmk -> hnk"(%p, %k) : (tensor<4x2x5xf32>, tensor<4x5x6xf32>) -> tensor<4x2x6xf32>
  return %y : tensor<4x2x6xf32>
}

// -----

// A constant that is not in the file.
func.func @elided(%q: tensor<4x6xf32>, %m: tensor<5x3xf32>) -> tensor<4x6xf32> {
  %wk = arith.constant dense_resource<__elided__> : tensor<4x6x3xf32>
  // expected-error @below {{heads cannot be pooled: operand #1 is a constant whose elements are not in this file}}
  %k = attn.einsum "md, hkd -> hmk"(%m, %wk) : (tensor<5x3xf32>, tensor<4x6x3xf32>) -> tensor<4x5x6xf32>
  %s = attn.einsum "hk, hmk -> hm"(%q, %k) : (tensor<4x6xf32>, tensor<4x5x6xf32>) -> tensor<4x5xf32>
  %p = attn.softmax "hm" over "m"(%s) : tensor<4x5xf32>
  %y = attn.einsum "hm, hmk -> hk"(%p, %k) : (tensor<4x5xf32>, tensor<4x5x6xf32>) -> tensor<4x6xf32>
  return %y : tensor<4x6xf32>
}

// -----

// expected-error @below {{is called in the module; its types cannot change, inline it first}}
func.func @callee(%q: tensor<4x6xf32>, %m: tensor<5x3xf32>, %wk: tensor<4x6x3xf32>) -> tensor<4x6xf32> {
  %k = attn.einsum "md, hkd -> hmk"(%m, %wk) : (tensor<5x3xf32>, tensor<4x6x3xf32>) -> tensor<4x5x6xf32>
  %s = attn.einsum "hk, hmk -> hm"(%q, %k) : (tensor<4x6xf32>, tensor<4x5x6xf32>) -> tensor<4x5xf32>
  %p = attn.softmax "hm" over "m"(%s) : tensor<4x5xf32>
  %y = attn.einsum "hm, hmk -> hk"(%p, %k) : (tensor<4x5xf32>, tensor<4x5x6xf32>) -> tensor<4x6xf32>
  return %y : tensor<4x6xf32>
}
func.func @caller(%q: tensor<4x6xf32>, %m: tensor<5x3xf32>, %wk: tensor<4x6x3xf32>) -> tensor<4x6xf32> {
  %y = func.call @callee(%q, %m, %wk) : (tensor<4x6xf32>, tensor<5x3xf32>, tensor<4x6x3xf32>) -> tensor<4x6xf32>
  return %y : tensor<4x6xf32>
}

// -----

func.func @raised(%q: tensor<4x6xf32>, %k: tensor<4x5x6xf32>) -> tensor<4x6xf32> {
  %init = tensor.empty() : tensor<4x6xf32>
  // expected-error @below {{heads are pooled before attention is recognised; put --attn-convert-heads before --attn-raise}}
  %y = attn.attention "hk, hmk, hmv -> hv" query(%q : tensor<4x6xf32>) key(%k : tensor<4x5x6xf32>)
    value(%k : tensor<4x5x6xf32>) scale 1.0 outs(%init : tensor<4x6xf32>) -> tensor<4x6xf32>
  return %y : tensor<4x6xf32>
}

// -----

// expected-error @below {{no softmax: no attention to convert}}
module {
  func.func @nothing(%x: tensor<4x6xf32>) -> tensor<4x6xf32> {
    return %x : tensor<4x6xf32>
  }
}

// -----

// The number of the head goes into the keys.
#hmk = affine_map<(m, h, k) -> (m, h, k)>
func.func @head_number(%x: tensor<5x3xf32>, %q: tensor<4x6xf32>, %wk: tensor<4x6x3xf32>) -> (tensor<4x6xf32>) {
  %k = attn.einsum "md, hkd -> mhk"(%x, %wk) : (tensor<5x3xf32>, tensor<4x6x3xf32>) -> tensor<5x4x6xf32>
  %empty = tensor.empty() : tensor<5x4x6xf32>
  // expected-error @below {{key/value heads cannot be pooled: this op computes with the number of the head}}
  %v = linalg.generic {indexing_maps = [#hmk, #hmk], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%k : tensor<5x4x6xf32>) outs(%empty : tensor<5x4x6xf32>) {
  ^bb0(%a: f32, %out: f32):
    %h = linalg.index 1 : index
    %i = arith.index_cast %h : index to i32
    %f = arith.sitofp %i : i32 to f32
    %c = arith.addf %a, %f : f32
    linalg.yield %c : f32
  } -> tensor<5x4x6xf32>
  %s = attn.einsum "hk, mhk -> hm"(%q, %k) : (tensor<4x6xf32>, tensor<5x4x6xf32>) -> tensor<4x5xf32>
  %w = attn.softmax "hm" over "m"(%s) : tensor<4x5xf32>
  %y = attn.einsum "hm, mhk -> hk"(%w, %v) : (tensor<4x5xf32>, tensor<5x4x6xf32>) -> tensor<4x6xf32>
  return %y : tensor<4x6xf32>
}

// -----

// A reshape between.
func.func @between(%q: tensor<4x6xf32>, %m: tensor<5x3xf32>, %wk: tensor<4x6x3xf32>) -> tensor<4x6xf32> {
  %k = attn.einsum "md, hkd -> hmk"(%m, %wk) : (tensor<5x3xf32>, tensor<4x6x3xf32>) -> tensor<4x5x6xf32>
  %s = attn.einsum "hk, hmk -> hm"(%q, %k) : (tensor<4x6xf32>, tensor<4x5x6xf32>) -> tensor<4x5xf32>
  %p = attn.softmax "hm" over "m"(%s) : tensor<4x5xf32>
  // expected-error @below {{heads cannot be pooled: this op stands between scores and values; elementwise ops and one softmax may}}
  %w = tensor.expand_shape %p [[0], [1, 2]] output_shape [4, 5, 1] : tensor<4x5xf32> into tensor<4x5x1xf32>
  %y = attn.einsum "hmn, hmk -> hk"(%w, %k) : (tensor<4x5x1xf32>, tensor<4x5x6xf32>) -> tensor<4x6xf32>
  return %y : tensor<4x6xf32>
}

// -----

func.func @no_scores(%s: tensor<4x5xf32>, %v: tensor<4x5x6xf32>) -> tensor<4x6xf32> {
  // expected-error @below {{heads cannot be pooled: no einsum of query and key is above this softmax}}
  %p = attn.softmax "hm" over "m"(%s) : tensor<4x5xf32>
  %y = attn.einsum "hm, hmk -> hk"(%p, %v) : (tensor<4x5xf32>, tensor<4x5x6xf32>) -> tensor<4x6xf32>
  return %y : tensor<4x6xf32>
}
