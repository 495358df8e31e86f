//===- AttnEnums.td - Enumerations of the attn dialect -----*- tablegen -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_IR_ATTNENUMS_TD
#define EINHEAD_IR_ATTNENUMS_TD

include "mlir/IR/EnumAttr.td"

def Attn_Products : I32EnumAttr<"Products", "How a tile's two products are computed", [
  I32EnumAttrCase<"FMA", 0, "fma">,
  I32EnumAttrCase<"Dot", 1, "dot">,
  I32EnumAttrCase<"Tiles", 2, "tiles">,
  I32EnumAttrCase<"WGMMA", 3, "wgmma">
]> {
  let cppNamespace = "::einhead::attn";
  let genSpecializedAttr = 0;
}

def Attn_ProductsParameter : EnumParameter<Attn_Products> {
  let defaultValue = "::einhead::attn::Products::FMA";
}

#endif // EINHEAD_IR_ATTNENUMS_TD
