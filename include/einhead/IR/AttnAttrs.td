//===- AttnAttrs.td - Attributes of the attn dialect -------*- tablegen -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_IR_ATTNATTRS_TD
#define EINHEAD_IR_ATTNATTRS_TD

include "einhead/IR/AttnDialect.td"
include "einhead/IR/AttnEnums.td"
include "mlir/IR/AttrTypeBase.td"

class Attn_Attr<string name, string attrMnemonic, list<Trait> traits = []>
    : AttrDef<Attn_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

def Attn_MaskAttr : Attn_Attr<"Mask", "mask"> {
  let summary = "The pairs that attend, as a union of integer sets";
  let description = [{
    A score at letters (l0, l1, ...) is kept where one of the sets holds and is
    -inf elsewhere.  The dimensions of each set are the letters of `letters`, in
    order; its symbols are run-time values given beside the attribute (the
    position of the first new token, say).

    Causal attention of new tokens `n` at position p (lower-right aligned):

    ```mlir
    #attn.mask<"nm", "(n, m)[p] : (p + n - m >= 0)">
    ```

    A set stands in quotes, because MLIR takes the `>` of `>=` in an attribute's
    text for a closing bracket; an alias of an `affine_set` parses too.  Common
    masks have a name, which stands for its sets and is printed as them:

    ```mlir
    #attn.mask<"nm", window(128)>
    ```

    The key letter comes last; the other letter, if any, is the query's, and
    query n stands at position q = p + n with the first symbol p (a mask over
    "m" alone is that of one query at p):

    | name | keys m that query n attends | symbols |
    |---|---|---|
    | `causal` | m <= q (lower-right aligned) | p |
    | `causal_upper_left` | m <= n | |
    | `window(W)` | q - W < m <= q | p |
    | `window` | the same, with the width at run time | p, W |
    | `local` | `window(32)`: the query's own and the 31 before (Shazeer 2019, section 4) | p |
    | `prefix` | m <= q or m < L (prefix-LM) | p, L |
    | `sinks(S, W)` | m <= q, and m < S or q - W < m | p |
    | `strided(l)` | m <= q, and q - m < l or l divides q - m (Child 2019, section 4.2) | p |
    | `fixed(l, c)` | m <= q, and m in the block of l that q is in, or in the last c of its own block (section 4.3) | p |
    | `fixed(l, c, "h")` | the same; head h looks at the c that end h * c before the block's end | p |
    | `documents(D)` | m in the block of D that q is in | p |
    | `documents` | A <= m < B | p, A, B |
  }];
  let parameters = (ins
    StringRefParameter<"the letters that the sets' dimensions are">:$letters,
    ArrayRefParameter<"::mlir::IntegerSetAttr", "the sets">:$sets
  );
  let assemblyFormat = "`<` $letters `,` custom<Sets>($sets, ref($letters)) `>`";
  let genVerifyDecl = 1;
}

def Attn_ScheduleAttr : Attn_Attr<"Schedule", "schedule"> {
  let summary = "How one attention is tiled";
  let description = [{
    Sizes in elements of the letters they tile.  `chunk` keys are one unit of
    parallel work: chunks start at multiples of it, whatever the batch and the
    threads, so that a row's bits depend on neither.  `key_tile` keys are loaded
    at a time, for `row_tile` rows.  `lanes` is the number of f32 in a vector
    register.  K and V rows are asked for `prefetch` keys ahead (0: left to the
    hardware).

    `products` says what multiplies: `fma` (f32, whatever the operands are),
    `dot` (pairs of bf16, summed in f32; the weights are rounded to bf16),
    `tiles` (the same pairs, in matrix tiles) or `wgmma` (tensor cores of a
    Hopper GPU; then the kernel cuts the keys itself, and of the sizes only
    `key_tile` counts).  With `packed`, a tile of K is
    turned and a tile of V interleaved in scratch memory once, for all rows: no
    sum over lanes, but work that only many rows repay.

    ```mlir
    #attn.schedule<chunk = 1024, key_tile = 64, row_tile = 32, lanes = 16>
    ```
  }];
  let parameters = (ins "int64_t":$chunk, "int64_t":$key_tile,
                        "int64_t":$row_tile, "int64_t":$lanes,
                        DefaultValuedParameter<"int64_t", "0">:$prefetch,
                        Attn_ProductsParameter:$products,
                        DefaultValuedParameter<"bool", "false">:$packed);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

#endif // EINHEAD_IR_ATTNATTRS_TD
