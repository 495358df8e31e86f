// What a mask makes the loops visit, and what it lets a cache forget: the keys
// that no later query can read, whichever of the new rows it is.

// RUN: %einhead-opt %s --attn-schedule=cpu=znver4 --remarks-filter='attn.*' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// Every row attends the same few keys back, the first row those furthest back.
// REMARK: no later step reads further back than 69 keys before its first token: a ring of them and the new ones is all that the cache must hold
func.func @window_of_rows(%q: tensor<8x9x16xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>, %p: index, %init: tensor<8x9x16xf32>)
    -> tensor<8x9x16xf32> {
  %y = attn.attention "hnk, mk, mv -> hnv" query(%q : tensor<8x9x16xf32>)
    key(%k : tensor<?x16xf32>) value(%v : tensor<?x16xf32>) scale 0.25
    mask <"nm", window(70)>(%p) shared_kv
    outs(%init : tensor<8x9x16xf32>) -> tensor<8x9x16xf32>
  return %y : tensor<8x9x16xf32>
}

// The document of a position starts at most 63 keys before it.
// REMARK: no later step reads further back than 63 keys before its first token: a ring
func.func @documents(%q: tensor<8x9x16xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>, %p: index, %init: tensor<8x9x16xf32>)
    -> tensor<8x9x16xf32> {
  %y = attn.attention "hnk, mk, mv -> hnv" query(%q : tensor<8x9x16xf32>)
    key(%k : tensor<?x16xf32>) value(%v : tensor<?x16xf32>) scale 0.25
    mask <"nm", documents(64)>(%p) shared_kv
    outs(%init : tensor<8x9x16xf32>) -> tensor<8x9x16xf32>
  return %y : tensor<8x9x16xf32>
}

// The sinks stay, the window moves.
// REMARK: no later step reads further back than 63 keys before its first token, but for the first 4 keys: those, a ring and the new ones are all that the cache must hold
func.func @sinks(%q: tensor<8x9x16xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>, %p: index, %init: tensor<8x9x16xf32>)
    -> tensor<8x9x16xf32> {
  %y = attn.attention "hnk, mk, mv -> hnv" query(%q : tensor<8x9x16xf32>)
    key(%k : tensor<?x16xf32>) value(%v : tensor<?x16xf32>) scale 0.25
    mask <"nm", sinks(4, 64)>(%p) shared_kv
    outs(%init : tensor<8x9x16xf32>) -> tensor<8x9x16xf32>
  return %y : tensor<8x9x16xf32>
}

// Of each block that is over, the summary stays.
// REMARK: further back than 127 keys before its first token a later step reads 8 of every 128 keys for a head: the others may be forgotten
func.func @summaries(%q: tensor<8x9x16xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>, %p: index, %init: tensor<8x9x16xf32>)
    -> tensor<8x9x16xf32> {
  %y = attn.attention "hnk, mk, mv -> hnv" query(%q : tensor<8x9x16xf32>)
    key(%k : tensor<?x16xf32>) value(%v : tensor<?x16xf32>) scale 0.25
    mask <"nm", fixed(128, 8)>(%p) shared_kv
    outs(%init : tensor<8x9x16xf32>) -> tensor<8x9x16xf32>
  return %y : tensor<8x9x16xf32>
}

// Every key is in the stride of some later query.
// REMARK: 1 of every 128 keys, blocks {{.*}} to (n + p) floordiv 128
// REMARK: no saving in the cache: any key may be read again
func.func @strided(%q: tensor<8x9x16xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>, %p: index, %init: tensor<8x9x16xf32>)
    -> tensor<8x9x16xf32> {
  %y = attn.attention "hnk, mk, mv -> hnv" query(%q : tensor<8x9x16xf32>)
    key(%k : tensor<?x16xf32>) value(%v : tensor<?x16xf32>) scale 0.25
    mask <"nm", strided(128)>(%p) shared_kv
    outs(%init : tensor<8x9x16xf32>) -> tensor<8x9x16xf32>
  return %y : tensor<8x9x16xf32>
}

// REMARK: no saving in the cache: any key may be read again
func.func @causal(%q: tensor<8x9x16xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>, %p: index, %init: tensor<8x9x16xf32>)
    -> tensor<8x9x16xf32> {
  %y = attn.attention "hnk, mk, mv -> hnv" query(%q : tensor<8x9x16xf32>)
    key(%k : tensor<?x16xf32>) value(%v : tensor<?x16xf32>) scale 0.25
    mask <"nm", causal>(%p) shared_kv
    outs(%init : tensor<8x9x16xf32>) -> tensor<8x9x16xf32>
  return %y : tensor<8x9x16xf32>
}

// The second set falls behind the position, but all before it count.
// REMARK: no saving in the cache: any key may be read again
func.func @prefix_at_run_time(%q: tensor<8x9x16xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>, %p: index, %init: tensor<8x9x16xf32>)
    -> tensor<8x9x16xf32> {
  %y = attn.attention "hnk, mk, mv -> hnv" query(%q : tensor<8x9x16xf32>)
    key(%k : tensor<?x16xf32>) value(%v : tensor<?x16xf32>) scale 0.25
    mask <"nm", "(n, m)[p] : (m - p - n >= 0)", "(n, m)[p] : (p - 100 - m >= 0)">(%p) shared_kv
    outs(%init : tensor<8x9x16xf32>) -> tensor<8x9x16xf32>
  return %y : tensor<8x9x16xf32>
}

// Half of the heads look at all keys, half at a window: each set has keys for
// its heads alone.
// REMARK: keys 0 to min(p, |m| - 1), where h - 4 >= 0
// REMARK: keys max(p - 15, 0) to min(p, |m| - 1), where -h + 3 >= 0
func.func @half_of_the_heads(%q: tensor<8x16xf32>, %k: tensor<8x?x16xf32>, %v: tensor<8x?x16xf32>, %p: index, %init: tensor<8x16xf32>)
    -> tensor<8x16xf32> {
  %y = attn.attention "hk, hmk, hmv -> hv" query(%q : tensor<8x16xf32>)
    key(%k : tensor<8x?x16xf32>) value(%v : tensor<8x?x16xf32>) scale 0.25
    mask <"hm", "(h, m)[p] : (h - 4 >= 0, p - m >= 0)",
      "(h, m)[p] : (3 - h >= 0, m - p + 15 >= 0, p - m >= 0)">(%p) shared_kv
    outs(%init : tensor<8x16xf32>) -> tensor<8x16xf32>
  return %y : tensor<8x16xf32>
}

// Nine rows with a list of every second key each would read a key nine times
// over; one row reads its list.
// REMARK-NOT: of every 2 keys
// REMARK: no saving
func.func @many_rows(%q: tensor<8x9x16xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>, %p: index, %init: tensor<8x9x16xf32>)
    -> tensor<8x9x16xf32> {
  %y = attn.attention "hnk, mk, mv -> hnv" query(%q : tensor<8x9x16xf32>)
    key(%k : tensor<?x16xf32>) value(%v : tensor<?x16xf32>) scale 0.25
    mask <"nm", strided(2)>(%p) shared_kv
    outs(%init : tensor<8x9x16xf32>) -> tensor<8x9x16xf32>
  return %y : tensor<8x9x16xf32>
}

// REMARK: 1 of every 2 keys
func.func @one_row(%q: tensor<8x1x16xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>, %p: index, %init: tensor<8x1x16xf32>)
    -> tensor<8x1x16xf32> {
  %y = attn.attention "hnk, mk, mv -> hnv" query(%q : tensor<8x1x16xf32>)
    key(%k : tensor<?x16xf32>) value(%v : tensor<?x16xf32>) scale 0.25
    mask <"nm", strided(2)>(%p) shared_kv
    outs(%init : tensor<8x1x16xf32>) -> tensor<8x1x16xf32>
  return %y : tensor<8x1x16xf32>
}

// A condition that always holds is none.
// REMARK-NOT: where
// REMARK: keys 0 to min(p, |m| - 1)"{{$}}
func.func @always(%q: tensor<8x16xf32>, %k: tensor<8x?x16xf32>, %v: tensor<8x?x16xf32>, %p: index, %init: tensor<8x16xf32>)
    -> tensor<8x16xf32> {
  %y = attn.attention "hk, hmk, hmv -> hv" query(%q : tensor<8x16xf32>)
    key(%k : tensor<8x?x16xf32>) value(%v : tensor<8x?x16xf32>) scale 0.25
    mask <"hm", "(h, m)[p] : (p - m >= 0, h - h floordiv 2 * 2 >= 0)">(%p) shared_kv
    outs(%init : tensor<8x16xf32>) -> tensor<8x16xf32>
  return %y : tensor<8x16xf32>
}
