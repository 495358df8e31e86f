//===- BenchCall.cpp - A compiled attention, ready to be called -*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BenchCall.h"

namespace einhead::tool {

BenchCall::BenchCall(const BenchProblem &problem, const BenchBuffers &buffers,
                     HostTensor &query, TemporaryFile file, Module module,
                     Session session)
    : buffers(buffers), query(query), type(problem.type),
      keyShape(problem.shape(problem.roles.keyTerm)),
      valueShape(problem.shape(problem.roles.valueTerm)),
      valueInKey(problem.valueInKey), hasLengths(!problem.lengths.empty()),
      valid(DataType::I64, {static_cast<int64_t>(problem.lengths.size())}),
      file(std::move(file)), module(std::move(module)),
      session(std::move(session)),
      result(type == DataType::F64 ? DataType::F64 : DataType::F32,
             problem.shape(problem.roles.outputTerm)) {
  for (size_t i = 0; i < problem.lengths.size(); ++i)
    valid.set(i, static_cast<double>(problem.lengths[i]));
}

llvm::Expected<std::unique_ptr<BenchCall>>
BenchCall::open(const BenchProblem &problem, const BenchBuffers &buffers,
                HostTensor &query, llvm::StringRef moduleBytes, int threads) {
  auto file = TemporaryFile::create(moduleBytes);
  if (!file)
    return file.takeError();
  auto module = Module::open(file->name());
  if (!module)
    return module.takeError();
  auto session = Session::create(*module, {}, threads);
  if (!session)
    return session.takeError();
  return std::unique_ptr<BenchCall>(
      new BenchCall(problem, buffers, query, std::move(*file),
                    std::move(*module), std::move(*session)));
}

static DLTensor viewOf(void *data, DataType type, std::vector<int64_t> &shape) {
  DLTensor view = {};
  view.data = data;
  view.device = {kDLCPU, 0};
  view.dtype = toDLPack(type);
  view.ndim = static_cast<int32_t>(shape.size());
  view.shape = shape.data();
  return view;
}

llvm::Error BenchCall::evaluate(int set) {
  llvm::SmallVector<DLTensor, 4> inputs = {
      query.view(), viewOf(buffers.key(set), type, keyShape)};
  if (!valueInKey)
    inputs.push_back(viewOf(buffers.value(set), type, valueShape));
  if (hasLengths)
    inputs.push_back(valid.view());
  return session.call("attention", inputs, result.view());
}

HostTensor randomQuery(const BenchProblem &problem) {
  HostTensor query(problem.type, problem.shape(problem.roles.queryTerm));
  fillRandom(query, 3);
  return query;
}

} // namespace einhead::tool
