// Booleans and i64 are inputs and outputs of a run, from files and at random;
// a wrong one is found.

// RUN: %einhead run %s --repeat=1 --output=keep=%t.npy | FileCheck %s
// CHECK: kept f32[3,21] pass
// CHECK-NEXT: keep bool[3,21] pass
// CHECK-NEXT: place i64[3,21] pass
// RUN: %python -c "d = open(r'%t.npy', 'rb').read(); assert b'|b1' in d[:128] and set(d[128:]) == {0, 1} and len(d) == 128 + 63"
// RUN: %einhead run %s --repeat=1 --input=mask=%t.npy | FileCheck %s
// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --repeat=1 --perturb=1 | FileCheck %s --check-prefix=PERTURB
// PERTURB: error: wrong result in @pick
// RUN: %einhead compile %s -o %t.einhead
// RUN: %einhead inspect %t.einhead --manifest | FileCheck %s --check-prefix=MANIFEST
// MANIFEST: "type":"bool"

#at = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
func.func @pick(%mask: tensor<3x21xi1> {attn.name = "mask"},
                %first: tensor<3xi64> {attn.name = "first"},
                %x: tensor<3x21xf32> {attn.name = "x"})
    -> (tensor<3x21xf32> {attn.name = "kept"},
        tensor<3x21xi1> {attn.name = "keep"},
        tensor<3x21xi64> {attn.name = "place"}) {
  %zero = arith.constant 0.0 : f32
  %c = arith.constant 12 : i64
  %floats = tensor.empty() : tensor<3x21xf32>
  %bools = tensor.empty() : tensor<3x21xi1>
  %ints = tensor.empty() : tensor<3x21xi64>
  %kept, %keep, %place = linalg.generic
      {indexing_maps = [#at, #row, #at, #at, #at, #at],
       iterator_types = ["parallel", "parallel"]}
      ins(%mask, %first, %x : tensor<3x21xi1>, tensor<3xi64>, tensor<3x21xf32>)
      outs(%floats, %bools, %ints
           : tensor<3x21xf32>, tensor<3x21xi1>, tensor<3x21xi64>) {
  ^bb0(%m: i1, %f: i64, %v: f32, %o0: f32, %o1: i1, %o2: i64):
    %j = linalg.index 1 : index
    %at = arith.index_cast %j : index to i64
    %start = arith.remsi %f, %c : i64
    %late = arith.cmpi sge, %at, %start : i64
    %both = arith.andi %late, %m : i1
    %chosen = arith.select %both, %v, %zero : f32
    %here = arith.select %both, %at, %f : i64
    linalg.yield %chosen, %both, %here : f32, i1, i64
  } -> (tensor<3x21xf32>, tensor<3x21xi1>, tensor<3x21xi64>)
  return %kept, %keep, %place
    : tensor<3x21xf32>, tensor<3x21xi1>, tensor<3x21xi64>
}
