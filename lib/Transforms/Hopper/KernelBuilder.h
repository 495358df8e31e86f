//===- KernelBuilder.h - Code of one thread of a Hopper kernel --*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Shorthand for the ops that a kernel is made of.  Integers are i32 unless a
// name says otherwise, addresses of shared memory are byte offsets (i32) from
// its start, and floats are f32.  Everything is a type of the LLVM dialect, so
// that a kernel body needs no conversion of types.

#ifndef EINHEAD_LIB_TRANSFORMS_HOPPER_KERNELBUILDER_H
#define EINHEAD_LIB_TRANSFORMS_HOPPER_KERNELBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace einhead::hopper {

using Values = llvm::SmallVector<mlir::Value>;

/// Assembly that is neither moved nor left out.
mlir::LLVM::InlineAsmOp inlineAssembly(mlir::ImplicitLocOpBuilder &b,
                                       mlir::TypeRange results,
                                       mlir::ValueRange operands,
                                       llvm::StringRef text,
                                       llvm::StringRef constraints);

class KernelBuilder {
public:
  KernelBuilder(mlir::OpBuilder &builder, mlir::Location loc)
      : b(loc, builder) {}

  // Numbers.
  mlir::Value i1(bool value);
  mlir::Value i32(int64_t value);
  mlir::Value i64(int64_t value);
  mlir::Value f32(double value);
  mlir::Value negativeInfinity();
  mlir::Value add(mlir::Value x, mlir::Value y);
  mlir::Value add(mlir::Value x, int64_t y) { return y ? add(x, i32(y)) : x; }
  mlir::Value sub(mlir::Value x, mlir::Value y);
  mlir::Value mul(mlir::Value x, mlir::Value y);
  mlir::Value mul(mlir::Value x, int64_t y);
  mlir::Value div(mlir::Value x, mlir::Value y); ///< unsigned
  mlir::Value div(mlir::Value x, int64_t y);
  mlir::Value rem(mlir::Value x, mlir::Value y); ///< unsigned
  mlir::Value rem(mlir::Value x, int64_t y);
  mlir::Value xorOf(mlir::Value x, mlir::Value y);
  mlir::Value minOf(mlir::Value x, mlir::Value y);  ///< signed
  mlir::Value maxOf(mlir::Value x, mlir::Value y);  ///< signed
  mlir::Value isLess(mlir::Value x, mlir::Value y); ///< signed
  mlir::Value isLess(mlir::Value x, int64_t y) { return isLess(x, i32(y)); }
  mlir::Value isEqual(mlir::Value x, mlir::Value y);
  mlir::Value isEqual(mlir::Value x, int64_t y) { return isEqual(x, i32(y)); }
  mlir::Value andOf(mlir::Value x, mlir::Value y);
  mlir::Value orOf(mlir::Value x, mlir::Value y);
  mlir::Value select(mlir::Value condition, mlir::Value x, mlir::Value y);
  mlir::Value widen(mlir::Value x); ///< i32 to i64, unsigned
  mlir::Value add64(mlir::Value x, mlir::Value y);
  mlir::Value mul64(mlir::Value x, mlir::Value y);

  mlir::Value addF(mlir::Value x, mlir::Value y);
  mlir::Value subF(mlir::Value x, mlir::Value y);
  mlir::Value mulF(mlir::Value x, mlir::Value y);
  mlir::Value fma(mlir::Value x, mlir::Value y, mlir::Value z);
  mlir::Value negF(mlir::Value x);
  mlir::Value maxF(mlir::Value x, mlir::Value y);
  mlir::Value isEqualF(mlir::Value x, mlir::Value y);
  mlir::Value isGreaterF(mlir::Value x, mlir::Value y);
  /// 2 to the x, to 2 ulp; results below 2^-126 are 0.
  mlir::Value exp2(mlir::Value x);
  mlir::Value log2(mlir::Value x);
  mlir::Value reciprocal(mlir::Value x);

  // Control.
  void ifThen(mlir::Value condition, llvm::function_ref<void()> body);
  Values ifElse(mlir::Value condition, llvm::function_ref<Values()> yes,
                llvm::function_ref<Values()> no);
  /// for (i = from; i < to; i += step)
  Values loop(mlir::Value from, mlir::Value to, mlir::Value step,
              mlir::ValueRange carried,
              llvm::function_ref<Values(mlir::Value, mlir::ValueRange)> body);
  void loop(mlir::Value from, mlir::Value to, mlir::Value step,
            llvm::function_ref<void(mlir::Value)> body);
  /// while (condition(carried)) carried = body(carried)
  Values whileLoop(mlir::ValueRange carried,
                   llvm::function_ref<mlir::Value(mlir::ValueRange)> condition,
                   llvm::function_ref<Values(mlir::ValueRange)> body);

  // Memory.
  mlir::Type pointerType(unsigned space = 0);
  mlir::Value shared(mlir::Value offset); ///< the pointer
  mlir::Value loadShared(mlir::Type type, mlir::Value offset);
  void storeShared(mlir::Value value, mlir::Value offset, unsigned align = 0);
  /// `base` + `index` elements of `type`.
  mlir::Value at(mlir::Value base, mlir::Type type, mlir::Value index64);
  mlir::Value load(mlir::Type type, mlir::Value pointer, unsigned align = 0);
  void store(mlir::Value value, mlir::Value pointer, unsigned align = 0);

  // Threads.
  mlir::Value shuffleXor(mlir::Value x, int64_t distance);
  /// The x of the lane so much lower; of a lane that has none, its own.
  mlir::Value shuffleUp(mlir::Value x, int64_t distance);
  mlir::Value shuffleFrom(mlir::Value x, int64_t lane);
  void syncWarp();
  /// All of `threads` threads wait at barrier `id`.
  void barrier(mlir::Value id, int64_t threads);
  /// The same, and whether `flag` holds for one of them.
  mlir::Value barrierAny(mlir::Value id, int64_t threads, mlir::Value flag);
  /// All threads of the cluster's blocks wait, but those that have ended.
  void syncCluster();
  /// Whether `flag` holds for one thread of the warp.
  mlir::Value warpAny(mlir::Value flag);
  void initBarrier(mlir::Value offset, int64_t count);
  void expectBytes(mlir::Value offset, int64_t bytes);
  void arrive(mlir::Value offset);
  void wait(mlir::Value offset, mlir::Value parity);
  /// What was stored to shared memory is seen by tensor cores and TMA.
  void fenceAsync();

  // Tensor cores, by warps.
  /// Matrices of 8 by 8 elements of 16 bits; the row r of matrix m lies where
  /// lane 8 m + r says.
  Values loadMatrices(mlir::Value offset, int64_t count, bool isTurned);
  /// m16n8k16: four sums of each lane, of bf16 or f16.
  Values multiplyAdd(mlir::Type element, mlir::ValueRange x, mlir::ValueRange y,
                     mlir::ValueRange sums);
  /// 16 bytes of global memory to shared memory, without waiting; `given` of
  /// them, if it is said, and 0 for the rest.
  void copyAsync(mlir::Value offset, mlir::Value from,
                 mlir::Value given = nullptr);
  void copyCommit();
  /// Until no more than `pending` of the thread's committed groups are missing.
  void copyWait(int64_t pending);

  // Tensor cores, by warpgroups.
  /// Before the first of them.
  void setUpDescriptors();
  /// The descriptor of a matrix in rows of 128 bytes, swizzled by 128.  Where
  /// 64 columns are not all, the next ones begin `leadingBytes` on.
  mlir::Value descriptor(mlir::Value offset, int64_t leadingBytes = 16);
  /// Keeps uses of accumulators behind this point: a wait names none of them.
  void pin(llvm::MutableArrayRef<mlir::Value> accumulators);
  void wgmmaFence();
  void wgmmaCommit();
  /// Until no more than `pending` of the committed groups are under way.
  void wgmmaWait(int64_t pending = 0);

  mlir::ImplicitLocOpBuilder b;
  mlir::Value sharedBase; ///< pointer to the start of shared memory

private:
  mlir::Value descriptorBase; ///< i32: the address field of that start
};

} // namespace einhead::hopper

#endif // EINHEAD_LIB_TRANSFORMS_HOPPER_KERNELBUILDER_H
