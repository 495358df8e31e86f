//===- AttnToGPU.cpp - Attention as kernels of Hopper tensor cores --------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// An attention on buffers whose schedule says `wgmma` becomes a kernel
// (Hopper/DecodeKernel.h) and the host code that launches it: tensor maps of K
// and V, the number of parts that each unit's keys are cut into, workspace.

#include "Hopper/DecodePlan.h"
#include "einhead/IR/Tile.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/IR/TypeUtilities.h"

namespace einhead {
#define GEN_PASS_DEF_ATTNTOGPUPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;
using namespace einhead::hopper;

static constexpr StringLiteral kernelsName = "kernels";
static constexpr StringLiteral sharedName = "shared";
static constexpr int64_t tensorMapBytes = 128, tensorMapAlignment = 64;

namespace {
/// A number that both sides use: known here, or a parameter of the kernel.
struct Number {
  std::optional<int64_t> constant;
  size_t parameter = 0;
};

/// A tensor's base, with strides by letter.
struct Strided {
  size_t base = 0;
  SmallVector<Number> batch, row;
};

/// One attention: the host's code, then the kernel's.
class Launcher {
public:
  Launcher(OpBuilder &builder, AttentionOp op, gpu::GPUModuleOp kernels)
      : b(op.getLoc(), builder), op(op),
        like(cast<AttentionLike>(op.getOperation())), roles(rolesOf(like)),
        shape(planDecodeKernel(op)), kernels(kernels) {}

  void run(StringRef name);

private:
  // The host.
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }
  Value toI64(Value value) {
    return arith::IndexCastOp::create(b, b.getI64Type(), value);
  }
  Value call(StringRef name, TypeRange results, ValueRange operands);
  Value pointerTo(Value memref);
  size_t parameter(Value operand);
  Number number(OpFoldResult value, unsigned bits);
  Value extentOf(char letter);
  Strided strided(Value memref, StringRef term);
  Value array(ArrayRef<Value> values);
  size_t tensorMap(Value memref, StringRef term, char column,
                   SmallVectorImpl<int64_t> &letters);
  void countParts();
  void launch(StringRef name);

  // The kernel.
  Value given(KernelBuilder &kernel, Block *body, const Number &number,
              unsigned bits);
  Addressed addressed(KernelBuilder &kernel, Block *body,
                      const Strided &strided);
  void buildKernel(StringRef name);

  ImplicitLocOpBuilder b;
  AttentionOp op;
  AttentionLike like;
  AttentionRoles roles;
  DecodeShape shape;
  gpu::GPUModuleOp kernels;

  SmallVector<Value> operands;
  size_t keyMap = 0, valueMap = 0, partials = 0, counters = 0;
  std::optional<size_t> lengths;
  SmallVector<int64_t> keyLetters, valueLetters;
  Strided query, output, lse;
  SmallVector<Number> extents;
  Number keys, splits, items, resident;
  Value keyCount, grid;
  DenseSet<size_t> maps;
};
} // namespace

//===----------------------------------------------------------------------===//
// The host
//===----------------------------------------------------------------------===//

/// Calls a function of the host table (runtime.h), which it declares.
Value Launcher::call(StringRef name, TypeRange results, ValueRange operands) {
  auto module = op->getParentOfType<ModuleOp>();
  if (!module.lookupSymbol(name)) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(module.getBody());
    auto function = func::FuncOp::create(
        b, name, b.getFunctionType(operands.getTypes(), results));
    function.setPrivate();
  }
  auto result = func::CallOp::create(b, name, results, operands);
  return results.empty() ? Value() : result.getResult(0);
}

/// The address of the first element.
Value Launcher::pointerTo(Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  auto metadata = memref::ExtractStridedMetadataOp::create(b, memref);
  Value address = memref::ExtractAlignedPointerAsIndexOp::create(b, memref);
  int64_t bytes = type.getElementTypeBitWidth() / 8;
  Value offset = b.createOrFold<arith::MulIOp>(metadata.getOffset(),
                                               index(bytes));
  address = b.createOrFold<arith::AddIOp>(address, offset);
  return LLVM::IntToPtrOp::create(
      b, LLVM::LLVMPointerType::get(b.getContext()), toI64(address));
}

size_t Launcher::parameter(Value operand) {
  operands.push_back(operand);
  return operands.size() - 1;
}

Number Launcher::number(OpFoldResult value, unsigned bits) {
  if (std::optional<int64_t> constant = getConstantIntValue(value))
    return {constant, 0};
  Value operand = arith::IndexCastOp::create(b, b.getIntegerType(bits),
                                             cast<Value>(value));
  return {std::nullopt, parameter(operand)};
}

Value Launcher::extentOf(char letter) {
  return getValueOrCreateConstantIndexOp(
      b, b.getLoc(), letterExtent(b, like, letter));
}

Strided Launcher::strided(Value memref, StringRef term) {
  Strided result;
  result.base = parameter(pointerTo(memref));
  auto metadata = memref::ExtractStridedMetadataOp::create(b, memref);
  SmallVector<OpFoldResult> strides = metadata.getConstifiedMixedStrides();
  for (char letter : roles.batch)
    result.batch.push_back(number(strides[term.find(letter)], 64));
  for (char letter : roles.row)
    result.row.push_back(number(strides[term.find(letter)], 64));
  return result;
}

/// Numbers in the host's memory.
Value Launcher::array(ArrayRef<Value> values) {
  Type pointer = LLVM::LLVMPointerType::get(b.getContext());
  Value count = LLVM::ConstantOp::create(b, b.getI64Type(), values.size());
  Value memory = LLVM::AllocaOp::create(b, pointer, b.getI64Type(), count);
  for (auto [i, value] : llvm::enumerate(values)) {
    Value slot = LLVM::GEPOp::create(b, pointer, b.getI64Type(), memory,
                                     ArrayRef<LLVM::GEPArg>{int32_t(i)});
    LLVM::StoreOp::create(b, toI64(value), slot);
  }
  return memory;
}

/// A tensor map of K or V: boxes of 128 bytes of columns by a tile of keys.
size_t Launcher::tensorMap(Value memref, StringRef term, char column,
                           SmallVectorImpl<int64_t> &letters) {
  auto metadata = memref::ExtractStridedMetadataOp::create(b, memref);
  auto extent = [&](char letter) -> Value {
    return getValueOrCreateConstantIndexOp(
        b, b.getLoc(),
        metadata.getConstifiedMixedSizes()[term.find(letter)]);
  };
  Value bytes = index(2);
  SmallVector<Value> sizes = {extent(column), extent(roles.key[0])}, strides,
                     box = {index(64), index(shape.keyTile)};
  auto addStride = [&](char letter) {
    Value stride = getValueOrCreateConstantIndexOp(
        b, b.getLoc(),
        metadata.getConstifiedMixedStrides()[term.find(letter)]);
    strides.push_back(b.createOrFold<arith::MulIOp>(stride, bytes));
  };
  addStride(roles.key[0]);
  for (char letter : llvm::reverse(term)) {
    if (letter == column || letter == roles.key[0])
      continue;
    letters.push_back(roles.batch.find(letter));
    sizes.push_back(extent(letter));
    addStride(letter);
    box.push_back(index(1));
  }
  Type pointer = LLVM::LLVMPointerType::get(b.getContext());
  Value count = LLVM::ConstantOp::create(b, b.getI64Type(), tensorMapBytes);
  Value map = LLVM::AllocaOp::create(b, pointer, b.getI8Type(), count,
                                     tensorMapAlignment);
  auto i64 = [&](int64_t value) -> Value {
    return arith::ConstantIntOp::create(b, value, 64);
  };
  // Codes of element types: runtime.h.
  int64_t code = shape.element.isF16() ? 1 : 2;
  call("einhead_host_tensor_map", {},
       {map, pointerTo(memref), i64(code), i64(sizes.size()), array(sizes),
        array(strides), array(box), i64(128)});
  size_t result = parameter(map);
  maps.insert(result);
  return result;
}

/// Parts of each unit's keys, so that as many blocks as fit have one; they are
/// merged in the same launch.  Lengths are on the device: the number follows
/// from the capacity.
void Launcher::countParts() {
  Value units = index(shape.rowBlocks());
  for (char letter : roles.batch)
    units = b.createOrFold<arith::MulIOp>(units, extentOf(letter));
  Value places = call("einhead_host_multiprocessors", b.getIndexType(), {});
  places = b.createOrFold<arith::MulIOp>(places, index(shape.blocksPerSM));
  Value tiles = b.createOrFold<arith::CeilDivUIOp>(keyCount,
                                                   index(shape.keyTile));
  Value one = index(1);
  Value some = b.createOrFold<arith::MaxUIOp>(units, one);
  Value parts = b.createOrFold<arith::DivUIOp>(places, some);
  parts = b.createOrFold<arith::MinUIOp>(parts, tiles);
  parts = b.createOrFold<arith::MaxUIOp>(parts, one);
  Value all = b.createOrFold<arith::MulIOp>(units, parts);
  grid = b.createOrFold<arith::MinUIOp>(all, places);
  splits = number(parts, 32);
  items = number(all, 32);
  Value fits = arith::CmpIOp::create(b, arith::CmpIPredicate::ule, all, places);
  resident = {std::nullopt, parameter(fits)};

  Value isSplit = arith::CmpIOp::create(b, arith::CmpIPredicate::ugt, parts, one);
  Value floats = b.createOrFold<arith::MulIOp>(all, index(shape.stateFloats()));
  floats = arith::SelectOp::create(b, isSplit, floats, index(0));
  auto type = MemRefType::get({ShapedType::kDynamic}, b.getF32Type());
  partials = parameter(
      pointerTo(memref::AllocOp::create(b, type, ValueRange{floats})));
  Value bytes = b.createOrFold<arith::MulIOp>(units, index(4));
  counters = parameter(call("einhead_host_zeroed",
                            LLVM::LLVMPointerType::get(b.getContext()), bytes));
}

void Launcher::launch(StringRef name) {
  auto symbol = SymbolRefAttr::get(b.getContext(), kernelsName,
                                   {FlatSymbolRefAttr::get(b.getContext(), name)});
  Value one = index(1);
  Value sharedBytes =
      arith::ConstantIntOp::create(b, shape.sharedBytes(), 32);
  gpu::LaunchFuncOp::create(b, symbol, gpu::KernelDim3{grid, one, one},
                            gpu::KernelDim3{index(shape.threads()), one, one},
                            sharedBytes, operands);
}

void Launcher::run(StringRef name) {
  b.setInsertionPoint(op);
  keyCount = extentOf(roles.key[0]);
  if (Value valid = op.getValid(); valid && valid.getType().isIndex()) {
    Value zero = index(0);
    Value length = b.createOrFold<arith::MaxSIOp>(valid, zero);
    keyCount = b.createOrFold<arith::MinSIOp>(length, keyCount);
  } else if (valid) {
    lengths = parameter(pointerTo(valid));
  }
  keyMap = tensorMap(op.getKey(), roles.keyTerm, roles.depth[0], keyLetters);
  if (!shape.valueInKey)
    valueMap =
        tensorMap(op.getValue(), roles.valueTerm, roles.value[0], valueLetters);
  query = strided(op.getQuery(), roles.queryTerm);
  output = strided(op.getOutput(), roles.outputTerm);
  if (op.getLse())
    lse = strided(op.getLse(), roles.state());
  keys = number(keyCount, 32);
  for (char letter : roles.batch)
    extents.push_back(number(extentOf(letter), 32));
  countParts();
  launch(name);
  buildKernel(name);
  op.erase();
}

//===----------------------------------------------------------------------===//
// The kernel
//===----------------------------------------------------------------------===//

Value Launcher::given(KernelBuilder &kernel, Block *body, const Number &number,
                      unsigned bits) {
  if (!number.constant)
    return body->getArgument(number.parameter);
  return bits == 32 ? kernel.i32(*number.constant)
                    : kernel.i64(*number.constant);
}

Addressed Launcher::addressed(KernelBuilder &kernel, Block *body,
                              const Strided &strided) {
  Addressed result;
  result.base = body->getArgument(strided.base);
  for (const Number &stride : strided.batch)
    result.batchStrides.push_back(given(kernel, body, stride, 64));
  for (const Number &stride : strided.row)
    result.rowStrides.push_back(given(kernel, body, stride, 64));
  return result;
}

void Launcher::buildKernel(StringRef name) {
  MLIRContext *context = b.getContext();
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(kernels.getBody());
  if (!kernels.lookupSymbol(sharedName))
    LLVM::GlobalOp::create(
        b, LLVM::LLVMArrayType::get(b.getI8Type(), 0), /*isConstant=*/false,
        LLVM::Linkage::External, sharedName, Attribute(), /*alignment=*/1024,
        /*addrSpace=*/3);
  auto type = LLVM::LLVMFunctionType::get(
      LLVM::LLVMVoidType::get(context),
      llvm::map_to_vector(operands, [](Value v) { return v.getType(); }));
  auto function = LLVM::LLVMFuncOp::create(b, name, type);
  function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(), b.getUnitAttr());
  function->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(),
                    b.getUnitAttr());
  function->setAttr(
      NVVM::NVVMDialect::getMaxntidAttrName(),
      b.getDenseI32ArrayAttr({int32_t(shape.threads()), 1, 1}));
  function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                    b.getI32IntegerAttr(shape.blocksPerSM));
  for (size_t map : maps) {
    function.setArgAttr(map, LLVM::LLVMDialect::getByValAttrName(),
                        TypeAttr::get(LLVM::LLVMArrayType::get(
                            b.getI8Type(), tensorMapBytes)));
    function.setArgAttr(map, LLVM::LLVMDialect::getAlignAttrName(),
                        b.getI64IntegerAttr(tensorMapAlignment));
    function.setArgAttr(map, NVVM::NVVMDialect::getGridConstantAttrName(),
                        b.getUnitAttr());
  }
  Block *body = function.addEntryBlock(b);
  b.setInsertionPointToStart(body);
  KernelBuilder kernel(b, b.getLoc());
  DecodeParameters p;
  p.keyMap = body->getArgument(keyMap);
  p.valueMap = body->getArgument(valueMap);
  p.keyLetters = keyLetters;
  p.valueLetters = valueLetters;
  p.query = addressed(kernel, body, query);
  p.output = addressed(kernel, body, output);
  if (op.getLse())
    p.lse = addressed(kernel, body, lse);
  p.partials = body->getArgument(partials);
  p.counters = body->getArgument(counters);
  if (lengths)
    p.lengths = body->getArgument(*lengths);
  p.keys = given(kernel, body, keys, 32);
  p.splits = given(kernel, body, splits, 32);
  p.items = given(kernel, body, items, 32);
  p.resident = body->getArgument(resident.parameter);
  for (const Number &extent : extents)
    p.batchExtents.push_back(given(kernel, body, extent, 32));
  for (char letter : roles.row)
    p.rowExtents.push_back(staticExtent(like, letter));
  Value sharedBase = LLVM::AddressOfOp::create(
      b, LLVM::LLVMPointerType::get(context, 3), sharedName);
  buildDecodeKernel(b, b.getLoc(), shape, p, sharedBase);
  LLVM::ReturnOp::create(b, ValueRange());
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

static gpu::GPUModuleOp kernelsOf(ModuleOp module) {
  if (auto found = module.lookupSymbol<gpu::GPUModuleOp>(kernelsName))
    return found;
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  module->setAttr(gpu::GPUDialect::getContainerModuleAttrName(),
                  builder.getUnitAttr());
  return gpu::GPUModuleOp::create(builder, module.getLoc(), kernelsName);
}

namespace {
struct AttnToGPUPass final : einhead::impl::AttnToGPUPassBase<AttnToGPUPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<AttentionOp> ops;
    module.walk([&](AttentionOp op) {
      ScheduleAttr schedule = op.getScheduleAttr();
      if (schedule && schedule.getProducts() == Products::WGMMA)
        ops.push_back(op);
    });
    llvm::StringMap<unsigned> counts;
    for (AttentionOp op : ops) {
      if (!isa<MemRefType>(op.getQuery().getType())) {
        op.emitOpError("is on tensors; bufferize first");
        return signalPassFailure();
      }
      if (std::string why = whyNotDecodeKernel(op); !why.empty()) {
        op.emitOpError("has products by wgmma in its schedule, but ") << why;
        return signalPassFailure();
      }
      StringRef function = op->getParentOfType<func::FuncOp>().getName();
      std::string name =
          (function + "_attention_" + Twine(counts[function]++)).str();
      OpBuilder builder(op);
      Launcher(builder, op, kernelsOf(module)).run(name);
    }
  }
};
} // namespace
