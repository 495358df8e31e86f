//===- ManifestText.h - Functions of a manifest as text ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_TARGET_MANIFESTTEXT_H
#define EINHEAD_LIB_TARGET_MANIFESTTEXT_H

#include "einhead/Target/Manifest.h"
#include "llvm/Support/JSON.h"

namespace einhead {

/// The value of the manifest's key "functions".
void writeFunctions(llvm::json::OStream &out,
                    llvm::ArrayRef<ManifestFunction> functions);

} // namespace einhead

#endif // EINHEAD_LIB_TARGET_MANIFESTTEXT_H
