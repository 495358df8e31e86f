//===- CompileDevice.h - Kernels of a module --------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_PIPELINES_COMPILEDEVICE_H
#define EINHEAD_LIB_PIPELINES_COMPILEDEVICE_H

#include "einhead/Target/DeviceCode.h"
#include "mlir/IR/BuiltinOps.h"

namespace einhead {

/// Takes the GPU module out of `module` (level llvm) and writes its kernels:
/// PTX, which is the last image, and before it machine code where `assemble` is
/// set and ptxas is there; a remark where it is not.
llvm::Expected<DeviceCode> generateDeviceCode(mlir::ModuleOp module,
                                              llvm::StringRef chip,
                                              unsigned optLevel, bool assemble);

} // namespace einhead

#endif // EINHEAD_LIB_PIPELINES_COMPILEDEVICE_H
