// RUN: einhead-opt %s --attn-schedule=cpu=sapphirerapids | FileCheck %s
// RUN: einhead-opt %s --attn-schedule=cpu=znver4 | FileCheck %s --check-prefix=ZEN4

// A tile is not worth its time for one or two rows: pairs. Tiles take more keys
// at a time the more rows there are.

// CHECK-LABEL: func.func @rows2
// CHECK: chunk = 512, key_tile = 64, {{.*}} products = dot>
// ZEN4-LABEL: func.func @rows2
// ZEN4: chunk = 512, key_tile = 64, {{.*}} products = dot>
func.func @rows2(%q: tensor<2x64xbf16>, %k: tensor<4096x64xbf16>, %v: tensor<4096x64xbf16>,
                 %init: tensor<2x64xf32>) -> tensor<2x64xf32> {
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<2x64xbf16>)
    key(%k : tensor<4096x64xbf16>) value(%v : tensor<4096x64xbf16>) scale 1.0 shared_kv
    outs(%init : tensor<2x64xf32>) -> tensor<2x64xf32>
  return %y : tensor<2x64xf32>
}

// CHECK-LABEL: func.func @rows5
// CHECK: chunk = 512, key_tile = 32, {{.*}} prefetch = 32, products = tiles, packed = true>
// ZEN4-LABEL: func.func @rows5
// ZEN4: key_tile = 128, {{.*}} products = dot>
func.func @rows5(%q: tensor<5x64xbf16>, %k: tensor<?x64xbf16>, %v: tensor<?x64xbf16>,
                 %init: tensor<5x64xf32>) -> tensor<5x64xf32> {
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<5x64xbf16>)
    key(%k : tensor<?x64xbf16>) value(%v : tensor<?x64xbf16>) scale 1.0 shared_kv
    outs(%init : tensor<5x64xf32>) -> tensor<5x64xf32>
  return %y : tensor<5x64xf32>
}

// CHECK-LABEL: func.func @rows17
// CHECK: key_tile = 64, {{.*}} products = tiles, packed = true>
// ZEN4-LABEL: func.func @rows17
// ZEN4: key_tile = 128, {{.*}} prefetch = 128, products = dot, packed = true>
func.func @rows17(%q: tensor<17x64xbf16>, %k: tensor<?x64xbf16>, %v: tensor<?x64xbf16>,
                 %init: tensor<17x64xf32>) -> tensor<17x64xf32> {
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<17x64xbf16>)
    key(%k : tensor<?x64xbf16>) value(%v : tensor<?x64xbf16>) scale 1.0 shared_kv
    outs(%init : tensor<17x64xf32>) -> tensor<17x64xf32>
  return %y : tensor<17x64xf32>
}

// Requests are a tile ahead.  A chunk of many rows has large states: twice the
// keys while four chunks are left.
// CHECK-LABEL: func.func @rows71
// CHECK: key_tile = 64, {{.*}} prefetch = 64, products = tiles, packed = true>
// ZEN4-LABEL: func.func @rows71
// ZEN4: chunk = 1024, key_tile = 128, {{.*}} products = dot, packed = true>
func.func @rows71(%q: tensor<71x64xbf16>, %k: tensor<4096x64xbf16>, %v: tensor<4096x64xbf16>,
                 %init: tensor<71x64xf32>) -> tensor<71x64xf32> {
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<71x64xbf16>)
    key(%k : tensor<4096x64xbf16>) value(%v : tensor<4096x64xbf16>) scale 1.0 shared_kv
    outs(%init : tensor<71x64xf32>) -> tensor<71x64xf32>
  return %y : tensor<71x64xf32>
}

// The chunk grows where enough of them are left: 8 heads of 4 chunks, on Zen 4
// 16 of any heads.
// CHECK-LABEL: func.func @heads
// CHECK: chunk = 1024, {{.*}} products = tiles
// ZEN4-LABEL: func.func @heads
// ZEN4: chunk = 2048,
func.func @heads(%q: tensor<8x8x128xbf16>, %k: tensor<8x4096x128xbf16>, %v: tensor<8x4096x128xbf16>,
                 %init: tensor<8x8x128xf32>) -> tensor<8x8x128xf32> {
  %y = attn.attention "grk, gmk, gmv -> grv" query(%q : tensor<8x8x128xbf16>)
    key(%k : tensor<8x4096x128xbf16>) value(%v : tensor<8x4096x128xbf16>) scale 1.0 shared_kv
    outs(%init : tensor<8x8x128xf32>) -> tensor<8x8x128xf32>
  return %y : tensor<8x8x128xf32>
}

// Two of 1024 keys are too few for a small state,
// CHECK-LABEL: func.func @small_state
// CHECK: chunk = 512, {{.*}} products = tiles
func.func @small_state(%q: tensor<8x64xbf16>, %k: tensor<2048x64xbf16>, %v: tensor<2048x64xbf16>,
                       %init: tensor<8x64xf32>) -> tensor<8x64xf32> {
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<8x64xbf16>)
    key(%k : tensor<2048x64xbf16>) value(%v : tensor<2048x64xbf16>) scale 1.0 shared_kv
    outs(%init : tensor<8x64xf32>) -> tensor<8x64xf32>
  return %y : tensor<8x64xf32>
}

// and two of 2048 enough for one that is large beside its keys.
// CHECK-LABEL: func.func @large_state
// CHECK: chunk = 2048, {{.*}} products = tiles
func.func @large_state(%q: tensor<128x576xbf16>, %k: tensor<4096x576xbf16>, %v: tensor<4096x512xbf16>,
                       %init: tensor<128x512xf32>) -> tensor<128x512xf32> {
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<128x576xbf16>)
    key(%k : tensor<4096x576xbf16>) value(%v : tensor<4096x512xbf16>) scale 1.0 shared_kv
    outs(%init : tensor<128x512xf32>) -> tensor<128x512xf32>
  return %y : tensor<128x512xf32>
}

// Queries and sums of the rows that share a tile fit the stack of a thread.
// CHECK-LABEL: func.func @deep
// CHECK: row_tile = 32, {{.*}} products = tiles
func.func @deep(%q: tensor<128x4096xbf16>, %k: tensor<?x4096xbf16>, %v: tensor<?x4096xbf16>,
                %init: tensor<128x4096xf32>) -> tensor<128x4096xf32> {
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<128x4096xbf16>)
    key(%k : tensor<?x4096xbf16>) value(%v : tensor<?x4096xbf16>) scale 1.0 shared_kv
    outs(%init : tensor<128x4096xf32>) -> tensor<128x4096xf32>
  return %y : tensor<128x4096xf32>
}

// Rows of K and V that adjoin are followed by Zen 4's own prefetchers: two pages
// at a time, and requests for two rows, not for four, and not where other heads
// lie between.
// CHECK-LABEL: func.func @two
// CHECK: key_tile = 64, {{.*}} prefetch = 64,
// ZEN4-LABEL: func.func @two
// ZEN4: key_tile = 32, {{.*}} prefetch = 32, products = dot>
func.func @two(%q: tensor<8x2x128xbf16>, %k: tensor<8x4096x128xbf16>, %v: tensor<8x4096x128xbf16>,
               %init: tensor<8x2x128xf32>) -> tensor<8x2x128xf32> {
  %y = attn.attention "grk, gmk, gmv -> grv" query(%q : tensor<8x2x128xbf16>)
    key(%k : tensor<8x4096x128xbf16>) value(%v : tensor<8x4096x128xbf16>) scale 1.0 shared_kv
    outs(%init : tensor<8x2x128xf32>) -> tensor<8x2x128xf32>
  return %y : tensor<8x2x128xf32>
}

// ZEN4-LABEL: func.func @four
// ZEN4: chunk = 2048, key_tile = 32, row_tile = 128, lanes = 16, products = dot>
func.func @four(%q: tensor<8x4x128xbf16>, %k: tensor<8x4096x128xbf16>, %v: tensor<8x4096x128xbf16>,
                %init: tensor<8x4x128xf32>) -> tensor<8x4x128xf32> {
  %y = attn.attention "grk, gmk, gmv -> grv" query(%q : tensor<8x4x128xbf16>)
    key(%k : tensor<8x4096x128xbf16>) value(%v : tensor<8x4096x128xbf16>) scale 1.0 shared_kv
    outs(%init : tensor<8x4x128xf32>) -> tensor<8x4x128xf32>
  return %y : tensor<8x4x128xf32>
}

// ZEN4-LABEL: func.func @between
// ZEN4: key_tile = 64, {{.*}} prefetch = 64, products = dot>
func.func @between(%q: tensor<8x4x128xbf16>, %k: tensor<4096x8x128xbf16>, %v: tensor<4096x8x128xbf16>,
                   %init: tensor<8x4x128xf32>) -> tensor<8x4x128xf32> {
  %y = attn.attention "grk, mgk, mgv -> grv" query(%q : tensor<8x4x128xbf16>)
    key(%k : tensor<4096x8x128xbf16>) value(%v : tensor<4096x8x128xbf16>) scale 1.0 shared_kv
    outs(%init : tensor<8x4x128xf32>) -> tensor<8x4x128xf32>
  return %y : tensor<8x4x128xf32>
}
