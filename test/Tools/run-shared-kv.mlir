// Attention over repeated, sliced and joined K and V, fused and not, gives what
// the oracle says of the graph.

// RUN: %einhead run %s --function=repeat_kv --repeat=1 | FileCheck %s
// RUN: %einhead run %s --function=repeat_kv --repeat=1 --no-fuse | FileCheck %s
// RUN: %einhead run %s --function=tiled_heads --repeat=1 | FileCheck %s
// RUN: %einhead run %s --function=broadcast --repeat=1 | FileCheck %s
// RUN: %einhead run %s --function=gather --repeat=1 | FileCheck %s
// RUN: %einhead run %s --function=copied_heads --repeat=1 | FileCheck %s
// RUN: %einhead run %s --function=unrolled --repeat=1 | FileCheck %s
// RUN: %einhead run %s --function=unrolled --repeat=1 --no-share-kv | FileCheck %s
// RUN: %einhead run %s --function=rows --size=b=2,m=37,n=3,o=5 --repeat=1 | FileCheck %s
// RUN: %einhead run %s --function=stacked --repeat=1 | FileCheck %s
// RUN: %einhead run %s --function=masked_rows --repeat=1 | FileCheck %s
// RUN: %einhead run %s --function=columns --repeat=1 | FileCheck %s
// CHECK: pass
// CHECK-NOT: FAIL

// What is checked can fail.
// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --function=repeat_kv --perturb=1e-3 --repeat=1
// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --function=unrolled --perturb=1e-3 --repeat=1

// Each is the form that its name says.
// RUN: %einhead explain %s | FileCheck %s --check-prefix=EXPLAIN
// EXPLAIN-LABEL: @repeat_kv
// EXPLAIN: "bgrk, bgmk, bgmv -> bgrv"
// EXPLAIN-LABEL: @tiled_heads
// EXPLAIN: "brgk, bgmk, bgmv -> brgv"
// EXPLAIN-LABEL: @broadcast
// EXPLAIN: "h" has one K and V
// EXPLAIN-LABEL: @gather
// EXPLAIN: "gr", of which 'r' has one K and V
// EXPLAIN-LABEL: @copied_heads
// EXPLAIN: "gr", of which 'r' has one K and V
// EXPLAIN-LABEL: @unrolled
// EXPLAIN: 3 attentions over one K and V are one: their queries are rows 'h' of one tensor, read in place
// EXPLAIN-LABEL: @rows
// EXPLAIN: 2 attentions over one K and V are one: their queries are concatenated along 'n'
// EXPLAIN-LABEL: @stacked
// EXPLAIN: 2 attentions over one K and V are one: their queries are stacked along the new row letter 's'
// EXPLAIN-LABEL: @masked_rows
// EXPLAIN: 2 attentions over one K and V are one: their queries are concatenated along 'n'
// EXPLAIN-LABEL: @columns
// EXPLAIN: 2 attentions over one K and V are one: their queries are rows 'h' of one tensor, read in place, "bkh, bmk, bmv -> bhv"

func.func @repeat_kv(
    %q: tensor<2x6x5xf32> {attn.name = "query", attn.shape = "2, 6, 5"},
    %k: tensor<2x2x37x5xf32> {attn.name = "key", attn.shape = "2, 2, 37, 5"},
    %v: tensor<2x2x37x7xf32> {attn.name = "value", attn.shape = "2, 2, 37, 7"})
    -> (tensor<2x6x7xf32> {attn.name = "output", attn.shape = "2, 6, 7"}) {
  %ke = tensor.empty() : tensor<2x2x3x37x5xf32>
  %ve = tensor.empty() : tensor<2x2x3x37x7xf32>
  %kr = linalg.broadcast ins(%k : tensor<2x2x37x5xf32>) outs(%ke : tensor<2x2x3x37x5xf32>) dimensions = [2]
  %vr = linalg.broadcast ins(%v : tensor<2x2x37x7xf32>) outs(%ve : tensor<2x2x3x37x7xf32>) dimensions = [2]
  %kh = tensor.collapse_shape %kr [[0], [1, 2], [3], [4]] : tensor<2x2x3x37x5xf32> into tensor<2x6x37x5xf32>
  %vh = tensor.collapse_shape %vr [[0], [1, 2], [3], [4]] : tensor<2x2x3x37x7xf32> into tensor<2x6x37x7xf32>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %kh) : (tensor<2x6x5xf32>, tensor<2x6x37x5xf32>) -> tensor<2x6x37xf32>
  // The mask of a head: head h looks at keys from h on.
  %p = attn.softmax "bhm" over "m"(%s) mask <"hm", "(h, m) : (m - h >= 0)">() : tensor<2x6x37xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %vh) : (tensor<2x6x37xf32>, tensor<2x6x37x7xf32>) -> tensor<2x6x7xf32>
  return %y : tensor<2x6x7xf32>
}

func.func @tiled_heads(
    %q: tensor<2x6x5xf32> {attn.name = "query", attn.shape = "2, 6, 5"},
    %k: tensor<2x2x37x5xf32> {attn.name = "key", attn.shape = "2, 2, 37, 5"},
    %v: tensor<2x2x37x7xf32> {attn.name = "value", attn.shape = "2, 2, 37, 7"})
    -> (tensor<2x6x7xf32> {attn.name = "output", attn.shape = "2, 6, 7"}) {
  %kh = tensor.concat dim(1) %k, %k, %k : (tensor<2x2x37x5xf32>, tensor<2x2x37x5xf32>, tensor<2x2x37x5xf32>) -> tensor<2x6x37x5xf32>
  %vh = tensor.concat dim(1) %v, %v, %v : (tensor<2x2x37x7xf32>, tensor<2x2x37x7xf32>, tensor<2x2x37x7xf32>) -> tensor<2x6x37x7xf32>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %kh) : (tensor<2x6x5xf32>, tensor<2x6x37x5xf32>) -> tensor<2x6x37xf32>
  %p = attn.softmax "bhm" over "m"(%s) mask <"hm", "(h, m) : (m - h >= 0)">() : tensor<2x6x37xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %vh) : (tensor<2x6x37xf32>, tensor<2x6x37x7xf32>) -> tensor<2x6x7xf32>
  return %y : tensor<2x6x7xf32>
}

func.func @broadcast(
    %q: tensor<2x3x5xf32> {attn.name = "query", attn.shape = "2, 3, 5"},
    %k: tensor<2x37x5xf32> {attn.name = "key", attn.shape = "2, 37, 5"},
    %v: tensor<2x37x7xf32> {attn.name = "value", attn.shape = "2, 37, 7"})
    -> (tensor<2x3x7xf32> {attn.name = "output", attn.shape = "2, 3, 7"}) {
  %ke = tensor.empty() : tensor<2x3x37x5xf32>
  %ve = tensor.empty() : tensor<2x3x37x7xf32>
  %kh = linalg.broadcast ins(%k : tensor<2x37x5xf32>) outs(%ke : tensor<2x3x37x5xf32>) dimensions = [1]
  %vh = linalg.broadcast ins(%v : tensor<2x37x7xf32>) outs(%ve : tensor<2x3x37x7xf32>) dimensions = [1]
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %kh) : (tensor<2x3x5xf32>, tensor<2x3x37x5xf32>) -> tensor<2x3x37xf32>
  %p = attn.softmax "bhm" over "m"(%s) : tensor<2x3x37xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %vh) : (tensor<2x3x37xf32>, tensor<2x3x37x7xf32>) -> tensor<2x3x7xf32>
  return %y : tensor<2x3x7xf32>
}

func.func @gather(
    %q: tensor<6x5xf32> {attn.name = "query", attn.shape = "6, 5"},
    %k: tensor<2x37x5xf32> {attn.name = "key", attn.shape = "2, 37, 5"},
    %v: tensor<2x37x7xf32> {attn.name = "value", attn.shape = "2, 37, 7"})
    -> (tensor<6x7xf32> {attn.name = "output", attn.shape = "6, 7"}) {
  %ke = tensor.empty() : tensor<6x37x5xf32>
  %ve = tensor.empty() : tensor<6x37x7xf32>
  %kh = linalg.generic {indexing_maps = [affine_map<(h, m, k) -> (h floordiv 3, m, k)>, affine_map<(h, m, k) -> (h, m, k)>],
      iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%k : tensor<2x37x5xf32>) outs(%ke : tensor<6x37x5xf32>) {
    ^bb0(%x: f32, %out: f32):
      linalg.yield %x : f32
    } -> tensor<6x37x5xf32>
  %vh = linalg.generic {indexing_maps = [affine_map<(h, m, v) -> (h floordiv 3, m, v)>, affine_map<(h, m, v) -> (h, m, v)>],
      iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%v : tensor<2x37x7xf32>) outs(%ve : tensor<6x37x7xf32>) {
    ^bb0(%x: f32, %out: f32):
      linalg.yield %x : f32
    } -> tensor<6x37x7xf32>
  %s = attn.einsum "hk, hmk -> hm"(%q, %kh) : (tensor<6x5xf32>, tensor<6x37x5xf32>) -> tensor<6x37xf32>
  %p = attn.softmax "hm" over "m"(%s) : tensor<6x37xf32>
  %y = attn.einsum "hm, hmv -> hv"(%p, %vh) : (tensor<6x37xf32>, tensor<6x37x7xf32>) -> tensor<6x7xf32>
  return %y : tensor<6x7xf32>
}

func.func @copied_heads(
    %q: tensor<2x4x5xf32> {attn.name = "query", attn.shape = "2, 4, 5"},
    %k: tensor<2x2x9x5xf32> {attn.name = "key", attn.shape = "2, 2, 9, 5"})
    -> (tensor<2x4x5xf32> {attn.name = "output", attn.shape = "2, 4, 5"}) {
  %k0 = tensor.extract_slice %k[0, 0, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x2x9x5xf32> to tensor<2x1x9x5xf32>
  %k1 = tensor.extract_slice %k[0, 1, 0, 0] [2, 1, 9, 5] [1, 1, 1, 1] : tensor<2x2x9x5xf32> to tensor<2x1x9x5xf32>
  %kh = tensor.concat dim(1) %k0, %k0, %k1, %k1 : (tensor<2x1x9x5xf32>, tensor<2x1x9x5xf32>, tensor<2x1x9x5xf32>, tensor<2x1x9x5xf32>) -> tensor<2x4x9x5xf32>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %kh) : (tensor<2x4x5xf32>, tensor<2x4x9x5xf32>) -> tensor<2x4x9xf32>
  %p = attn.softmax "bhm" over "m"(%s) : tensor<2x4x9xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %kh) : (tensor<2x4x9xf32>, tensor<2x4x9x5xf32>) -> tensor<2x4x5xf32>
  return %y : tensor<2x4x5xf32>
}

// Heads one by one, as slices, einsums and a concatenation.
func.func @unrolled(
    %q: tensor<2x3x5xf32> {attn.name = "query", attn.shape = "2, 3, 5"},
    %k: tensor<2x37x5xf32> {attn.name = "key", attn.shape = "2, 37, 5"},
    %v: tensor<2x37x7xf32> {attn.name = "value", attn.shape = "2, 37, 7"})
    -> (tensor<2x3x7xf32> {attn.name = "output", attn.shape = "2, 3, 7"}) {
  %q0 = tensor.extract_slice %q[0, 0, 0] [2, 1, 5] [1, 1, 1] : tensor<2x3x5xf32> to tensor<2x5xf32>
  %s0 = attn.einsum "bk, bmk -> bm"(%q0, %k) : (tensor<2x5xf32>, tensor<2x37x5xf32>) -> tensor<2x37xf32>
  %p0 = attn.softmax "bm" over "m"(%s0) : tensor<2x37xf32>
  %y0 = attn.einsum "bm, bmv -> bv"(%p0, %v) : (tensor<2x37xf32>, tensor<2x37x7xf32>) -> tensor<2x7xf32>
  %q1 = tensor.extract_slice %q[0, 1, 0] [2, 1, 5] [1, 1, 1] : tensor<2x3x5xf32> to tensor<2x5xf32>
  %s1 = attn.einsum "bk, bmk -> bm"(%q1, %k) : (tensor<2x5xf32>, tensor<2x37x5xf32>) -> tensor<2x37xf32>
  %p1 = attn.softmax "bm" over "m"(%s1) : tensor<2x37xf32>
  %y1 = attn.einsum "bm, bmv -> bv"(%p1, %v) : (tensor<2x37xf32>, tensor<2x37x7xf32>) -> tensor<2x7xf32>
  %q2 = tensor.extract_slice %q[0, 2, 0] [2, 1, 5] [1, 1, 1] : tensor<2x3x5xf32> to tensor<2x5xf32>
  %s2 = attn.einsum "bk, bmk -> bm"(%q2, %k) : (tensor<2x5xf32>, tensor<2x37x5xf32>) -> tensor<2x37xf32>
  %p2 = attn.softmax "bm" over "m"(%s2) : tensor<2x37xf32>
  %y2 = attn.einsum "bm, bmv -> bv"(%p2, %v) : (tensor<2x37xf32>, tensor<2x37x7xf32>) -> tensor<2x7xf32>
  %e0 = tensor.expand_shape %y0 [[0], [1, 2]] output_shape [2, 1, 7] : tensor<2x7xf32> into tensor<2x1x7xf32>
  %e1 = tensor.expand_shape %y1 [[0], [1, 2]] output_shape [2, 1, 7] : tensor<2x7xf32> into tensor<2x1x7xf32>
  %e2 = tensor.expand_shape %y2 [[0], [1, 2]] output_shape [2, 1, 7] : tensor<2x7xf32> into tensor<2x1x7xf32>
  %y = tensor.concat dim(1) %e0, %e1, %e2 : (tensor<2x1x7xf32>, tensor<2x1x7xf32>, tensor<2x1x7xf32>) -> tensor<2x3x7xf32>
  return %y : tensor<2x3x7xf32>
}

// Two queries with other numbers of rows.
func.func @rows(
    %p: tensor<?x?x5xf32> {attn.name = "left", attn.shape = "b, n, 5"},
    %q: tensor<?x?x5xf32> {attn.name = "right", attn.shape = "b, o, 5"},
    %k: tensor<?x?x5xf32> {attn.name = "key", attn.shape = "b, m, 5"})
    -> (tensor<?x?x5xf32> {attn.name = "of_left", attn.shape = "b, n, 5"},
        tensor<?x?x5xf32> {attn.name = "of_right", attn.shape = "b, o, 5"}) {
  %s0 = attn.einsum "bnk, bmk -> bnm"(%p, %k) : (tensor<?x?x5xf32>, tensor<?x?x5xf32>) -> tensor<?x?x?xf32>
  %p0 = attn.softmax "bnm" over "m"(%s0) : tensor<?x?x?xf32>
  %y0 = attn.einsum "bnm, bmv -> bnv"(%p0, %k) : (tensor<?x?x?xf32>, tensor<?x?x5xf32>) -> tensor<?x?x5xf32>
  %s1 = attn.einsum "bnk, bmk -> bnm"(%q, %k) : (tensor<?x?x5xf32>, tensor<?x?x5xf32>) -> tensor<?x?x?xf32>
  %p1 = attn.softmax "bnm" over "m"(%s1) : tensor<?x?x?xf32>
  %y1 = attn.einsum "bnm, bmv -> bnv"(%p1, %k) : (tensor<?x?x?xf32>, tensor<?x?x5xf32>) -> tensor<?x?x5xf32>
  return %y0, %y1 : tensor<?x?x5xf32>, tensor<?x?x5xf32>
}

// Two queries with as many rows, and a mask by the row.
func.func @stacked(
    %p: tensor<2x3x5xf32> {attn.name = "left", attn.shape = "2, 3, 5"},
    %q: tensor<2x3x5xf32> {attn.name = "right", attn.shape = "2, 3, 5"},
    %k: tensor<2x37x5xf32> {attn.name = "key", attn.shape = "2, 37, 5"})
    -> (tensor<2x3x5xf32> {attn.name = "of_left", attn.shape = "2, 3, 5"},
        tensor<2x3x5xf32> {attn.name = "of_right", attn.shape = "2, 3, 5"}) {
  %s0 = attn.einsum "bnk, bmk -> bnm"(%p, %k) : (tensor<2x3x5xf32>, tensor<2x37x5xf32>) -> tensor<2x3x37xf32>
  %p0 = attn.softmax "bnm" over "m"(%s0) mask <"nm", "(n, m) : (n - m + 4 >= 0)">() : tensor<2x3x37xf32>
  %y0 = attn.einsum "bnm, bmv -> bnv"(%p0, %k) : (tensor<2x3x37xf32>, tensor<2x37x5xf32>) -> tensor<2x3x5xf32>
  %s1 = attn.einsum "bnk, bmk -> bnm"(%q, %k) : (tensor<2x3x5xf32>, tensor<2x37x5xf32>) -> tensor<2x3x37xf32>
  %p1 = attn.softmax "bnm" over "m"(%s1) mask <"nm", "(n, m) : (n - m + 4 >= 0)">() : tensor<2x3x37xf32>
  %y1 = attn.einsum "bnm, bmv -> bnv"(%p1, %k) : (tensor<2x3x37xf32>, tensor<2x37x5xf32>) -> tensor<2x3x5xf32>
  return %y0, %y1 : tensor<2x3x5xf32>, tensor<2x3x5xf32>
}

// Two numbers of rows, and a mask by the row: each has that of its own rows.
func.func @masked_rows(
    %p: tensor<2x3x5xf32> {attn.name = "left", attn.shape = "2, 3, 5"},
    %q: tensor<2x5x5xf32> {attn.name = "right", attn.shape = "2, 5, 5"},
    %k: tensor<2x37x5xf32> {attn.name = "key", attn.shape = "2, 37, 5"})
    -> (tensor<2x3x5xf32> {attn.name = "of_left", attn.shape = "2, 3, 5"},
        tensor<2x5x5xf32> {attn.name = "of_right", attn.shape = "2, 5, 5"}) {
  %s0 = attn.einsum "bnk, bmk -> bnm"(%p, %k) : (tensor<2x3x5xf32>, tensor<2x37x5xf32>) -> tensor<2x3x37xf32>
  %p0 = attn.softmax "bnm" over "m"(%s0) mask <"nm", "(n, m) : (n - m + 4 >= 0)">() : tensor<2x3x37xf32>
  %y0 = attn.einsum "bnm, bmv -> bnv"(%p0, %k) : (tensor<2x3x37xf32>, tensor<2x37x5xf32>) -> tensor<2x3x5xf32>
  %s1 = attn.einsum "bnk, bmk -> bnm"(%q, %k) : (tensor<2x5x5xf32>, tensor<2x37x5xf32>) -> tensor<2x5x37xf32>
  %p1 = attn.softmax "bnm" over "m"(%s1) mask <"nm", "(n, m) : (n - m + 4 >= 0)">() : tensor<2x5x37xf32>
  %y1 = attn.einsum "bnm, bmv -> bnv"(%p1, %k) : (tensor<2x5x37xf32>, tensor<2x37x5xf32>) -> tensor<2x5x5xf32>
  return %y0, %y1 : tensor<2x3x5xf32>, tensor<2x5x5xf32>
}

// Queries that are columns of one tensor.
func.func @columns(
    %q: tensor<2x5x3xf32> {attn.name = "query", attn.shape = "2, 5, 3"},
    %k: tensor<2x37x5xf32> {attn.name = "key", attn.shape = "2, 37, 5"})
    -> (tensor<2x5xf32> {attn.name = "second", attn.shape = "2, 5"},
        tensor<2x5xf32> {attn.name = "third", attn.shape = "2, 5"}) {
  %q1 = tensor.extract_slice %q[0, 0, 1] [2, 5, 1] [1, 1, 1] : tensor<2x5x3xf32> to tensor<2x5xf32>
  %s1 = attn.einsum "bk, bmk -> bm"(%q1, %k) : (tensor<2x5xf32>, tensor<2x37x5xf32>) -> tensor<2x37xf32>
  %p1 = attn.softmax "bm" over "m"(%s1) : tensor<2x37xf32>
  %y1 = attn.einsum "bm, bmv -> bv"(%p1, %k) : (tensor<2x37xf32>, tensor<2x37x5xf32>) -> tensor<2x5xf32>
  %q2 = tensor.extract_slice %q[0, 0, 2] [2, 5, 1] [1, 1, 1] : tensor<2x5x3xf32> to tensor<2x5xf32>
  %s2 = attn.einsum "bk, bmk -> bm"(%q2, %k) : (tensor<2x5xf32>, tensor<2x37x5xf32>) -> tensor<2x37xf32>
  %p2 = attn.softmax "bm" over "m"(%s2) : tensor<2x37xf32>
  %y2 = attn.einsum "bm, bmv -> bv"(%p2, %k) : (tensor<2x37xf32>, tensor<2x37x5xf32>) -> tensor<2x5xf32>
  return %y1, %y2 : tensor<2x5xf32>, tensor<2x5xf32>
}
