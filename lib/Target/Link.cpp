//===- Link.cpp - An object to a shared object ------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TemporaryFile.h"
#include "einhead/Target/Codegen.h"
#include "einhead/runtime.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"

using namespace llvm;
using namespace einhead;

static Expected<std::string> findLinker() {
  std::vector<std::string> tried;
  if (auto program = sys::findProgramByName("ld.lld", {EINHEAD_LLVM_TOOLS}))
    return *program;
  tried.push_back(EINHEAD_LLVM_TOOLS "/ld.lld");
  for (StringRef name : {"ld.lld-22", "ld.lld", "ld"}) {
    if (auto program = sys::findProgramByName(name))
      return *program;
    tried.push_back((name + " on PATH").str());
  }
  return createStringError(
      std::make_error_code(std::errc::no_such_file_or_directory),
      "no linker; tried " + join(tried, ", ") +
          " (on Debian: apt-get install lld-22)");
}

Expected<std::string> einhead::linkSharedObject(StringRef object) {
  Expected<std::string> linker = findLinker();
  if (!linker)
    return linker.takeError();
  TemporaryFile input("o"), output("so"), log("log");
  for (const TemporaryFile *file : {&input, &output, &log})
    if (file->error)
      return file->cannotWrite(file->error);
  if (Error error = input.write(object))
    return error;
  // The C library and libm are in every process that loads modules, so none is
  // named: a module then runs wherever its functions exist, whatever their
  // version.  -Bsymbolic: another module's variables are not this one's.
  StringRef arguments[] = {*linker,
                           "-shared",
                           "-z",
                           "now",
                           "-z",
                           "relro",
                           "-z",
                           "noexecstack",
                           "--gc-sections",
                           "--hash-style=gnu",
                           "--build-id=none",
                           "-Bsymbolic",
                           "-o",
                           output.path,
                           input.path};
  std::optional<StringRef> redirects[] = {StringRef(), StringRef(log.path),
                                          StringRef(log.path)};
  std::string why;
  int status =
      sys::ExecuteAndWait(*linker, arguments, std::nullopt, redirects,
                          /*SecondsToWait=*/0, /*MemoryLimit=*/0, &why);
  if (status != 0)
    return createStringError(
        std::make_error_code(std::errc::state_not_recoverable),
        *linker + " failed: " + (why.empty() ? log.read() : why));
  return output.read();
}

Error einhead::checkImports(StringRef sharedObject) {
  auto file = object::ObjectFile::createELFObjectFile(
      MemoryBufferRef(sharedObject, "module"));
  if (!file)
    return file.takeError();
  static const StringRef allowed[] = {EINHEAD_MODULE_IMPORTS};
  const auto &elf = cast<object::ELFObjectFileBase>(**file);
  for (object::ELFSymbolRef symbol : elf.getDynamicSymbolIterators()) {
    Expected<uint32_t> flags = symbol.getFlags();
    if (!flags)
      return flags.takeError();
    Expected<StringRef> name = symbol.getName();
    if (!name)
      return name.takeError();
    if (!(*flags & object::SymbolRef::SF_Undefined) || name->empty() ||
        is_contained(allowed, *name))
      continue;
    return createStringError(std::make_error_code(std::errc::not_supported),
                             "the code calls " + *name +
                                 ", which the runtime does not offer; a newer "
                                 "--cpu may have an instruction for it");
  }
  return Error::success();
}
