// RUN: einhead-opt %s --attn-specialize -split-input-file | FileCheck %s
// RUN: einhead-opt %s --einhead-to-cpu='cpu=x86-64-v3' -split-input-file -o /dev/null

// What one type says of a letter, all say; a type that cannot follow is cast.

// The arguments and the result know parts of "bhm": all of it is known.
// CHECK-LABEL: func.func @spread
// CHECK-SAME: %{{.*}}: tensor<2x4x8xf32> {{.*}}, %{{.*}}: tensor<2x?x8xf32> {{.*}}) -> (tensor<2x4x?xf32>
func.func @spread(%q: tensor<?x4x8xf32> {attn.shape = "b, 4, 8"}, %k: tensor<2x?x?xf32> {attn.shape = "2, m, d"})
    -> (tensor<?x?x?xf32> {attn.shape = "b, h, m"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %q, %c0 : tensor<?x4x8xf32>
  %h = tensor.dim %q, %c1 : tensor<?x4x8xf32>
  %m = tensor.dim %k, %c1 : tensor<2x?x?xf32>
  %s = attn.einsum "bhk, bmk -> bhm"(%q, %k) : (tensor<?x4x8xf32>, tensor<2x?x?xf32>) -> tensor<?x?x?xf32>
  %number = arith.constant 0.5 : f32
  // CHECK: tensor.splat %{{.*}}[%{{[^,]*}}] : tensor<2x4x?xf32>
  %factor = tensor.splat %number[%b, %h, %m] : tensor<?x?x?xf32>
  // CHECK: arith.mulf {{.*}} : tensor<2x4x?xf32>
  %y = arith.mulf %s, %factor : tensor<?x?x?xf32>
  // CHECK: return {{.*}} : tensor<2x4x?xf32>
  return %y : tensor<?x?x?xf32>
}

// -----

// A cache and its new state stay of one type.
// CHECK-LABEL: func.func @cache
// CHECK-SAME: %{{.*}}: tensor<3x8xf32> {{.*}}, %{{.*}}: tensor<3x?x8xf32> {{.*}}, %{{.*}}: index {{.*}}) -> (tensor<3x?x8xf32>
func.func @cache(%new: tensor<3x8xf32> {attn.shape = "3, 8"},
                 %k: tensor<?x?x8xf32> {attn.name = "k", attn.cache, attn.shape = "b, m, 8"},
                 %n: index {attn.length, attn.name = "n"}) -> (tensor<?x?x8xf32> {attn.cache = "k"}) {
  %grown = attn.append "bk -> bmk"(%new into %k at %n : index) : tensor<3x8xf32> into tensor<?x?x8xf32>
  return %grown : tensor<?x?x8xf32>
}

// -----

// The extents of a slice do not follow: a cast in front of the sum.
// CHECK-LABEL: func.func @cast
func.func @cast(%x: tensor<8xf32>, %y: tensor<?xf32> {attn.shape = "n"}) -> tensor<8xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %y, %c0 : tensor<?xf32>
  // CHECK: %[[SLICE:.*]] = tensor.extract_slice %{{.*}} : tensor<?xf32> to tensor<?xf32>
  %s = tensor.extract_slice %y[0] [%n] [1] : tensor<?xf32> to tensor<?xf32>
  // CHECK: %[[CAST:.*]] = tensor.cast %[[SLICE]] : tensor<?xf32> to tensor<8xf32>
  // CHECK: arith.addf %[[CAST]], %{{.*}} : tensor<8xf32>
  %sum = arith.addf %s, %s : tensor<?xf32>
  %z = tensor.cast %sum : tensor<?xf32> to tensor<8xf32>
  %r = arith.addf %x, %z : tensor<8xf32>
  return %r : tensor<8xf32>
}

// -----

// Where a function is called, its callers know its types.
// CHECK-LABEL: func.func private @called
// CHECK-SAME: (%{{.*}}: tensor<?x8xf32>, %{{.*}}: tensor<4x8xf32>) -> tensor<?xf32>
// CHECK: %[[Y:.*]] = attn.einsum {{.*}} -> tensor<4xf32>
// CHECK: %[[CAST:.*]] = tensor.cast %[[Y]] : tensor<4xf32> to tensor<?xf32>
// CHECK: return %[[CAST]]
func.func private @called(%x: tensor<?x8xf32>, %y: tensor<4x8xf32>) -> tensor<?xf32> {
  %z = attn.einsum "ab, ab -> a"(%x, %y) : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?xf32>
  return %z : tensor<?xf32>
}

// CHECK-LABEL: func.func @caller
// CHECK: call @called({{.*}}) : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?xf32>
func.func @caller(%x: tensor<?x8xf32> {attn.shape = "a, 8"}, %y: tensor<4x8xf32>) -> (tensor<?xf32> {attn.shape = "a"}) {
  %z = call @called(%x, %y) : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?xf32>
  return %z : tensor<?xf32>
}
