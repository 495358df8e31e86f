//===- VerbImport.cpp - einhead import --------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "File.h"
#include "Import.h"
#include "Tool.h"

namespace cl = llvm::cl;

namespace einhead::tool {
namespace {

class ImportVerb final : public Verb {
public:
  ImportVerb()
      : Verb("import", "Write a Hugging Face Llama checkpoint as MLIR") {}
  llvm::Error run() override;

private:
  cl::opt<std::string> folder{
      cl::Positional, cl::desc("FOLDER (config.json, *.safetensors)"),
      cl::Required, cl::sub(command), cl::cat(optionCategory())};
  cl::opt<std::string> output{"o",
                              cl::desc("Output file, - for stdout"),
                              cl::value_desc("file"),
                              cl::init("-"),
                              cl::sub(command),
                              cl::cat(optionCategory())};
  cl::opt<std::string> function{"function",
                                cl::desc("Name of the function"),
                                cl::value_desc("name"),
                                cl::init("step"),
                                cl::sub(command),
                                cl::cat(optionCategory())};
};

llvm::Error ImportVerb::run() {
  ImportOptions options;
  options.outputPath = output;
  options.functionName = function;
  auto text = importLlama(folder, options);
  if (!text)
    return failure(Exit::Invalid, llvm::toString(text.takeError()));
  return writeFile(output, *text);
}

} // namespace

std::unique_ptr<Verb> createImportVerb() {
  return std::make_unique<ImportVerb>();
}

} // namespace einhead::tool
