//===- Tool.h - What all verbs share ----------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_TOOL_H
#define EINHEAD_TOOLS_TOOL_H

#include "llvm/ADT/Twine.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Error.h"
#include <memory>
#include <string>

namespace einhead::tool {

/// What the process returns (docs/CommandLine.md).
enum class Exit : int {
  Ok = 0,
  Wrong = 1,       ///< a result is not what it must be
  Usage = 2,       ///< the command line
  Invalid = 3,     ///< a file that is missing, or does not parse or verify
  Unsupported = 4, ///< valid, but not built
  Missing = 5,     ///< a tool or a device
  Internal = 6
};

/// An error that knows its exit code and, where there is one, a way out.
class ToolError : public llvm::ErrorInfo<ToolError> {
public:
  static char ID;

  ToolError(Exit code, std::string message, std::string help)
      : code(code), message(std::move(message)), help(std::move(help)) {}

  void log(llvm::raw_ostream &os) const override;
  std::error_code convertToErrorCode() const override {
    return llvm::inconvertibleErrorCode();
  }

  const Exit code;
  /// Empty where a diagnostic has said it already.
  const std::string message;
  const std::string help;
};

llvm::Error failure(Exit code, const llvm::Twine &message,
                    const llvm::Twine &help = "");

/// Prints the error as "einhead: error: ..." and "help: ..." lines.
Exit report(llvm::Error error);

/// A verb of the command line: its sub-command, its options and its action.
class Verb {
public:
  Verb(llvm::StringRef name, llvm::StringRef summary)
      : command(name, summary) {}
  virtual ~Verb();
  virtual llvm::Error run() = 0;

  llvm::cl::SubCommand command;
};

/// The category of our options; the others, LLVM's own, are not shown.
llvm::cl::OptionCategory &optionCategory();

/// An option of a verb; `value` names what stands behind the = in the help.
template <typename T> class Option : public llvm::cl::opt<T> {
public:
  Option(llvm::cl::SubCommand &command, llvm::StringRef name,
         llvm::StringRef value, llvm::StringRef summary, const T &initial = T())
      : llvm::cl::opt<T>(name, llvm::cl::value_desc(value),
                         llvm::cl::desc(summary), llvm::cl::init(initial),
                         llvm::cl::sub(command),
                         llvm::cl::cat(optionCategory())) {}
  using llvm::cl::opt<T>::operator=;
};

/// The same for a list: one a flag, or with `cl::CommaSeparated` several.
template <typename T> class ListOption : public llvm::cl::list<T> {
public:
  template <typename... Modifiers>
  ListOption(llvm::cl::SubCommand &command, llvm::StringRef name,
             llvm::StringRef value, llvm::StringRef summary,
             Modifiers... modifiers)
      : llvm::cl::list<T>(name, llvm::cl::value_desc(value),
                          llvm::cl::desc(summary), modifiers...,
                          llvm::cl::sub(command),
                          llvm::cl::cat(optionCategory())) {}
};

std::unique_ptr<Verb> createRunVerb();
std::unique_ptr<Verb> createCompileVerb();
std::unique_ptr<Verb> createExplainVerb();
std::unique_ptr<Verb> createBenchVerb();
std::unique_ptr<Verb> createImportVerb();
std::unique_ptr<Verb> createConvertHeadsVerb();
std::unique_ptr<Verb> createInspectVerb();
std::unique_ptr<Verb> createDoctorVerb();
std::unique_ptr<Verb> createTuneVerb();

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_TOOL_H
