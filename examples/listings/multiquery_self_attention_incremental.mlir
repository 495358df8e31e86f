// RUN: einhead-opt %s | einhead-opt | FileCheck %s
//
// Multi-query Self-Attention, one new token a call: Shazeer 2019, section 3.
//
//   q = x P_q                                     for each head
//   new_K = prev_K with x P_k appended            once
//   new_V = prev_V with x P_v appended            once
//   y = (softmax(q new_K^T) new_V) P_o            summed over the heads
//
//   b  batch   m  capacity of the caches   d  model
//   h  heads   k  key dim                  v  value dim
//
// Where the paper concatenates, the new rows are written in place at `length`,
// the number of rows that the caches hold before the call; after it there are
// length + 1 of them, and no more count.  Fixed: the paper's listing projects
// `M`, which is no argument of it (it is `x`), concatenates tensors of rank 3
// on axis 2 (it is axis 1, m), and computes `o` but uses `O`.

// CHECK-LABEL: func.func @multiquery_self_attention_incremental
func.func @multiquery_self_attention_incremental(
    %x: tensor<?x?xf32> {attn.name = "x", attn.shape = "b, d"},
    %length: index {attn.name = "length", attn.length},
    %prev_K: tensor<?x?x?xf32> {attn.name = "K", attn.cache, attn.shape = "b, m, k"},
    %prev_V: tensor<?x?x?xf32> {attn.name = "V", attn.cache, attn.shape = "b, m, v"},
    %P_q: tensor<?x?x?xf32> {attn.name = "P_q", attn.shape = "h, d, k"},
    %P_k: tensor<?x?xf32> {attn.name = "P_k", attn.shape = "d, k"},
    %P_v: tensor<?x?xf32> {attn.name = "P_v", attn.shape = "d, v"},
    %P_o: tensor<?x?x?xf32> {attn.name = "P_o", attn.shape = "h, d, v"})
    -> (tensor<?x?xf32> {attn.name = "y", attn.shape = "b, d"},
        tensor<?x?x?xf32> {attn.cache = "K"},
        tensor<?x?x?xf32> {attn.cache = "V"}) {
  %q = attn.einsum "bd, hdk -> bhk"(%x, %P_q) : (tensor<?x?xf32>, tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %key = attn.einsum "bd, dk -> bk"(%x, %P_k) : (tensor<?x?xf32>, tensor<?x?xf32>) -> tensor<?x?xf32>
  %value = attn.einsum "bd, dv -> bv"(%x, %P_v) : (tensor<?x?xf32>, tensor<?x?xf32>) -> tensor<?x?xf32>
  // CHECK: attn.append "bk -> bmk"
  %new_K = attn.append "bk -> bmk"(%key into %prev_K at %length : index)
    : tensor<?x?xf32> into tensor<?x?x?xf32>
  // CHECK: attn.append "bv -> bmv"
  %new_V = attn.append "bv -> bmv"(%value into %prev_V at %length : index)
    : tensor<?x?xf32> into tensor<?x?x?xf32>
  %one = arith.constant 1 : index
  %valid = arith.addi %length, %one : index
  // CHECK: attn.einsum "bhk, bmk -> bhm"
  %logits = attn.einsum "bhk, bmk -> bhm"(%q, %new_K) : (tensor<?x?x?xf32>, tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  // CHECK: attn.softmax "bhm" over "m"({{.*}}) valid({{.*}} : index)
  %weights = attn.softmax "bhm" over "m"(%logits) valid(%valid : index) : tensor<?x?x?xf32>
  // CHECK: attn.einsum "bhm, bmv -> bhv"
  %o = attn.einsum "bhm, bmv -> bhv"(%weights, %new_V) : (tensor<?x?x?xf32>, tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %y = attn.einsum "bhv, hdv -> bd"(%o, %P_o) : (tensor<?x?x?xf32>, tensor<?x?x?xf32>) -> tensor<?x?xf32>
  return %y, %new_K, %new_V : tensor<?x?xf32>, tensor<?x?x?xf32>, tensor<?x?x?xf32>
}
