//===- Product.cpp - Which contractions tensor cores take -------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Product.h"
#include "../BufferRoots.h"
#include "../Contraction.h"
#include "../LinalgKernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::tensorcores;

/// Fewer sums than one instruction has are mostly padding.
static constexpr int64_t leastSums = 16;

static Type elementOf(Value memref) {
  return cast<MemRefType>(memref.getType()).getElementType();
}

Type Product::element() const { return elementOf(a.memref); }
Type Product::result() const { return elementOf(c.memref); }

std::optional<int64_t> Product::count(ArrayRef<unsigned> loops) const {
  SmallVector<int64_t> extents =
      const_cast<linalg::GenericOp &>(op).getStaticLoopRanges();
  int64_t product = 1;
  for (unsigned loop : loops) {
    if (ShapedType::isDynamic(extents[loop]))
      return std::nullopt;
    product *= extents[loop];
  }
  return product;
}

static Matrix matrixOf(Value memref, AffineMap map) {
  Matrix result;
  result.memref = memref;
  result.map = map;
  SmallVector<int64_t> strides;
  int64_t offset = 0;
  auto type = cast<MemRefType>(memref.getType());
  if (succeeded(type.getStridesAndOffset(strides, offset)) &&
      strides.back() == 1)
    result.contiguous = map.getDimPosition(map.getNumResults() - 1);
  return result;
}

/// The loops of the map, in the order of the dimensions, that are in `wanted`.
static SmallVector<unsigned> ordered(AffineMap map, ArrayRef<unsigned> wanted) {
  SmallVector<unsigned> loops;
  for (unsigned i = 0, e = map.getNumResults(); i < e; ++i)
    if (llvm::is_contained(wanted, map.getDimPosition(i)))
      loops.push_back(map.getDimPosition(i));
  return loops;
}

static void moveLast(SmallVectorImpl<unsigned> &loops, unsigned loop) {
  loops.erase(llvm::find(loops, loop));
  loops.push_back(loop);
}

bool Product::assignRoles(std::string &why) {
  for (unsigned loop = 0, e = op.getNumLoops(); loop < e; ++loop) {
    bool inA = a.map.isFunctionOfDim(loop), inB = b.map.isFunctionOfDim(loop);
    bool inC = c.map.isFunctionOfDim(loop);
    if (!inC && !(inA && inB)) {
      why = "a letter of one operand alone is summed";
      return false;
    }
    if (!inA && !inB) {
      why = "a letter of the result is in no operand";
      return false;
    }
    (!inC ? sums : !inA ? columns : !inB ? rows : batch).push_back(loop);
  }
  if (sums.empty()) {
    why = "nothing is summed";
    return false;
  }
  // Columns are what is neighbours in C.
  bool isTurned = columns.empty() ||
                  (c.contiguous && llvm::is_contained(rows, *c.contiguous));
  if (isTurned) {
    std::swap(a, b);
    std::swap(rows, columns);
  }
  if (columns.empty()) {
    why = "each result is a sum of its own: no letter is in one operand alone";
    return false;
  }
  if (std::optional<int64_t> known = count(sums); known && *known < leastSums) {
    why = "fewer than " + std::to_string(leastSums) + " products are summed";
    return false;
  }
  return true;
}

/// The last loop of each role is one along which memory can be read 16 bytes
/// at a time, where there is one.
void Product::orderLoops() {
  rows = ordered(c.map, rows);
  columns = ordered(c.map, columns);
  batch = ordered(c.map, batch);
  sums = ordered(a.map, sums);
  auto prefer = [](const Matrix &matrix, SmallVectorImpl<unsigned> &loops) {
    bool isIn =
        matrix.contiguous && llvm::is_contained(loops, *matrix.contiguous);
    if (isIn)
      moveLast(loops, *matrix.contiguous);
    return isIn;
  };
  a.isLineMajor = prefer(a, rows);
  b.isLineMajor = prefer(b, columns);
  prefer(a, sums);
  prefer(b, sums); // the weights, if one
  auto hasVectors = [&](const Matrix &matrix, ArrayRef<unsigned> lines) {
    ArrayRef<unsigned> loops = matrix.isLineMajor ? lines : ArrayRef(sums);
    return !loops.empty() && matrix.contiguous == loops.back();
  };
  a.hasVectors = hasVectors(a, rows);
  b.hasVectors = hasVectors(b, columns);
  c.hasVectors = c.contiguous == columns.back();
}

/// Whether the op rounds each element of one buffer to another type, and
/// nothing else.
static bool isRounding(linalg::GenericOp op) {
  if (op.getNumDpsInputs() != 1 || op.getNumDpsInits() != 1 ||
      op.getNumReductionLoops() != 0 ||
      !llvm::all_of(op.getIndexingMapsArray(),
                    [](AffineMap map) { return map.isIdentity(); }))
    return false;
  Value result = op.getBlock()->getTerminator()->getOperand(0);
  auto rounded = result.getDefiningOp<arith::TruncFOp>();
  return rounded && rounded.getIn() == op.getBlock()->getArgument(0);
}

/// The sums are only there to be rounded: an allocation that nobody else reads.
void Product::findRounding() {
  if (!c.memref.getDefiningOp<memref::AllocOp>())
    return;
  linalg::GenericOp found;
  for (Operation *user : c.memref.getUsers()) {
    if (user == op || user == fill || isa<memref::DeallocOp>(user))
      continue;
    auto generic = dyn_cast<linalg::GenericOp>(user);
    if (found || !generic || generic->getBlock() != op->getBlock() ||
        !op->isBeforeInBlock(generic) || !isRounding(generic) ||
        generic.getDpsInputs()[0] != c.memref)
      return;
    found = generic;
  }
  if (!found || !(elementOf(found.getDpsInits()[0]).isBF16() ||
                  elementOf(found.getDpsInits()[0]).isF16()))
    return;
  // The kernel runs where the rounding is: until then its operands must stay.
  Value roots[] = {bufferRoot(a.memref), bufferRoot(b.memref)};
  for (Operation *between = op->getNextNode(); between != found;
       between = between->getNextNode())
    for (Value operand : between->getOperands())
      if (isa<MemRefType>(operand.getType()) && !isPure(between))
        if (Value root = bufferRoot(operand);
            !root || llvm::is_contained(roots, root))
          return;
  rounding = found;
  Matrix rounded = matrixOf(found.getDpsInits()[0], c.map);
  c.memref = rounded.memref;
  c.contiguous = rounded.contiguous;
}

std::optional<Product> Product::match(linalg::GenericOp op, std::string &why) {
  Product product;
  product.op = op;
  if (!op.hasPureBufferSemantics() || !isSumOfProducts(op) ||
      !llvm::all_of(op.getIndexingMapsArray(), [](AffineMap map) {
        return map.isProjectedPermutation() && map.getNumResults() > 0;
      })) {
    why = "it is no sum of products of two buffers";
    return std::nullopt;
  }
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  product.a = matrixOf(op.getDpsInputs()[0], maps[0]);
  product.b = matrixOf(op.getDpsInputs()[1], maps[1]);
  product.c = matrixOf(op.getDpsInits()[0], maps[2]);
  Type element = product.element();
  if (!(element.isBF16() || element.isF16()) ||
      elementOf(product.b.memref) != element) {
    why = "its operands are not both bf16 or both f16, and tensor cores would "
          "round them";
    return std::nullopt;
  }
  if (!product.result().isF32()) {
    why = "its sums are not f32";
    return std::nullopt;
  }
  product.fill = fillBefore(op);
  if (product.fill &&
      !matchPattern(product.fill.getInputs().front(), m_AnyZeroFloat()))
    product.fill = nullptr;
  if (product.fill)
    product.findRounding();
  if (!product.assignRoles(why))
    return std::nullopt;
  product.orderLoops();
  return product;
}

/// As measured on an H200 (docs/Performance.md).
Tile Tile::ofExtents(const Product &product) {
  // Few rows: the weights are read once, as many of them at a time as shared
  // memory holds.
  std::optional<int64_t> rows = product.count(product.rows);
  if (rows && *rows <= 16)
    return {16, 64, 1, 4, 10, 2};
  if (rows && *rows <= 32)
    return {32, 64, 1, 4, 8, 2};
  // Parts of larger tiles cost more than they hide.
  if (rows && *rows <= 64)
    return {64, 64, 2, 2, 8, 1};
  // Large tiles read less, where there is one for each multiprocessor; two
  // blocks have room.
  constexpr int64_t size = 128, multiprocessors = 132;
  std::optional<int64_t> columns = product.count(product.columns);
  int64_t batch = product.count(product.batch).value_or(1);
  if (rows && columns &&
      batch * llvm::divideCeil(*rows, size) *
              llvm::divideCeil(*columns, size) >=
          multiprocessors)
    return {128, 128, 2, 2, 3, 1};
  return {128, 64, 4, 2, 4, 1};
}

/// As many stages as the blocks of a multiprocessor have room for.
Tile Tile::choose(const Product &product, const GPUInfo &gpu) {
  constexpr int64_t reserved = 1024; // of each block, by the system
  Tile tile = ofExtents(product);
  int64_t room = std::min(gpu.sharedBytesPerBlock,
                          gpu.sharedBytes / tile.blocksEach - reserved);
  tile.stages = std::clamp<int64_t>(room / tile.stageBytes(), 2, tile.stages);
  return tile;
}
