//===- Images.h - Which device code fits a GPU ------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CUDA_IMAGES_H
#define EINHEAD_RUNTIME_CUDA_IMAGES_H

#include "core/Manifest.h"
#include "cuda/Context.h"

#include <string>
#include <vector>

namespace einhead::runtime::cuda {

/// "sm_90a": a compute capability, and whether the code is for exactly that GPU
/// (a), for its family (f), or for later ones too.
struct Chip {
  int major = 0, minor = 0;
  char suffix = 0;

  static bool parse(const std::string &text, Chip &out);
};

/// The images that this GPU runs, best first: machine code before PTX, the
/// nearest chip before others.
std::vector<size_t> fittingImages(const std::vector<DeviceImage> &images,
                                  ComputeCapability gpu);

/// Loads the best image that the driver takes.  The context must be this
/// thread's.
einhead_status_t loadImages(Context &context,
                            const std::vector<DeviceImage> &images,
                            Handle &outModule);

} // namespace einhead::runtime::cuda

#endif // EINHEAD_RUNTIME_CUDA_IMAGES_H
