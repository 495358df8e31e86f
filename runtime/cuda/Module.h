//===- Module.h - A module's kernels and parameters on a GPU ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CUDA_MODULE_H
#define EINHEAD_RUNTIME_CUDA_MODULE_H

#include "core/Module.h"
#include "cuda/Memory.h"

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace einhead::runtime::cuda {

/// Blocks of a cluster that a GPU may allow, if asked.
constexpr int maxCluster = 16;

/// A function of the device code.
struct Kernel {
  Handle function = nullptr;
  int staticSharedBytes = 0;
  /// How many clusters of so many blocks run at once, as far as it was asked;
  /// a module's kernel is launched with one size of blocks.
  std::vector<std::optional<int64_t>> activeClusters;
  /// What the driver was told so far; sessions of one module share it.
  int dynamicSharedBytes = 0;
  bool allowsLargeClusters = false;
};

/// What one GPU has of a module: loaded once, shared by its sessions.
class GPUModule final : public DeviceModule {
public:
  static einhead_status_t open(einhead_module_t &module, int ordinal,
                               std::shared_ptr<GPUModule> &out);
  ~GPUModule() override;

  const std::shared_ptr<Context> &context() const { return gpu; }
  void *parameter(size_t index) const {
    return static_cast<char *>(parameters.data()) + parameterOffsets[index];
  }
  /// The kernel of this name, with this much dynamic shared memory and these
  /// clusters allowed.
  einhead_status_t kernel(const char *name, int sharedBytes, int cluster,
                          Handle &out);
  /// How many such clusters run at the same time: 0 where the GPU has none.
  einhead_status_t clusters(const char *name, int cluster, int threads,
                            int sharedBytes, int64_t &out);

private:
  einhead_status_t load(const einhead_module_t &module);
  einhead_status_t findKernels(const std::vector<std::string> &names);
  einhead_status_t copyParameters(const einhead_module_t &module);
  einhead_status_t find(const char *name, Kernel *&out);
  einhead_status_t prepare(Kernel &kernel, const char *name, int sharedBytes,
                           int cluster);

  std::shared_ptr<Context> gpu;
  Handle code = nullptr;
  std::vector<std::string> names; // that the keys below look into
  std::unordered_map<std::string_view, Kernel> kernels;
  std::mutex mutex; // of the kernels' attributes
  Buffer parameters;
  std::vector<size_t> parameterOffsets;
};

} // namespace einhead::runtime::cuda

#endif // EINHEAD_RUNTIME_CUDA_MODULE_H
