//===- ContractionsToGPU.cpp - Sums of products for tensor cores *- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Transforms/DeviceLaunch.h"
#include "../Transforms/TensorCores/Product.h"
#include "Passes.h"
#include "einhead/Analysis/Remark.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::tensorcores;

static constexpr llvm::StringLiteral passName = "einhead-contractions-to-gpu";

namespace {
struct ContractionsToGPUPass final
    : PassWrapper<ContractionsToGPUPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ContractionsToGPUPass)

  ContractionsToGPUPass() = default;
  explicit ContractionsToGPUPass(StringRef chip) { this->chip = chip.str(); }
  ContractionsToGPUPass(const ContractionsToGPUPass &other)
      : PassWrapper(other) {}

  StringRef getArgument() const override { return passName; }
  StringRef getDescription() const override {
    return "Lower sums of products of 16-bit numbers to tensor cores";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry
        .insert<arith::ArithDialect, gpu::GPUDialect, LLVM::LLVMDialect,
                memref::MemRefDialect, NVVM::NVVMDialect, scf::SCFDialect>();
  }

  void runOnOperation() override {
    llvm::Expected<GPUInfo> known = GPUInfo::get(chip);
    if (!known) {
      getOperation().emitError(llvm::toString(known.takeError()));
      return signalPassFailure();
    }
    gpu = *known;
    for (auto function :
         llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
      lower(function);
  }

private:
  void lower(func::FuncOp function);
  Tile tileOf(const Product &product);

  GPUInfo gpu;
  Option<std::string> chip{*this, "chip", llvm::cl::desc("The GPU"),
                           llvm::cl::init("sm_90a")};
  ListOption<int64_t> tile{
      *this, "tile",
      llvm::cl::desc("Rows and columns of a tile, warps down and across, "
                     "stages, blocks of a multiprocessor; by the extents "
                     "where it is not given")};
};
} // namespace

Tile ContractionsToGPUPass::tileOf(const Product &product) {
  if (tile.size() != 6)
    return Tile::choose(product, gpu);
  return {tile[0], tile[1], tile[2], tile[3], tile[4], tile[5]};
}

void ContractionsToGPUPass::lower(func::FuncOp function) {
  SmallVector<linalg::GenericOp> ops;
  function.walk([&](linalg::GenericOp op) {
    // Those inside are the work of whoever made them.
    if (op.hasPureBufferSemantics() && op.getNumReductionLoops() != 0 &&
        op.getNumDpsInputs() == 2 && !op->getParentOfType<gpu::LaunchOp>() &&
        !op->getParentOfType<scf::ForallOp>())
      ops.push_back(op);
  });
  unsigned number = 0;
  for (linalg::GenericOp op : ops) {
    std::string why;
    std::optional<Product> product = Product::match(op, why);
    if (!product) {
      remarkMissed(op.getLoc(), passName, "TensorCores",
                   "no tensor cores for a sum of products: " + why);
      continue;
    }
    Tile cut = tileOf(*product);
    remarkPassed(
        op.getLoc(), passName, "TensorCores",
        llvm::formatv(
            "tensor cores: tiles of {0} rows by {1} columns, {2} "
            "threads, {3} stages of {4} bytes{5}",
            cut.rows, cut.columns, cut.threads(), cut.stages, cut.stageBytes(),
            product->rounding ? ", sums rounded as they are stored" : "")
            .str());
    std::string name =
        (function.getName() + "_product_" + Twine(number++)).str();
    lowerProduct(*product, cut, kernelsOf(getOperation()), name);
  }
}

std::unique_ptr<Pass> einhead::createContractionsToGPUPass(StringRef chip) {
  return std::make_unique<ContractionsToGPUPass>(chip);
}
