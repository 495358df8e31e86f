//===- CallModule.cpp - Calls a function of a module ------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// CallModule MODULE FUNCTION INPUT... -- OUTPUT...: inputs are files of
// tensors, outputs too, which say the shapes and are overwritten.  Prints what
// the runtime refuses.
//
//===----------------------------------------------------------------------===//

#include "TensorFile.h"
#include "einhead/runtime.h"

#include <cstdio>
#include <deque>

using einhead::test::TensorFile;

static int refused() {
  std::printf("%s\n", einhead_last_error()->text);
  return 3;
}

int main(int count, char **arguments) {
  std::deque<TensorFile> inputs, outputs;
  std::vector<std::string> outputPaths;
  bool isOutput = false;
  for (int i = 3; i < count; ++i) {
    std::string path = arguments[i];
    if (path == "--") {
      isOutput = true;
      continue;
    }
    std::deque<TensorFile> &list = isOutput ? outputs : inputs;
    list.emplace_back();
    if (isOutput)
      outputPaths.push_back(path);
    if (!list.back().read(path)) {
      std::printf("no tensor in %s\n", path.c_str());
      return 2;
    }
  }
  std::vector<DLTensor> in, out;
  for (TensorFile &tensor : inputs)
    in.push_back(tensor.view());
  for (TensorFile &tensor : outputs)
    out.push_back(tensor.view());

  einhead_module_t *module = nullptr;
  einhead_session_t *session = nullptr;
  if (einhead_module_open(arguments[1], nullptr, &module) != EINHEAD_OK)
    return refused();
  einhead_session_options_t options = {};
  options.threads = 2;
  if (einhead_session_create(module, &options, &session) != EINHEAD_OK ||
      einhead_session_call(session, arguments[2], in.data(), in.size(),
                           out.data(), out.size()) != EINHEAD_OK)
    return refused();
  for (size_t i = 0; i < outputs.size(); ++i)
    outputs[i].write(outputPaths[i]);
  einhead_session_release(session);
  einhead_module_release(module);
  return 0;
}
