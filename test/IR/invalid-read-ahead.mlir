// RUN: einhead-opt %s --split-input-file --verify-diagnostics

func.func @indices(%k: memref<8x16xf32>, %i: index) {
  // expected-error@+1 {{(C19) has 1 indices for 2 dimensions}}
  attn.read_ahead %k[%i] dimension 0 rows 8 columns 16 : memref<8x16xf32>
  return
}

// -----

func.func @strided(%k: memref<8x16xf32, strided<[32, 2]>>, %i: index) {
  // expected-error@+1 {{(C19) takes contiguous rows}}
  attn.read_ahead %k[%i, %i] dimension 0 rows 8 columns 16 : memref<8x16xf32, strided<[32, 2]>>
  return
}

// -----

func.func @columns(%k: memref<8x16xf32>, %i: index) {
  // expected-error@+1 {{(C19) counts rows in dimension 1; of 2 dimensions the last is that of the columns}}
  attn.read_ahead %k[%i, %i] dimension 1 rows 8 columns 16 : memref<8x16xf32>
  return
}

// -----

func.func @none(%k: memref<8x16xf32>, %i: index) {
  // expected-error@+1 {{attribute 'rows' failed to satisfy constraint}}
  attn.read_ahead %k[%i, %i] dimension 0 rows 0 columns 16 : memref<8x16xf32>
  return
}
