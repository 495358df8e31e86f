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

// Named ops whose verifiers compare extents get their operands as they were.
// CHECK-LABEL: func.func @repeated
// CHECK-SAME: (%[[X:.*]]: tensor<?x7xf32> {{.*}}, %[[REPEATED:.*]]: tensor<?x3x?xf32>, %[[TURNED:.*]]: tensor<?x?xf32>)
func.func @repeated(%x: tensor<?x?xf32> {attn.shape = "b, k"}, %repeated: tensor<?x3x?xf32>,
                    %turned: tensor<?x?xf32>) -> (tensor<?x3x?xf32>, tensor<?x?xf32>) {
  // CHECK: %[[CAST:.*]] = tensor.cast %[[X]] : tensor<?x7xf32> to tensor<?x?xf32>
  // CHECK: linalg.broadcast ins(%[[CAST]] : tensor<?x?xf32>)
  %y = linalg.broadcast ins(%x : tensor<?x?xf32>) outs(%repeated : tensor<?x3x?xf32>) dimensions = [1]
  // CHECK: linalg.transpose ins(%{{.*}} : tensor<?x?xf32>)
  %z = linalg.transpose ins(%x : tensor<?x?xf32>) outs(%turned : tensor<?x?xf32>) permutation = [1, 0]
  return %y, %z : tensor<?x3x?xf32>, tensor<?x?xf32>
}
