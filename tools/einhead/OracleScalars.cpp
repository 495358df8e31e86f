//===- OracleScalars.cpp - arith and math, one element at a time ----------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OracleOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace mlir;

namespace einhead::tool::oracle {

//===----------------------------------------------------------------------===//
// Floats
//===----------------------------------------------------------------------===//

using Operands = ArrayRef<Number>;
using Unary = Number (*)(Number, reference::Type);
using Binary = Number (*)(Number, Number, reference::Type);

static reference::Type resultType(Operation *op) {
  return storageOf(op->getResult(0).getType());
}

template <Unary function>
static Number unary(Operation *op, Operands operands) {
  return function(operands[0], resultType(op));
}

template <Binary function>
static Number binary(Operation *op, Operands operands) {
  return function(operands[0], operands[1], resultType(op));
}

static Number same(Operation *, Operands operands) { return operands[0]; }

static Number negate(Operation *, Operands operands) {
  return reference::neg(operands[0]);
}

static Number magnitude(Operation *, Operands operands) {
  return reference::abs(operands[0]);
}

static Number maximum(Operation *, Operands operands) {
  return reference::maximum(operands[0], operands[1]);
}

static Number minimum(Operation *, Operands operands) {
  return reference::minimum(operands[0], operands[1]);
}

/// maxnumf and minnumf: a NaN is as if it were not there.
template <Number (*function)(Number, Number)>
static Number ofNumbers(Operation *, Operands operands) {
  if (std::isnan(operands[0].value))
    return operands[1];
  if (std::isnan(operands[1].value))
    return operands[0];
  return function(operands[0], operands[1]);
}

static Number narrow(Operation *op, Operands operands) {
  return reference::store(operands[0], resultType(op));
}

static Number multiplyAdd(Operation *op, Operands operands) {
  Number product =
      reference::mul(operands[0], operands[1], reference::Type::F64);
  return reference::add(product, operands[2], resultType(op));
}

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

/// Integers that are sure; one that depends on rounded numbers is not.
template <typename Function>
static Number ofIntegers(Operands operands, Function function) {
  SmallVector<int64_t, 2> values;
  double bound = 0;
  for (Number operand : operands) {
    values.push_back(static_cast<int64_t>(operand.value));
    if (operand.bound != 0)
      bound = HUGE_VAL;
  }
  return {static_cast<double>(function(ArrayRef<int64_t>(values))), bound};
}

static int64_t divisor(int64_t value) {
  if (value == 0)
    throw std::invalid_argument("division by zero");
  return value;
}

template <typename Function>
static Number integerOp(Operation *, Operands operands) {
  return ofIntegers(operands,
                    [](ArrayRef<int64_t> v) { return Function()(v[0], v[1]); });
}

/// Of the numbers that the operands' bits spell without a sign.
template <typename Function>
static Number unsignedOp(Operation *op, Operands operands) {
  Type element = getElementTypeOrSelf(op->getResult(0).getType());
  unsigned width = element.isIndex() ? 64 : element.getIntOrFloatBitWidth();
  return ofIntegers(operands, [width](ArrayRef<int64_t> v) -> int64_t {
    uint64_t mask = llvm::maskTrailingOnes<uint64_t>(width);
    if (!(v[1] & mask))
      throw std::invalid_argument("division by zero");
    uint64_t result = Function()(v[0] & mask, v[1] & mask);
    return width == 1 ? result : llvm::SignExtend64(result, width);
  });
}

struct Divide {
  int64_t operator()(int64_t x, int64_t y) const { return x / divisor(y); }
};
struct Remainder {
  int64_t operator()(int64_t x, int64_t y) const { return x % divisor(y); }
};
struct DivideFloor {
  int64_t operator()(int64_t x, int64_t y) const {
    return x / divisor(y) - (x % y != 0 && (x < 0) != (y < 0));
  }
};
struct DivideCeil {
  int64_t operator()(int64_t x, int64_t y) const {
    return x / divisor(y) + (x % y != 0 && (x < 0) == (y < 0));
  }
};
struct ShiftLeft {
  int64_t operator()(int64_t x, int64_t y) const {
    return static_cast<int64_t>(static_cast<uint64_t>(x) << (y & 63));
  }
};
struct ShiftRight {
  int64_t operator()(int64_t x, int64_t y) const { return x >> (y & 63); }
};
struct Larger {
  int64_t operator()(int64_t x, int64_t y) const { return std::max(x, y); }
};
struct Smaller {
  int64_t operator()(int64_t x, int64_t y) const { return std::min(x, y); }
};

/// The non-negative number that the bits of an integer type spell.
static double asUnsigned(double value, Type type) {
  Type element = getElementTypeOrSelf(type);
  if (value >= 0 || element.isIndex())
    return value;
  return value + std::ldexp(1.0, element.getIntOrFloatBitWidth());
}

static Number extendUnsigned(Operation *op, Operands operands) {
  return {asUnsigned(operands[0].value, op->getOperand(0).getType()),
          operands[0].bound};
}

/// The low bits, as a signed number.
static Number truncate(Operation *op, Operands operands) {
  Type element = getElementTypeOrSelf(op->getResult(0).getType());
  unsigned width = element.getIntOrFloatBitWidth();
  return ofIntegers(operands, [width](ArrayRef<int64_t> v) -> int64_t {
    if (width == 1)
      return v[0] & 1;
    return llvm::SignExtend64(static_cast<uint64_t>(v[0]), width);
  });
}

/// Between index and integers of any width.
static Number castIndex(Operation *op, Operands operands) {
  bool toIndex = getElementTypeOrSelf(op->getResult(0).getType()).isIndex();
  return toIndex ? operands[0] : truncate(op, operands);
}

static Number castIndexUnsigned(Operation *op, Operands operands) {
  bool toIndex = getElementTypeOrSelf(op->getResult(0).getType()).isIndex();
  return toIndex ? extendUnsigned(op, operands) : truncate(op, operands);
}

static Number toFloat(Operation *op, Operands operands) {
  return {reference::roundTo(operands[0].value, resultType(op)),
          operands[0].bound};
}

static Number toFloatUnsigned(Operation *op, Operands operands) {
  return toFloat(op, extendUnsigned(op, operands));
}

static Number toInteger(Operation *, Operands operands) {
  double value = std::trunc(operands[0].value);
  double low = std::trunc(operands[0].value - operands[0].bound);
  double high = std::trunc(operands[0].value + operands[0].bound);
  return {value, std::max(value - low, high - value)};
}

//===----------------------------------------------------------------------===//
// Comparisons
//===----------------------------------------------------------------------===//

/// 0 or 1; with a bound of 1 where the operands' bounds leave both open.
static Number compareFloats(Operation *op, Operands operands) {
  using P = arith::CmpFPredicate;
  Number x = operands[0], y = operands[1];
  P predicate = cast<arith::CmpFOp>(op).getPredicate();
  bool unordered = std::isnan(x.value) || std::isnan(y.value);
  // The outcomes that a predicate holds for, by its number.
  static_assert(static_cast<uint64_t>(P::OEQ) == 1 &&
                static_cast<uint64_t>(P::OGT) == 2 &&
                static_cast<uint64_t>(P::OLT) == 4 &&
                static_cast<uint64_t>(P::UNO) == 14);
  static const struct {
    bool equal, greater, less, unordered;
  } outcomes[] = {{0, 0, 0, 0}, {1, 0, 0, 0}, {0, 1, 0, 0}, {1, 1, 0, 0},
                  {0, 0, 1, 0}, {1, 0, 1, 0}, {0, 1, 1, 0}, {1, 1, 1, 0},
                  {1, 0, 0, 1}, {0, 1, 0, 1}, {1, 1, 0, 1}, {0, 0, 1, 1},
                  {1, 0, 1, 1}, {0, 1, 1, 1}, {0, 0, 0, 1}, {1, 1, 1, 1}};
  auto outcome = outcomes[static_cast<uint64_t>(predicate)];
  if (unordered)
    return {static_cast<double>(outcome.unordered), 0};
  bool holds = x.value == y.value  ? outcome.equal
               : x.value > y.value ? outcome.greater
                                   : outcome.less;
  double reach = x.bound + y.bound;
  bool open =
      reach > 0 && std::fabs(x.value - y.value) <= reach &&
      !(outcome.equal == outcome.greater && outcome.greater == outcome.less);
  return {static_cast<double>(holds), open ? 1.0 : 0.0};
}

static Number compareIntegers(Operation *op, Operands operands) {
  using P = arith::CmpIPredicate;
  auto compare = cast<arith::CmpIOp>(op);
  P predicate = compare.getPredicate();
  double x = operands[0].value, y = operands[1].value;
  if (predicate >= P::ult) {
    x = asUnsigned(x, compare.getLhs().getType());
    y = asUnsigned(y, compare.getLhs().getType());
  }
  bool holds = false;
  switch (predicate) {
  case P::eq:
    holds = x == y;
    break;
  case P::ne:
    holds = x != y;
    break;
  case P::slt:
  case P::ult:
    holds = x < y;
    break;
  case P::sle:
  case P::ule:
    holds = x <= y;
    break;
  case P::sgt:
  case P::ugt:
    holds = x > y;
    break;
  case P::sge:
  case P::uge:
    holds = x >= y;
    break;
  }
  double reach = operands[0].bound + operands[1].bound;
  return {static_cast<double>(holds), reach > 0 ? 1.0 : 0.0};
}

static Number select(Operation *, Operands operands) {
  Number condition = operands[0], yes = operands[1], no = operands[2];
  Number chosen = condition.value != 0 ? yes : no;
  Number other = condition.value != 0 ? no : yes;
  if (condition.bound == 0)
    return chosen;
  double apart = std::fabs(chosen.value - other.value);
  if (std::isnan(apart)) // two infinities or a NaN
    apart = HUGE_VAL;
  return {chosen.value, std::max(chosen.bound, apart + other.bound)};
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

static void addIntegerOps(llvm::StringMap<ScalarFunction> &table) {
  table["arith.addi"] = integerOp<std::plus<int64_t>>;
  table["arith.subi"] = integerOp<std::minus<int64_t>>;
  table["arith.muli"] = integerOp<std::multiplies<int64_t>>;
  table["arith.divsi"] = integerOp<Divide>;
  table["arith.remsi"] = integerOp<Remainder>;
  table["arith.floordivsi"] = integerOp<DivideFloor>;
  table["arith.ceildivsi"] = integerOp<DivideCeil>;
  table["arith.shli"] = integerOp<ShiftLeft>;
  table["arith.shrsi"] = integerOp<ShiftRight>;
  table["arith.maxsi"] = integerOp<Larger>;
  table["arith.minsi"] = integerOp<Smaller>;
  table["arith.andi"] = integerOp<std::bit_and<int64_t>>;
  table["arith.ori"] = integerOp<std::bit_or<int64_t>>;
  table["arith.xori"] = integerOp<std::bit_xor<int64_t>>;
  table["arith.divui"] = unsignedOp<std::divides<uint64_t>>;
  table["arith.remui"] = unsignedOp<std::modulus<uint64_t>>;
  table["arith.index_cast"] = castIndex;
  table["arith.index_castui"] = castIndexUnsigned;
  table["arith.extsi"] = same;
  table["arith.extui"] = extendUnsigned;
  table["arith.trunci"] = truncate;
  table["arith.sitofp"] = toFloat;
  table["arith.uitofp"] = toFloatUnsigned;
  table["arith.fptosi"] = toInteger;
  table["arith.cmpi"] = compareIntegers;
}

void addScalarOps(llvm::StringMap<ScalarFunction> &table) {
  addIntegerOps(table);
  table["arith.addf"] = binary<reference::add>;
  table["arith.subf"] = binary<reference::sub>;
  table["arith.mulf"] = binary<reference::mul>;
  table["arith.divf"] = binary<reference::div>;
  table["arith.negf"] = negate;
  table["arith.maximumf"] = maximum;
  table["arith.minimumf"] = minimum;
  table["arith.maxnumf"] = ofNumbers<reference::maximum>;
  table["arith.minnumf"] = ofNumbers<reference::minimum>;
  table["arith.extf"] = same;
  table["arith.truncf"] = narrow;
  table["arith.cmpf"] = compareFloats;
  table["arith.select"] = select;
  table["math.exp"] = unary<reference::exp>;
  table["math.exp2"] = unary<reference::exp2>;
  table["math.log"] = unary<reference::log>;
  table["math.sin"] = unary<reference::sin>;
  table["math.cos"] = unary<reference::cos>;
  table["math.sqrt"] = unary<reference::sqrt>;
  table["math.rsqrt"] = unary<reference::rsqrt>;
  table["math.tanh"] = unary<reference::tanh>;
  table["math.absf"] = magnitude;
  table["math.powf"] = binary<reference::pow>;
  table["math.fma"] = multiplyAdd;
}

} // namespace einhead::tool::oracle
