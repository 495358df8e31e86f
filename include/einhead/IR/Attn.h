//===- Attn.h - The attn dialect --------------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_IR_ATTN_H
#define EINHEAD_IR_ATTN_H

#include "einhead/IR/EinsumSpec.h"
#include "einhead/IR/Roles.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/LinalgInterfaces.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/TilingInterface.h"

#include "einhead/IR/AttnDialect.h.inc"

#include "einhead/IR/AttnEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "einhead/IR/AttnAttrs.h.inc"

#include "einhead/IR/AttnInterfaces.h.inc"

namespace einhead::attn {
// Names that upstream's interface declarations use without their namespace.
using mlir::FailureOr;
using mlir::Location;
using mlir::MergeResult;
using mlir::OpBuilder;
using mlir::ReductionTilingStrategy;
using mlir::SmallVector;
using mlir::TilingResult;
using mlir::Value;
using mlir::ValueRange;
} // namespace einhead::attn

#define GET_OP_CLASSES
#include "einhead/IR/AttnOps.h.inc"

namespace einhead::attn {

/// How the ops bufferize.
void registerBufferizableOpInterfaceExternalModels(
    mlir::DialectRegistry &registry);

/// The roles of a verified attention's letters.
AttentionRoles rolesOf(AttentionLike op);

/// The block of the score region, or null.
mlir::Block *scoreOf(AttentionLike op);

/// The extent of a letter, from an operand (tensors); static where one is.
mlir::OpFoldResult letterExtent(mlir::OpBuilder &builder, AttentionLike op,
                                char letter);

/// The static extent of a letter, or ShapedType::kDynamic.
int64_t staticExtent(AttentionLike op, char letter);

/// Where the keys or rows of `letter` start: its offset operand, or null (0).
mlir::Value offsetOf(AttentionLike op, char letter);

} // namespace einhead::attn

#endif // EINHEAD_IR_ATTN_H
