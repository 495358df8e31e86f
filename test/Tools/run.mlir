// A function is run through the module and the runtime and compared with the
// oracle; an error planted in an output is found.

// RUN: %einhead run %s --size=b=2,m=37 --repeat=2 | FileCheck %s
// CHECK: @attend
// CHECK-NEXT: output f32[2,3,7] pass
// CHECK-NEXT: median of {{[0-9]+}} calls

// RUN: %python %S/Inputs/exits.py 1 %einhead run %s --size=b=2,m=37 --perturb=1e-3 --repeat=1 | FileCheck %s --check-prefix=PERTURB
// PERTURB: output f32[2,3,7] {{.*}}[1, 2, 6]
// PERTURB: error: wrong result in @attend

// RUN: %einhead run %s --size=b=2,m=37 --no-fuse | FileCheck %s
// RUN: %einhead run %s --size=b=2,m=37 --no-share-kv --threads=1 --seed=5 | FileCheck %s

// The names without an extent are said.
// RUN: %python %S/Inputs/exits.py 2 %einhead run %s --size=b=2 | FileCheck %s --check-prefix=SIZE
// SIZE: error: function 'attend' has dimensions without an extent: m
// SIZE: help: give --size=m=N

// RUN: %python %S/Inputs/exits.py 2 %einhead run %s --size=b=2,m=37,z=3 | FileCheck %s --check-prefix=NAME
// NAME: error: --size: no dimension 'z' in {{.*}}run.mlir
// NAME: help: the names are b, m

// RUN: %python %S/Inputs/exits.py 2 %einhead run %s --size=b=2,m=37 --input=kay=zeros | FileCheck %s --check-prefix=INPUT
// INPUT: error: --input=kay=zeros: no input 'kay'
// INPUT: help: write --input=name=...; the inputs are: query, key, value

// An output goes to a file, and a file to an input.
// RUN: %einhead run %s --size=b=2,m=37 --output=output=%t.npy | FileCheck %s
// RUN: %python -c "d = open(r'%t.npy', 'rb').read(); assert b'(2, 3, 7, )' in d[:128] and len(d) == 128 + 4 * 42"

// A compiled module runs without the graph, and cannot be checked.
// RUN: %einhead compile %s -o %t.einhead
// RUN: %einhead run %t.einhead --size=b=2,m=37 --repeat=1 | FileCheck %s --check-prefix=MODULE
// MODULE: @attend
// MODULE-NEXT: median of 1 calls
// RUN: %python %S/Inputs/exits.py 2 %einhead run %t.einhead --size=b=2,m=37,z=3 | FileCheck %s --check-prefix=BOUND
// BOUND: error: --size: no dimension 'z' in the module
// RUN: %python %S/Inputs/exits.py 2 %einhead run %t.einhead --check | FileCheck %s --check-prefix=NOGRAPH
// NOGRAPH: error: a module file cannot be checked

func.func @attend(
    %q: tensor<?x3x5xf32> {attn.name = "query", attn.shape = "b, 3, 5"},
    %k: tensor<?x?x5xf32> {attn.name = "key", attn.shape = "b, m, 5"},
    %v: tensor<?x?x7xf32> {attn.name = "value", attn.shape = "b, m, 7"})
    -> (tensor<?x3x7xf32> {attn.name = "output", attn.shape = "b, 3, 7"}) {
  %scores = attn.einsum "bhk, bmk -> bhm"(%q, %k)
    : (tensor<?x3x5xf32>, tensor<?x?x5xf32>) -> tensor<?x3x?xf32>
  %weights = attn.softmax "bhm" over "m"(%scores) : tensor<?x3x?xf32>
  %output = attn.einsum "bhm, bmv -> bhv"(%weights, %v)
    : (tensor<?x3x?xf32>, tensor<?x?x7xf32>) -> tensor<?x3x7xf32>
  return %output : tensor<?x3x7xf32>
}
