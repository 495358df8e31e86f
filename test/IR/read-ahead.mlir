// RUN: einhead-opt %s | einhead-opt | FileCheck %s

// CHECK-LABEL: func.func @rows
// CHECK: attn.read_ahead %{{.*}}[%{{.*}}, %{{.*}}] dimension 0 rows 64 columns 128 : memref<?x128xbf16>
// CHECK: attn.read_ahead %{{.*}}[%{{.*}}, %{{.*}}] dimension 0 rows 64 columns 128 in_order : memref<?x128xbf16>
func.func @rows(%k: memref<?x128xbf16>, %i: index) {
  attn.read_ahead %k[%i, %i] dimension 0 rows 64 columns 128 : memref<?x128xbf16>
  attn.read_ahead %k[%i, %i] dimension 0 rows 64 columns 128 in_order : memref<?x128xbf16>
  return
}
