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
    : buffers(buffers), query(query), tensors(problem.tensors()),
      hasLengths(!problem.lengths.empty()),
      valid(DataType::I64, {static_cast<int64_t>(problem.lengths.size())}),
      file(std::move(file)), module(std::move(module)),
      session(std::move(session)),
      result(problem.outputType, problem.shape(problem.roles.outputTerm)) {
  for (const BenchTensor &tensor : tensors)
    shapes.push_back(problem.shape(tensor.term));
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

llvm::Error BenchCall::evaluate(int set) {
  llvm::SmallVector<DLTensor, 6> inputs = {query.view()};
  for (size_t i = 0; i < tensors.size(); ++i)
    inputs.push_back(viewOf(buffers.data(set, i), tensors[i].type, shapes[i]));
  if (hasLengths)
    inputs.push_back(valid.view());
  return session.call("attention", inputs, result.view());
}

HostTensor randomQuery(const BenchProblem &problem) {
  HostTensor query(problem.queryType(), problem.shape(problem.roles.queryTerm));
  fillRandom(query, 3);
  return query;
}

} // namespace einhead::tool
