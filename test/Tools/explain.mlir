// Every attention is explained under its function; a softmax that is none says
// why; --require-fused makes that an error.

// RUN: %einhead explain %s | FileCheck %s
// CHECK-LABEL: @decode
// CHECK: recognised
// CHECK: shared
// CHECK-SAME: K/V bytes
// CHECK: scheduled
// CHECK-LABEL: @lonely
// CHECK: missed
// CHECK-LABEL: @nothing
// CHECK: nothing to fuse

// RUN: %einhead explain --json %s > %t.json
// RUN: %python -c "import json; f = json.load(open(r'%t.json'))['functions']; assert [x['name'] for x in f] == ['decode', 'lonely', 'nothing']; assert any(r['kind'] == 'missed' for r in f[1]['remarks'])"

// RUN: not %einhead compile %s -o %t.einhead --require-fused 2>&1 | FileCheck %s --check-prefix=REQUIRED
// REQUIRED: explain.mlir:[[#]]:[[#]]: error:
// REQUIRED: help: 'einhead explain

func.func @decode(%q: tensor<1x8x64xf32>, %k: tensor<1x128x64xf32>,
                  %v: tensor<1x128x64xf32>) -> tensor<1x8x64xf32> {
  %0 = attn.einsum "bhk, bmk -> bhm"(%q, %k)
    : (tensor<1x8x64xf32>, tensor<1x128x64xf32>) -> tensor<1x8x128xf32>
  %1 = attn.softmax "bhm" over "m"(%0) : tensor<1x8x128xf32>
  %2 = attn.einsum "bhm, bmv -> bhv"(%1, %v)
    : (tensor<1x8x128xf32>, tensor<1x128x64xf32>) -> tensor<1x8x64xf32>
  return %2 : tensor<1x8x64xf32>
}

func.func @lonely(%x: tensor<4x9xf32>) -> tensor<4x9xf32> {
  %0 = attn.softmax "hm" over "m"(%x) : tensor<4x9xf32>
  return %0 : tensor<4x9xf32>
}

func.func @nothing(%x: tensor<4x9xf32>) -> tensor<4x9xf32> {
  return %x : tensor<4x9xf32>
}
