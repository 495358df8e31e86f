//===- BenchDevice.cpp - One attention, measured on a GPU -------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BenchDevice.h"
#include "Device.h"
#include "File.h"
#include "Gpu.h"
#include "Tool.h"

namespace einhead::tool {

static llvm::Expected<bench::Request> requestOf(const BenchProblem &problem,
                                                llvm::StringRef mask,
                                                llvm::StringRef module) {
  bench::Request request;
  request.name = "attention";
  request.module = module.str();
  request.spec = problem.spec();
  request.lengths = problem.lengths;
  request.scale = problem.scale;
  request.mask =
      mask.consume_front("window=") ? "window(" + mask.str() + ")" : mask.str();
  if (request.mask != "none" && request.mask != "causal" &&
      !llvm::StringRef(request.mask).starts_with("window("))
    return failure(Exit::Unsupported,
                   "--mask=" + request.mask + " with --target=cuda",
                   "the masks that are checked there are causal and window(W)");
  return request;
}

llvm::Expected<DeviceMeasurement> measureOnDevice(const BenchProblem &problem,
                                                  llvm::StringRef mask,
                                                  llvm::StringRef moduleBytes,
                                                  bool spoil) {
  auto device = gpu();
  if (!device)
    return device.takeError();
  auto file = TemporaryFile::create(moduleBytes);
  if (!file)
    return file.takeError();
  auto request = requestOf(problem, mask, file->name());
  if (!request)
    return request.takeError();
  DeviceMeasurement measured;
  measured.gpu = (*device)->info().name;
  bench::MeasureOptions options;
  options.spoil = spoil;
  try {
    measured.readTerabytes = bench::readRate(**device) / 1e6;
    measured.result = bench::measure(**device, *request, options);
  } catch (const bench::WrongResult &error) {
    return failure(Exit::Wrong, error.what());
  } catch (const std::exception &error) {
    return failure(Exit::Missing, error.what());
  }
  return measured;
}

} // namespace einhead::tool
