//===- Import.cpp - Models of other tools as level-0 graphs -----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Import.h"
#include "ImportCheckpoint.h"
#include "ImportConfig.h"
#include "ImportGraph.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace llvm;
using namespace einhead;
using namespace einhead::importer;

/// An absolute path without `.`, `..` and, as far as the path exists, links.
static SmallString<128> canonicalPath(StringRef path) {
  SmallString<128> real;
  if (!sys::fs::real_path(path, real))
    return real;
  SmallString<128> absolute(path);
  // Without a current directory the path stays as it is.
  (void)sys::fs::make_absolute(absolute);
  sys::path::remove_dots(absolute, /*remove_dot_dot=*/true);
  return absolute;
}

/// `path` as seen from `folder`; both canonical.
static std::string relativeTo(StringRef folder, StringRef path) {
  auto from = sys::path::begin(folder), fromEnd = sys::path::end(folder);
  auto to = sys::path::begin(path), toEnd = sys::path::end(path);
  while (from != fromEnd && to != toEnd && *from == *to)
    ++from, ++to;
  SmallString<128> relative;
  for (; from != fromEnd; ++from)
    sys::path::append(relative, "..");
  for (; to != toEnd; ++to)
    sys::path::append(relative, *to);
  return std::string(relative);
}

Expected<std::string> einhead::importLlama(StringRef directory,
                                           const ImportOptions &options) {
  if (!sys::fs::is_directory(directory))
    return createStringError("'" + directory +
                             "' is not a directory; give the folder that holds "
                             "config.json and the safetensors files");
  StringRef name = options.functionName;
  auto isNameCharacter = [](char c) {
    return isAlnum(c) || StringRef("_$.").contains(c);
  };
  if (name.empty() || isDigit(name.front()) || !all_of(name, isNameCharacter))
    return createStringError("'" + name +
                             "' is no name of a function; use letters, digits "
                             "and _ $ . after a first letter");
  SmallString<128> configPath(directory);
  sys::path::append(configPath, "config.json");
  Expected<LlamaConfig> config = readLlamaConfig(std::string(configPath));
  if (!config)
    return config.takeError();
  Expected<Checkpoint> checkpoint = readCheckpoint(directory);
  if (!checkpoint)
    return checkpoint.takeError();

  StringRef output = options.outputPath;
  StringRef folder = output == "-" ? "" : sys::path::parent_path(output);
  SmallString<128> base = canonicalPath(folder.empty() ? "." : folder);
  std::vector<std::string> files;
  for (const std::string &file : checkpoint->files) {
    // The folder's links are followed, the file's own name is kept: caches of
    // downloads store the files under the hash of their content.
    SmallString<128> path = canonicalPath(sys::path::parent_path(file));
    sys::path::append(path, sys::path::filename(file));
    files.push_back(relativeTo(base, path));
  }
  return writeLlamaStep(*config, *checkpoint, options.functionName, files);
}
