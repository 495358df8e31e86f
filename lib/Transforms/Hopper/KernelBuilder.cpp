//===- KernelBuilder.cpp - Code of one thread of a Hopper kernel ----------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelBuilder.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace einhead::hopper;

static constexpr unsigned sharedSpace = 3;

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

Value KernelBuilder::i1(bool value) {
  return arith::ConstantIntOp::create(b, value, 1);
}
Value KernelBuilder::i32(int64_t value) {
  return arith::ConstantIntOp::create(b, value, 32);
}
Value KernelBuilder::i64(int64_t value) {
  return arith::ConstantIntOp::create(b, value, 64);
}
Value KernelBuilder::f32(double value) {
  return arith::ConstantFloatOp::create(b, b.getF32Type(),
                                        llvm::APFloat(float(value)));
}
Value KernelBuilder::negativeInfinity() {
  return arith::ConstantFloatOp::create(
      b, b.getF32Type(),
      llvm::APFloat::getInf(llvm::APFloat::IEEEsingle(), /*Negative=*/true));
}
Value KernelBuilder::add(Value x, Value y) {
  return b.createOrFold<arith::AddIOp>(x, y);
}
Value KernelBuilder::sub(Value x, Value y) {
  return b.createOrFold<arith::SubIOp>(x, y);
}
Value KernelBuilder::mul(Value x, Value y) {
  return b.createOrFold<arith::MulIOp>(x, y);
}
Value KernelBuilder::mul(Value x, int64_t y) {
  return y == 1 ? x : mul(x, i32(y));
}
Value KernelBuilder::div(Value x, Value y) {
  return b.createOrFold<arith::DivUIOp>(x, y);
}
Value KernelBuilder::div(Value x, int64_t y) {
  return y == 1 ? x : div(x, i32(y));
}
Value KernelBuilder::rem(Value x, Value y) {
  return b.createOrFold<arith::RemUIOp>(x, y);
}
Value KernelBuilder::rem(Value x, int64_t y) {
  return y == 1 ? i32(0) : rem(x, i32(y));
}
Value KernelBuilder::xorOf(Value x, Value y) {
  return b.createOrFold<arith::XOrIOp>(x, y);
}
Value KernelBuilder::minOf(Value x, Value y) {
  return b.createOrFold<arith::MinSIOp>(x, y);
}
Value KernelBuilder::maxOf(Value x, Value y) {
  return b.createOrFold<arith::MaxSIOp>(x, y);
}
Value KernelBuilder::isLess(Value x, Value y) {
  return b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::slt, x, y);
}
Value KernelBuilder::isEqual(Value x, Value y) {
  return b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::eq, x, y);
}
Value KernelBuilder::andOf(Value x, Value y) {
  return b.createOrFold<arith::AndIOp>(x, y);
}
Value KernelBuilder::orOf(Value x, Value y) {
  return b.createOrFold<arith::OrIOp>(x, y);
}
Value KernelBuilder::select(Value condition, Value x, Value y) {
  return b.createOrFold<arith::SelectOp>(condition, x, y);
}
Value KernelBuilder::widen(Value x) {
  return b.createOrFold<arith::ExtUIOp>(b.getI64Type(), x);
}
Value KernelBuilder::add64(Value x, Value y) {
  return b.createOrFold<arith::AddIOp>(x, y);
}
Value KernelBuilder::mul64(Value x, Value y) {
  return b.createOrFold<arith::MulIOp>(x, y);
}
Value KernelBuilder::addF(Value x, Value y) {
  return arith::AddFOp::create(b, x, y);
}
Value KernelBuilder::subF(Value x, Value y) {
  return arith::SubFOp::create(b, x, y);
}
Value KernelBuilder::mulF(Value x, Value y) {
  return arith::MulFOp::create(b, x, y);
}
Value KernelBuilder::fma(Value x, Value y, Value z) {
  return LLVM::FMAOp::create(b, x, y, z);
}
Value KernelBuilder::negF(Value x) { return arith::NegFOp::create(b, x); }
Value KernelBuilder::maxF(Value x, Value y) {
  return LLVM::MaxNumOp::create(b, x, y);
}
Value KernelBuilder::isEqualF(Value x, Value y) {
  return arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, x, y);
}
Value KernelBuilder::isGreaterF(Value x, Value y) {
  return arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, x, y);
}

static Value approximate(ImplicitLocOpBuilder &b, StringRef name, Value x) {
  return LLVM::CallIntrinsicOp::create(b, b.getF32Type(), b.getStringAttr(name),
                                       ValueRange{x})
      .getResult(0);
}

Value KernelBuilder::exp2(Value x) {
  return approximate(b, "llvm.nvvm.ex2.approx.ftz.f", x);
}
Value KernelBuilder::log2(Value x) {
  return approximate(b, "llvm.nvvm.lg2.approx.ftz.f", x);
}
Value KernelBuilder::reciprocal(Value x) {
  return arith::DivFOp::create(b, f32(1), x);
}

//===----------------------------------------------------------------------===//
// Control
//===----------------------------------------------------------------------===//

void KernelBuilder::ifThen(Value condition, llvm::function_ref<void()> body) {
  auto op = scf::IfOp::create(b, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.thenBlock());
  body();
}

Values KernelBuilder::ifElse(Value condition, llvm::function_ref<Values()> yes,
                             llvm::function_ref<Values()> no) {
  // The types are known when one side is built: it is built first, alone.
  Region region;
  Block *block = new Block();
  region.push_back(block);
  Values results;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(block);
    results = yes();
    scf::YieldOp::create(b, results);
  }
  auto op = scf::IfOp::create(b, ValueRange(results).getTypes(), condition,
                              /*withElseRegion=*/true);
  op.getThenRegion().takeBody(region);
  OpBuilder::InsertionGuard guard(b);
  if (op.getElseRegion().empty())
    op.getElseRegion().emplaceBlock();
  op.getElseRegion().front().clear();
  b.setInsertionPointToStart(&op.getElseRegion().front());
  scf::YieldOp::create(b, no());
  return Values(op.getResults());
}

Values KernelBuilder::loop(Value from, Value to, Value step, ValueRange carried,
                           llvm::function_ref<Values(Value, ValueRange)> body) {
  auto op = scf::ForOp::create(
      b, from, to, step, carried,
      [&](OpBuilder &builder, Location loc, Value i, ValueRange inner) {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToEnd(builder.getInsertionBlock());
        scf::YieldOp::create(b, body(i, inner));
      });
  return Values(op.getResults());
}

void KernelBuilder::loop(Value from, Value to, Value step,
                         llvm::function_ref<void(Value)> body) {
  loop(from, to, step, ValueRange(), [&](Value i, ValueRange) {
    body(i);
    return Values();
  });
}

Values KernelBuilder::whileLoop(ValueRange carried,
                                llvm::function_ref<Value(ValueRange)> condition,
                                llvm::function_ref<Values(ValueRange)> body) {
  auto op = scf::WhileOp::create(
      b, carried.getTypes(), carried,
      [&](OpBuilder &builder, Location loc, ValueRange inner) {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToEnd(builder.getInsertionBlock());
        scf::ConditionOp::create(b, condition(inner), inner);
      },
      [&](OpBuilder &builder, Location loc, ValueRange inner) {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToEnd(builder.getInsertionBlock());
        scf::YieldOp::create(b, body(inner));
      });
  return Values(op.getResults());
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Type KernelBuilder::pointerType(unsigned space) {
  return LLVM::LLVMPointerType::get(b.getContext(), space);
}

Value KernelBuilder::shared(Value offset) {
  return LLVM::GEPOp::create(b, pointerType(sharedSpace), b.getI8Type(),
                             sharedBase, ArrayRef<LLVM::GEPArg>{offset});
}
Value KernelBuilder::loadShared(Type type, Value offset) {
  return LLVM::LoadOp::create(b, type, shared(offset));
}
void KernelBuilder::storeShared(Value value, Value offset, unsigned align) {
  LLVM::StoreOp::create(b, value, shared(offset), align);
}
Value KernelBuilder::at(Value base, Type type, Value index64) {
  return LLVM::GEPOp::create(b, base.getType(), type, base,
                             ArrayRef<LLVM::GEPArg>{index64});
}
Value KernelBuilder::load(Type type, Value pointer, unsigned align) {
  return LLVM::LoadOp::create(b, type, pointer, align);
}
void KernelBuilder::store(Value value, Value pointer, unsigned align) {
  LLVM::StoreOp::create(b, value, pointer, align);
}

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

Value KernelBuilder::shuffleXor(Value x, int64_t distance) {
  return NVVM::ShflOp::create(b, x.getType(), i32(-1), x, i32(distance),
                              i32(31), NVVM::ShflKind::bfly, UnitAttr());
}

Value KernelBuilder::shuffleUp(Value x, int64_t distance) {
  return NVVM::ShflOp::create(b, x.getType(), i32(-1), x, i32(distance), i32(0),
                              NVVM::ShflKind::up, UnitAttr());
}

Value KernelBuilder::shuffleFrom(Value x, int64_t lane) {
  return NVVM::ShflOp::create(b, x.getType(), i32(-1), x, i32(lane), i32(31),
                              NVVM::ShflKind::idx, UnitAttr());
}

void KernelBuilder::syncWarp() { NVVM::SyncWarpOp::create(b, i32(-1)); }

void KernelBuilder::barrier(Value id, int64_t threads) {
  NVVM::BarrierOp::create(b, TypeRange(), id, i32(threads),
                          NVVM::BarrierReductionAttr(), Value());
}

LLVM::InlineAsmOp einhead::hopper::inlineAssembly(ImplicitLocOpBuilder &b,
                                                  TypeRange results,
                                                  ValueRange operands,
                                                  StringRef text,
                                                  StringRef constraints) {
  return LLVM::InlineAsmOp::create(
      b, results, operands, text, constraints,
      /*has_side_effects=*/true, /*is_align_stack=*/false,
      LLVM::TailCallKind::None,
      LLVM::AsmDialectAttr::get(b.getContext(), LLVM::AsmDialect::AD_ATT),
      ArrayAttr());
}

/// `nvvm.barrier` reduces at barrier 0 alone.
Value KernelBuilder::barrierAny(Value id, int64_t threads, Value flag) {
  Value predicate = arith::ExtUIOp::create(b, b.getI32Type(), flag);
  std::string text = "{\n.reg .pred %any, %flag;\n"
                     "setp.ne.b32 %flag, $1, 0;\n"
                     "bar.red.or.pred %any, $2, " +
                     std::to_string(threads) +
                     ", %flag;\nselp.b32 $0, 1, 0, %any;\n}";
  Value any = inlineAssembly(b, b.getI32Type(), {predicate, id}, text,
                             "=r,r,r,~{memory}")
                  .getResult(0);
  return b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::ne, any, i32(0));
}

void KernelBuilder::syncCluster() {
  NVVM::ClusterArriveOp::create(b, /*aligned=*/b.getUnitAttr());
  NVVM::ClusterWaitOp::create(b, /*aligned=*/b.getUnitAttr());
}

Value KernelBuilder::warpAny(Value flag) {
  return NVVM::VoteSyncOp::create(b, b.getI1Type(), i32(-1), flag,
                                  NVVM::VoteSyncKind::any);
}

void KernelBuilder::initBarrier(Value offset, int64_t count) {
  NVVM::MBarrierInitOp::create(b, shared(offset), i32(count), Value());
}

void KernelBuilder::expectBytes(Value offset, int64_t bytes) {
  NVVM::MBarrierArriveExpectTxOp::create(b, TypeRange(), shared(offset),
                                         i32(bytes), NVVM::MemScopeKind::CTA,
                                         /*relaxed=*/false, Value());
}

void KernelBuilder::arrive(Value offset) {
  NVVM::MBarrierArriveOp::create(b, TypeRange{b.getI64Type()}, shared(offset),
                                 Value());
}

void KernelBuilder::wait(Value offset, Value parity) {
  constexpr int64_t ticks = 10'000'000;
  NVVM::MBarrierTryWaitParityOp::create(b, shared(offset), parity, i32(ticks));
}

void KernelBuilder::fenceAsync() {
  inlineAssembly(b, TypeRange(), ValueRange(), "fence.proxy.async.shared::cta;",
                 "~{memory}");
}

//===----------------------------------------------------------------------===//
// Tensor cores, by warps
//===----------------------------------------------------------------------===//

static Values fieldsOf(ImplicitLocOpBuilder &b, Value value, int64_t count) {
  Values fields;
  for (int64_t i = 0; i < count; ++i)
    fields.push_back(LLVM::ExtractValueOp::create(b, value, i));
  return fields;
}

Values KernelBuilder::loadMatrices(Value offset, int64_t count, bool isTurned) {
  Type result = b.getI32Type();
  if (count > 1)
    result = LLVM::LLVMStructType::getLiteral(
        b.getContext(), SmallVector<Type>(count, b.getI32Type()));
  auto shape = NVVM::LdStMatrixShapeAttr::get(b.getContext(), 8, 8);
  Value loaded = NVVM::LdMatrixOp::create(
      b, b.getLoc(), result, shared(offset), static_cast<uint32_t>(count),
      isTurned ? NVVM::MMALayout::col : NVVM::MMALayout::row, shape,
      NVVM::LdStMatrixEltType::B16);
  return count > 1 ? fieldsOf(b, loaded, count) : Values{loaded};
}

Values KernelBuilder::multiplyAdd(Type element, ValueRange x, ValueRange y,
                                  ValueRange sums) {
  Type four = LLVM::LLVMStructType::getLiteral(
      b.getContext(), SmallVector<Type>(4, b.getF32Type()));
  bool isBF16 = element.isBF16();
  auto typed = [&](ValueRange bits) {
    Values values;
    for (Value each : bits)
      values.push_back(
          isBF16 ? each
                 : Value(LLVM::BitcastOp::create(
                       b, VectorType::get({2}, b.getF16Type()), each)));
    return values;
  };
  NVVM::MMATypes type = isBF16 ? NVVM::MMATypes::bf16 : NVVM::MMATypes::f16;
  Value done = NVVM::MmaOp::create(
      b, four, typed(x), typed(y), sums, ArrayRef<int64_t>{16, 8, 16},
      std::nullopt, std::nullopt, std::array<NVVM::MMATypes, 2>{type, type},
      std::array<NVVM::MMALayout, 2>{NVVM::MMALayout::row,
                                     NVVM::MMALayout::col});
  return fieldsOf(b, done, 4);
}

void KernelBuilder::copyAsync(Value offset, Value from, Value given) {
  NVVM::CpAsyncOp::create(b, shared(offset), from, 16,
                          NVVM::LoadCacheModifierKind::CG, given);
}

void KernelBuilder::copyCommit() { NVVM::CpAsyncCommitGroupOp::create(b); }

void KernelBuilder::copyWait(int64_t pending) {
  NVVM::CpAsyncWaitGroupOp::create(b, static_cast<uint32_t>(pending));
}

//===----------------------------------------------------------------------===//
// Tensor cores, by warpgroups
//===----------------------------------------------------------------------===//

// PTX ISA, "Matrix descriptor": bits 0-13 the address / 16, 16-29 the leading
// offset / 16 (between swizzled atoms of 64 columns, where rows of B are k),
// 32-45 the stride between groups of 8 rows / 16, 62-63 the swizzle (1: 128
// bytes).
void KernelBuilder::setUpDescriptors() {
  Value address = LLVM::PtrToIntOp::create(b, b.getI32Type(), shared(i32(0)));
  address = andOf(address, i32(0x3FFFF));
  descriptorBase = b.createOrFold<arith::ShRUIOp>(address, i32(4));
}

/// An addition each: shared memory ends before 2^18, so that nothing is carried
/// out of the address.
Value KernelBuilder::descriptor(Value offset, int64_t leadingBytes) {
  constexpr uint64_t high = 64ull << 32 | 1ull << 62;
  Value low = b.createOrFold<arith::ShRUIOp>(offset, i32(4));
  low = add(low, leadingBytes / 16 << 16);
  return b.createOrFold<arith::OrIOp>(widen(add(descriptorBase, low)),
                                      i64(static_cast<int64_t>(high)));
}

void KernelBuilder::pin(MutableArrayRef<Value> accumulators) {
  std::string constraints;
  for (size_t i = 0; i < accumulators.size(); ++i)
    constraints += "=f,";
  for (size_t i = 0; i < accumulators.size(); ++i)
    constraints += std::to_string(i) + ",";
  constraints += "~{memory}";
  SmallVector<Type> types(accumulators.size(), b.getF32Type());
  Type result = types.size() == 1
                    ? types.front()
                    : LLVM::LLVMStructType::getLiteral(b.getContext(), types);
  auto op = inlineAssembly(b, TypeRange{result},
                           ValueRange(ArrayRef<Value>(accumulators)), "",
                           constraints);
  for (size_t i = 0; i < accumulators.size(); ++i)
    accumulators[i] =
        types.size() == 1
            ? op.getResult(0)
            : Value(LLVM::ExtractValueOp::create(b, op.getResult(0), i));
}

void KernelBuilder::wgmmaFence() { NVVM::WgmmaFenceAlignedOp::create(b); }

void KernelBuilder::wgmmaCommit() { NVVM::WgmmaGroupSyncAlignedOp::create(b); }

void KernelBuilder::wgmmaWait(int64_t pending) {
  NVVM::WgmmaWaitGroupSyncOp::create(b, pending);
}
