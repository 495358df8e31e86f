//===- VerbExplain.cpp - einhead explain ------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Source.h"
#include "Tool.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include <map>
#include <set>

namespace cl = llvm::cl;

namespace einhead::tool {
namespace {

using RemarksByFunction =
    llvm::MapVector<std::string, std::vector<CompilerRemark>,
                    std::map<std::string, unsigned>>;

class ExplainVerb final : public Verb {
public:
  ExplainVerb()
      : Verb("explain", "What was recognised, shared and tiled, and why not") {}
  llvm::Error run() override;

private:
  cl::opt<std::string> file{cl::Positional, cl::desc("FILE.mlir"), cl::Required,
                            cl::sub(command), cl::cat(optionCategory())};
  cl::opt<bool> json{"json", cl::desc("Print JSON"), cl::sub(command),
                     cl::cat(optionCategory())};
  CompileFlags flags{command};
};

/// "file:3:10" -> "3:10"
llvm::StringRef lineAndColumn(llvm::StringRef location) {
  size_t column = location.rfind(':');
  if (column == llvm::StringRef::npos)
    return "";
  size_t line = location.rfind(':', column);
  return line == llvm::StringRef::npos ? "" : location.substr(line + 1);
}

/// Orders by place in the file; what several passes say of one place stays in
/// the order of the passes.
void sortByPlace(std::vector<CompilerRemark> &remarks) {
  auto place = [](const CompilerRemark &remark) {
    auto [line, column] = lineAndColumn(remark.location).split(':');
    std::pair<unsigned, unsigned> numbers = {0, 0};
    line.getAsInteger(10, numbers.first);
    column.getAsInteger(10, numbers.second);
    return numbers;
  };
  llvm::stable_sort(remarks, [&](const auto &x, const auto &y) {
    return place(x) < place(y);
  });
}

/// A pass that looks at one op again says the same again.
void dropRepeated(std::vector<CompilerRemark> &remarks) {
  std::set<std::pair<std::string, std::string>> seen;
  llvm::erase_if(remarks, [&](const CompilerRemark &remark) {
    return !seen.emplace(remark.location, remark.text).second;
  });
}

/// The function of each place in the file where an op stands.
std::map<std::string, std::string> functionsByPlace(mlir::ModuleOp module) {
  std::map<std::string, std::string> names;
  module.walk([&](mlir::func::FuncOp function) {
    function->walk([&](mlir::Operation *op) {
      if (auto place = op->getLoc()->findInstanceOf<mlir::FileLineColLoc>())
        names.emplace(
            llvm::formatv("{0}:{1}", place.getLine(), place.getColumn()).str(),
            function.getName().str());
    });
  });
  return names;
}

llvm::StringRef labelOf(const CompilerRemark &remark) {
  if (remark.kind == CompilerRemark::Kind::Missed ||
      remark.kind == CompilerRemark::Kind::Failed)
    return "missed";
  return llvm::StringSwitch<llvm::StringRef>(remark.category)
      .Case("attn-raise", "recognised")
      .Case("attn-fuse-shared-kv", "shared")
      .Case("attn-absorb", "absorbed")
      .Case("attn-schedule", "scheduled")
      .Case("attn-split-keys", "split")
      .Case("attn-fuse-projections", "projected")
      .Cases({"attn-state-traffic", "attn-check-traffic"}, "counted")
      .Default(remark.category);
}

llvm::StringRef kindName(CompilerRemark::Kind kind) {
  switch (kind) {
  case CompilerRemark::Kind::Passed:
    return "passed";
  case CompilerRemark::Kind::Missed:
    return "missed";
  case CompilerRemark::Kind::Analysis:
    return "analysis";
  case CompilerRemark::Kind::Failed:
    return "failed";
  }
  llvm_unreachable("all kinds are listed");
}

/// `isComplete`: the passes came to an end, so that no remark means something.
void printText(const RemarksByFunction &remarks, bool isComplete) {
  llvm::raw_ostream &os = llvm::outs();
  for (const auto &[function, list] : remarks) {
    if (list.empty() && !isComplete)
      continue;
    os << (function.empty() ? "elsewhere" : "@" + function) << "\n";
    if (list.empty())
      os << "  nothing to fuse: no softmax between two einsums\n";
    for (const CompilerRemark &remark : list)
      os << "  " << llvm::left_justify(labelOf(remark), 11) << " "
         << llvm::left_justify(lineAndColumn(remark.location), 7) << " "
         << remark.text << "\n";
  }
}

void printJSON(const RemarksByFunction &remarks) {
  llvm::json::OStream os(llvm::outs(), 1);
  os.object([&] {
    os.attributeArray("functions", [&] {
      for (const auto &entry : remarks)
        os.object([&] {
          os.attribute("name", entry.first);
          os.attributeArray("remarks", [&] {
            for (const CompilerRemark &remark : entry.second)
              os.object([&] {
                os.attribute("kind", kindName(remark.kind));
                os.attribute("category", remark.category);
                os.attribute("name", remark.name);
                os.attribute("location", remark.location);
                os.attribute("text", remark.text);
              });
          });
        });
    });
  });
  llvm::outs() << "\n";
}

llvm::Error ExplainVerb::run() {
  auto options = flags.options();
  if (!options)
    return options.takeError();
  options->stopAfter = "tiled";
  auto source = Source::load(file);
  if (!source)
    return source.takeError();

  RemarksByFunction remarks;
  (*source)->module().walk([&](mlir::func::FuncOp function) {
    if (!function.isDeclaration())
      remarks[function.getName().str()];
  });
  std::map<std::string, std::string> names =
      functionsByPlace((*source)->module());
  collectRemarks((*source)->context(), [&](const CompilerRemark &remark) {
    auto name = names.find(lineAndColumn(remark.location).str());
    remarks[name == names.end() ? "" : name->second].push_back(remark);
  });
  auto text = (*source)->compile(EmitKind::MLIR, *options);
  for (auto &entry : remarks) {
    sortByPlace(entry.second);
    dropRepeated(entry.second);
  }
  // The remarks of what came before the error say most.
  json ? printJSON(remarks) : printText(remarks, static_cast<bool>(text));
  return text.takeError();
}

} // namespace

std::unique_ptr<Verb> createExplainVerb() {
  return std::make_unique<ExplainVerb>();
}

} // namespace einhead::tool
