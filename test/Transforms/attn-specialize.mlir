// RUN: einhead-opt %s --attn-specialize=sizes=h=3,k=7 | FileCheck %s
// RUN: not einhead-opt %s --attn-specialize=sizes=h=three 2>&1 | FileCheck %s --check-prefix=NUMBER
// RUN: not einhead-opt %s --attn-specialize=sizes=d=9 2>&1 | FileCheck %s --check-prefix=CLASH

// NUMBER: error: expected name=extent in sizes, got "h=three"
// CLASH: error: argument #0: dimension 'd' is 8, not 9

// Named dimensions get their extents; what follows from them is inferred; names
// that are not given stay dynamic.

// CHECK-LABEL: func.func @project
// CHECK-SAME: (%[[X:.*]]: tensor<?x8xf32> {{.*}}, %[[P:.*]]: tensor<3x8x7xf32> {{.*}}) -> tensor<?x3x7xf32>
func.func @project(%x: tensor<?x8xf32> {attn.shape = "b, d"},
                   %p: tensor<?x8x?xf32> {attn.shape = "h, d, k"}) -> tensor<?x?x?xf32> {
  // CHECK: attn.einsum {{.*}} -> tensor<?x3x7xf32>
  %y = attn.einsum "bd, hdk -> bhk"(%x, %p)
    : (tensor<?x8xf32>, tensor<?x8x?xf32>) -> tensor<?x?x?xf32>
  // CHECK: arith.negf {{.*}} : tensor<?x3x7xf32>
  %z = arith.negf %y : tensor<?x?x?xf32>
  return %z : tensor<?x?x?xf32>
}

// A broadcast needs equal types of its input and its destination.
// CHECK-LABEL: func.func @broadcast
func.func @broadcast(%x: tensor<?x?xf32> {attn.shape = "h, k"}, %y: tensor<?x?x?xf32> {attn.shape = "h, k, n"})
    -> tensor<?x?x?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %h = tensor.dim %x, %c0 : tensor<?x?xf32>
  %k = tensor.dim %x, %c1 : tensor<?x?xf32>
  %n = tensor.dim %y, %c2 : tensor<?x?x?xf32>
  // CHECK: %[[INIT:.*]] = tensor.empty(%{{[^,]*}}) : tensor<3x7x?xf32>
  %init = tensor.empty(%h, %k, %n) : tensor<?x?x?xf32>
  // CHECK: linalg.broadcast ins(%{{.*}} : tensor<3x7xf32>) outs(%[[INIT]] : tensor<3x7x?xf32>) dimensions = [2]
  %r = linalg.broadcast ins(%x : tensor<?x?xf32>) outs(%init : tensor<?x?x?xf32>) dimensions = [2]
  // CHECK: arith.addf {{.*}} : tensor<3x7x?xf32>
  %s = arith.addf %r, %y : tensor<?x?x?xf32>
  return %s : tensor<?x?x?xf32>
}
