//===- MoveScales.h - Scales off the keys and values ------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOVESCALES_H
#define MOVESCALES_H

/// Makes `move-scales` known to textual pipelines.
void registerMoveScalesPass();

#endif // MOVESCALES_H
