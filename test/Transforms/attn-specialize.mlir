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
