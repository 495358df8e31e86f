// RUN: einhead-opt %s --attn-to-gpu --split-input-file --verify-diagnostics

func.func @tensors(%q: tensor<8x128xbf16>, %k: tensor<64x128xbf16>,
    %v: tensor<64x128xbf16>, %out: tensor<8x128xf32>) -> tensor<8x128xf32> {
  // expected-error @+1 {{is on tensors; bufferize first}}
  %r = attn.attention "rk, mk, mv -> rv" query(%q : tensor<8x128xbf16>)
      key(%k : tensor<64x128xbf16>) value(%v : tensor<64x128xbf16>) scale 0.1
      shared_kv
      schedule <chunk = 64, key_tile = 64, row_tile = 8, lanes = 32, products = wgmma>
      outs(%out : tensor<8x128xf32>) -> tensor<8x128xf32>
  return %r : tensor<8x128xf32>
}

// -----

func.func @wide(%q: memref<8x128xf32>, %k: memref<64x128xf32>,
    %v: memref<64x128xf32>, %out: memref<8x128xf32>) {
  // expected-error @+1 {{has products by wgmma in its schedule, but the query is neither bf16 nor f16}}
  attn.attention "rk, mk, mv -> rv" query(%q : memref<8x128xf32>)
      key(%k : memref<64x128xf32>) value(%v : memref<64x128xf32>) scale 0.1
      shared_kv
      schedule <chunk = 64, key_tile = 64, row_tile = 8, lanes = 32, products = wgmma>
      outs(%out : memref<8x128xf32>)
  return
}

// -----

func.func @mixed(%q: memref<8x128xbf16>, %k: memref<64x128xf8E4M3FN>,
    %v: memref<64x128xbf16>, %out: memref<8x128xf32>) {
  // expected-error @+1 {{has products by wgmma in its schedule, but key and value differ in element type}}
  attn.attention "rk, mk, mv -> rv" query(%q : memref<8x128xbf16>)
      key(%k : memref<64x128xf8E4M3FN>) value(%v : memref<64x128xbf16>) scale 0.1
      shared_kv
      schedule <chunk = 64, key_tile = 64, row_tile = 8, lanes = 32, products = wgmma>
      outs(%out : memref<8x128xf32>)
  return
}

// -----

func.func @other(%q: memref<8x128xbf16>, %k: memref<64x128xf16>,
    %v: memref<64x128xf16>, %out: memref<8x128xf32>) {
  // expected-error @+1 {{has products by wgmma in its schedule, but key and value are neither f8E4M3FN, nor i8, nor of the query's type}}
  attn.attention "rk, mk, mv -> rv" query(%q : memref<8x128xbf16>)
      key(%k : memref<64x128xf16>) value(%v : memref<64x128xf16>) scale 0.1
      shared_kv
      schedule <chunk = 64, key_tile = 64, row_tile = 8, lanes = 32, products = wgmma>
      outs(%out : memref<8x128xf32>)
  return
}

// -----

func.func @narrow(%q: memref<8x24xbf16>, %k: memref<64x24xf8E4M3FN>,
    %v: memref<64x32xf8E4M3FN>, %out: memref<8x32xf32>) {
  // expected-error @+1 {{has products by wgmma in its schedule, but the extent of 'k' is no multiple of 16, so that rows are no multiples of 16 bytes}}
  attn.attention "rk, mk, mv -> rv" query(%q : memref<8x24xbf16>)
      key(%k : memref<64x24xf8E4M3FN>) value(%v : memref<64x32xf8E4M3FN>)
      scale 0.1 shared_kv
      schedule <chunk = 64, key_tile = 64, row_tile = 8, lanes = 32, products = wgmma>
      outs(%out : memref<8x32xf32>)
  return
}
