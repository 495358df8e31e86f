//===- Decode.h - Greedy decoding with a module -----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_DECODE_H
#define EINHEAD_TOOLS_DECODE_H

#include "Session.h"

namespace einhead::tool {

struct DecodeOptions {
  std::string function;
  std::vector<int64_t> tokens; ///< fed first, one by one
  int64_t steps = 0;           ///< tokens to choose after them
  Bindings sizes;
  int threads = 0;
  std::string logitsFile, goldenFile;
  double tolerance = 1e-3;
  bool streamBytes = false, json = false, quiet = false;
  double perturb = 0; ///< added to a logit of the first call
};

/// Feeds the tokens, then the most likely token after each, and prints what
/// came out and how fast.
llvm::Error decode(const Module &module, const DecodeOptions &options);

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_DECODE_H
