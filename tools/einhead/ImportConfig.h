//===- ImportConfig.h - The configuration of a Llama model ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_IMPORTCONFIG_H
#define EINHEAD_TOOLS_IMPORTCONFIG_H

#include "llvm/Support/Error.h"
#include <cstdint>
#include <string>
#include <vector>

namespace einhead::importer {

/// The heads of a model.
struct HeadSizes {
  int64_t hidden = 0;
  int64_t layers = 0;
  int64_t heads = 0;    ///< query heads
  int64_t groups = 0;   ///< key/value heads
  int64_t headSize = 0; ///< of query, key and value
  /// Standard deviation of the numbers that training started from.
  double initializerRange = 0;
};

/// What config.json says, checked, with the defaults filled in.
struct LlamaConfig {
  std::string modelType;
  int64_t vocabulary = 0;  ///< c
  int64_t hidden = 0;      ///< d
  int64_t feedForward = 0; ///< f
  int64_t layers = 0;
  int64_t groups = 0;        ///< g, key/value heads
  int64_t headsPerGroup = 0; ///< r
  int64_t headSize = 0;      ///< k and v
  double normEpsilon = 0;
  bool tiedEmbeddings = false;
  /// Radians per position, one for each pair of a head: headSize / 2.
  std::vector<double> frequencies;
};

/// Reads and checks config.json.
llvm::Expected<LlamaConfig> readLlamaConfig(const std::string &path);

/// Reads and checks of config.json what speaks of heads, for any model that
/// has these keys.
llvm::Expected<HeadSizes> readHeadSizes(const std::string &path);

} // namespace einhead::importer

#endif // EINHEAD_TOOLS_IMPORTCONFIG_H
