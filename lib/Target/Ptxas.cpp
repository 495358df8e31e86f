//===- Ptxas.cpp - NVIDIA's assembler ---------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TemporaryFile.h"
#include "einhead/Target/DeviceCode.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"

using namespace llvm;
using namespace einhead;

/// "... release 13.0, V13.0.88" is CUDA 13.0, whose PTX is 9.0.  Each release
/// of 11 and 12 has its own, but for 12.6, which has that of 12.5.
static int ptxOfRelease(StringRef output) {
  StringRef version = output.split("release ").second.split(',').first;
  int major = 0, minor = 0;
  if (version.consumeInteger(10, major) || !version.consume_front(".") ||
      version.getAsInteger(10, minor))
    return 0;
  if (major == 11)
    return 70 + minor;
  if (major == 12)
    return 80 + minor - (minor > 5 ? 1 : 0);
  return major > 12 ? 90 + minor : 0;
}

/// The exit status, and what the program wrote.
static int execute(ArrayRef<StringRef> command, std::string &text) {
  TemporaryFile log("log");
  if (log.error)
    return -1;
  std::optional<StringRef> redirects[] = {StringRef(""), StringRef(log.path),
                                          StringRef(log.path)};
  std::string why;
  int status = sys::ExecuteAndWait(command.front(), command, std::nullopt,
                                   redirects, /*SecondsToWait=*/0,
                                   /*MemoryLimit=*/0, &why);
  text = why.empty() ? log.read() : why;
  return status;
}

std::optional<Ptxas> Ptxas::find() {
  std::vector<std::string> folders;
  for (const char *variable : {"CUDA_HOME", "CUDA_PATH"})
    if (auto folder = sys::Process::GetEnv(variable))
      folders.push_back(*folder + "/bin");
  folders.push_back("/usr/local/cuda/bin");
  SmallVector<StringRef> places(folders.begin(), folders.end());
  auto program = sys::findProgramByName("ptxas");
  if (!program)
    program = sys::findProgramByName("ptxas", places);
  if (!program)
    return std::nullopt;
  Ptxas found{*program};
  std::string text;
  if (execute({found.path, "--version"}, text) != 0)
    return std::nullopt;
  found.ptxVersion = ptxOfRelease(text);
  return found;
}

Expected<std::string> Ptxas::assemble(StringRef ptx, const GPUInfo &gpu) const {
  TemporaryFile input("ptx"), output("cubin");
  for (TemporaryFile *file : {&input, &output})
    if (file->error)
      return file->cannotWrite(file->error);
  if (Error error = input.write(ptx))
    return error;
  std::string text;
  std::string chip = "--gpu-name=" + gpu.chip;
  int status =
      execute({path, chip, "-O3", input.path, "-o", output.path}, text);
  if (status != 0)
    return createStringError(
        std::make_error_code(std::errc::state_not_recoverable),
        path + " failed: " + StringRef(text).trim().str());
  return output.read();
}
