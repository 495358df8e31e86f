//===- AttnLoopOps.td - Ops inside the loops of a tile -----*- tablegen -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_IR_ATTNLOOPOPS_TD
#define EINHEAD_IR_ATTNLOOPOPS_TD

include "einhead/IR/AttnDialect.td"
include "mlir/IR/OpBase.td"

def Attn_ReadAheadOp : Attn_Op<"read_ahead"> {
  let summary = "Rows that a tile to come reads";
  let description = [{
    The code that follows in the block works on one tile.  Rows
    [i, i + `rows`) of `source` are those of a tile to come, where i is the index
    of dimension `dimension`; of each row `columns` elements are read, from the
    last index on.  `--attn-prefetch` spreads requests for their cache lines over
    that code.  The rows need not exist.  `in_order`: the code reads its tile in
    the order of addresses, so that the hardware's prefetchers follow it.

    Constraints:
    - (C19) there are as many indices as `source` has dimensions, its last
      dimension is contiguous, and `dimension` is another one.

    Present from `--attn-to-vector` to `--attn-prefetch`.

    ```mlir
    attn.read_ahead %key[%b, %g, %next, %c0] dimension 2 rows 64 columns 128
      : memref<1x8x4096x128xbf16>
    ```
  }];
  let arguments = (ins AnyStridedMemRef:$source, Variadic<Index>:$indices,
    ConfinedAttr<I64Attr, [IntNonNegative]>:$dimension,
    ConfinedAttr<I64Attr, [IntPositive]>:$rows,
    ConfinedAttr<I64Attr, [IntPositive]>:$columns, UnitAttr:$in_order);
  let assemblyFormat = [{
    $source `[` $indices `]` `dimension` $dimension `rows` $rows
    `columns` $columns (`in_order` $in_order^)? attr-dict `:` type($source)
  }];
  let hasVerifier = 1;
}

#endif // EINHEAD_IR_ATTNLOOPOPS_TD
