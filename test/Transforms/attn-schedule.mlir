// RUN: einhead-opt %s --attn-schedule=cpu=znver4 --remarks-filter='attn.*' 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks
// RUN: einhead-opt %s --attn-schedule=cpu=x86-64-v3 | FileCheck %s --check-prefix=AVX2
// RUN: not einhead-opt %s --attn-schedule=require-fused -o /dev/null 2>&1 | FileCheck %s --check-prefix=ERROR
// RUN: not einhead-opt %s --attn-schedule=cpu=z80 -o /dev/null 2>&1 | FileCheck %s --check-prefix=CPU

// CPU: error: unknown CPU "z80"; known are host,

// Tiles follow the target's lanes; without shared_kv each row is its own tile.
// REMARK: tiles of 64 keys by up to 1 rows, 16 lanes (znver4)
// CHECK-LABEL: func.func @rows_alone
// CHECK: schedule <chunk = 512, key_tile = 64, row_tile = 1, lanes = 16, prefetch = 256>
// AVX2: schedule <chunk = 512, key_tile = 64, row_tile = 1, lanes = 8, prefetch = 256>
func.func @rows_alone(%q: tensor<4x16xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>,
                      %init: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<4x16xf32>)
    key(%k : tensor<?x16xf32>) value(%v : tensor<?x16xf32>) scale 1.0
    outs(%init : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}

// The user's schedule stays.
// CHECK-LABEL: func.func @own_schedule
// CHECK: schedule <chunk = 128, key_tile = 32, row_tile = 2, lanes = 8>
func.func @own_schedule(%q: tensor<4x16xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>,
                        %init: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<4x16xf32>)
    key(%k : tensor<?x16xf32>) value(%v : tensor<?x16xf32>) scale 1.0 shared_kv
    schedule #attn.schedule<chunk = 128, key_tile = 32, row_tile = 2, lanes = 8>
    outs(%init : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}

// REMARK: not tiled: letter 'k' is not the last of the key ("km"), so its rows are not contiguous
// ERROR: error: 'attn.attention' op is not tiled: letter 'k' is not the last of the key ("km"), so its rows are not contiguous
// CHECK-LABEL: func.func @depth_first
// CHECK-NOT: schedule
// CHECK: return
func.func @depth_first(%q: tensor<4x16xf32>, %k: tensor<16x?xf32>, %v: tensor<?x16xf32>,
                       %init: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %y = attn.attention "rk, km, mv -> rv" query(%q : tensor<4x16xf32>)
    key(%k : tensor<16x?xf32>) value(%v : tensor<?x16xf32>) scale 1.0
    outs(%init : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}

// REMARK: not tiled: the extent of 'k' is dynamic; give it (--attn-specialize)
// CHECK-LABEL: func.func @dynamic_depth
func.func @dynamic_depth(%q: tensor<4x?xf32>, %k: tensor<9x?xf32>, %v: tensor<9x16xf32>,
                         %init: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<4x?xf32>)
    key(%k : tensor<9x?xf32>) value(%v : tensor<9x16xf32>) scale 1.0
    outs(%init : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}

// REMARK: not tiled: it has 2 key letters ("mn"), the tiled loops take one
// CHECK-LABEL: func.func @two_key_letters
func.func @two_key_letters(%q: tensor<4x16xf32>, %k: tensor<3x9x16xf32>, %v: tensor<3x9x16xf32>,
                           %init: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %y = attn.attention "rk, mnk, mnv -> rv" query(%q : tensor<4x16xf32>)
    key(%k : tensor<3x9x16xf32>) value(%v : tensor<3x9x16xf32>) scale 1.0
    outs(%init : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}
