// RUN: einhead-opt %s | einhead-opt | FileCheck %s
//
// Multi-head Attention on one query: Shazeer 2019, section 2.2.
//
//   q = x P_q     K = M P_k     V = M P_v         for each head
//   y = (softmax(q K^T) V) P_o                    summed over the heads
//
//   m  memory positions   d  model   h  heads   k  key dim   v  value dim
//
// There is no 1 / sqrt(k): the paper folds it into P_q.

// CHECK-LABEL: func.func @multihead_attention
func.func @multihead_attention(
    %x: tensor<?xf32> {attn.name = "x", attn.shape = "d"},
    %M: tensor<?x?xf32> {attn.name = "M", attn.shape = "m, d"},
    %P_q: tensor<?x?x?xf32> {attn.name = "P_q", attn.shape = "h, d, k"},
    %P_k: tensor<?x?x?xf32> {attn.name = "P_k", attn.shape = "h, d, k"},
    %P_v: tensor<?x?x?xf32> {attn.name = "P_v", attn.shape = "h, d, v"},
    %P_o: tensor<?x?x?xf32> {attn.name = "P_o", attn.shape = "h, d, v"})
    -> (tensor<?xf32> {attn.name = "y", attn.shape = "d"}) {
  %q = attn.einsum "d, hdk -> hk"(%x, %P_q) : (tensor<?xf32>, tensor<?x?x?xf32>) -> tensor<?x?xf32>
  %K = attn.einsum "md, hdk -> hmk"(%M, %P_k) : (tensor<?x?xf32>, tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %V = attn.einsum "md, hdv -> hmv"(%M, %P_v) : (tensor<?x?xf32>, tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  // CHECK: attn.einsum "hk, hmk -> hm"
  %logits = attn.einsum "hk, hmk -> hm"(%q, %K) : (tensor<?x?xf32>, tensor<?x?x?xf32>) -> tensor<?x?xf32>
  // CHECK: attn.softmax "hm" over "m"
  %weights = attn.softmax "hm" over "m"(%logits) : tensor<?x?xf32>
  // CHECK: attn.einsum "hm, hmv -> hv"
  %o = attn.einsum "hm, hmv -> hv"(%weights, %V) : (tensor<?x?xf32>, tensor<?x?x?xf32>) -> tensor<?x?xf32>
  %y = attn.einsum "hv, hdv -> d"(%o, %P_o) : (tensor<?x?xf32>, tensor<?x?x?xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}
