// The ops and their attributes keep in bytecode.
// RUN: einhead-opt %s --emit-bytecode | einhead-opt | FileCheck %s

// CHECK-LABEL: func.func @attention
// CHECK-SAME: {attn.name = "q", attn.shape = "b, 8, 128"}
func.func @attention(%q: tensor<?x8x128xbf16> {attn.name = "q", attn.shape = "b, 8, 128"},
                     %cache: tensor<?x1024x128xbf16>, %k: tensor<?x128xbf16>, %n: tensor<?xi64>,
                     %init: tensor<?x8x128xf32>) -> tensor<?x8x128xf32> {
  // CHECK: attn.append "bk -> bmk"
  %keys = attn.append "bk -> bmk"(%k into %cache at %n : tensor<?xi64>)
    : tensor<?x128xbf16> into tensor<?x1024x128xbf16>
  // CHECK: attn.attention "bhk, bmk, bmv -> bhv"
  // CHECK-SAME: scale 1.250000e-01 valid(%{{[a-z0-9]+}} : tensor<?xi64>) shared_kv
  // CHECK-SAME: schedule <chunk = 512, key_tile = 64, row_tile = 32, lanes = 16>
  %y = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<?x8x128xbf16>) key(%keys : tensor<?x1024x128xbf16>)
      value(%keys : tensor<?x1024x128xbf16>) scale 0.125 valid(%n : tensor<?xi64>) shared_kv
      schedule #attn.schedule<chunk = 512, key_tile = 64, row_tile = 32, lanes = 16>
      outs(%init : tensor<?x8x128xf32>) -> tensor<?x8x128xf32>
  return %y : tensor<?x8x128xf32>
}
