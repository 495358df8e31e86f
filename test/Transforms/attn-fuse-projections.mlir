// RUN: einhead-opt %s --attn-fuse-projections=min-bytes=1000 --remarks-filter='attn.*' --split-input-file 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks

// Query, key and value of one x: one loop, whose body computes a block of each.
// 5 heads; 135 columns in 3 blocks, 21 in one.
// REMARK: [Passed] Projections
// REMARK-SAME: "bd, hdk -> bhk", "bd, dk -> bk", "dv, bd -> bv" read one activation: one parallel loop of 5 blocks of columns, which saves 2 loops and reading 320*b bytes
// CHECK-LABEL: func.func @one_x
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<?x40xf32>
// CHECK: %[[R:.*]]:3 = scf.forall (%{{.*}}) in (5) shared_outs(
// CHECK: linalg.fill
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction", "parallel", "parallel"]
// CHECK: linalg.generic {{.*}} iterator_types = ["reduction", "parallel", "parallel"]
// CHECK: linalg.generic {{.*}} iterator_types = ["reduction", "parallel", "parallel"]
// CHECK: scf.forall.in_parallel
// CHECK-COUNT-3: tensor.parallel_insert_slice
// CHECK-NOT: scf.forall
// CHECK: %[[V:.*]] = arith.truncf %[[R]]#2
// CHECK: return %[[R]]#0, %[[R]]#1, %[[V]]
func.func @one_x(%x: tensor<?x40xf32>, %wq: tensor<5x40x7xf32>, %wk: tensor<40x135xf32>,
                 %wv: tensor<40x21xf32>) -> (tensor<?x5x7xf32>, tensor<?x135xf32>, tensor<?x21xbf16>) {
  %q = attn.einsum "bd, hdk -> bhk"(%x, %wq) : (tensor<?x40xf32>, tensor<5x40x7xf32>) -> tensor<?x5x7xf32>
  %k = attn.einsum "bd, dk -> bk"(%x, %wk) : (tensor<?x40xf32>, tensor<40x135xf32>) -> tensor<?x135xf32>
  %v = attn.einsum "dv, bd -> bv"(%wv, %x) : (tensor<40x21xf32>, tensor<?x40xf32>) -> tensor<?x21xbf16>
  return %q, %k, %v : tensor<?x5x7xf32>, tensor<?x135xf32>, tensor<?x21xbf16>
}

// -----

// Many rows of x: blocks of them, too.
// REMARK: "nd, dk -> nk", "nd, dv -> nv" read one activation: one parallel loop of 3 blocks of columns and blocks of 64 rows, which saves 1 loop and reading 11200 bytes
// CHECK-LABEL: func.func @rows
// CHECK: scf.forall (%[[N:.*]], %{{.*}}) = (0, 0) to (70, 3) step (64, 1)
// CHECK: affine.min #{{.*}}(%[[N]])
func.func @rows(%x: tensor<70x40xf32>, %wk: tensor<40x128xf32>, %wv: tensor<40x129xf32>)
    -> (tensor<70x128xf32>, tensor<70x129xf32>) {
  %k = attn.einsum "nd, dk -> nk"(%x, %wk) : (tensor<70x40xf32>, tensor<40x128xf32>) -> tensor<70x128xf32>
  %v = attn.einsum "nd, dv -> nv"(%x, %wv) : (tensor<70x40xf32>, tensor<40x129xf32>) -> tensor<70x129xf32>
  return %k, %v : tensor<70x128xf32>, tensor<70x129xf32>
}

// -----

// Another x: two loops.
// REMARK: "bd, dk -> bk" is one parallel loop of 3 blocks of columns; no other einsum sums the same letters of its activation
// REMARK: "bd, dk -> bk" is one parallel loop of 3 blocks of columns; no other einsum sums the same letters of its activation
// CHECK-LABEL: func.func @other_x
// CHECK-COUNT-2: scf.forall (%{{.*}}) in (3)
func.func @other_x(%x: tensor<2x40xf32>, %z: tensor<2x40xf32>, %wk: tensor<40x135xf32>, %wv: tensor<40x135xf32>)
    -> (tensor<2x135xf32>, tensor<2x135xf32>) {
  %k = attn.einsum "bd, dk -> bk"(%x, %wk) : (tensor<2x40xf32>, tensor<40x135xf32>) -> tensor<2x135xf32>
  %v = attn.einsum "bd, dk -> bk"(%z, %wv) : (tensor<2x40xf32>, tensor<40x135xf32>) -> tensor<2x135xf32>
  return %k, %v : tensor<2x135xf32>, tensor<2x135xf32>
}

// -----

// The second one's weight comes from the first one.
// REMARK: [Missed] NotFused
// REMARK-SAME: "bd, dv -> bv" reads the activation of "bd, dk -> bk", but does not go with it: its weight depends on the result of another one
// CHECK-LABEL: func.func @dependent
// CHECK: scf.forall
// CHECK: scf.forall
func.func @dependent(%x: tensor<40x40xf32>, %wk: tensor<40x135xf32>) -> tensor<40x135xf32> {
  %k = attn.einsum "bd, dk -> bk"(%x, %wk) : (tensor<40x40xf32>, tensor<40x135xf32>) -> tensor<40x135xf32>
  %w = arith.negf %k : tensor<40x135xf32>
  %v = attn.einsum "bd, dv -> bv"(%x, %w) : (tensor<40x40xf32>, tensor<40x135xf32>) -> tensor<40x135xf32>
  return %v : tensor<40x135xf32>
}

// -----

// The second one sums the other letter of x.
// REMARK: [Missed] NotFused
// REMARK-SAME: "bd, bv -> dv" reads the activation of "bd, dk -> bk", but does not go with it: it sums other letters of it
func.func @other_letters(%x: tensor<40x40xf32>, %wk: tensor<40x135xf32>, %wv: tensor<40x135xf32>) -> (tensor<40x135xf32>, tensor<40x135xf32>) {
  %k = attn.einsum "bd, dk -> bk"(%x, %wk) : (tensor<40x40xf32>, tensor<40x135xf32>) -> tensor<40x135xf32>
  %v = attn.einsum "bd, bv -> dv"(%x, %wv) : (tensor<40x40xf32>, tensor<40x135xf32>) -> tensor<40x135xf32>
  return %k, %v : tensor<40x135xf32>, tensor<40x135xf32>
}

// -----

// REMARK: [Missed] NotParallel
// REMARK-SAME: "bd, dk -> bk" stays on one thread: no letter of the weight's columns has a known extent
// CHECK-LABEL: func.func @dynamic
// CHECK: attn.einsum
func.func @dynamic(%x: tensor<?x40xf32>, %wk: tensor<40x?xf32>) -> tensor<?x?xf32> {
  %k = attn.einsum "bd, dk -> bk"(%x, %wk) : (tensor<?x40xf32>, tensor<40x?xf32>) -> tensor<?x?xf32>
  return %k : tensor<?x?xf32>
}

// -----

// A small one is not worth a fork and a join.
// REMARK-NOT: "be, ek -> bk"
// CHECK-LABEL: func.func @small
// CHECK-NOT: scf.forall
func.func @small(%x: tensor<2x5xf32>, %wk: tensor<5x32xf32>) -> tensor<2x32xf32> {
  %k = attn.einsum "be, ek -> bk"(%x, %wk) : (tensor<2x5xf32>, tensor<5x32xf32>) -> tensor<2x32xf32>
  return %k : tensor<2x32xf32>
}

// -----

// The weights' rows are long and their sums lead: parts of the sums, so that a
// block is memory in one piece, and a second loop that adds them in order.
// REMARK: "bd, dhk -> bhk", "bd, dk -> bk" read one activation: one parallel loop of 1 blocks of columns, whose sums are in 3 parts
// CHECK-LABEL: func.func @parts
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<?x600xf32>
// CHECK: %[[PARTS:.*]]:2 = scf.forall (%[[PART:.*]], %{{.*}}) in (3, 1) shared_outs(%{{.*}} = %{{.*}}, %{{.*}} = %{{.*}}) -> (tensor<3x?x3x64xf32>, tensor<3x?x40xf32>)
// CHECK: %[[FIRST:.*]] = affine.apply #{{.*}}(%[[PART]])
// CHECK: tensor.extract_slice %[[X]][0, %[[FIRST]]]
// CHECK-COUNT-2: tensor.parallel_insert_slice
// CHECK: scf.forall (%{{.*}}) in (1) {{.*}} -> (tensor<?x3x64xf32>, tensor<?x40xf32>)
// CHECK: tensor.extract_slice %[[PARTS]]#0
// CHECK: linalg.generic {{.*}} iterator_types = ["reduction", "parallel", "parallel", "parallel"]
// CHECK: arith.addf
func.func @parts(%x: tensor<?x600xf32>, %wq: tensor<600x3x64xf32>, %wk: tensor<600x40xf32>)
    -> (tensor<?x3x64xf32>, tensor<?x40xf32>) {
  %q = attn.einsum "bd, dhk -> bhk"(%x, %wq) : (tensor<?x600xf32>, tensor<600x3x64xf32>) -> tensor<?x3x64xf32>
  %k = attn.einsum "bd, dk -> bk"(%x, %wk) : (tensor<?x600xf32>, tensor<600x40xf32>) -> tensor<?x40xf32>
  return %q, %k : tensor<?x3x64xf32>, tensor<?x40xf32>
}

// -----

// The sums of the second one do not lead its weight: none are cut, and the
// columns go by the first letter that gives enough blocks.
// REMARK: "bd, hdk -> bhk", "bd, dk -> bk" read one activation: one parallel loop of 16 blocks of columns, which saves
// CHECK-LABEL: func.func @no_parts
// CHECK: scf.forall (%{{.*}}) in (16)
// CHECK-NOT: = scf.forall
func.func @no_parts(%x: tensor<?x600xf32>, %wq: tensor<16x600x64xf32>, %wk: tensor<600x40xf32>)
    -> (tensor<?x16x64xf32>, tensor<?x40xf32>) {
  %q = attn.einsum "bd, hdk -> bhk"(%x, %wq) : (tensor<?x600xf32>, tensor<16x600x64xf32>) -> tensor<?x16x64xf32>
  %k = attn.einsum "bd, dk -> bk"(%x, %wk) : (tensor<?x600xf32>, tensor<600x40xf32>) -> tensor<?x40xf32>
  return %q, %k : tensor<?x16x64xf32>, tensor<?x40xf32>
}
