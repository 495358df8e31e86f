// RUN: einhead-opt %s | einhead-opt | FileCheck %s
//
// Dot-Product Attention: Shazeer 2019, "Fast Transformer Decoding: One
// Write-Head is All You Need", section 2.1.
//
//   logits[m]  = sum over k of q[k] * K[m, k]
//   weights    = softmax(logits)
//   y[v]       = sum over m of weights[m] * V[m, v]
//
//   m  memory positions   k  key dim   v  value dim

// CHECK-LABEL: func.func @dot_product_attention
func.func @dot_product_attention(
    %q: tensor<?xf32> {attn.name = "q", attn.shape = "k"},
    %K: tensor<?x?xf32> {attn.name = "K", attn.shape = "m, k"},
    %V: tensor<?x?xf32> {attn.name = "V", attn.shape = "m, v"})
    -> (tensor<?xf32> {attn.name = "y", attn.shape = "v"}) {
  // CHECK: attn.einsum "k, mk -> m"
  %logits = attn.einsum "k, mk -> m"(%q, %K) : (tensor<?xf32>, tensor<?x?xf32>) -> tensor<?xf32>
  // CHECK: attn.softmax "m" over "m"
  %weights = attn.softmax "m" over "m"(%logits) : tensor<?xf32>
  // CHECK: attn.einsum "m, mv -> v"
  %y = attn.einsum "m, mv -> v"(%weights, %V) : (tensor<?xf32>, tensor<?x?xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}
