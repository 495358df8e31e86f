//===- einhead.cpp - The command line tool ----------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Tool.h"
#include "einhead/runtime.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/TargetParser/Host.h"
#include <vector>

namespace cl = llvm::cl;
using namespace einhead::tool;

static const char overview[] =
    "Einhead compiles attention: einsums in, code in a module file out.";

static const char exitCodes[] =
    "\nEXIT CODES: 0 ok, 1 wrong result, 2 usage, 3 invalid input, 4 "
    "unsupported,\n  5 tool or device missing, 6 internal.  "
    "docs/CommandLine.md has more.\n";

static void printVersion(llvm::raw_ostream &os) {
  os << "einhead " << einhead_version() << "\nLLVM " << LLVM_VERSION_STRING
     << "\nhost CPU " << llvm::sys::getHostCPUName() << "\n";
}

static void printVerbs(const std::vector<std::unique_ptr<Verb>> &verbs) {
  llvm::outs() << "USAGE: einhead VERB [FILE] [options]\n";
  for (auto &verb : verbs)
    llvm::outs() << "  " << llvm::left_justify(verb->command.getName(), 13)
                 << " " << verb->command.getDescription() << "\n";
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::SetVersionPrinter(printVersion);
  cl::extrahelp extra(exitCodes);

  std::vector<std::unique_ptr<Verb>> verbs;
  verbs.push_back(createRunVerb());
  verbs.push_back(createCompileVerb());
  verbs.push_back(createExplainVerb());
  verbs.push_back(createBenchVerb());
  verbs.push_back(createTuneVerb());
  verbs.push_back(createImportVerb());
  verbs.push_back(createConvertHeadsVerb());
  verbs.push_back(createInspectVerb());
  verbs.push_back(createDoctorVerb());
  cl::HideUnrelatedOptions(optionCategory());
  for (auto &verb : verbs)
    cl::HideUnrelatedOptions(optionCategory(), verb->command);

  if (argc < 2) {
    printVerbs(verbs);
    return static_cast<int>(report(
        failure(Exit::Usage, "no verb given", "'einhead --help' says more")));
  }
  if (!cl::ParseCommandLineOptions(argc, argv, overview, &llvm::errs())) {
    llvm::errs() << "help: 'einhead --help' lists the verbs, 'einhead VERB "
                    "--help' its options\n";
    return static_cast<int>(Exit::Usage);
  }
  for (auto &verb : verbs)
    if (verb->command)
      return static_cast<int>(report(verb->run()));
  return static_cast<int>(report(failure(Exit::Usage, "no verb given",
                                         "'einhead --help' lists the verbs")));
}
