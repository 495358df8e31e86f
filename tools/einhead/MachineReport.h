//===- MachineReport.h - Measured rates as text and JSON --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_MACHINEREPORT_H
#define EINHEAD_TOOLS_MACHINEREPORT_H

#include "MachineRates.h"
#include "llvm/Support/JSON.h"

namespace einhead::tool {

void print(const MachineRates &rates, llvm::raw_ostream &os);
/// As the attributes of an object.
void printJSON(const MachineRates &rates, llvm::json::OStream &os);

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_MACHINEREPORT_H
