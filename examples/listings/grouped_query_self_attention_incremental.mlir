// RUN: einhead-opt %s | einhead-opt | FileCheck %s
//
// Grouped-query Self-Attention, one new token a call: Ainslie et al. 2023,
// "GQA: Training Generalized Multi-Query Transformer Models from Multi-Head
// Checkpoints", in Shazeer's notation.
//
//   q = x P_q                                     for each of g * r heads
//   new_K = prev_K with x P_k appended            for each of g groups
//   new_V = prev_V with x P_v appended            for each of g groups
//   y = (softmax(q new_K^T) new_V) P_o            summed over the heads
//
//   b  batch   m  capacity of the caches   d  model     k  key dim
//   g  groups  r  query heads of a group                v  value dim
//
// With g = 1 this is multi-query, with r = 1 multi-head attention.  `length` is
// the number of rows that the caches hold before the call.

// CHECK-LABEL: func.func @grouped_query_self_attention_incremental
func.func @grouped_query_self_attention_incremental(
    %x: tensor<?x?xf32> {attn.name = "x", attn.shape = "b, d"},
    %length: index {attn.name = "length", attn.length},
    %prev_K: tensor<?x?x?x?xf32> {attn.name = "K", attn.cache, attn.shape = "b, g, m, k"},
    %prev_V: tensor<?x?x?x?xf32> {attn.name = "V", attn.cache, attn.shape = "b, g, m, v"},
    %P_q: tensor<?x?x?x?xf32> {attn.name = "P_q", attn.shape = "g, r, d, k"},
    %P_k: tensor<?x?x?xf32> {attn.name = "P_k", attn.shape = "g, d, k"},
    %P_v: tensor<?x?x?xf32> {attn.name = "P_v", attn.shape = "g, d, v"},
    %P_o: tensor<?x?x?x?xf32> {attn.name = "P_o", attn.shape = "g, r, d, v"})
    -> (tensor<?x?xf32> {attn.name = "y", attn.shape = "b, d"},
        tensor<?x?x?x?xf32> {attn.cache = "K"},
        tensor<?x?x?x?xf32> {attn.cache = "V"}) {
  %q = attn.einsum "bd, grdk -> bgrk"(%x, %P_q) : (tensor<?x?xf32>, tensor<?x?x?x?xf32>) -> tensor<?x?x?x?xf32>
  %key = attn.einsum "bd, gdk -> bgk"(%x, %P_k) : (tensor<?x?xf32>, tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %value = attn.einsum "bd, gdv -> bgv"(%x, %P_v) : (tensor<?x?xf32>, tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  // CHECK: attn.append "bgk -> bgmk"
  %new_K = attn.append "bgk -> bgmk"(%key into %prev_K at %length : index)
    : tensor<?x?x?xf32> into tensor<?x?x?x?xf32>
  // CHECK: attn.append "bgv -> bgmv"
  %new_V = attn.append "bgv -> bgmv"(%value into %prev_V at %length : index)
    : tensor<?x?x?xf32> into tensor<?x?x?x?xf32>
  %one = arith.constant 1 : index
  %valid = arith.addi %length, %one : index
  // CHECK: attn.einsum "bgrk, bgmk -> bgrm"
  %logits = attn.einsum "bgrk, bgmk -> bgrm"(%q, %new_K) : (tensor<?x?x?x?xf32>, tensor<?x?x?x?xf32>) -> tensor<?x?x?x?xf32>
  // CHECK: attn.softmax "bgrm" over "m"({{.*}}) valid({{.*}} : index)
  %weights = attn.softmax "bgrm" over "m"(%logits) valid(%valid : index) : tensor<?x?x?x?xf32>
  // CHECK: attn.einsum "bgrm, bgmv -> bgrv"
  %o = attn.einsum "bgrm, bgmv -> bgrv"(%weights, %new_V) : (tensor<?x?x?x?xf32>, tensor<?x?x?x?xf32>) -> tensor<?x?x?x?xf32>
  %y = attn.einsum "bgrv, grdv -> bd"(%o, %P_o) : (tensor<?x?x?x?xf32>, tensor<?x?x?x?xf32>) -> tensor<?x?xf32>
  return %y, %new_K, %new_V : tensor<?x?xf32>, tensor<?x?x?x?xf32>, tensor<?x?x?x?xf32>
}
