//===- OracleTest.cpp - Functions are interpreted op by op ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OracleTest.h"

#include <cmath>

using namespace einhead;
using namespace einhead::test;
using reference::compare;
using reference::Distribution;

namespace {

TEST_F(Oracle, DecodeStepIsAttention) {
  Tensor q = reference::random({2, 2, 3, 8}, Distribution::Normal, 1);
  Tensor k = reference::random({2, 2, 9, 8}, Distribution::Normal, 2);
  Tensor v = reference::random({2, 2, 9, 8}, Distribution::Normal, 3);
  Tensor row = reference::random({2, 2, 8}, Distribution::Normal, 4);
  Tensor position({2}, {4, 6}), valid({2}, {5, 7});
  const char *unfused = R"(
    func.func @step(%q: tensor<2x2x3x8xf32>, %k: tensor<2x2x?x8xf32>,
        %v: tensor<2x2x?x8xf32>, %row: tensor<2x2x8xf32>,
        %position: tensor<2xi64>, %valid: tensor<2xi64>)
        -> tensor<2x2x3x8xf32> {
      %scale = arith.constant dense<0.5> : tensor<2x2x3x8xf32>
      %k1 = attn.append "bgk -> bgmk"(%row into %k at %position : tensor<2xi64>)
        : tensor<2x2x8xf32> into tensor<2x2x?x8xf32>
      %scaled = arith.mulf %q, %scale : tensor<2x2x3x8xf32>
      %s = attn.einsum "bgrk, bgmk -> bgrm"(%scaled, %k1)
        : (tensor<2x2x3x8xf32>, tensor<2x2x?x8xf32>) -> tensor<2x2x3x?xf32>
      %p = attn.softmax "bgrm" over "m"(%s) valid(%valid : tensor<2xi64>)
        : tensor<2x2x3x?xf32>
      %y = attn.einsum "bgrm, bgmv -> bgrv"(%p, %v)
        : (tensor<2x2x3x?xf32>, tensor<2x2x?x8xf32>) -> tensor<2x2x3x8xf32>
      return %y : tensor<2x2x3x8xf32>
    })";
  const char *fused = R"(
    func.func @step(%q: tensor<2x2x3x8xf32>, %k: tensor<2x2x?x8xf32>,
        %v: tensor<2x2x?x8xf32>, %row: tensor<2x2x8xf32>,
        %position: tensor<2xi64>, %valid: tensor<2xi64>)
        -> tensor<2x2x3x8xf32> {
      %k1 = attn.append "bgk -> bgmk"(%row into %k at %position : tensor<2xi64>)
        : tensor<2x2x8xf32> into tensor<2x2x?x8xf32>
      %init = tensor.empty() : tensor<2x2x3x8xf32>
      %y = attn.attention "bgrk, bgmk, bgmv -> bgrv"
        query(%q : tensor<2x2x3x8xf32>) key(%k1 : tensor<2x2x?x8xf32>)
        value(%v : tensor<2x2x?x8xf32>) scale 0.5
        valid(%valid : tensor<2xi64>)
        outs(%init : tensor<2x2x3x8xf32>) -> tensor<2x2x3x8xf32>
      return %y : tensor<2x2x3x8xf32>
    })";
  std::vector<Tensor> arguments = {q,
                                   reference::padWithNaN(k, {2, 2, 11, 8}),
                                   reference::padWithNaN(v, {2, 2, 11, 8}),
                                   row,
                                   position,
                                   valid};
  Tensor expected = evaluate(unfused, arguments);
  Tensor actual = evaluate(fused, arguments);
  ASSERT_EQ(actual.shape, expected.shape);
  reference::Report report = compare(actual.value, expected);
  EXPECT_TRUE(report.pass) << report.message();
  EXPECT_LT(report.worstRatio, 1e-6); // both are in double
  EXPECT_EQ(report.unbounded, 0);
  // A wrong length is refused.
  arguments[5].value[1] = 6;
  EXPECT_FALSE(compare(evaluate(fused, arguments).value, expected).pass);
}

TEST_F(Oracle, MaskIsAUnionOfSetsWithSymbols) {
  const char *text = R"(
    #diagonal = affine_set<(n, m)[p] : (p + n - m == 0)>
    #fourth = affine_set<(n, m)[p] : (m mod 4 - 3 >= 0)>
    func.func @f(%s: tensor<2x5xf32>, %p: index) -> tensor<2x5xf32> {
      %y = attn.softmax "nm" over "m"(%s)
        mask #attn.mask<"nm", #diagonal, #fourth>(%p)
        : tensor<2x5xf32>
      return %y : tensor<2x5xf32>
    })";
  EXPECT_EQ(evaluate(text, {Tensor({2, 5}), scalar(1)}).value,
            (Values{0, 0.5, 0, 0.5, 0, 0, 0, 0.5, 0.5, 0}));
}

TEST_F(Oracle, AttentionMaskWithOffsetsAndBias) {
  const char *text = R"(
    #causal = affine_set<(n, m) : (n - m >= 0)>
    func.func @f(%q: tensor<2x1xf32>, %v: tensor<4x1xf32>,
                 %bias: tensor<2x4xf32>, %o: index) -> tensor<2x1xf32> {
      %init = tensor.empty() : tensor<2x1xf32>
      %y = attn.attention "nk, mk, mv -> nv"
        query(%q : tensor<2x1xf32>) key(%v : tensor<4x1xf32>)
        value(%v : tensor<4x1xf32>) scale 1.0
        bias "nm"(%bias : tensor<2x4xf32>)
        mask #attn.mask<"nm", #causal>()
        offsets "n"(%o)
        outs(%init : tensor<2x1xf32>) -> tensor<2x1xf32>
      return %y : tensor<2x1xf32>
    })";
  double three = std::log(3.0);
  Tensor bias({2, 4}, {0, three, 9, 9, 0, 0, 0, 9});
  Tensor y = evaluate(
      text, {Tensor({2, 1}), Tensor({4, 1}, {4, 8, 3, 0}), bias, scalar(1)});
  EXPECT_NEAR(y.at({0, 0}), 7, 1e-12);
  EXPECT_NEAR(y.at({1, 0}), 5, 1e-12);
}

TEST_F(Oracle, EinsumTypes) {
  const char *text = R"(
    func.func @f(%a: tensor<3xf64>) -> (tensor<3xf32>, tensor<f64>) {
      %x = attn.einsum "i -> i"(%a) : (tensor<3xf64>) -> tensor<3xf32>
      %y = attn.einsum "i -> "(%a) : (tensor<3xf64>) -> tensor<f64>
      return %x, %y : tensor<3xf32>, tensor<f64>
    })";
  auto results = tryEvaluate(text, {Tensor({3}, {0.1, 0.2, 0.3})});
  ASSERT_TRUE(static_cast<bool>(results));
  EXPECT_GT((*results)[0].bound[0], 0.1 * std::ldexp(1, -25));
  EXPECT_LT((*results)[1].bound[0], 1e-14);
}

TEST_F(Oracle, GenericWithIndicesAndGather) {
  const char *text = R"(
    #b = affine_map<(b, d) -> (b)>
    #bd = affine_map<(b, d) -> (b, d)>
    func.func @embed(%token: tensor<?xi64>, %table: tensor<4x2xbf16>)
        -> tensor<?x2xf32> {
      %zero = arith.constant 0 : index
      %batch = tensor.dim %token, %zero : tensor<?xi64>
      %empty = tensor.empty(%batch) : tensor<?x2xf32>
      %x = linalg.generic {indexing_maps = [#b, #bd],
          iterator_types = ["parallel", "parallel"]}
          ins(%token : tensor<?xi64>) outs(%empty : tensor<?x2xf32>) {
      ^bb0(%t: i64, %out: f32):
        %row = arith.index_cast %t : i64 to index
        %column = linalg.index 1 : index
        %value = tensor.extract %table[%row, %column] : tensor<4x2xbf16>
        %wide = arith.extf %value : bf16 to f32
        linalg.yield %wide : f32
      } -> tensor<?x2xf32>
      return %x : tensor<?x2xf32>
    })";
  Tensor table({4, 2}, {0, 1, 2, 3, 4, 5, 6, 7});
  Tensor x = evaluate(text, {Tensor({3}, {2, 0, 3}), table});
  EXPECT_EQ(x.shape, (Shape{3, 2}));
  EXPECT_EQ(x.value, (Values{4, 5, 0, 1, 6, 7}));
  EXPECT_EQ(x.bound, Values(6, 0));
}

TEST_F(Oracle, UnsignedAndNarrowIntegers) {
  const char *text = R"(
    func.func @f(%x: tensor<3xi8>, %y: tensor<3xi8>, %z: tensor<3xindex>)
        -> (tensor<3xi8>, tensor<3xi8>, tensor<3xindex>, tensor<3xindex>) {
      %q = arith.divui %x, %y : tensor<3xi8>
      %r = arith.remui %x, %y : tensor<3xi8>
      %n = arith.index_cast %z : tensor<3xindex> to tensor<3xi2>
      %s = arith.index_cast %n : tensor<3xi2> to tensor<3xindex>
      %u = arith.index_castui %n : tensor<3xi2> to tensor<3xindex>
      return %q, %r, %s, %u
        : tensor<3xi8>, tensor<3xi8>, tensor<3xindex>, tensor<3xindex>
    })";
  Tensor x({3}, {-1, 100, -128}), y({3}, {1, 7, -1}), z({3}, {1, 5, 6});
  auto results = tryEvaluate(text, {x, y, z});
  ASSERT_TRUE(static_cast<bool>(results))
      << llvm::toString(results.takeError());
  EXPECT_EQ((*results)[0].value, (Values{-1, 14, 0})); // 255 / 1, 128 / 255
  EXPECT_EQ((*results)[1].value, (Values{0, 2, -128}));
  EXPECT_EQ((*results)[2].value, (Values{1, 1, -2}));
  EXPECT_EQ((*results)[3].value, (Values{1, 1, 2}));
  y.value[1] = 0;
  EXPECT_NE(errorOf(text, {x, y, z}).find("division by zero"),
            std::string::npos);
}

TEST_F(Oracle, GenericReductions) {
  const char *text = R"(
    #in = affine_map<(i, j) -> (i, j)>
    #out = affine_map<(i, j) -> (i)>
    func.func @f(%a: tensor<2x3xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
      %zero = arith.constant 0.0 : f32
      %low = arith.constant 0xFF800000 : f32
      %empty = tensor.empty() : tensor<2xf32>
      %s = linalg.fill ins(%zero : f32) outs(%empty : tensor<2xf32>)
        -> tensor<2xf32>
      %m = linalg.fill ins(%low : f32) outs(%empty : tensor<2xf32>)
        -> tensor<2xf32>
      %sum, %max = linalg.generic {indexing_maps = [#in, #out, #out],
          iterator_types = ["parallel", "reduction"]}
          ins(%a : tensor<2x3xf32>)
          outs(%s, %m : tensor<2xf32>, tensor<2xf32>) {
      ^bb0(%x: f32, %s0: f32, %m0: f32):
        %e = math.exp %x : f32
        %s1 = arith.addf %s0, %e : f32
        %m1 = arith.maximumf %m0, %x : f32
        linalg.yield %s1, %m1 : f32, f32
      } -> (tensor<2xf32>, tensor<2xf32>)
      return %sum, %max : tensor<2xf32>, tensor<2xf32>
    })";
  auto results = tryEvaluate(text, {Tensor({2, 3}, {0, 1, 2, -1, -5, -2})});
  ASSERT_TRUE(static_cast<bool>(results))
      << llvm::toString(results.takeError());
  EXPECT_NEAR((*results)[0].value[0], 1 + std::exp(1) + std::exp(2), 1e-12);
  EXPECT_GT((*results)[0].bound[0], 0);
  EXPECT_LT((*results)[0].bound[0], 2e-5);
  EXPECT_EQ((*results)[1].value, (Values{2, -1}));
  EXPECT_EQ((*results)[1].bound, (Values{0, 0}));
}

TEST_F(Oracle, TransposeAndBroadcast) {
  const char *text = R"(
    func.func @f(%a: tensor<2x3xf32>) -> tensor<3x2x2xf32> {
      %e0 = tensor.empty() : tensor<3x2xf32>
      %t = linalg.transpose ins(%a : tensor<2x3xf32>)
        outs(%e0 : tensor<3x2xf32>) permutation = [1, 0]
      %e1 = tensor.empty() : tensor<3x2x2xf32>
      %b = linalg.broadcast ins(%t : tensor<3x2xf32>)
        outs(%e1 : tensor<3x2x2xf32>) dimensions = [2]
      return %b : tensor<3x2x2xf32>
    })";
  EXPECT_EQ(evaluate(text, {Tensor({2, 3}, {1, 2, 3, 4, 5, 6})}).value,
            (Values{1, 1, 4, 4, 2, 2, 5, 5, 3, 3, 6, 6}));
}

TEST_F(Oracle, Reshapes) {
  const char *text = R"(
    func.func @f(%a: tensor<?x6xf32>) -> (tensor<?x2x3xf32>, tensor<?xf32>) {
      %zero = arith.constant 0 : index
      %n = tensor.dim %a, %zero : tensor<?x6xf32>
      %x = tensor.expand_shape %a [[0], [1, 2]] output_shape [%n, 2, 3]
        : tensor<?x6xf32> into tensor<?x2x3xf32>
      %y = tensor.collapse_shape %x [[0, 1, 2]]
        : tensor<?x2x3xf32> into tensor<?xf32>
      return %x, %y : tensor<?x2x3xf32>, tensor<?xf32>
    })";
  auto results = tryEvaluate(text, {Tensor({2, 6})});
  ASSERT_TRUE(static_cast<bool>(results))
      << llvm::toString(results.takeError());
  EXPECT_EQ((*results)[0].shape, (Shape{2, 2, 3}));
  EXPECT_EQ((*results)[1].shape, (Shape{12}));
}

TEST_F(Oracle, Slices) {
  const char *text = R"(
    func.func @f(%a: tensor<3x4xf32>, %i: index) -> tensor<?x4xf32> {
      %row = tensor.extract_slice %a[%i, 0] [1, 4] [1, 1]
        : tensor<3x4xf32> to tensor<4xf32>
      %even = tensor.extract_slice %a[0, 0] [2, 2] [1, 2]
        : tensor<3x4xf32> to tensor<2x2xf32>
      %b = tensor.insert_slice %row into %a[0, 0] [1, 4] [1, 1]
        : tensor<4xf32> into tensor<3x4xf32>
      %c = tensor.insert_slice %even into %b[1, 2] [2, 2] [1, 1]
        : tensor<2x2xf32> into tensor<3x4xf32>
      %d = tensor.concat dim(0) %c, %a
        : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<6x4xf32>
      %e = tensor.cast %d : tensor<6x4xf32> to tensor<?x4xf32>
      return %e : tensor<?x4xf32>
    })";
  Values a = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  Tensor e = evaluate(text, {Tensor({3, 4}, a), scalar(2)});
  Values expected = {8, 9, 10, 11, 4, 5, 0, 2, 8, 9, 4, 6};
  expected.insert(expected.end(), a.begin(), a.end());
  EXPECT_EQ(e.value, expected);
}

TEST_F(Oracle, ScalarsSplatAndElements) {
  const char *text = R"(
    func.func @f(%i: i64, %x: f32) -> (tensor<3xf32>, tensor<2xf32>, i1) {
      %c = arith.constant 3 : i64
      %j = arith.muli %i, %c : i64
      %y = arith.sitofp %j : i64 to f32
      %less = arith.cmpf olt, %x, %y : f32
      %z = arith.select %less, %x, %y : f32
      %splat = tensor.splat %z : tensor<3xf32>
      %elements = tensor.from_elements %x, %y : tensor<2xf32>
      return %splat, %elements, %less : tensor<3xf32>, tensor<2xf32>, i1
    })";
  auto results = tryEvaluate(text, {scalar(2), scalar(1.5)});
  ASSERT_TRUE(static_cast<bool>(results))
      << llvm::toString(results.takeError());
  EXPECT_EQ((*results)[0].value, (Values{1.5, 1.5, 1.5}));
  EXPECT_EQ((*results)[1].value, (Values{1.5, 6}));
  EXPECT_EQ((*results)[2].value, (Values{1}));
}

TEST_F(Oracle, Comparisons) {
  const char *text = R"(
    func.func @f(%x: f32, %y: f32, %i: i8, %j: i8) -> tensor<6xi1> {
      %0 = arith.cmpf uge, %x, %y : f32
      %1 = arith.cmpf one, %x, %y : f32
      %2 = arith.cmpf uno, %x, %y : f32
      %3 = arith.cmpi slt, %i, %j : i8
      %4 = arith.cmpi ult, %i, %j : i8
      %true = arith.constant true
      %t = tensor.from_elements %0, %1, %2, %3, %4, %true : tensor<6xi1>
      return %t : tensor<6xi1>
    })";
  EXPECT_EQ(evaluate(text, {scalar(1), scalar(2), scalar(-1), scalar(1)}).value,
            (Values{0, 1, 0, 1, 0, 1}));
  EXPECT_EQ(
      evaluate(text, {scalar(NAN), scalar(2), scalar(1), scalar(2)}).value,
      (Values{1, 0, 1, 1, 1, 1}));
}

TEST_F(Oracle, NarrowTypesRoundIntoTheBound) {
  const char *text = R"(
    func.func @f(%x: tensor<1xbf16>) -> tensor<1xbf16> {
      %y = arith.mulf %x, %x : tensor<1xbf16>
      return %y : tensor<1xbf16>
    })";
  Tensor y = evaluate(text, {Tensor({1}, {1.0078125})});
  EXPECT_EQ(y.value[0], 1.0078125 * 1.0078125);
  EXPECT_NEAR(y.bound[0], y.value[0] / 256, 1e-9);
}

TEST_F(Oracle, UnwrittenElementsAreNaN) {
  const char *text = R"(
    func.func @f() -> tensor<2xf32> {
      %y = tensor.empty() : tensor<2xf32>
      return %y : tensor<2xf32>
    })";
  EXPECT_TRUE(std::isnan(evaluate(text, {}).value[0]));
}

TEST_F(Oracle, DeepGraphsGetLikelyBounds) {
  std::string text = "func.func @f(%w: tensor<64x64xf32>, %x0: tensor<64xf32>)"
                     " -> tensor<64xf32> {\n";
  int layers = 16;
  for (int i = 0; i < layers; ++i)
    text += "%x" + std::to_string(i + 1) +
            " = attn.einsum \"ij, j -> i\"(%w, %x" + std::to_string(i) +
            ") : (tensor<64x64xf32>, tensor<64xf32>) -> tensor<64xf32>\n";
  text += "return %x" + std::to_string(layers) + " : tensor<64xf32> }";
  Tensor y =
      evaluate(text, {reference::random({64, 64}, Distribution::Normal, 1),
                      reference::random({64}, Distribution::Normal, 2)});
  for (int64_t i = 0; i < y.size(); ++i)
    EXPECT_LT(y.bound[i], 1e-2 * std::pow(8, layers));
  EXPECT_GT(y.bound[0], 0);
}

TEST_F(Oracle, NamesTheOpItDoesNotKnow) {
  const char *text = R"(func.func @f(%x: f32) -> f32 {
    %y = math.erf %x : f32
    return %y : f32
  })";
  std::string error = errorOf(text, {scalar(1)});
  EXPECT_NE(error.find("math.erf"), std::string::npos) << error;
  EXPECT_NE(error.find("test\":2:10"), std::string::npos) << error;
}

TEST_F(Oracle, RefusesWrongArguments) {
  const char *text = R"(func.func @f(%x: tensor<2xf32>) -> tensor<2xf32> {
    return %x : tensor<2xf32>
  })";
  EXPECT_NE(errorOf(text, {}).find("takes 1 arguments, got 0"),
            std::string::npos);
  EXPECT_NE(errorOf(text, {Tensor({3})}).find("argument 0"), std::string::npos);
}

TEST_F(Oracle, ErrorsInsideLoopsAndOutOfRange) {
  const char *text = R"(
    #map = affine_map<(i) -> (i)>
    func.func @f(%x: tensor<2xf32>) -> tensor<2xf32> {
      %y = linalg.generic {indexing_maps = [#map],
          iterator_types = ["parallel"]} outs(%x : tensor<2xf32>) {
      ^bb0(%out: f32):
        %i = linalg.index 0 : index
        %c = arith.constant 1 : index
        %j = arith.addi %i, %c : index
        %v = tensor.extract %x[%j] : tensor<2xf32>
        linalg.yield %v : f32
      } -> tensor<2xf32>
      return %y : tensor<2xf32>
    })";
  std::string error = errorOf(text, {Tensor({2})});
  EXPECT_NE(error.find("tensor.extract"), std::string::npos) << error;
  EXPECT_NE(error.find("out of range"), std::string::npos) << error;
}

} // namespace
