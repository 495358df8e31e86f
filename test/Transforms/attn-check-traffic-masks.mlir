// Masks whose keys are no whole interval: what loops read between them is
// stated, and no more than that is allowed.

// Tiles of 64 keys, so that their padding is less than what is read between.
// RUN: %einhead-opt %s --pass-pipeline='builtin.module(func.func(attn-schedule{cpu=x86-64-v4},attn-state-traffic))' | sed 's/key_tile = 128/key_tile = 64/' | %einhead-opt --pass-pipeline='builtin.module(func.func(attn-split-keys,attn-tile-decode,attn-check-traffic))' --remarks-filter='attn-check-traffic' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: %einhead-opt %s --pass-pipeline='builtin.module(func.func(attn-schedule{cpu=x86-64-v4},attn-state-traffic))' | FileCheck %s --check-prefix=STATED
// RUN: %einhead-opt %s --pass-pipeline='builtin.module(func.func(attn-schedule{cpu=x86-64-v4},attn-state-traffic))' | sed 's/walked = 90496/walked = 70000/; s/key_tile = 128/key_tile = 64/' | not %einhead-opt --pass-pipeline='builtin.module(func.func(attn-split-keys,attn-tile-decode,attn-check-traffic))' -o /dev/null 2>&1 | FileCheck %s --check-prefix=STRICT

// Heads 0 to 3 have a window, the others all keys: neither set is walked for the
// heads of the other.
// STATED-LABEL: @half_of_the_heads
// STATED-SAME: bytes = 367104 : i64, {{.*}} walked = 367104
// REMARK: 367104 at least, 367104 read by the loops"{{$}}
func.func @half_of_the_heads(%q: tensor<8x16xf32>, %k: tensor<8x?x16xf32>, %v: tensor<8x?x16xf32>, %p: index, %init: tensor<8x16xf32>)
    -> tensor<8x16xf32> {
  %y = attn.attention "hk, hmk, hmv -> hv" query(%q : tensor<8x16xf32>)
    key(%k : tensor<8x?x16xf32>) value(%v : tensor<8x?x16xf32>) scale 0.25
    mask <"hm", "(h, m)[p] : (h - 4 >= 0, p - m >= 0)",
      "(h, m)[p] : (3 - h >= 0, m - p + 15 >= 0, p - m >= 0)">(%p) shared_kv
    outs(%init : tensor<8x16xf32>) -> tensor<8x16xf32>
  return %y : tensor<8x16xf32>
}

// Three of every four keys are no list: those between are read as well.
// STRICT: error: the loops read 90752 bytes of K and V, the letters and masks need 67968, 70000 with the keys between (and 16384 of padding): something is loaded again
// STATED-LABEL: @three_of_four
// STATED-SAME: bytes = 67968 : i64, {{.*}} walked = 90496
// REMARK: 67968 at least, 90752 read by the loops: keys of the mask lie apart in no list, and those between are read too
func.func @three_of_four(%q: tensor<8x9x16xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>, %p: index, %init: tensor<8x9x16xf32>)
    -> tensor<8x9x16xf32> {
  %y = attn.attention "hnk, mk, mv -> hnv" query(%q : tensor<8x9x16xf32>)
    key(%k : tensor<?x16xf32>) value(%v : tensor<?x16xf32>) scale 0.25
    mask <"nm", "(n, m)[p] : (p + n - m >= 0, m mod 4 - 1 >= 0)">(%p) shared_kv
    outs(%init : tensor<8x9x16xf32>) -> tensor<8x9x16xf32>
  return %y : tensor<8x9x16xf32>
}

// Nine rows share one walk over all keys instead of nine lists of half of them.
// STATED-LABEL: @many_rows
// STATED-SAME: bytes = 90752 : i64, {{.*}} walked = 90752
// REMARK: 90752 at least, 90752 read by the loops"{{$}}
func.func @many_rows(%q: tensor<8x9x16xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>, %p: index, %init: tensor<8x9x16xf32>)
    -> tensor<8x9x16xf32> {
  %y = attn.attention "hnk, mk, mv -> hnv" query(%q : tensor<8x9x16xf32>)
    key(%k : tensor<?x16xf32>) value(%v : tensor<?x16xf32>) scale 0.25
    mask <"nm", strided(2)>(%p) shared_kv
    outs(%init : tensor<8x9x16xf32>) -> tensor<8x9x16xf32>
  return %y : tensor<8x9x16xf32>
}

// Sets that overlap: as disjoint ones they are nine parts, most of which reach
// over all keys.  One walk tests them all.
// STATED-LABEL: @overlapping
// STATED-SAME: bytes = 1024000 : i64, {{.*}} walked = 1026048
// REMARK: 1024000 at least, 1024000 read by the loops"{{$}}
func.func @overlapping(%q: tensor<8x16xf32>, %k: tensor<8x?x16xf32>, %v: tensor<8x?x16xf32>, %p: index, %init: tensor<8x16xf32>)
    -> tensor<8x16xf32> {
  %y = attn.attention "hk, hmk, hmv -> hv" query(%q : tensor<8x16xf32>)
    key(%k : tensor<8x?x16xf32>) value(%v : tensor<8x?x16xf32>) scale 0.25
    mask <"hm", "(h, m)[p] : ((8 - m) mod 2 - 1 >= 0, p - 4 >= 0)",
      "(h, m)[p] : ((h + 10) mod 5 - 1 >= 0, h + p - 2 == 0)", "(h, m)[p] : (p - h + 4 >= 0)">(%p) shared_kv
    outs(%init : tensor<8x16xf32>) -> tensor<8x16xf32>
  return %y : tensor<8x16xf32>
}

