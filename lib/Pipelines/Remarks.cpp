//===- Remarks.cpp - What the compiler decided ------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/Remarks.h"
#include "einhead/Compiler.h"
#include "mlir/IR/Location.h"
#include <mutex>

using namespace mlir;
using namespace einhead;

static CompilerRemark::Kind kindOf(const remark::detail::Remark &remark) {
  switch (remark.getRemarkType()) {
  case llvm::remarks::Type::Passed:
    return CompilerRemark::Kind::Passed;
  case llvm::remarks::Type::Missed:
    return CompilerRemark::Kind::Missed;
  case llvm::remarks::Type::Failure:
    return CompilerRemark::Kind::Failed;
  default:
    return CompilerRemark::Kind::Analysis;
  }
}

/// The first place in a file that a location names.
static std::string textOf(Location location) {
  std::string text;
  location->walk([&](Location part) {
    auto place = dyn_cast<FileLineColLoc>(part);
    if (!place)
      return WalkResult::advance();
    text = (place.getFilename().getValue() + ":" + Twine(place.getLine()) +
            ":" + Twine(place.getColumn()))
               .str();
    return WalkResult::interrupt();
  });
  return text;
}

namespace {
class Collector final : public remark::detail::MLIRRemarkStreamerBase {
public:
  explicit Collector(std::function<void(const CompilerRemark &)> onRemark)
      : onRemark(std::move(onRemark)) {}

  void streamOptimizationRemark(const remark::detail::Remark &remark) override {
    CompilerRemark entry;
    entry.kind = kindOf(remark);
    entry.category = remark.getCategoryName().str();
    entry.name = remark.getRemarkName().str();
    entry.location = textOf(remark.getLocation());
    // Pieces written with << make the sentence; named ones keep their name.
    for (const remark::detail::Remark::Arg &arg : remark.getArgs())
      entry.text += arg.key == "Remark" ? arg.val : arg.key + "=" + arg.val;
    // Function passes run on several threads.
    std::lock_guard<std::mutex> lock(mutex);
    onRemark(entry);
  }

private:
  std::function<void(const CompilerRemark &)> onRemark;
  std::mutex mutex;
};
} // namespace

void einhead::collectRemarks(
    MLIRContext &context,
    std::function<void(const CompilerRemark &)> onRemark) {
  remark::RemarkCategories categories;
  // `all` widens the filters of kinds that have one; it makes none.
  categories.passed = categories.missed = categories.analysis =
      categories.failed = ".*";
  // Fails only where the context has an engine already.
  if (failed(remark::enableOptimizationRemarks(
          context, std::make_unique<Collector>(std::move(onRemark)),
          std::make_unique<remark::RemarkEmittingPolicyAll>(), categories)))
    emitWarning(UnknownLoc::get(&context),
                "remarks of this context go elsewhere");
}
