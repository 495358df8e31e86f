//===- ConvertHeadsConfig.h - One number of a config.json -------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_CONVERTHEADSCONFIG_H
#define EINHEAD_TOOLS_CONVERTHEADSCONFIG_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace einhead::tool {

/// The text of a config.json with another `num_key_value_heads`.  All other
/// text stays as it is, in order, spelling and white space.
llvm::Expected<std::string> withGroups(llvm::StringRef config, int64_t groups);

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_CONVERTHEADSCONFIG_H
