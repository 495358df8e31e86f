//===- ProductLauncher.cpp - Host code around a product ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../DeviceLaunch.h"
#include "ProductKernel.h"
#include "einhead/Target/DeviceCode.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::tensorcores;

/// A part of a tile that has fewer steps is not worth being merged.
static constexpr int64_t leastSteps = 4;

namespace {
/// A number that both sides use: known here, or a parameter of the kernel.
struct Number {
  std::optional<int64_t> constant;
  size_t parameter = 0;
};

struct Strided {
  size_t base = 0;
  SmallVector<std::optional<Number>> strides; ///< by loop
  SmallVector<Value> values;                  ///< the same on the host
};

class ProductLauncher {
public:
  ProductLauncher(const Product &product, const Tile &tile,
                  gpu::GPUModuleOp kernels)
      : product(product), tile(tile), kernels(kernels),
        b(product.op->getLoc(), product.op->getContext()) {}
  void run(StringRef name);

private:
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }
  Value times(Value x, Value y) { return b.createOrFold<arith::MulIOp>(x, y); }
  Value ceilDiv(Value x, int64_t y) {
    return b.createOrFold<arith::CeilDivUIOp>(x, index(y));
  }
  Value count(ArrayRef<unsigned> loops);
  size_t parameter(Value operand);
  Number number(OpFoldResult value, unsigned bits);
  Strided strided(const Matrix &matrix);
  Value isAligned(const Matrix &matrix, const Strided &strided, int64_t bytes);
  void shareOut();
  void launch(StringRef name);
  Value given(hopper::KernelBuilder &kernel, Block *body, const Number &number,
              unsigned bits);
  Addressed addressed(hopper::KernelBuilder &kernel, Block *body,
                      const Strided &strided);
  void buildKernel(StringRef name);

  const Product &product;
  const Tile &tile;
  gpu::GPUModuleOp kernels;
  ImplicitLocOpBuilder b;
  SmallVector<Value> operands, sizes;
  SmallVector<Number> extents;
  Strided x, y, z;
  Number parts, stepsEach, vectors;
  size_t partials = 0, counters = 0;
  Value grid;
};
} // namespace

Value ProductLauncher::count(ArrayRef<unsigned> loops) {
  Value result = index(1);
  for (unsigned loop : loops)
    result = times(result, sizes[loop]);
  return result;
}

size_t ProductLauncher::parameter(Value operand) {
  operands.push_back(operand);
  return operands.size() - 1;
}

Number ProductLauncher::number(OpFoldResult value, unsigned bits) {
  if (std::optional<int64_t> constant = getConstantIntValue(value))
    return {constant, 0};
  return {std::nullopt, parameter(arith::IndexCastOp::create(
                            b, b.getIntegerType(bits), cast<Value>(value)))};
}

Strided ProductLauncher::strided(const Matrix &matrix) {
  Strided result;
  result.base = parameter(pointerTo(b, matrix.memref));
  auto metadata = memref::ExtractStridedMetadataOp::create(b, matrix.memref);
  SmallVector<OpFoldResult> strides = metadata.getConstifiedMixedStrides();
  result.strides.resize(sizes.size());
  result.values.resize(sizes.size());
  for (unsigned i = 0, e = matrix.map.getNumResults(); i < e; ++i) {
    unsigned loop = matrix.map.getDimPosition(i);
    result.strides[loop] = number(strides[i], 64);
    result.values[loop] =
        getValueOrCreateConstantIndexOp(b, b.getLoc(), strides[i]);
  }
  return result;
}

/// Whether runs of `bytes` along the contiguous loop start at multiples of it:
/// the address, all other strides and the extent of the loop are such.
Value ProductLauncher::isAligned(const Matrix &matrix, const Strided &strided,
                                 int64_t bytes) {
  int64_t elementBytes =
      cast<MemRefType>(matrix.memref.getType()).getElementTypeBitWidth() / 8;
  Value bits = addressOf(b, matrix.memref);
  auto include = [&](Value elements) {
    bits = b.createOrFold<arith::OrIOp>(bits,
                                        times(elements, index(elementBytes)));
  };
  for (auto [loop, stride] : llvm::enumerate(strided.values))
    if (stride)
      include(loop == *matrix.contiguous ? sizes[loop] : stride);
  Value rest = b.createOrFold<arith::AndIOp>(bits, index(bytes - 1));
  return b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::eq, rest,
                                       index(0));
}

/// Where there are fewer tiles than places for blocks, several have a part of
/// one tile's sums each.
void ProductLauncher::shareOut() {
  Value tiles = times(times(ceilDiv(count(product.rows), tile.rows),
                            ceilDiv(count(product.columns), tile.columns)),
                      count(product.batch));
  Value steps = ceilDiv(count(product.sums), Tile::sums);
  auto module = kernels->getParentOfType<ModuleOp>();
  Value processors = callHost(b, module, "einhead_host_multiprocessors",
                              b.getIndexType(), ValueRange());
  Value one = index(1);
  Value some = b.createOrFold<arith::MaxUIOp>(tiles, one);
  Value wanted = b.createOrFold<arith::DivUIOp>(
      times(processors, index(tile.blocksEach)), some);
  Value most = b.createOrFold<arith::DivUIOp>(steps, index(leastSteps));
  Value count = b.createOrFold<arith::MaxUIOp>(
      b.createOrFold<arith::MinUIOp>(wanted, most), one);
  Value each = b.createOrFold<arith::CeilDivUIOp>(steps, count);
  each = b.createOrFold<arith::MaxUIOp>(each, one);
  count = b.createOrFold<arith::MaxUIOp>(
      b.createOrFold<arith::CeilDivUIOp>(steps, each), one);
  stepsEach = number(each, 32);
  parts = number(count, 32);
  grid = times(tiles, count);
  Value isCut =
      b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::ugt, count, one);
  Value floats = arith::SelectOp::create(
      b, isCut, times(grid, index(tile.rows * tile.columns)), one);
  auto type = MemRefType::get({ShapedType::kDynamic}, b.getF32Type());
  Value memory = memref::AllocOp::create(b, type, ValueRange{floats});
  partials = parameter(pointerTo(b, memory));
  counters = parameter(callHost(b, module, "einhead_host_zeroed",
                                LLVM::LLVMPointerType::get(b.getContext()),
                                times(some, index(4))));
}

void ProductLauncher::launch(StringRef name) {
  auto symbol =
      SymbolRefAttr::get(b.getContext(), kernels.getSymName(),
                         {FlatSymbolRefAttr::get(b.getContext(), name)});
  Value one = index(1);
  Value bytes = arith::ConstantIntOp::create(b, tile.sharedBytes(), 32);
  gpu::LaunchFuncOp::create(b, symbol, gpu::KernelDim3{grid, one, one},
                            gpu::KernelDim3{index(tile.threads()), one, one},
                            bytes, operands);
}

Value ProductLauncher::given(hopper::KernelBuilder &kernel, Block *body,
                             const Number &number, unsigned bits) {
  if (!number.constant)
    return body->getArgument(number.parameter);
  return bits == 32 ? kernel.i32(*number.constant)
                    : kernel.i64(*number.constant);
}

Addressed ProductLauncher::addressed(hopper::KernelBuilder &kernel, Block *body,
                                     const Strided &strided) {
  Addressed result;
  result.base = body->getArgument(strided.base);
  for (const std::optional<Number> &stride : strided.strides)
    result.strides.push_back(stride ? given(kernel, body, *stride, 64)
                                    : Value());
  return result;
}

void ProductLauncher::buildKernel(StringRef name) {
  OpBuilder::InsertionGuard guard(b);
  LLVM::LLVMFuncOp function =
      createKernel(b, kernels, name, operands, tile.threads(), tile.blocksEach);
  Block *body = &function.getBody().front();
  hopper::KernelBuilder kernel(b, b.getLoc());
  KernelParameters p;
  p.a = addressed(kernel, body, x);
  p.b = addressed(kernel, body, y);
  p.c = addressed(kernel, body, z);
  p.partials = body->getArgument(partials);
  p.counters = body->getArgument(counters);
  for (const Number &extent : extents)
    p.extents.push_back(given(kernel, body, extent, 32));
  p.parts = given(kernel, body, parts, 32);
  p.stepsEach = given(kernel, body, stepsEach, 32);
  p.vectors = given(kernel, body, vectors, 32);
  Value sharedBase = dynamicSharedMemory(b, kernels);
  ProductEmitter(b, b.getLoc(), product, tile, p, sharedBase).run();
  LLVM::ReturnOp::create(b, ValueRange());
}

void ProductLauncher::run(StringRef name) {
  linalg::GenericOp op = product.op, rounding = product.rounding;
  b.setInsertionPoint(rounding ? rounding : op);
  for (Range range : cast<linalg::LinalgOp>(op.getOperation())
                         .createLoopRanges(b, b.getLoc())) {
    extents.push_back(number(range.size, 32));
    sizes.push_back(getValueOrCreateConstantIndexOp(b, b.getLoc(), range.size));
  }
  x = strided(product.a);
  y = strided(product.b);
  z = strided(product.c);
  Value bits = index(0);
  auto addBit = [&](const Matrix &matrix, const Strided &strided, int64_t bytes,
                    int64_t bit) {
    if (!matrix.hasVectors)
      return;
    Value flag = arith::SelectOp::create(b, isAligned(matrix, strided, bytes),
                                         index(bit), index(0));
    bits = b.createOrFold<arith::OrIOp>(bits, flag);
  };
  addBit(product.a, x, 16, 1);
  addBit(product.b, y, 16, 2);
  addBit(product.c, z, product.result().getIntOrFloatBitWidth() / 4, 4);
  vectors = number(bits, 32);
  shareOut();
  launch(name);
  buildKernel(name);
  linalg::FillOp fill = product.fill;
  if (rounding)
    rounding.erase();
  op.erase();
  if (fill)
    fill.erase();
}

void einhead::tensorcores::lowerProduct(const Product &product,
                                        const Tile &tile,
                                        gpu::GPUModuleOp kernels,
                                        StringRef name) {
  ProductLauncher(product, tile, kernels).run(name);
}
