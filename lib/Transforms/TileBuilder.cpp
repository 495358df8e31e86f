//===- TileBuilder.cpp - What the stages of a tile are built from ---------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileBuilder.h"
#include "PartialToVector.h"
#include "VectorMath.h"
#include "einhead/IR/AttnLoopOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

Block *einhead::scratchBlock(Operation *op) {
  if (auto forall = op->getParentOfType<scf::ForallOp>())
    return forall.getBody();
  return &op->getParentOfType<func::FuncOp>().getBody().front();
}

bool einhead::rowsAdjoin(const AttentionRoles &roles) {
  auto isInner = [&](llvm::StringRef term) {
    return term.drop_back().ends_with(roles.key);
  };
  return isInner(roles.keyTerm) && isInner(roles.valueTerm);
}

scf::ForOp TileBuilder::loop(Value from, Value to, int64_t step,
                             ValueRange carried, CarryingBody body) {
  return scf::ForOp::create(
      b, from, to, index(step), carried,
      [&](OpBuilder &inner, Location, Value i, ValueRange values) {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPoint(inner.getInsertionBlock(),
                            inner.getInsertionPoint());
        scf::YieldOp::create(b, body(i, values));
      });
}

void TileBuilder::loop(int64_t from, int64_t to, int64_t step,
                       llvm::function_ref<void(Value)> body) {
  if (from + step >= to) {
    if (from < to)
      body(index(from));
    return;
  }
  loop(index(from), index(to), step, {}, [&](Value i, ValueRange) {
    body(i);
    return SmallVector<Value>();
  });
}

void TileBuilder::ifThen(Value condition, llvm::function_ref<void()> body) {
  scf::IfOp::create(b, condition, [&](OpBuilder &inner, Location) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(inner.getInsertionBlock(), inner.getInsertionPoint());
    body();
    scf::YieldOp::create(b);
  });
}

Value TileBuilder::scratch(ArrayRef<int64_t> shape, Type element) {
  OpBuilder::InsertionGuard guard(b);
  Block *block = scratchBlock(op);
  b.setInsertionPointToStart(block);
  return memref::AllocaOp::create(b, MemRefType::get(shape, element),
                                  b.getI64IntegerAttr(64));
}

SmallVector<Value> TileBuilder::at(llvm::StringRef term, Value row, Value key,
                                   Value column) {
  SmallVector<Value> indices;
  for (char letter : term) {
    if (indexOf(roles.key, letter) >= 0) {
      indices.push_back(key);
    } else if (indexOf(roles.depth + roles.value, letter) >= 0) {
      indices.push_back(column);
    } else if (int64_t place = indexOf(roles.row, letter); place >= 0) {
      // Rows count with the last row letter fastest.
      int64_t inner = 1;
      for (char later : llvm::StringRef(roles.row).drop_front(place + 1))
        inner *= extent(later);
      Value i = row;
      if (inner > 1)
        i = arith::DivUIOp::create(b, i, index(inner));
      if (inner * extent(letter) < rows)
        i = arith::RemUIOp::create(b, i, index(extent(letter)));
      indices.push_back(i);
    } else {
      indices.push_back(batchIndex.lookup(letter));
    }
  }
  return indices;
}

Value TileBuilder::loadRaw(Value memref, ValueRange indices, int64_t size,
                           int64_t count) {
  Type element = cast<MemRefType>(memref.getType()).getElementType();
  VectorType type = vectorOf(element, size);
  if (count <= 0)
    return splat(b, type, 0.0);
  if (count >= size)
    return vector::LoadOp::create(b, type, memref, indices);
  Value mask = vector::ConstantMaskOp::create(b, vectorOf(b.getI1Type(), size),
                                              ArrayRef<int64_t>{count});
  return vector::MaskedLoadOp::create(b, type, memref, indices, mask,
                                      splat(b, type, 0.0));
}

Value TileBuilder::loadVector(Value memref, ValueRange indices, int64_t count) {
  Value vector = loadRaw(memref, indices, lanes, count);
  Type element = getElementTypeOrSelf(vector);
  if (element.isInteger(8))
    return arith::SIToFPOp::create(b, floats(), vector);
  return element.isF32() ? vector
                         : Value(arith::ExtFOp::create(b, floats(), vector));
}

void TileBuilder::storeVector(Value vector, Value memref, ValueRange indices,
                              int64_t count) {
  if (count <= 0)
    return;
  if (count >= lanes) {
    vector::StoreOp::create(b, vector, memref, indices);
    return;
  }
  Value mask = vector::ConstantMaskOp::create(b, vectorOf(b.getI1Type(), lanes),
                                              ArrayRef<int64_t>{count});
  vector::MaskedStoreOp::create(b, memref, indices, mask, vector);
}

SmallVector<Value> TileBuilder::loadSums(Value row, int64_t block, Value column,
                                         int64_t vectors, int64_t columns) {
  SmallVector<Value> sums;
  for (int64_t r = 0; r < block; ++r)
    for (int64_t z = 0; z < vectors; ++z)
      sums.push_back(loadVector(
          op.getAccumulator(),
          at(roles.outputTerm, add(row, r), Value(), add(column, z * lanes)),
          countAt(z, columns)));
  return sums;
}

void TileBuilder::storeSums(Value row, int64_t block, Value column,
                            int64_t columns, ValueRange sums) {
  int64_t vectors = sums.size() / block;
  for (int64_t r = 0; r < block; ++r)
    for (int64_t z = 0; z < vectors; ++z)
      storeVector(
          sums[r * vectors + z], op.getAccumulator(),
          at(roles.outputTerm, add(row, r), Value(), add(column, z * lanes)),
          countAt(z, columns));
}

void TileBuilder::readAhead(Value memref, llvm::StringRef term, Value start,
                            int64_t columns, bool inOrder) {
  attn::ReadAheadOp::create(
      b, memref, at(term, Value(), add(start, ahead), index(0)),
      indexOf(term, roles.key.front()), keyTile, columns, inOrder);
}

Value TileBuilder::keyExtent() {
  int64_t dimension = indexOf(roles.keyTerm, roles.key.front());
  return memref::DimOp::create(b, op.getKey(), dimension);
}

Value TileBuilder::rowOf(Value key) {
  if (!isList)
    return key;
  Value position = arith::SubIOp::create(b, key, keyBase);
  return memref::LoadOp::create(b, listedRows, position);
}
