//===- AttnAttrs.td - Attributes of the attn dialect -------*- tablegen -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_IR_ATTNATTRS_TD
#define EINHEAD_IR_ATTNATTRS_TD

include "einhead/IR/AttnDialect.td"
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
    text for a closing bracket; an alias of an `affine_set` parses too.
  }];
  let parameters = (ins
    StringRefParameter<"the letters that the sets' dimensions are">:$letters,
    ArrayRefParameter<"::mlir::IntegerSetAttr", "the sets">:$sets
  );
  let assemblyFormat = "`<` $letters `,` custom<Sets>($sets) `>`";
  let genVerifyDecl = 1;
}

def Attn_ScheduleAttr : Attn_Attr<"Schedule", "schedule"> {
  let summary = "How one attention is tiled";
  let description = [{
    Sizes in elements of the letters they tile.  `chunk` keys are one unit of
    parallel work: chunks start at multiples of it, whatever the batch and the
    threads, so that a row's bits depend on neither.  `key_tile` keys are loaded
    at a time, for `row_tile` rows.  `lanes` is the number of f32 in a vector
    register.  K and V rows are asked for `prefetch`
    keys ahead (0: left to the hardware).

    ```mlir
    #attn.schedule<chunk = 1024, key_tile = 64, row_tile = 32, lanes = 16>
    ```
  }];
  let parameters = (ins "int64_t":$chunk, "int64_t":$key_tile,
                        "int64_t":$row_tile, "int64_t":$lanes,
                        DefaultValuedParameter<"int64_t", "0">:$prefetch);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

#endif // EINHEAD_IR_ATTNATTRS_TD
