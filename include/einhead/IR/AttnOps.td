//===- AttnOps.td - Ops of the attn dialect ----------------*- tablegen -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_IR_ATTNOPS_TD
#define EINHEAD_IR_ATTNOPS_TD

include "einhead/IR/AttnAttrs.td"
include "einhead/IR/AttnInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/TilingInterface.td"
include "mlir/Interfaces/ViewLikeInterface.td"
include "mlir/Dialect/Linalg/IR/LinalgInterfaces.td"

def Attn_Shaped : AnyTypeOf<[AnyRankedTensor, AnyStridedMemRef],
                            "a ranked tensor or a strided memref">;
def Attn_Length : AnyTypeOf<[Index, 1DTensorOf<[I64]>, MemRefRankOf<[I64], [1]>],
                            "an index, or i64 for each sequence">;
def Attn_FloatTensor : RankedTensorOf<[F64, F32, F16, BF16]>;
def Attn_ReadTensor : RankedTensorOf<[F64, F32, F16, BF16, F8E4M3FN]>;
def Attn_CacheTensor : RankedTensorOf<[F64, F32, F16, BF16, F8E4M3FN, I8]>;

//===----------------------------------------------------------------------===//
// Level 0: the graph
//===----------------------------------------------------------------------===//

def Attn_EinsumOp : Attn_Op<"einsum", [Pure,
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface,
          ["reifyResultShapes"]>]> {
  let summary = "A sum of products over named letters";
  let description = [{
    ```
    result[out letters] = sum over the other letters of  a[..] * b[..] * ...
    ```
    Any number of operands, any letters.  Products and sums are taken in f32 (in
    f64 where the result is f64); operands are widened exactly, the result is
    rounded once.

    Constraints:
    - (C1) the spec parses: terms of letters a-z A-Z, `,` between them, `->`.
    - (C2) there are as many input terms as operands.
    - (C3) a term has as many letters as its tensor has dimensions.
    - (C4) a letter has one extent wherever it stands.
    - (C5) a letter stands at most once in a term.
    - (C6) each letter of the result stands in an operand.

    Present until `--convert-attn-to-linalg`.

    ```mlir
    %scores = attn.einsum "bgrk, bgmk -> bgrm"(%q, %k)
      : (tensor<1x8x4x128xf32>, tensor<1x8x?x128xf32>) -> tensor<1x8x4x?xf32>
    ```
  }];
  let arguments = (ins StrAttr:$spec, Variadic<Attn_ReadTensor>:$inputs);
  let results = (outs Attn_FloatTensor:$result);
  let assemblyFormat = [{
    $spec `(` $inputs `)` attr-dict `:` functional-type($inputs, $result)
  }];
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
}

def Attn_SoftmaxOp : Attn_Op<"softmax", [Pure, AttrSizedOperandSegments,
    AllTypesMatch<["input", "result"]>,
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface,
          ["reifyResultShapes"]>]> {
  let summary = "Softmax over one letter";
  let description = [{
    ```
    result[.., m, ..] = exp(x[.., m, ..] - max) / sum over m of exp(x - max)
    ```
    over the m that are below `valid` and inside `mask`; the others are 0.  A
    row with none is 0 throughout.  A `sink` is one more score of each row, which
    takes part in max and sum and has no weight of its own.

    Constraints:
    - (C1) `letters` has as many letters as the tensor has dimensions, each once.
    - (C2) `over` is one of them.
    - (C3) a `valid` of rank 1 has the extent of the first letter.
    - (C4) the mask's letters stand in `letters`.
    - (C5) there are as many mask symbols as the sets have.
    - (C6) the sink's letters stand in `letters`, without `over`.

    Present until `--attn-raise` or `--convert-attn-to-linalg`.

    ```mlir
    %weights = attn.softmax "bhm" over "m"(%scores) valid(%length : index)
      : tensor<2x8x1024xf32>
    ```
  }];
  let arguments = (ins StrAttr:$letters, StrAttr:$over,
    Attn_FloatTensor:$input, Optional<Attn_Length>:$valid,
    OptionalAttr<Attn_MaskAttr>:$mask, Variadic<Index>:$mask_symbols,
    OptionalAttr<StrAttr>:$sink_letters, Optional<Attn_FloatTensor>:$sink);
  let results = (outs Attn_FloatTensor:$result);
  let assemblyFormat = [{
    $letters `over` $over `(` $input `)`
    (`valid` `(` $valid^ `:` type($valid) `)`)?
    (`mask` $mask^ `(` $mask_symbols `)`)?
    (`sink` $sink_letters^ `(` $sink `:` type($sink) `)`)?
    attr-dict `:` type($input)
  }];
  let hasVerifier = 1;
}

def Attn_AppendOp : Attn_Op<"append", [Pure,
    AllTypesMatch<["cache", "result"]>,
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface,
          ["reifyResultShapes"]>]> {
  let summary = "Writes new rows into a cache";
  let description = [{
    ```
    result = cache, but result[.., position + n, ..] = new[.., n, ..]
    ```
    The spec names both: `"bhk -> bhmk"` appends one row along `m`, `"bhnk ->
    bhmk"` as many as `n` has.  The other letters are the same on both sides, in
    any order.  `position` is an index, or i64 for each sequence (by the first
    letter of the cache).  Bufferizes in place.

    Constraints:
    - (C1) the spec has one term on each side, with the ranks of the tensors.
    - (C2) the cache has exactly one letter that `new` lacks.
    - (C3) `new` has at most one letter that the cache lacks.
    - (C4) a letter has one extent wherever it stands.
    - (C5) a `position` of rank 1 has the extent of the cache's first letter,
      which is not the appended one.
    - (C6) the element types are the same.

    Present until `--convert-attn-to-linalg`.

    ```mlir
    %k1 = attn.append "bgk -> bgmk"(%k into %cache at %position : index)
      : tensor<1x8x128xf32> into tensor<1x8x?x128xf32>
    ```
  }];
  let arguments = (ins StrAttr:$spec, Attn_CacheTensor:$new_rows,
    Attn_CacheTensor:$cache, Attn_Length:$position);
  let results = (outs Attn_CacheTensor:$result);
  let assemblyFormat = [{
    $spec `(` $new_rows `into` $cache `at` $position `:` type($position) `)`
    attr-dict `:` type($new_rows) `into` type($cache)
  }];
  let hasVerifier = 1;
  let hasCanonicalizer = 0;
}

//===----------------------------------------------------------------------===//
// Levels 1 to 4: attention
//===----------------------------------------------------------------------===//

class Attn_AttentionBase<string mnemonic, list<Trait> traits = []>
    : Attn_Op<mnemonic, !listconcat([AttrSizedOperandSegments,
        DestinationStyleOpInterface,
        DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
        Attn_AttentionLikeInterface,
        DeclareOpInterfaceMethods<TilingInterface,
          ["getLoopIteratorTypes", "getIterationDomain",
           "getTiledImplementation", "getResultTilePosition",
           "generateResultTileValue", "getIterationDomainTileFromResultTile"]>,
        DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface,
          ["reifyResultShapes"]>], traits)>;

def Attn_AttentionOp : Attn_AttentionBase<"attention", [
    DeclareOpInterfaceMethods<AggregatedOpInterface, ["decomposeOperation"]>,
    DeclareOpInterfaceMethods<PartialReductionOpInterface,
      ["generateInitialTensorForPartialReduction", "tileToPartialReduction",
       "mergeReductions", "getPartialResultTilePosition"]>]> {
  let summary = "softmax(scale * query . key + bias) . value";
  let description = [{
    ```
    s[b, r, m] = score(scale * sum over depth of query * key)  +  bias
    p = softmax of s over the key letters, where m < valid and the mask holds
    result[b, r, v] = sum over the key letters of p * value
    lse[b, r] = ln(sum over the key letters of exp(s), and exp(sink) of a sink)
    ```
    A row that attends no key is 0, its `lse` -inf (the sink, with one); a score
    of -inf does not attend.
    The spec has three input terms; each letter's role follows from where it
    stands (docs/Spec.md): batch, row, key, depth, value.  Every letter that key
    and value lack is a row: its K/V loads are shared.  `offsets` says where a
    tile starts in the letters that a mask looks at.

    Keys, values or both may be f8E4M3FN or i8.  They may have a scale for each
    row, which i8 must have, in f32, over their letters without the depth or the
    value letters: `key` stands for key * key_scale, `value` for value *
    value_scale.

    What shapes the scores beside `mask`:
    - `bias`: added.
    - `score`: a region that maps a scaled score (f32) and the indices of the
      score letters (batch and row letters in the output's order, then the key
      letters) to the score that counts: soft-cap, ALiBi, boolean masks (-inf
      where false), anything else.  It may read tensors from outside.
    - `blocks`: lists of the blocks of `size` keys that attend, for each index of
      their letters; the last dimension is the list.  A negative entry is none;
      no block stands twice in a list.
    - `sink`: one more score in each row's sum, without a value.

    Constraints:
    - (C1) the spec has three input terms, with the ranks of the tensors.
    - (C2) every letter has a role.
    - (C3) there is at least one key letter.
    - (C4) a letter has one extent wherever it stands.
    - (C5) a letter stands at most once in a term.
    - (C6) the bias's letters are batch, row or key letters.
    - (C7) a `valid` of rank 1 has the extent of the query's first letter, which
      is a batch letter.
    - (C8) with `valid` there is exactly one key letter.
    - (C9) the mask's letters are batch, row or key letters, and there are as
      many symbols as its sets have.
    - (C10) there are as many offsets as offset letters.
    - (C11) the block letters are batch or row letters, the list has one more
      dimension and i64 elements, and there is one key letter.
    - (C12) `score` takes f32 and an index for each score letter, and yields f32;
      its ops have no effects but reads.
    - (C13) the sink's letters are batch or row letters; it is f32.
    - (C14) `lse` has the output's letters without the value letters; it is f32.
    - (C15) a key or value that is i8 has a scale, one that is f8E4M3FN may have
      one, others have none; the scale is f32 and has the term's letters without
      the depth or value letters.
    - (C20) no other operand is of 8-bit floats; they are f64, f32, f16 or bf16.

    `shared_kv` says that all rows of a tile share its K/V loads
    (`--attn-fuse-shared-kv`); without it each row walks K and V by itself.

    Present from `--attn-raise` to `--attn-split-keys`.

    ```mlir
    %y = attn.attention "bgrk, bgmk, bgmv -> bgrv"
        query(%q : tensor<1x8x4x128xf32>)
        key(%k : tensor<1x8x1024x128xf32>)
        value(%v : tensor<1x8x1024x128xf32>)
        scale 0.0883883461 valid(%length : index)
        outs(%init : tensor<1x8x4x128xf32>) -> tensor<1x8x4x128xf32>
    ```
  }];
  let arguments = (ins StrAttr:$spec,
    Attn_Shaped:$query, Attn_Shaped:$key, Attn_Shaped:$value,
    F64Attr:$scale,
    Optional<Attn_Shaped>:$key_scale, Optional<Attn_Shaped>:$value_scale,
    Optional<Attn_Shaped>:$bias, OptionalAttr<StrAttr>:$bias_letters,
    Optional<Attn_Length>:$valid,
    OptionalAttr<Attn_MaskAttr>:$mask, Variadic<Index>:$mask_symbols,
    OptionalAttr<StrAttr>:$offset_letters, Variadic<Index>:$offsets,
    OptionalAttr<StrAttr>:$block_letters, Optional<Attn_Shaped>:$blocks,
    OptionalAttr<I64Attr>:$block_size,
    OptionalAttr<StrAttr>:$sink_letters, Optional<Attn_Shaped>:$sink,
    UnitAttr:$shared_kv, OptionalAttr<Attn_ScheduleAttr>:$schedule,
    Attn_Shaped:$output, Optional<Attn_Shaped>:$lse);
  let regions = (region VariadicRegion<AnyRegion>:$score);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $spec `query` `(` $query `:` type($query) `)`
    `key` `(` $key `:` type($key) `)`
    `value` `(` $value `:` type($value) `)`
    `scale` $scale
    (`key_scale` `(` $key_scale^ `:` type($key_scale) `)`)?
    (`value_scale` `(` $value_scale^ `:` type($value_scale) `)`)?
    (`bias` $bias_letters^ `(` $bias `:` type($bias) `)`)?
    (`valid` `(` $valid^ `:` type($valid) `)`)?
    (`mask` $mask^ `(` $mask_symbols `)`)?
    (`offsets` $offset_letters^ `(` $offsets `)`)?
    (`blocks` $block_letters^ `(` $blocks `:` type($blocks) `)`
      `size` $block_size)?
    (`sink` $sink_letters^ `(` $sink `:` type($sink) `)`)?
    (`shared_kv` $shared_kv^)?
    (`schedule` $schedule^)?
    (`score` $score^)?
    attr-dict `outs` `(` $output `:` type($output) `)`
    (`lse` `(` $lse^ `:` type($lse) `)`)?
    (`->` type($results)^)?
  }];
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable();
  }];
}

def Attn_PartialAttentionOp : Attn_AttentionBase<"partial_attention"> {
  let summary = "Attention over some keys, continuing a state";
  let description = [{
    The state of a row is (max, sum, accumulator): the largest score so far in
    units of log2, the sum of exp2(score - max), and the same sum weighted with
    the values.  The empty state is (-inf, 0, 0).  This op continues the state
    in `outs` by its keys:

    ```
    m' = max(m, max of s)         a = exp2(m - m')        p = exp2(s - m')
    l' = a * l + sum of p         acc' = a * acc + sum of p * value
    ```
    with s = log2(e) * (score(scale * query . key) + bias).  max and sum have
    the output's letters without the value letters, the accumulator has the
    output's letters.  With `chunk` = C the states have one more, leading
    dimension s, and state s takes the keys [s * C, (s + 1) * C).

    The keys are those of K and V, one after the other, or a list: with `blocks`
    the keys of the listed blocks, with `keys` the i-th is `key_map(i)`, for i
    below the count.  Key and value are then whole, an offset of the key letter
    counts in the list, and chunks are chunks of the list.  With `sparse` the
    list is that of the mask, whose key letter is not in a row: it is made when
    the op is tiled over its rows.

    Constraints: those of `attn.attention`, and
    - (C16) max and sum have the batch and row letters of the output, in order,
      the accumulator the output's; with `chunk` after a leading split dimension.
    - (C17) the states are f32.
    - (C18) `key_map` has one dimension, one result and as many symbols as there
      are values; `blocks` and `keys` exclude each other; both need one key
      letter.

    Present from `--attn-split-keys` to `--attn-to-vector`.
  }];
  let arguments = (ins StrAttr:$spec,
    Attn_Shaped:$query, Attn_Shaped:$key, Attn_Shaped:$value,
    F64Attr:$scale,
    Optional<Attn_Shaped>:$key_scale, Optional<Attn_Shaped>:$value_scale,
    Optional<Attn_Shaped>:$bias, OptionalAttr<StrAttr>:$bias_letters,
    Optional<Attn_Length>:$valid,
    OptionalAttr<Attn_MaskAttr>:$mask, Variadic<Index>:$mask_symbols,
    OptionalAttr<StrAttr>:$offset_letters, Variadic<Index>:$offsets,
    OptionalAttr<StrAttr>:$block_letters, Optional<Attn_Shaped>:$blocks,
    OptionalAttr<I64Attr>:$block_size,
    OptionalAttr<AffineMapAttr>:$key_map, Variadic<Index>:$key_symbols,
    Optional<Index>:$key_count, UnitAttr:$sparse,
    OptionalAttr<I64Attr>:$chunk,
    OptionalAttr<Attn_ScheduleAttr>:$schedule,
    Attn_Shaped:$max, Attn_Shaped:$sum, Attn_Shaped:$accumulator);
  let regions = (region VariadicRegion<AnyRegion>:$score);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $spec `query` `(` $query `:` type($query) `)`
    `key` `(` $key `:` type($key) `)`
    `value` `(` $value `:` type($value) `)`
    `scale` $scale
    (`key_scale` `(` $key_scale^ `:` type($key_scale) `)`)?
    (`value_scale` `(` $value_scale^ `:` type($value_scale) `)`)?
    (`bias` $bias_letters^ `(` $bias `:` type($bias) `)`)?
    (`valid` `(` $valid^ `:` type($valid) `)`)?
    (`mask` $mask^ `(` $mask_symbols `)`)?
    (`offsets` $offset_letters^ `(` $offsets `)`)?
    (`blocks` $block_letters^ `(` $blocks `:` type($blocks) `)`
      `size` $block_size)?
    (`keys` $key_map^ `(` $key_symbols `)`)?
    (`count` $key_count^)?
    (`sparse` $sparse^)?
    (`chunk` $chunk^)?
    (`schedule` $schedule^)?
    (`score` $score^)?
    attr-dict `outs` `(` $max `,` $sum `,` $accumulator `:`
      type($max) `,` type($sum) `,` type($accumulator) `)`
    (`->` type($results)^)?
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable();
  }];
}

def Attn_MergeOp : Attn_Op<"merge", [DestinationStyleOpInterface,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    DeclareOpInterfaceMethods<TilingInterface,
      ["getLoopIteratorTypes", "getIterationDomain",
       "getTiledImplementation", "getResultTilePosition",
           "generateResultTileValue", "getIterationDomainTileFromResultTile"]>,
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface,
          ["reifyResultShapes"]>]> {
  let summary = "Joins the states of splits and normalises";
  let description = [{
    ```
    M = max over s of max[s]        w[s] = exp2(max[s] - M)
    result = (sum over s of w[s] * accumulator[s]) / (sum over s of w[s] * sum[s])
    lse = M * ln(2) + ln(sum over s of w[s] * sum[s])
    ```
    in the order of s; 0 and -inf where the divisor is 0 (no key attended).  A
    merged result is a state again: max = lse * log2(e), sum = 1, accumulator =
    result; merges of merges are merges.  The spec's two terms are the letters of a state's max and of its accumulator, which are
    the result's; the states have one more, leading dimension.

    Constraints:
    - (C1) the spec parses: `"bgr, bgrv -> bgrv"`, and the first term's letters
      stand in the second in the same order.
    - (C2) ranks and extents agree with it; the states are f32.

    Present from `--attn-split-keys` to `--attn-to-vector`.
  }];
  let arguments = (ins StrAttr:$spec, Attn_Shaped:$max, Attn_Shaped:$sum,
    Attn_Shaped:$accumulator, Attn_Shaped:$output, Optional<Attn_Shaped>:$lse);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $spec `(` $max `,` $sum `,` $accumulator `:`
      type($max) `,` type($sum) `,` type($accumulator) `)`
    attr-dict `outs` `(` $output `:` type($output) `)`
    (`lse` `(` $lse^ `:` type($lse) `)`)?
    (`->` type($results)^)?
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable();
  }];
}

def Attn_YieldOp : Attn_Op<"yield", [Pure, Terminator, ReturnLike,
    ParentOneOf<["AttentionOp", "PartialAttentionOp"]>]> {
  let summary = "The score that counts";
  let description = [{
    Ends the `score` region of an attention.

    ```mlir
    attn.yield %capped : f32
    ```
  }];
  let arguments = (ins F32:$score);
  let assemblyFormat = "$score attr-dict `:` type($score)";
}

#endif // EINHEAD_IR_ATTNOPS_TD
