// RUN: einhead-opt %s | einhead-opt | FileCheck %s
//
// Multi-head Self-Attention, one new token a call: Shazeer 2019, section 2.4.
//
//   q = x P_q                                     for each head
//   new_K = prev_K with x P_k appended            for each head
//   new_V = prev_V with x P_v appended            for each head
//   y = (softmax(q new_K^T) new_V) P_o            summed over the heads
//
//   b  batch   m  capacity of the caches   d  model
//   h  heads   k  key dim                  v  value dim
//
// Where the paper concatenates, the new rows are written in place at `length`,
// the number of rows that the caches hold before the call; after it there are
// length + 1 of them, and no more count.  Fixed: the paper's listing projects
// `M`, which is no argument of it (it is `x`), and computes `o` but uses `O`.

// CHECK-LABEL: func.func @multihead_self_attention_incremental
func.func @multihead_self_attention_incremental(
    %x: tensor<?x?xf32> {attn.name = "x", attn.shape = "b, d"},
    %length: index {attn.name = "length", attn.length},
    %prev_K: tensor<?x?x?x?xf32> {attn.name = "K", attn.cache, attn.shape = "b, h, m, k"},
    %prev_V: tensor<?x?x?x?xf32> {attn.name = "V", attn.cache, attn.shape = "b, h, m, v"},
    %P_q: tensor<?x?x?xf32> {attn.name = "P_q", attn.shape = "h, d, k"},
    %P_k: tensor<?x?x?xf32> {attn.name = "P_k", attn.shape = "h, d, k"},
    %P_v: tensor<?x?x?xf32> {attn.name = "P_v", attn.shape = "h, d, v"},
    %P_o: tensor<?x?x?xf32> {attn.name = "P_o", attn.shape = "h, d, v"})
    -> (tensor<?x?xf32> {attn.name = "y", attn.shape = "b, d"},
        tensor<?x?x?x?xf32> {attn.cache = "K"},
        tensor<?x?x?x?xf32> {attn.cache = "V"}) {
  %q = attn.einsum "bd, hdk -> bhk"(%x, %P_q) : (tensor<?x?xf32>, tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %key = attn.einsum "bd, hdk -> bhk"(%x, %P_k) : (tensor<?x?xf32>, tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %value = attn.einsum "bd, hdv -> bhv"(%x, %P_v) : (tensor<?x?xf32>, tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  // CHECK: attn.append "bhk -> bhmk"
  %new_K = attn.append "bhk -> bhmk"(%key into %prev_K at %length : index)
    : tensor<?x?x?xf32> into tensor<?x?x?x?xf32>
  // CHECK: attn.append "bhv -> bhmv"
  %new_V = attn.append "bhv -> bhmv"(%value into %prev_V at %length : index)
    : tensor<?x?x?xf32> into tensor<?x?x?x?xf32>
  %one = arith.constant 1 : index
  %valid = arith.addi %length, %one : index
  // CHECK: attn.einsum "bhk, bhmk -> bhm"
  %logits = attn.einsum "bhk, bhmk -> bhm"(%q, %new_K) : (tensor<?x?x?xf32>, tensor<?x?x?x?xf32>) -> tensor<?x?x?xf32>
  // CHECK: attn.softmax "bhm" over "m"({{.*}}) valid({{.*}} : index)
  %weights = attn.softmax "bhm" over "m"(%logits) valid(%valid : index) : tensor<?x?x?xf32>
  // CHECK: attn.einsum "bhm, bhmv -> bhv"
  %o = attn.einsum "bhm, bhmv -> bhv"(%weights, %new_V) : (tensor<?x?x?xf32>, tensor<?x?x?x?xf32>) -> tensor<?x?x?xf32>
  %y = attn.einsum "bhv, hdv -> bd"(%o, %P_o) : (tensor<?x?x?xf32>, tensor<?x?x?xf32>) -> tensor<?x?xf32>
  return %y, %new_K, %new_V : tensor<?x?xf32>, tensor<?x?x?x?xf32>, tensor<?x?x?x?xf32>
}
