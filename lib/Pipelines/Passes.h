//===- Passes.h - Passes of the pipeline itself -----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_PIPELINES_PASSES_H
#define EINHEAD_LIB_PIPELINES_PASSES_H

#include "mlir/Pass/Pass.h"

namespace einhead {

/// On tensors: elementwise linalg ops are fused where no element is computed
/// twice (upstream's linalg-fuse-elementwise-ops also fuses into reductions),
/// and an output that is not read becomes an empty tensor, which can then
/// become a destination (upstream's convert-elementwise-to-linalg takes an
/// input for the shape).
std::unique_ptr<mlir::Pass> createFuseElementwisePass();

/// After bufferization: a cache that was not updated in place is an error; the
/// attributes that the manifest was made from go, and public functions ask for
/// the form that takes pointers to tensors.
std::unique_ptr<mlir::Pass> createFinishInterfacesPass();

/// On buffers: sums of products of an activation and a weight become loops over
/// vectors of that CPU, whose sums are in registers.  Others stay.
std::unique_ptr<mlir::Pass>
createContractionsToVectorPass(llvm::StringRef cpu = "host");

/// On buffers: sums of products of 16-bit numbers become kernels of tensor
/// cores of that chip, with the rounding of their results.  Others stay, with a
/// remark.
std::unique_ptr<mlir::Pass>
createContractionsToGPUPass(llvm::StringRef chip = "sm_90a");

/// On tensors: each sum gets a fill of its own, so that none is copied.
std::unique_ptr<mlir::Pass> createOwnFillsPass();

/// On buffers: sums in the bodies of linalg ops may be reassociated, and
/// reductions over the innermost loops are kept in registers.  Upstream's
/// convert-linalg-to-loops stores each partial sum, and LLVM cannot vectorize
/// that.
std::unique_ptr<mlir::Pass> createLinalgReductionsToLoopsPass();

/// Gives each `gpu.launch` the kernel's name, function_number, in the one
/// module
/// @kernels, which it makes.
std::unique_ptr<mlir::Pass> createNameKernelsPass();

/// After outlining: an error at each op of the host that touches tensor memory,
/// or that no pass has made a kernel of.
std::unique_ptr<mlir::Pass> createCheckHostMemoryPass();

/// Upstream's convert-gpu-to-nvvm, but that math and arith, which come as LLVM
/// intrinsics, stay what they are: it calls libdevice for them.
std::unique_ptr<mlir::Pass> createKernelsToNVVMPass();

/// Makes them known to textual pipelines.
void registerPipelinePasses();

} // namespace einhead

#endif // EINHEAD_LIB_PIPELINES_PASSES_H
