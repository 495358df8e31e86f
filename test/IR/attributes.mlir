// The dialect's attributes on functions and arguments, and its typed ones.
// RUN: einhead-opt %s | einhead-opt | FileCheck %s

#causal = affine_set<(n, m)[p] : (p + n - m >= 0)>

// CHECK: module attributes {attn.parameters = ["model.safetensors"]}
module attributes {attn.parameters = ["model.safetensors"]} {

// CHECK-LABEL: func.func @step(
// CHECK-SAME: tensor<?x256xf32> {attn.name = "x", attn.shape = "b, 256"}
// CHECK-SAME: tensor<?xi64> {attn.length, attn.name = "length", attn.shape = "b"}
// CHECK-SAME: tensor<?x8x?x32xf32> {attn.cache, attn.name = "k0", attn.shape = "b, 8, m+1, 32"}
// CHECK-SAME: tensor<256xbf16> {attn.parameter = "model.norm.weight"}
// CHECK-SAME: -> (tensor<?x256xf32> {attn.name = "y", attn.shape = "b, 256"}, tensor<?x8x?x32xf32> {attn.cache = "k0"})
func.func @step(%x: tensor<?x256xf32> {attn.name = "x", attn.shape = "b, 256"},
                %length: tensor<?xi64> {attn.name = "length", attn.shape = "b", attn.length},
                %k: tensor<?x8x?x32xf32> {attn.name = "k0", attn.cache, attn.shape = "b, 8, m+1, 32"},
                %w: tensor<256xbf16> {attn.parameter = "model.norm.weight"})
    -> (tensor<?x256xf32> {attn.name = "y", attn.shape = "b, 256"},
        tensor<?x8x?x32xf32> {attn.cache = "k0"}) {
  return %x, %k : tensor<?x256xf32>, tensor<?x8x?x32xf32>
}

// Attributes of the dialect as such.
// CHECK-LABEL: func.func @typed
// CHECK-SAME: mask = #attn.mask<"nm", "(d0, d1)[s0] : (d0 + s0 - d1 >= 0)", "(d0, d1)[s0] : (-d1 + 3 >= 0)">
// CHECK-SAME: schedule = #attn.schedule<chunk = 1024, key_tile = 64, row_tile = 32, lanes = 16>
func.func @typed() attributes {
  mask = #attn.mask<"nm", #causal, "(n, m)[p] : (3 - m >= 0)">,
  schedule = #attn.schedule<chunk = 1024, key_tile = 64, row_tile = 32, lanes = 16>
} {
  return
}

// The names of a rank-0 tensor are none.
// CHECK-LABEL: func.func @scalar
func.func @scalar(%x: tensor<f32> {attn.shape = ""}) {
  return
}
}
