//===- Driver.cpp - The CUDA driver, opened at run time ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "cuda/Driver.h"

#include <cstdlib>
#include <dlfcn.h>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

using namespace einhead::runtime;
using namespace einhead::runtime::cuda;

bool einhead::runtime::cuda::isSticky(Result result) {
  switch (result) {
  case Deinitialized:
  case 201: // the context is invalid
  case 214: // an uncorrectable memory error
  case 220: // the same on a link
  case 226: // an error of which the driver contained the damage
  case IllegalAddress:
  case 702: // a kernel ran too long
  case 709: // the context was destroyed
  case 710: // an assertion of a kernel
  case 714: // a stack error
  case 715: // an illegal instruction
  case 716: // a misaligned address
  case 717: // an address of the wrong space
  case 718: // an invalid program counter
  case 719: // a kernel failed
  case 721: // a kernel left tensor memory allocated
  case 999: // the driver does not know itself
    return true;
  default:
    return false;
  }
}

std::string Driver::describe(Result result) const {
  const char *name = nullptr, *text = nullptr;
  if (errorName(result, &name) != Success || !name)
    return "CUDA error " + std::to_string(result);
  if (errorText(result, &text) != Success || !text)
    return name;
  return std::string(name) + " (" + text + ")";
}

static einhead_status_t resolve(void *library, const char *path, Driver &out) {
  struct Symbol {
    const char *name;
    void **slot;
    bool isRequired;
  };
#define EINHEAD_CUDA_SYMBOL(member, symbol, parameters, isRequired)            \
  {symbol, reinterpret_cast<void **>(&out.member), isRequired},
  const Symbol symbols[] = {EINHEAD_CUDA_FUNCTIONS(EINHEAD_CUDA_SYMBOL)};
#undef EINHEAD_CUDA_SYMBOL
  for (const Symbol &symbol : symbols) {
    *symbol.slot = dlsym(library, symbol.name);
    if (!*symbol.slot && symbol.isRequired)
      return fail(EINHEAD_UNIMPLEMENTED, "CUDA driver",
                  "'%.200s' has no function %s: the NVIDIA driver is too old; "
                  "update it, or compile the module for the CPU",
                  path, symbol.name);
  }
  return EINHEAD_OK;
}

static einhead_status_t openLibrary(const std::string &path, Driver &out) {
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = dlerror();
    return fail(EINHEAD_UNIMPLEMENTED, "CUDA driver",
                "no CUDA driver: %.250s; install the NVIDIA driver, or compile "
                "the module for the CPU",
                reason ? reason : "the dynamic linker gives no reason");
  }
  einhead_status_t status = resolve(library, path.c_str(), out);
  if (status != EINHEAD_OK)
    dlclose(library);
  return status;
}

einhead_status_t Driver::open(const Driver *&out) {
  // An environment that another user set is none to load code from.
  const char *named = secure_getenv("EINHEAD_CUDA_LIBRARY");
  const std::string path = named && *named ? named : "libcuda.so.1";
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<Driver>> drivers;
  std::lock_guard<std::mutex> lock(mutex);
  std::unique_ptr<Driver> &known = drivers[path];
  if (!known) {
    auto driver = std::make_unique<Driver>();
    if (einhead_status_t status = openLibrary(path, *driver))
      return status;
    known = std::move(driver);
  }
  // Each time: it costs nothing once it has succeeded.
  if (Result result = known->init(0))
    return fail(EINHEAD_FAILED_PRECONDITION, "CUDA driver",
                "cuInit: %.200s; check that nvidia-smi lists a GPU, or compile "
                "the module for the CPU",
                known->describe(result).c_str());
  out = known.get();
  return EINHEAD_OK;
}
