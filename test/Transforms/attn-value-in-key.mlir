// RUN: einhead-opt %s --attn-fuse-shared-kv --remarks-filter='attn.*' --split-input-file 2>%t.remarks -o /dev/null
// RUN: FileCheck %s < %t.remarks

// Where the value is columns of the key's rows, K alone is counted and read.

// 4 bytes * 64 keys * 20 columns.
// CHECK: row letters "h" share each K/V load; K/V bytes: 5120 (walked row by row: 25600)
// CHECK: [Passed] ValueInKey
// CHECK-SAME: the value is columns 0 to 15 of the key's 20: K alone is read
func.func @slice_of_key(%q: tensor<1x5x20xf32>, %k: tensor<1x64x20xf32>,
                        %init: tensor<1x5x16xf32>) -> tensor<1x5x16xf32> {
  %v = tensor.extract_slice %k[0, 0, 0] [1, 64, 16] [1, 1, 1]
    : tensor<1x64x20xf32> to tensor<1x64x16xf32>
  %y = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<1x5x20xf32>)
    key(%k : tensor<1x64x20xf32>) value(%v : tensor<1x64x16xf32>) scale 1.0
    outs(%init : tensor<1x5x16xf32>) -> tensor<1x5x16xf32>
  return %y : tensor<1x5x16xf32>
}

// -----

// Both are slices of one cache of all layers; the value's columns come last.
// CHECK: K/V bytes: 80*b*m
// CHECK: [Passed] ValueInKey
// CHECK-SAME: the value is columns 4 to 19 of the key's 20: K alone is read
func.func @slices_of_cache(%q: tensor<?x5x20xf32>, %cache: tensor<3x?x?x24xf32>,
                           %layer: index, %b: index, %m: index,
                           %init: tensor<?x5x16xf32>) -> tensor<?x5x16xf32> {
  %k = tensor.extract_slice %cache[%layer, 0, 0, 2] [1, %b, %m, 20] [1, 1, 1, 1]
    : tensor<3x?x?x24xf32> to tensor<?x?x20xf32>
  %own = tensor.extract_slice %cache[%layer, 0, 0, 0] [1, %b, %m, 24] [1, 1, 1, 1]
    : tensor<3x?x?x24xf32> to tensor<?x?x24xf32>
  %v = tensor.extract_slice %own[0, 0, 6] [%b, %m, 16] [1, 1, 1]
    : tensor<?x?x24xf32> to tensor<?x?x16xf32>
  %y = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<?x5x20xf32>)
    key(%k : tensor<?x?x20xf32>) value(%v : tensor<?x?x16xf32>) scale 1.0
    outs(%init : tensor<?x5x16xf32>) -> tensor<?x5x16xf32>
  return %y : tensor<?x5x16xf32>
}

// -----

// CHECK: K/V bytes: 8192
// CHECK: [Missed] ValueInKey
// CHECK-SAME: the value is read besides the key: they start at different places of letter 'm'
func.func @other_rows(%q: tensor<1x5x16xf32>, %cache: tensor<1x65x16xf32>,
                      %init: tensor<1x5x16xf32>) -> tensor<1x5x16xf32> {
  %k = tensor.extract_slice %cache[0, 0, 0] [1, 64, 16] [1, 1, 1]
    : tensor<1x65x16xf32> to tensor<1x64x16xf32>
  %v = tensor.extract_slice %cache[0, 1, 0] [1, 64, 16] [1, 1, 1]
    : tensor<1x65x16xf32> to tensor<1x64x16xf32>
  %y = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<1x5x16xf32>)
    key(%k : tensor<1x64x16xf32>) value(%v : tensor<1x64x16xf32>) scale 1.0
    outs(%init : tensor<1x5x16xf32>) -> tensor<1x5x16xf32>
  return %y : tensor<1x5x16xf32>
}

// -----

// CHECK: K/V bytes: 8192
// CHECK: [Missed] ValueInKey
// CHECK-SAME: they start at different places of letter 'b'
func.func @other_batch(%q: tensor<1x5x16xf32>, %cache: tensor<2x64x16xf32>,
                       %init: tensor<1x5x16xf32>) -> tensor<1x5x16xf32> {
  %k = tensor.extract_slice %cache[0, 0, 0] [1, 64, 16] [1, 1, 1]
    : tensor<2x64x16xf32> to tensor<1x64x16xf32>
  %v = tensor.extract_slice %cache[1, 0, 0] [1, 64, 16] [1, 1, 1]
    : tensor<2x64x16xf32> to tensor<1x64x16xf32>
  %y = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<1x5x16xf32>)
    key(%k : tensor<1x64x16xf32>) value(%v : tensor<1x64x16xf32>) scale 1.0
    outs(%init : tensor<1x5x16xf32>) -> tensor<1x5x16xf32>
  return %y : tensor<1x5x16xf32>
}

// -----

// CHECK: K/V bytes: 8192
// CHECK: [Missed] ValueInKey
// CHECK-SAME: it is a slice of another tensor
func.func @other_tensor(%q: tensor<1x5x16xf32>, %c: tensor<1x64x20xf32>,
                        %d: tensor<1x64x20xf32>, %init: tensor<1x5x16xf32>) -> tensor<1x5x16xf32> {
  %k = tensor.extract_slice %c[0, 0, 0] [1, 64, 16] [1, 1, 1]
    : tensor<1x64x20xf32> to tensor<1x64x16xf32>
  %v = tensor.extract_slice %d[0, 0, 0] [1, 64, 16] [1, 1, 1]
    : tensor<1x64x20xf32> to tensor<1x64x16xf32>
  %y = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<1x5x16xf32>)
    key(%k : tensor<1x64x16xf32>) value(%v : tensor<1x64x16xf32>) scale 1.0
    outs(%init : tensor<1x5x16xf32>) -> tensor<1x5x16xf32>
  return %y : tensor<1x5x16xf32>
}

// -----

// CHECK: K/V bytes: 8192
// CHECK: [Missed] ValueInKey
// CHECK-SAME: the value is columns 4 to 19, the key has 0 to 15
func.func @other_columns(%q: tensor<1x5x16xf32>, %c: tensor<1x64x20xf32>,
                         %init: tensor<1x5x16xf32>) -> tensor<1x5x16xf32> {
  %k = tensor.extract_slice %c[0, 0, 0] [1, 64, 16] [1, 1, 1]
    : tensor<1x64x20xf32> to tensor<1x64x16xf32>
  %v = tensor.extract_slice %c[0, 0, 4] [1, 64, 16] [1, 1, 1]
    : tensor<1x64x20xf32> to tensor<1x64x16xf32>
  %y = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<1x5x16xf32>)
    key(%k : tensor<1x64x16xf32>) value(%v : tensor<1x64x16xf32>) scale 1.0
    outs(%init : tensor<1x5x16xf32>) -> tensor<1x5x16xf32>
  return %y : tensor<1x5x16xf32>
}

// -----

// The keys' letters stand elsewhere than the values'.
// CHECK: [Missed] ValueInKey
// CHECK-SAME: their letters stand in different places ("mbk" and "bmv")
func.func @other_letters(%q: tensor<4x5x16xf32>, %c: tensor<4x4x20xf32>,
                         %init: tensor<4x5x16xf32>) -> tensor<4x5x16xf32> {
  %k = tensor.extract_slice %c[0, 0, 0] [4, 4, 16] [1, 1, 1]
    : tensor<4x4x20xf32> to tensor<4x4x16xf32>
  %v = tensor.extract_slice %c[0, 0, 4] [4, 4, 16] [1, 1, 1]
    : tensor<4x4x20xf32> to tensor<4x4x16xf32>
  %y = attn.attention "bhk, mbk, bmv -> bhv" query(%q : tensor<4x5x16xf32>)
    key(%k : tensor<4x4x16xf32>) value(%v : tensor<4x4x16xf32>) scale 1.0
    outs(%init : tensor<4x5x16xf32>) -> tensor<4x5x16xf32>
  return %y : tensor<4x5x16xf32>
}
