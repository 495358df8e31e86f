//===- AttnBufferize.cpp - Bufferization of the attn ops --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/IR/Attn.h"
#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"

using namespace mlir;
using namespace mlir::bufferization;
using namespace einhead::attn;

namespace {
/// Destination-style: the op again, on buffers, without results.
template <typename OpTy>
struct DestinationModel
    : DstBufferizableOpInterfaceExternalModel<DestinationModel<OpTy>, OpTy> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand,
                              const AnalysisState &) const {
    // A partial attention continues its states; the others only write.
    return !cast<DestinationStyleOpInterface>(op).isDpsInit(&operand) ||
           isa<PartialAttentionOp>(op);
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options,
                          BufferizationState &state) const {
    rewriter.setInsertionPoint(op);
    auto destinations = cast<DestinationStyleOpInterface>(op);
    SmallVector<Value> operands, results;
    for (OpOperand &operand : op->getOpOperands()) {
      Value value = operand.get();
      if (isa<TensorType>(value.getType())) {
        FailureOr<Value> buffer = getBuffer(rewriter, value, options, state);
        if (failed(buffer))
          return failure();
        value = *buffer;
      }
      operands.push_back(value);
      if (destinations.isDpsInit(&operand))
        results.push_back(value);
    }
    OperationState copy(op->getLoc(), op->getName(), operands, TypeRange(),
                        op->getAttrs());
    copy.propertiesAttr = op->getPropertiesAsAttribute();
    for (Region &region : op->getRegions())
      copy.addRegion()->takeBody(region);
    rewriter.create(copy);
    replaceOpWithBufferizedValues(rewriter, op, results);
    return success();
  }
};
} // namespace

void einhead::attn::registerBufferizableOpInterfaceExternalModels(
    DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, AttnDialect *) {
    AttentionOp::attachInterface<DestinationModel<AttentionOp>>(*context);
    PartialAttentionOp::attachInterface<DestinationModel<PartialAttentionOp>>(
        *context);
    MergeOp::attachInterface<DestinationModel<MergeOp>>(*context);
  });
}
