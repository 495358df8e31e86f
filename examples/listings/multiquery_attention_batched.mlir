// RUN: einhead-opt %s | einhead-opt | FileCheck %s
//
// Multi-query Attention, batched: Shazeer 2019, section 3.
//
//   Q = X P_q                                     for each head
//   K = M P_k     V = M P_v                       once: K, V, P_k, P_v lose "h"
//   Y = (softmax(Q K^T + mask) V) P_o             summed over the heads
//
//   b  batch   n  query positions   m  memory positions   d  model
//   h  heads   k  key dim           v  value dim
//
// The mask is added to the scores: 0 where a query attends, -inf elsewhere.

// CHECK-LABEL: func.func @multiquery_attention_batched
func.func @multiquery_attention_batched(
    %X: tensor<?x?x?xf32> {attn.name = "X", attn.shape = "b, n, d"},
    %M: tensor<?x?x?xf32> {attn.name = "M", attn.shape = "b, m, d"},
    %mask: tensor<?x?x?x?xf32> {attn.name = "mask", attn.shape = "b, h, n, m"},
    %P_q: tensor<?x?x?xf32> {attn.name = "P_q", attn.shape = "h, d, k"},
    %P_k: tensor<?x?xf32> {attn.name = "P_k", attn.shape = "d, k"},
    %P_v: tensor<?x?xf32> {attn.name = "P_v", attn.shape = "d, v"},
    %P_o: tensor<?x?x?xf32> {attn.name = "P_o", attn.shape = "h, d, v"})
    -> (tensor<?x?x?xf32> {attn.name = "Y", attn.shape = "b, n, d"}) {
  %Q = attn.einsum "bnd, hdk -> bhnk"(%X, %P_q) : (tensor<?x?x?xf32>, tensor<?x?x?xf32>) -> tensor<?x?x?x?xf32>
  %K = attn.einsum "bmd, dk -> bmk"(%M, %P_k) : (tensor<?x?x?xf32>, tensor<?x?xf32>) -> tensor<?x?x?xf32>
  %V = attn.einsum "bmd, dv -> bmv"(%M, %P_v) : (tensor<?x?x?xf32>, tensor<?x?xf32>) -> tensor<?x?x?xf32>
  // CHECK: attn.einsum "bhnk, bmk -> bhnm"
  %logits = attn.einsum "bhnk, bmk -> bhnm"(%Q, %K) : (tensor<?x?x?x?xf32>, tensor<?x?x?xf32>) -> tensor<?x?x?x?xf32>
  // CHECK: arith.addf
  %masked = arith.addf %logits, %mask : tensor<?x?x?x?xf32>
  // CHECK: attn.softmax "bhnm" over "m"
  %weights = attn.softmax "bhnm" over "m"(%masked) : tensor<?x?x?x?xf32>
  // CHECK: attn.einsum "bhnm, bmv -> bhnv"
  %O = attn.einsum "bhnm, bmv -> bhnv"(%weights, %V) : (tensor<?x?x?x?xf32>, tensor<?x?x?xf32>) -> tensor<?x?x?x?xf32>
  %Y = attn.einsum "bhnv, hdv -> bnd"(%O, %P_o) : (tensor<?x?x?x?xf32>, tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  return %Y : tensor<?x?x?xf32>
}
