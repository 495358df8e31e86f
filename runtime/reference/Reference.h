//===- Reference.h - Attention in double, with error bounds -----*- C++ -*-===//
//-*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What compiled code is judged by: naive fp64 loops that share no code with
/// the compiler.  Every result carries, for each element, a bound on the error
/// of an implementation that stores and accumulates in the result's type (f32
/// for 16-bit results).  A result within its bound passes, another one fails;
/// there are no tolerances.
///
/// Malformed arguments throw std::invalid_argument.
///
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_REFERENCE_REFERENCE_H
#define EINHEAD_REFERENCE_REFERENCE_H

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace einhead::reference {

//===----------------------------------------------------------------------===//
// Types and tensors
//===----------------------------------------------------------------------===//

/// The type that an implementation stores elements in.
enum class Type { F64, F32, F16, BF16, F8E4M3 };

/// Largest relative error of one rounding to `type`: 2^-53, 2^-24, 2^-11, 2^-8,
/// 2^-4.
double unitRoundoff(Type type);
/// Smallest positive (subnormal) number of `type`.
double smallestPositive(Type type);
/// Largest finite number of `type`.
double largestFinite(Type type);
/// `x` rounded to `type`, to nearest even, with subnormals and overflow: to
/// infinity, of f8E4M3FN, which has none, to its largest number.
double roundTo(double x, Type type);

/// Row-major elements, and how far each may be off (0 for exact inputs).
struct Tensor {
  std::vector<int64_t> shape;
  std::vector<double> value;
  std::vector<double> bound;

  /// One zero.
  Tensor() : Tensor(std::vector<int64_t>{}) {}
  /// Zeros, exact.
  explicit Tensor(std::vector<int64_t> shape);
  /// The given elements, exact.
  Tensor(std::vector<int64_t> shape, std::vector<double> value);

  int64_t rank() const { return static_cast<int64_t>(shape.size()); }
  int64_t size() const { return static_cast<int64_t>(value.size()); }
  /// Position of a multi-index in `value` and `bound`.
  int64_t offset(const std::vector<int64_t> &index) const;
  double &at(const std::vector<int64_t> &index) { return value[offset(index)]; }
  double at(const std::vector<int64_t> &index) const {
    return value[offset(index)];
  }
};

/// Number of elements of a shape.
int64_t elementCount(const std::vector<int64_t> &shape);

/// One element with its bound.
struct Number {
  double value = 0;
  double bound = 0;
};

/// `x` as a result of type `type`: adds the rounding error of the store.  A
/// value past the largest finite number becomes infinite; one that may or may
/// not get there has an infinite bound.
Number store(Number x, Type type);
/// Same for each element.
Tensor store(Tensor x, Type type);

//===----------------------------------------------------------------------===//
// Elementwise arithmetic: one operation of type `type` with its rounding, on
// operands that are off by their bounds.
//===----------------------------------------------------------------------===//

Number add(Number x, Number y, Type type = Type::F32);
Number sub(Number x, Number y, Type type = Type::F32);
Number mul(Number x, Number y, Type type = Type::F32);
Number div(Number x, Number y, Type type = Type::F32);
Number neg(Number x);
Number abs(Number x);
/// NaN if an operand is NaN.
Number maximum(Number x, Number y);
Number minimum(Number x, Number y);
Number exp(Number x, Type type = Type::F32);
Number exp2(Number x, Type type = Type::F32);
Number log(Number x, Type type = Type::F32);
Number sqrt(Number x, Type type = Type::F32);
Number rsqrt(Number x, Type type = Type::F32);
Number sin(Number x, Type type = Type::F32);
Number cos(Number x, Type type = Type::F32);
Number tanh(Number x, Type type = Type::F32);
Number pow(Number x, Number y, Type type = Type::F32);

/// Applies a scalar function to each element.
Tensor map(const Tensor &x, const std::function<Number(Number)> &function);
/// Same for pairs of elements of equal shapes.
Tensor map(const Tensor &x, const Tensor &y,
           const std::function<Number(Number, Number)> &function);

//===----------------------------------------------------------------------===//
// The ops
//===----------------------------------------------------------------------===//

/// "ab, bc -> ac", taken apart.
struct Spec {
  std::vector<std::string> inputs;
  std::string output;

  static Spec parse(const std::string &text);
};

struct EinsumOptions {
  Type output = Type::F32;
  /// Promises that sums are taken in blocks of that many terms, which sharpens
  /// the bound; with 0 any order is allowed.
  int64_t sumBlock = 0;
  /// Whether an exact 0 makes a product 0 whatever it meets.  So count the
  /// weights of what does not attend: it may be NaN.
  bool zerosAbsorb = false;
  /// Takes errors for independent, so that those of a sum add up as the root of
  /// their squares.  Likely, not certain; but in a deep graph the certain bound
  /// grows by sum |w x| / |sum w x| with each product and soon says nothing.
  bool independentErrors = false;
};

/// sum over the letters that the output lacks of the product of the operands.
Tensor einsum(const std::string &spec, const std::vector<Tensor> &operands,
              const EinsumOptions &options = {});

/// The points that attend: a predicate over the coordinates of `letters`.
/// Without a predicate all do.
struct Mask {
  std::string letters;
  std::function<bool(const std::vector<int64_t> &)> holds;
};

/// Number of valid keys: none given (all), one for all sequences, or one for
/// each sequence, by the first letter.
using Lengths = std::vector<int64_t>;

/// One more score in each row's sum, without a value.
struct Sink {
  std::string letters;
  std::optional<Tensor> scores;
};

/// Softmax over the letter `over` of what is valid and inside the mask; the
/// others are 0, and a row with none is 0 throughout.
Tensor softmax(const Tensor &input, const std::string &letters, char over,
               const Lengths &valid = {}, const Mask &mask = {},
               Type output = Type::F32, const Sink &sink = {});

/// The cache with `rows` written at `position` of the letter that only the
/// cache has; "bhk -> bhmk" writes one row, "bhnk -> bhmk" as many as n has.
/// `position` is one number or one for each sequence.
Tensor append(const std::string &spec, const Tensor &rows, const Tensor &cache,
              const std::vector<int64_t> &position);

/// Which blocks of `size` keys attend, for each index of `letters`: the last
/// dimension of `lists` is the list, in which a negative entry is none.  All
/// keys attend where the size is 0.
struct Blocks {
  std::string letters;
  Tensor lists;
  int64_t size = 0;
};

/// The score that counts, from the scaled score and the indices of the score
/// letters: the output's without the value letters, then the key letters.  Its
/// bound is that of arithmetic as the implementation does it.
using ScoreFunction =
    std::function<Number(Number, const std::vector<int64_t> &)>;

struct AttentionOptions {
  double scale = 1;
  /// What the rows of key and value are multiplied by, one number each: over
  /// the letters of the key without the depth letters, and of the value without
  /// the value letters.
  std::optional<Tensor> keyScale, valueScale;
  /// What becomes of a scaled score before the bias is added; none: itself.
  ScoreFunction score;
  /// Whether `bias`, of letters `biasLetters`, is added to the scaled scores.
  bool hasBias = false;
  Tensor bias;
  std::string biasLetters;
  Lengths valid;
  Mask mask;
  Blocks blocks;
  Sink sink;
  /// Where the tensors start in the letters that the mask, `valid`, `score` and
  /// the blocks look at.
  std::string offsetLetters;
  std::vector<int64_t> offsets;
  /// How the implementation stores the result, and the weights before they
  /// meet the values.
  Type output = Type::F32;
  Type weights = Type::F32;
  /// Takes the roundings of the weights for independent (EinsumOptions).
  bool independentErrors = false;
  /// Keys that the implementation sums before it joins two sums, and the
  /// number of independent parts it merges at the end.
  int64_t keysPerBlock = 64;
  int64_t splits = 1;
};

struct AttentionResult {
  Tensor output;
  /// By the output's letters without the value letters, the sink included;
  /// -inf for a row without either (whose output is 0).
  Tensor logSumExp;
};

/// softmax(score(scale * query . key) + bias) . value, by the letters' roles.
/// A score of -inf does not attend.
AttentionResult attention(const std::string &spec, const Tensor &query,
                          const Tensor &key, const Tensor &value,
                          const AttentionOptions &options = {});

/// Joins the states of splits, which have one more, leading dimension: the
/// largest scores in units of log2, the sums of exp2(score - max), and those
/// sums weighted with the values.  "bgr, bgrv -> bgrv": the letters of a max
/// and of an accumulator.
AttentionResult merge(const std::string &spec, const Tensor &max,
                      const Tensor &sum, const Tensor &accumulator,
                      Type output = Type::F32);

//===----------------------------------------------------------------------===//
// The checker
//===----------------------------------------------------------------------===//

struct Report {
  bool pass = true;
  /// Largest error / bound (infinite for an error where none is allowed), and
  /// where it is.
  double worstRatio = 0;
  std::vector<int64_t> index;
  double got = 0;
  double expected = 0;
  double bound = 0;
  /// Elements that failed, and elements whose bound is infinite: of these
  /// nothing is known.
  int64_t failures = 0;
  int64_t unbounded = 0;

  /// "pass, worst 0.031 of the bound at [0, 3]: got .., expected .. +- .."
  std::string message() const;
};

/// NaN must meet NaN and an infinity the same infinity; anything else must be
/// within its bound, which is exact where the bound is 0.
Report compare(const std::vector<float> &actual, const Tensor &expected);
Report compare(const std::vector<double> &actual, const Tensor &expected);

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

enum class Distribution {
  Normal,        ///< mean 0, deviation 1
  Uniform,       ///< -1 to 1
  Outliers,      ///< normal, one in a thousand times 100
  SmallIntegers, ///< -3 to 3
  Signs,         ///< -1 or 1
  Large,         ///< normal times 30
  Zero,
};

/// Elements that depend on nothing but the arguments, rounded to `type`.
Tensor random(const std::vector<int64_t> &shape, Distribution distribution,
              uint64_t seed, Type type = Type::F32);

/// `x` in the low corner of a tensor of the larger `shape`; NaN elsewhere.
Tensor padWithNaN(const Tensor &x, const std::vector<int64_t> &shape);

std::vector<float> toFloats(const Tensor &x);

/// Bits of the nearest 16-bit number, ties to even, and back.
uint16_t toBF16(double x);
double fromBF16(uint16_t bits);
uint16_t toF16(double x);
double fromF16(uint16_t bits);
/// The same of f8E4M3FN, which has no infinity: what is larger than 448
/// becomes 448.
uint8_t toE4M3(double x);
double fromE4M3(uint8_t bits);

} // namespace einhead::reference

#endif // EINHEAD_REFERENCE_REFERENCE_H
