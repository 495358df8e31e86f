//===- ImportNumbersTest.cpp - What an imported model computes --*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The written graph, step by step through the oracle, against the same model
// computed directly in double.  The oracle keeps rounding out of its values, so
// the two agree to the rounding of double where the graph's f32 constants are
// exact: hidden size 16, heads of 4, an epsilon that is a power of two.
//
//===----------------------------------------------------------------------===//

#include "Import.h"
#include "Oracle.h"
#include "SyntheticModel.h"
#include "einhead/IR/Attn.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include <cmath>
#include <gtest/gtest.h>
#include <limits>

using namespace llvm;
using namespace einhead;
using namespace einhead::test;
using einhead::reference::Tensor;

namespace {

SyntheticModel exactModel(int64_t heads, int64_t groups, bool isTied) {
  SyntheticModel model;
  model.config["hidden_size"] = 16;
  model.config["head_dim"] = 4;
  model.config["num_attention_heads"] = heads;
  model.config["num_key_value_heads"] = groups;
  model.config["rms_norm_eps"] = 1.0 / 1024;
  model.config["tie_word_embeddings"] = isTied;
  model.fillTensors();
  return model;
}

/// Steps the imported graph of a model for a batch of sequences.
class GraphStepper {
public:
  static constexpr int64_t capacity = 6;

  GraphStepper(const SyntheticModel &model, int64_t batch)
      : lengths(batch, 0), context(registry(), Threading::DISABLED) {
    TemporaryFolder folder;
    model.writeShards(folder);
    Expected<std::string> text = importLlama(folder.path, {});
    if (!text) {
      ADD_FAILURE() << toString(text.takeError());
      return;
    }
    module = mlir::parseSourceString<mlir::ModuleOp>(*text, &context);
    if (!module) {
      ADD_FAILURE() << *text;
      return;
    }
    step = module->lookupSymbol<mlir::func::FuncOp>("step");
    for (unsigned i = 0; i != step.getNumArguments(); ++i)
      arguments.push_back(initial(model, i, batch));
  }

  /// The logits [batch, vocabulary] after one more token of each sequence.
  std::vector<double> run(ArrayRef<int64_t> tokens) {
    arguments[0].value.assign(tokens.begin(), tokens.end());
    arguments[1].value.assign(lengths.begin(), lengths.end());
    auto results = tool::evaluate(step, arguments);
    if (!results) {
      ADD_FAILURE() << toString(results.takeError());
      return {};
    }
    for (size_t i = 1; i != results->size(); ++i)
      arguments[i + 1] = (*results)[i];
    for (int64_t &length : lengths)
      ++length;
    return results->front().value;
  }

  std::vector<int64_t> lengths;

private:
  using Threading = mlir::MLIRContext::Threading;

  static mlir::DialectRegistry registry() {
    mlir::DialectRegistry registry;
    registry.insert<attn::AttnDialect, mlir::arith::ArithDialect,
                    mlir::func::FuncDialect, mlir::linalg::LinalgDialect,
                    mlir::math::MathDialect, mlir::tensor::TensorDialect>();
    return registry;
  }

  /// A parameter's values; rubbish in the rows that a cache does not have yet.
  /// Not NaN: at level 0 such a row counts with weight 0, and 0 * NaN is NaN.
  Tensor initial(const SyntheticModel &model, unsigned index, int64_t batch) {
    if (auto name =
            step.getArgAttrOfType<mlir::StringAttr>(index, "attn.parameter")) {
      const SyntheticTensor &tensor = model.tensors.at(name.str());
      return Tensor(tensor.shape, tensor.values);
    }
    bool isCache = bool(step.getArgAttr(index, "attn.cache"));
    auto type = cast<mlir::RankedTensorType>(step.getArgumentTypes()[index]);
    std::vector<int64_t> shape = type.getShape().vec();
    shape[0] = batch;
    if (isCache)
      shape[2] = capacity;
    Tensor tensor(shape);
    if (isCache)
      for (double &value : tensor.value)
        value = 1000;
    return tensor;
  }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::func::FuncOp step;
  std::vector<Tensor> arguments;
};

/// The largest difference between one row of `logits` and `wanted`.
double difference(const std::vector<double> &logits, size_t row,
                  const std::vector<double> &wanted) {
  if (logits.size() < (row + 1) * wanted.size())
    return std::numeric_limits<double>::infinity();
  double largest = 0;
  for (size_t c = 0; c != wanted.size(); ++c) {
    double distance = std::abs(logits[row * wanted.size() + c] - wanted[c]);
    // Not std::max: a NaN must not pass.
    if (!(distance <= largest))
      largest = distance;
  }
  return largest;
}

constexpr double tolerance = 1e-12; // Logits are about 10.

struct Heads {
  int64_t heads, groups;
  bool isTied;
};

TEST(ImportNumbers, StepsMatchTheModelInDouble) {
  for (Heads h : {Heads{3, 1, false}, Heads{4, 2, true}, Heads{2, 2, false}}) {
    SCOPED_TRACE(h.heads * 100 + h.groups);
    SyntheticModel model = exactModel(h.heads, h.groups, h.isTied);
    GraphStepper stepper(model, 1);
    std::vector<int64_t> tokens;
    for (int64_t token : {3, 10, 0, 7}) {
      tokens.push_back(token);
      EXPECT_LT(difference(stepper.run(token), 0, forward(model, tokens)),
                tolerance)
          << "step " << tokens.size();
    }
  }
}

TEST(ImportNumbers, SequencesOfDifferentLengths) {
  SyntheticModel model = exactModel(4, 2, false);
  GraphStepper stepper(model, 2);
  stepper.run({1, 5});
  stepper.run({2, 6});
  // The second sequence starts again; what it wrote before must not count.
  stepper.lengths[1] = 0;
  std::vector<double> logits = stepper.run({3, 8});
  EXPECT_LT(difference(logits, 0, forward(model, {1, 2, 3})), tolerance);
  EXPECT_LT(difference(logits, 1, forward(model, {8})), tolerance);
  logits = stepper.run({4, 9});
  EXPECT_LT(difference(logits, 0, forward(model, {1, 2, 3, 4})), tolerance);
  EXPECT_LT(difference(logits, 1, forward(model, {8, 9})), tolerance);
}

TEST(ImportNumbers, TokenOutsideOfTheVocabulary) {
  SyntheticModel model = exactModel(4, 2, false);
  for (int64_t token : {int64_t(11), int64_t(-1), int64_t(1) << 40}) {
    GraphStepper stepper(model, 2);
    std::vector<double> logits = stepper.run({token, 10});
    ASSERT_EQ(logits.size(), 22u);
    for (int c = 0; c != 11; ++c)
      EXPECT_TRUE(std::isnan(logits[c])) << token;
    EXPECT_LT(difference(logits, 1, forward(model, {10})), tolerance);
  }
}

/// The twin: each part of the model matters, so a graph of another model fails.
TEST(ImportNumbers, AnotherModelIsNoticed) {
  const SyntheticModel model = exactModel(4, 2, false);
  const std::vector<int64_t> tokens = {3, 10, 0};
  std::vector<double> wanted = forward(model, tokens);
  auto differenceOf = [&](const SyntheticModel &other) {
    GraphStepper stepper(other, 1);
    std::vector<double> logits;
    for (int64_t token : tokens)
      logits = stepper.run(token);
    return difference(logits, 0, wanted);
  };
  ASSERT_LT(differenceOf(model), tolerance);
  for (const auto &[name, tensor] : model.tensors) {
    SyntheticModel other = model;
    // The embedding's row of the first token, and any other's first element.
    bool isTable = name == "model.embed_tokens.weight";
    other.tensors[name].values[isTable ? 3 * 16 : 0] += 0.5;
    EXPECT_GT(differenceOf(other), 1e-6) << name;
  }
  for (auto [key, value] :
       {std::pair("rope_theta", 51.0), std::pair("rms_norm_eps", 2.0 / 1024)}) {
    SyntheticModel other = model;
    other.config[key] = value;
    EXPECT_GT(differenceOf(other), 1e-6) << key;
  }
}

} // namespace
