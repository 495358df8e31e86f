//===- AttnInterfaces.td - Interfaces of attn ops ----------*- tablegen -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_IR_ATTNINTERFACES_TD
#define EINHEAD_IR_ATTNINTERFACES_TD

include "mlir/IR/OpBase.td"

def Attn_AttentionLikeInterface : OpInterface<"AttentionLike"> {
  let cppNamespace = "::einhead::attn";
  let description = [{
    What `attn.attention` and `attn.partial_attention` share: one spec with
    three input terms, and the operands that shape the scores.  Analyses and
    passes ask here and for the roles of the letters, never for the op.
  }];
  let methods = [
    InterfaceMethod<"The einsum spec: query, key, value -> output.",
                    "::llvm::StringRef", "getSpec">,
    InterfaceMethod<"The query.", "::mlir::Value", "getQuery">,
    InterfaceMethod<"The key.", "::mlir::Value", "getKey">,
    InterfaceMethod<"The value; may be the key itself (V a slice of K).",
                    "::mlir::Value", "getValue">,
    InterfaceMethod<"What the rows of an 8-bit key are multiplied by, or null.",
                    "::mlir::Value", "getKeyScale">,
    InterfaceMethod<"The same of an 8-bit value, or null.",
                    "::mlir::Value", "getValueScale">,
    InterfaceMethod<"The additive bias, or null.", "::mlir::Value", "getBias">,
    InterfaceMethod<"The letters of the bias, or nothing.",
                    "::std::optional<::llvm::StringRef>", "getBiasLetters">,
    InterfaceMethod<"The number of valid keys (index, or i64 per sequence), or "
                    "null.", "::mlir::Value", "getValid">,
    InterfaceMethod<"The mask, or null.",
                    "::std::optional<::einhead::attn::MaskAttr>", "getMask">,
    InterfaceMethod<"The values of the mask's symbols.",
                    "::mlir::OperandRange", "getMaskSymbols">,
    InterfaceMethod<"The letters with an offset, or nothing.",
                    "::std::optional<::llvm::StringRef>", "getOffsetLetters">,
    InterfaceMethod<"Where a tile starts, by letter of getOffsetLetters().",
                    "::mlir::OperandRange", "getOffsets">,
    InterfaceMethod<"What scores are multiplied by.",
                    "::llvm::APFloat", "getScale">,
    InterfaceMethod<"The blocks of keys to attend, or null.",
                    "::mlir::Value", "getBlocks">,
    InterfaceMethod<"The letters of the block lists, or nothing.",
                    "::std::optional<::llvm::StringRef>", "getBlockLetters">,
    InterfaceMethod<"Keys in a block, or nothing.",
                    "::std::optional<uint64_t>", "getBlockSize">,
    InterfaceMethod<"What is done with each score: one region or none.",
                    "::mlir::MutableArrayRef<::mlir::Region>", "getScore">,
  ];
}

#endif // EINHEAD_IR_ATTNINTERFACES_TD
