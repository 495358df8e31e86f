//===- BenchProblem.h - One attention to measure ----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_BENCHPROBLEM_H
#define EINHEAD_TOOLS_BENCHPROBLEM_H

#include "HostTensor.h"
#include "einhead/IR/Roles.h"
#include <map>

namespace einhead::tool {

/// A tensor that the keys or values of an evaluation lie in, or their scales.
struct BenchTensor {
  std::string name, term;
  DataType type;
};

/// An attention with static extents, as `einhead bench` takes it.
struct BenchProblem {
  attn::AttentionRoles roles;
  std::map<char, int64_t> extent;
  /// Of query, key and value; with i8 the query is f32, and each row of key and
  /// value has a scale; with f8e4m3 the query is bf16.
  DataType type = DataType::F32;
  DataType outputType = DataType::F32;
  double scale = 1;
  /// The value is the first columns of the key: there is no tensor of it.
  bool valueInKey = false;
  /// Valid keys of each sequence, by the query's first letter; empty: all are.
  std::vector<int64_t> lengths;
  /// A mask as #attn.mask takes it, "" without one, over these letters; it has
  /// no symbol or one, the position of the first new token.
  std::string mask, maskLetters;
  unsigned maskSymbols = 0;
  std::function<bool(llvm::ArrayRef<int64_t> point, int64_t position)> holds;

  /// What the command line says, unchecked.
  struct Request {
    std::string spec, type, outputType, layout, mask;
    std::vector<std::string> sizes;
    std::vector<int64_t> lengths;
    bool valueInKey = false;
    double scale = 0; ///< 0 = 1 / sqrt(depth)
  };
  static llvm::Expected<BenchProblem> create(const Request &request);

  std::string spec() const;
  std::vector<int64_t> shape(llvm::StringRef term) const;
  /// Product of the extents of these letters.
  int64_t count(llvm::StringRef letters) const;
  /// In the order of the function's arguments, the key first.
  std::vector<BenchTensor> tensors() const;
  bool isScaled() const { return type == DataType::I8; }
  DataType queryType() const {
    return isScaled()                 ? DataType::F32
           : type == DataType::F8E4M3 ? DataType::BF16
                                      : type;
  }
  /// Of scores and weights, where a graph spells them.
  DataType wideType() const {
    return type == DataType::F64 ? DataType::F64 : DataType::F32;
  }
  /// The least bytes of K and V that one evaluation reads.
  int64_t leastBytes() const;
  /// Multiplications and additions of both products, of what attends.
  int64_t operations() const;
  /// The row letter whose coordinates the mask looks at, or 0.
  char newTokenLetter() const;
  /// The letter by which `lengths` go, or 0 without them.
  char sequenceLetter() const;
  bool isMasked() const { return !mask.empty(); }
  /// Of the first new token: the last ones of the keys are new.
  int64_t position() const;
  /// Whether the new token at `n` (0 without the letter) attends to key `m`,
  /// which is valid.
  bool attends(int64_t n, int64_t m) const;
  /// Whether some row reads key `m` of that sequence, or with a negative one,
  /// of any.
  bool isRead(int64_t sequence, int64_t m) const;

  /// The function @attention at level 0, as MLIR text.
  std::string graph() const;

private:
  llvm::Error bindSizes(llvm::ArrayRef<std::string> entries);
  llvm::Error parseMask(llvm::StringRef text);
  llvm::Error setLengths(llvm::ArrayRef<int64_t> given);
  llvm::Error setValueInKey();
  int64_t tokens() const;

  /// How many of the new tokens attend to each key.
  std::vector<int64_t> attending;
};

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_BENCHPROBLEM_H
