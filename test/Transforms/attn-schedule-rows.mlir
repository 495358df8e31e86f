// RUN: einhead-opt %s --attn-schedule=cpu=sapphirerapids | FileCheck %s
// RUN: einhead-opt %s --attn-schedule=cpu=znver4 | FileCheck %s --check-prefix=ZEN4

// Few rows wait for memory: pairs, also where tiles multiply faster. Tiles take
// more keys at a time the more rows there are.

// CHECK-LABEL: func.func @rows4
// CHECK: key_tile = 64, {{.*}} products = dot>
// ZEN4-LABEL: func.func @rows4
// ZEN4: key_tile = 64, {{.*}} products = dot>
func.func @rows4(%q: tensor<4x64xbf16>, %k: tensor<?x64xbf16>, %v: tensor<?x64xbf16>,
                 %init: tensor<4x64xf32>) -> tensor<4x64xf32> {
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<4x64xbf16>)
    key(%k : tensor<?x64xbf16>) value(%v : tensor<?x64xbf16>) scale 1.0 shared_kv
    outs(%init : tensor<4x64xf32>) -> tensor<4x64xf32>
  return %y : tensor<4x64xf32>
}

// CHECK-LABEL: func.func @rows5
// CHECK: key_tile = 32, {{.*}} products = tiles, packed = true>
// ZEN4-LABEL: func.func @rows5
// ZEN4: key_tile = 64, {{.*}} products = dot>
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
// ZEN4: key_tile = 64, {{.*}} products = dot, packed = true>
func.func @rows17(%q: tensor<17x64xbf16>, %k: tensor<?x64xbf16>, %v: tensor<?x64xbf16>,
                 %init: tensor<17x64xf32>) -> tensor<17x64xf32> {
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<17x64xbf16>)
    key(%k : tensor<?x64xbf16>) value(%v : tensor<?x64xbf16>) scale 1.0 shared_kv
    outs(%init : tensor<17x64xf32>) -> tensor<17x64xf32>
  return %y : tensor<17x64xf32>
}

// Requests are a tile ahead at least.
// CHECK-LABEL: func.func @rows71
// CHECK: key_tile = 128, {{.*}} prefetch = 128, products = tiles, packed = true>
func.func @rows71(%q: tensor<71x64xbf16>, %k: tensor<?x64xbf16>, %v: tensor<?x64xbf16>,
                 %init: tensor<71x64xf32>) -> tensor<71x64xf32> {
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<71x64xbf16>)
    key(%k : tensor<?x64xbf16>) value(%v : tensor<?x64xbf16>) scale 1.0 shared_kv
    outs(%init : tensor<71x64xf32>) -> tensor<71x64xf32>
  return %y : tensor<71x64xf32>
}
