// A module says what it holds; damage is found.

// RUN: rm -rf %t && mkdir %t
// RUN: %einhead compile %s -o %t/m.einhead
// RUN: %einhead inspect %t/m.einhead | FileCheck %s
// CHECK: m.einhead: format 1.0, [[#]] bytes, header intact
// CHECK-NEXT: section 1 (manifest): [[#]] bytes at [[#]], intact
// CHECK-NEXT: section 2 (code, CPU): [[#]] bytes at [[#]], intact
// CHECK-NEXT: compiled by einhead 0.1.0 for
// CHECK-NEXT: function @twice
// CHECK-NEXT: input x: f32[4, m]
// CHECK-NEXT: output {{.*}}: f32[4, m]

// RUN: %einhead inspect --manifest %t/m.einhead | %python -c "import json, sys; assert json.load(sys.stdin)['functions'][0]['name'] == 'twice'"

// RUN: %python -c "p = r'%t/m.einhead'; d = bytearray(open(p, 'rb').read()); d[-1] ^= 1; open(r'%t/bad.einhead', 'wb').write(d); open(r'%t/short.einhead', 'wb').write(d[:40])"
// RUN: %python %S/Inputs/exits.py 3 %einhead inspect %t/bad.einhead | FileCheck %s --check-prefix=BAD
// BAD: header intact
// BAD: section 1 {{.*}}, intact
// BAD: section 2 {{.*}}, DAMAGED
// BAD: error: {{.*}}bad.einhead: its hashes do not fit its bytes
// BAD: help:
// RUN: %python %S/Inputs/exits.py 3 %einhead run %t/bad.einhead | FileCheck %s --check-prefix=OPEN
// OPEN: error: {{.*}}bad.einhead
// RUN: %python %S/Inputs/exits.py 3 %einhead inspect %t/short.einhead | FileCheck %s --check-prefix=SHORT
// SHORT: error: {{.*}}short.einhead: shorter than a header

func.func @twice(%x: tensor<4x?xf32> {attn.name = "x", attn.shape = "4, m"})
    -> (tensor<4x?xf32> {attn.shape = "4, m"}) {
  %0 = arith.addf %x, %x : tensor<4x?xf32>
  return %0 : tensor<4x?xf32>
}
