//===- AttnDialect.td - The attn dialect -------------------*- tablegen -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_IR_ATTNDIALECT_TD
#define EINHEAD_IR_ATTNDIALECT_TD

include "mlir/IR/OpBase.td"

def Attn_Dialect : Dialect {
  let name = "attn";
  let cppNamespace = "::einhead::attn";
  let summary = "Attention, written as einsums";
  let description = [{
    Attention the way the papers write it: einsums over named letters, a
    softmax over one of them, a cache that grows along one of them.  Which
    loads heads share, what may be tiled and what must be reduced follows from
    where each letter stands (its *role*), never from flags.

    `docs/Spec.md` defines every op: its formula, the roles of the letters, and
    the constraints (C1, C2, ...) that the verifiers check under those labels.

    Function arguments and results carry these attributes:

    | attribute | on | meaning |
    |---|---|---|
    | `attn.name = "k0"` | argument, result | its name in the module's manifest |
    | `attn.shape = "b, g, m+1, k"` | argument, result | names of its dimensions |
    | `attn.cache` | argument | a KV cache, kept by the session, updated in place |
    | `attn.cache = "k0"` | result | the new state of that cache |
    | `attn.length` | argument | valid keys before the call, kept by the session |
    | `attn.parameter = "tensor.name"` | argument | read from a safetensors file |
  }];
  let hasOperationAttrVerify = 0;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::tensor::TensorDialect"];
}

class Attn_Op<string mnemonic, list<Trait> traits = []>
    : Op<Attn_Dialect, mnemonic, traits>;

#endif // EINHEAD_IR_ATTNDIALECT_TD
