// Where a length decides what the host does, the pipeline says so at its place, and how to go on.

// RUN: %python %S/../Tools/Inputs/exits.py 4 %einhead compile --target=cuda %s -o %t.einhead | FileCheck %s
// CHECK: gpu-host-lengths.mlir:[[#@LINE+8]]:{{[0-9]+}}: error: 'memref.load' op reads tensor memory, which is on the device
// CHECK-SAME: pass the number as a scalar argument
// The same is no matter for a CPU.
// RUN: %einhead compile %s -o %t.einhead

func.func @repeat(%x: tensor<8xf32> {attn.name = "x"}, %n: tensor<1xi64> {attn.name = "n"}) -> (tensor<8xf32> {attn.name = "y"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %0 = tensor.extract %n[%c0] : tensor<1xi64>
  %count = arith.index_cast %0 : i64 to index
  %y = scf.for %i = %c0 to %count step %c1 iter_args(%z = %x) -> (tensor<8xf32>) {
    %sum = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
        ins(%x : tensor<8xf32>) outs(%z : tensor<8xf32>) {
    ^bb0(%a: f32, %b: f32):
      %s = arith.addf %a, %b : f32
      linalg.yield %s : f32
    } -> tensor<8xf32>
    scf.yield %sum : tensor<8xf32>
  }
  return %y : tensor<8xf32>
}
