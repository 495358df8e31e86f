//===- Tool.cpp - What all verbs share --------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Tool.h"
#include "llvm/Support/raw_ostream.h"

namespace einhead::tool {

char ToolError::ID;

Verb::~Verb() = default;

void ToolError::log(llvm::raw_ostream &os) const { os << message; }

llvm::Error failure(Exit code, const llvm::Twine &message,
                    const llvm::Twine &help) {
  return llvm::make_error<ToolError>(code, message.str(), help.str());
}

Exit report(llvm::Error error) {
  Exit code = Exit::Ok;
  auto print = [&](llvm::StringRef message, llvm::StringRef help, Exit why) {
    llvm::outs().flush();
    if (!message.empty())
      llvm::errs() << "einhead: error: " << message << "\n";
    if (!help.empty())
      llvm::errs() << "help: " << help << "\n";
    if (code == Exit::Ok)
      code = why;
  };
  llvm::handleAllErrors(
      std::move(error),
      [&](const ToolError &e) { print(e.message, e.help, e.code); },
      [&](const llvm::ErrorInfoBase &e) {
        print(e.message(), "", Exit::Internal);
      });
  return code;
}

llvm::cl::OptionCategory &optionCategory() {
  static llvm::cl::OptionCategory category("Einhead options");
  return category;
}

} // namespace einhead::tool
