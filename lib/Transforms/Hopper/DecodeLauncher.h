//===- DecodeLauncher.h - Host code around a decode kernel ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_TRANSFORMS_HOPPER_DECODELAUNCHER_H
#define EINHEAD_LIB_TRANSFORMS_HOPPER_DECODELAUNCHER_H

#include "../DeviceLaunch.h"
#include "DecodePlan.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace einhead::hopper {

/// A tensor map is a parameter by value.
inline constexpr int64_t tensorMapBytes = 128, tensorMapAlignment = 64;

/// A number that both sides use: known here, or a parameter of the kernel.
struct Number {
  std::optional<int64_t> constant;
  size_t parameter = 0;
};

/// A tensor's base, with strides by letter.
struct Strided {
  size_t base = 0;
  llvm::SmallVector<Number> batch, row;
};

/// One attention: the host's code, then the kernel's.
class Launcher {
public:
  Launcher(mlir::OpBuilder &builder, attn::AttentionOp op,
           mlir::gpu::GPUModuleOp kernels, const DecodeShape &shape)
      : b(op.getLoc(), builder), op(op),
        like(llvm::cast<attn::AttentionLike>(op.getOperation())),
        roles(attn::rolesOf(like)), shape(shape), kernels(kernels) {}

  void run(llvm::StringRef name);

private:
  // The host.
  mlir::Value index(int64_t value) {
    return mlir::arith::ConstantIndexOp::create(b, value);
  }
  mlir::Value toI64(mlir::Value value) {
    return mlir::arith::IndexCastOp::create(b, b.getI64Type(), value);
  }
  mlir::Value call(llvm::StringRef name, mlir::TypeRange results,
                   mlir::ValueRange operands);
  size_t parameter(mlir::Value operand);
  Number number(mlir::OpFoldResult value, unsigned bits);
  mlir::Value extentOf(char letter);
  Strided strided(mlir::Value memref, llvm::StringRef term);
  Strided scales(mlir::Value memref, llvm::StringRef term);
  mlir::Value array(llvm::ArrayRef<mlir::Value> values);
  void passKeys();
  mlir::Value isAligned(mlir::Value memref);
  size_t tensorMap(mlir::Value memref, llvm::StringRef term, char column,
                   llvm::SmallVectorImpl<int64_t> &letters);
  /// K or V without a tensor map; the stride from key to key.
  Strided stridedKeys(mlir::Value memref, llvm::StringRef term, Number &stride);
  void measureMask();
  mlir::Value times(mlir::Value x, int64_t factor);
  mlir::Value compare(mlir::arith::CmpIPredicate how, mlir::Value x,
                      mlir::Value y);
  mlir::Value select(mlir::Value condition, mlir::Value x, mlir::Value y);
  mlir::Value countUnits();
  mlir::Value countParts(mlir::Value unitCount, mlir::Value tiles,
                         mlir::Value processors, mlir::Value places);
  int64_t clusterTeams() const;
  mlir::Value clustersAtOnce(mlir::Value size);
  void shareOut();
  void addWorkspace(mlir::Value unitCount, mlir::Value isCut);
  void launch(llvm::StringRef name);

  // The kernel.
  mlir::Value given(KernelBuilder &kernel, mlir::Block *body,
                    const Number &number, unsigned bits);
  Addressed addressed(KernelBuilder &kernel, mlir::Block *body,
                      const Strided &strided);
  KeyMask keyMask(KernelBuilder &kernel, mlir::Block *body);
  void buildKernel(llvm::StringRef name);

  mlir::ImplicitLocOpBuilder b;
  attn::AttentionOp op;
  attn::AttentionLike like;
  attn::AttentionRoles roles;
  DecodeShape shape;
  mlir::gpu::GPUModuleOp kernels;
  llvm::StringRef kernelName;

  llvm::SmallVector<mlir::Value> operands;
  size_t keyMap = 0, valueMap = 0, partials = 0, counters = 0;
  std::optional<size_t> lengths;
  llvm::SmallVector<int64_t> keyLetters, valueLetters;
  Strided key, value, query, output, lse, keyScale, valueScale;
  Number keyStride, valueStride, aligned;
  llvm::SmallVector<Number> extents;
  Number keys, parts, units, unitsEach;
  Number maskBegin, fullBegin, fullEnd;
  llvm::SmallVector<Number> maskSymbols;
  mlir::Value keyCount, tileCount, grid, cluster;
  llvm::DenseSet<size_t> maps;
};

} // namespace einhead::hopper

#endif // EINHEAD_LIB_TRANSFORMS_HOPPER_DECODELAUNCHER_H
