//===- ForallToGPU.h - One iteration, one block of threads ----------------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// How a block runs the body of an scf.forall:
//
//   - All threads execute indices, subviews, loops and branches alike.
//   - Work on elements is shared: thread t of T takes items t, t + T, ...
//   - A barrier stands behind each piece of shared work, never inside it, and
//     never where only some threads come by.
//   - A number that all threads load from memory which the body also writes is
//     loaded by all before one goes on.

#ifndef EINHEAD_LIB_TRANSFORMS_FORALLTOGPU_H
#define EINHEAD_LIB_TRANSFORMS_FORALLTOGPU_H

#include "einhead/IR/Attn.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/Support/MathExtras.h"

namespace einhead {

/// The threads that run one iteration, and the memory that they share.
class ThreadBlock {
public:
  ThreadBlock(mlir::Value thread, mlir::Value memory, int64_t threads,
              int64_t limit)
      : threads(threads), limit(limit), thread(thread), bytes(memory) {}

  /// `body` for each item below `count`, each by one thread.  Others see what
  /// it wrote after the next barrier.
  using Item = llvm::function_ref<void(mlir::Value)>;
  void share(mlir::ImplicitLocOpBuilder &b, int64_t count, Item body);
  void share(mlir::ImplicitLocOpBuilder &b, mlir::Value count, Item body);
  void barrier(mlir::ImplicitLocOpBuilder &b) {
    mlir::gpu::BarrierOp::create(b);
  }

  /// Memory of all threads; there must be room.
  mlir::Value allocate(mlir::ImplicitLocOpBuilder &b,
                       llvm::ArrayRef<int64_t> shape, mlir::Type element);
  /// What `count` elements take of it.
  static int64_t bytesOf(int64_t count, mlir::Type element) {
    int64_t bits = element.isIndex() ? 64 : element.getIntOrFloatBitWidth();
    return llvm::alignTo(count * llvm::divideCeil(bits, 8), alignment);
  }
  int64_t room() const { return limit - used; }
  /// Memory from here on may be given out again.
  int64_t mark() const { return used; }
  void release(int64_t mark) { used = mark; }
  int64_t peak() const { return most; }

  /// What the dynamic shared memory of a kernel is aligned to, and what one
  /// access moves at most.
  static constexpr int64_t alignment = 16;

  /// The number of the thread that runs the code.
  mlir::Value self() const { return thread; }

  const int64_t threads, limit;

private:
  void shareIn(mlir::ImplicitLocOpBuilder &b, mlir::Value count, Item body);

  mlir::Value thread, bytes;
  int64_t used = 0, most = 0;
};

/// An item's indices below `extents`, the last one fastest.
llvm::SmallVector<mlir::Value> delinearize(mlir::ImplicitLocOpBuilder &b,
                                           mlir::Value item,
                                           mlir::ValueRange extents);
/// The same of two; `inner` is a number.
std::pair<mlir::Value, mlir::Value> splitItem(mlir::ImplicitLocOpBuilder &b,
                                              mlir::Value item, int64_t inner);

/// A float or i8 number, or a vector of them, as f32.
mlir::Value toF32(mlir::ImplicitLocOpBuilder &b, mlir::Value number);

/// Replaces everything in `body` that a block shares.
mlir::LogicalResult lowerToThreads(mlir::Block &body, ThreadBlock &block);

/// Each replaces one op on buffers, with a barrier behind it.
mlir::LogicalResult lowerToThreads(mlir::RewriterBase &rewriter,
                                   attn::PartialAttentionOp op,
                                   ThreadBlock &block);
mlir::LogicalResult lowerToThreads(mlir::RewriterBase &rewriter,
                                   attn::MergeOp op, ThreadBlock &block);
mlir::LogicalResult lowerToThreads(mlir::RewriterBase &rewriter,
                                   mlir::linalg::LinalgOp op,
                                   ThreadBlock &block);

} // namespace einhead

#endif // EINHEAD_LIB_TRANSFORMS_FORALLTOGPU_H
