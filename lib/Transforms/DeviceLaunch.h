//===- DeviceLaunch.h - Host code around kernels ----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_TRANSFORMS_DEVICELAUNCH_H
#define EINHEAD_LIB_TRANSFORMS_DEVICELAUNCH_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace einhead {

/// The gpu.module of all kernels, made where there is none.
mlir::gpu::GPUModuleOp kernelsOf(mlir::ModuleOp module);

/// A kernel of the LLVM dialect, of blocks of `threads` threads, `blocksEach`
/// of which a multiprocessor has room for.  Its parameters are the launch's
/// operands; the builder stands in its body afterwards.
mlir::LLVM::LLVMFuncOp createKernel(mlir::ImplicitLocOpBuilder &b,
                                    mlir::gpu::GPUModuleOp kernels,
                                    llvm::StringRef name,
                                    mlir::ValueRange operands, int64_t threads,
                                    int64_t blocksEach);

/// The shared memory whose size the launch says, as an address in the kernel
/// that the builder stands in.
mlir::Value dynamicSharedMemory(mlir::ImplicitLocOpBuilder &b,
                                mlir::gpu::GPUModuleOp kernels);

/// The name of a kernel as the host table takes it: a pointer to a string.
mlir::Value nameOfKernel(mlir::OpBuilder &b, mlir::Location loc,
                         mlir::ModuleOp module, llvm::StringRef kernel);

/// Calls a function of the host table (runtime.h), which it declares; its
/// result, if it has one.
mlir::Value callHost(mlir::ImplicitLocOpBuilder &b, mlir::ModuleOp module,
                     llvm::StringRef name, mlir::TypeRange results,
                     mlir::ValueRange operands);

/// The address of a buffer's first element, an index.
mlir::Value addressOf(mlir::ImplicitLocOpBuilder &b, mlir::Value memref);

/// The same as a pointer.
mlir::Value pointerTo(mlir::ImplicitLocOpBuilder &b, mlir::Value memref);

} // namespace einhead

#endif // EINHEAD_LIB_TRANSFORMS_DEVICELAUNCH_H
