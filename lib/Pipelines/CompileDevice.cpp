//===- CompileDevice.cpp - Kernels of a module ------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CompileDevice.h"
#include "einhead/Analysis/Remark.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/OwningOpRef.h"

#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"

using namespace mlir;
using namespace einhead;

static llvm::Error broken(const llvm::Twine &what) {
  return llvm::createStringError(
      std::make_error_code(std::errc::state_not_recoverable), what);
}

/// The PTX version that all take: what the chip needs, unless ptxas is older.
static llvm::Expected<GPUInfo> chooseVersion(StringRef chip,
                                             std::optional<Ptxas> &ptxas) {
  auto gpu = GPUInfo::get(chip);
  if (!gpu)
    return gpu;
  if (ptxas && ptxas->ptxVersion)
    gpu->ptxVersion = std::max(gpu->leastPTXVersion,
                               std::min(gpu->ptxVersion, ptxas->ptxVersion));
  return gpu;
}

static llvm::Expected<std::string>
emitKernels(gpu::GPUModuleOp kernels, const GPUInfo &gpu, unsigned optLevel) {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code =
      translateModuleToLLVMIR(kernels, context, "einhead");
  if (!code)
    return broken("translation of kernels to LLVM IR failed");
  std::string wrong;
  llvm::raw_string_ostream why(wrong);
  if (llvm::verifyModule(*code, &why))
    return broken("invalid LLVM IR of kernels: " + wrong);
  return emitPTX(*code, gpu, optLevel);
}

llvm::Expected<DeviceCode> einhead::generateDeviceCode(ModuleOp module,
                                                       StringRef chip,
                                                       unsigned optLevel,
                                                       bool assemble) {
  SmallVector<gpu::GPUModuleOp> modules(module.getOps<gpu::GPUModuleOp>());
  if (modules.size() != 1)
    return broken("the module has " + llvm::Twine(modules.size()) +
                  " GPU modules instead of one");
  modules.front()->remove();
  OwningOpRef<gpu::GPUModuleOp> kernels(modules.front());
  std::optional<Ptxas> ptxas = Ptxas::find();
  auto gpu = chooseVersion(chip, ptxas);
  if (!gpu)
    return gpu.takeError();
  DeviceCode device{"cuda", chip.str(), {}, {}};
  for (auto function : kernels->getOps<LLVM::LLVMFuncOp>())
    if (function->hasAttr(gpu::GPUDialect::getKernelFuncAttrName()))
      device.kernels.push_back(function.getName().str());
  auto ptx = emitKernels(*kernels, *gpu, optLevel);
  if (!ptx)
    return ptx.takeError();
  if (ptxas && assemble) {
    auto cubin = ptxas->assemble(*ptx, *gpu);
    if (!cubin)
      return cubin.takeError();
    device.images.push_back({"cubin", gpu->chip, std::move(*cubin)});
  } else if (assemble) {
    remarkMissed(module.getLoc(), "einhead-to-gpu", "NoMachineCode",
                 "no ptxas was found: the module holds PTX alone, which the "
                 "driver compiles when the module is opened");
  }
  device.images.push_back({"ptx", gpu->chip, std::move(*ptx)});
  return device;
}
