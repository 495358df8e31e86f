//===- LaunchThroughHost.cpp - Launches call the host -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DeviceLaunch.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"

namespace einhead {
#define GEN_PASS_DEF_LAUNCHTHROUGHHOSTPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;

static constexpr StringLiteral hostName = "einhead_module_host";
/// Where members of einhead_host_t stand (runtime.h).
enum HostMember : int32_t {
  LaunchMember = 2,
  TensorMapMember = 3,
  ZeroedMember = 4,
  MultiprocessorsMember = 5,
  ClustersMember = 6
};

namespace {
/// Stack memory of one function that its launches take in turn: the host has
/// read all of it when `launch` returns.
struct Scratch {
  Value grid, block, slots, pointers;
};

/// What one parameter of the lowered kernel is: a value, or the memory with its
/// bytes.
struct Parameter {
  Value value;
  bool isAddress = false;
};

struct LaunchThroughHostPass final
    : einhead::impl::LaunchThroughHostPassBase<LaunchThroughHostPass> {
  void runOnOperation() override;

private:
  LogicalResult lower(func::FuncOp function);
  FailureOr<SmallVector<Parameter>> parameters(OpBuilder &b,
                                               gpu::LaunchFuncOp launch);
  void lower(gpu::LaunchFuncOp launch, const Scratch &scratch,
             ArrayRef<Parameter> parameters);
  void defineHostCalls();
  void defineHostCall(func::FuncOp function, HostMember member);
  Value hostFunction(OpBuilder &b, Location loc, HostMember member);

  Type pointer() { return LLVM::LLVMPointerType::get(&getContext()); }
  Type i64() { return IntegerType::get(&getContext(), 64); }
  Value constant(OpBuilder &b, Location loc, int64_t value) {
    return LLVM::ConstantOp::create(b, loc, i64(), b.getI64IntegerAttr(value));
  }
};
} // namespace

static Value castTo(OpBuilder &b, Location loc, Value value, Type type) {
  if (value.getType() == type)
    return value;
  return UnrealizedConversionCastOp::create(b, loc, type, value).getResult(0);
}

static Value element(OpBuilder &b, Location loc, Value array, Type type,
                     int32_t i) {
  return LLVM::GEPOp::create(b, loc, array.getType(), type, array,
                             ArrayRef<LLVM::GEPArg>{i});
}

/// The member of the host's table, loaded where it is called: the loader sets
/// the table after the code is mapped.
Value LaunchThroughHostPass::hostFunction(OpBuilder &b, Location loc,
                                          HostMember member) {
  ModuleOp module = getOperation();
  auto global = module.lookupSymbol<LLVM::GlobalOp>(hostName);
  if (!global) {
    OpBuilder top = OpBuilder::atBlockBegin(module.getBody());
    global =
        LLVM::GlobalOp::create(top, module.getLoc(), pointer(),
                               /*isConstant=*/false, LLVM::Linkage::External,
                               hostName, LLVM::ZeroAttr::get(&getContext()));
  }
  Value variable = LLVM::AddressOfOp::create(b, loc, global);
  Value table = LLVM::LoadOp::create(b, loc, pointer(), variable);
  return LLVM::LoadOp::create(b, loc, pointer(),
                              element(b, loc, table, pointer(), member));
}

/// Whether the parameter is passed by value, its operand being a pointer.
static bool isByValue(gpu::LaunchFuncOp launch, size_t operand,
                      size_t parameter) {
  Operation *kernel =
      SymbolTable::lookupNearestSymbolFrom(launch, launch.getKernelAttr());
  auto function = dyn_cast_or_null<FunctionOpInterface>(kernel);
  // A kernel that is lowered has expanded operands, as the host will pass them.
  auto i = static_cast<unsigned>(
      isa_and_nonnull<LLVM::LLVMFuncOp>(kernel) ? parameter : operand);
  return function && i < function.getNumArguments() &&
         function.getArgAttr(i, LLVM::LLVMDialect::getByValAttrName());
}

FailureOr<SmallVector<Parameter>>
LaunchThroughHostPass::parameters(OpBuilder &b, gpu::LaunchFuncOp launch) {
  Location loc = launch.getLoc();
  LLVMTypeConverter converter(&getContext());
  SmallVector<Parameter> parameters;
  for (auto [i, operand] : llvm::enumerate(launch.getKernelOperands())) {
    Type type = converter.convertType(operand.getType());
    auto memref = dyn_cast<MemRefType>(operand.getType());
    if (!type ||
        (!memref && !type.isIntOrFloat() && !isa<LLVM::LLVMPointerType>(type)))
      return launch.emitOpError()
             << "has an operand of type " << operand.getType()
             << ", which no kernel takes";
    Value value = castTo(b, loc, operand, type);
    if (!memref) {
      parameters.push_back({value, isByValue(launch, i, parameters.size())});
      continue;
    }
    SmallVector<Value> parts;
    MemRefDescriptor::unpack(b, loc, value, memref, parts);
    for (Value part : parts)
      parameters.push_back({part});
  }
  return parameters;
}

void LaunchThroughHostPass::lower(gpu::LaunchFuncOp launch,
                                  const Scratch &scratch,
                                  ArrayRef<Parameter> parameters) {
  OpBuilder b(launch);
  Location loc = launch.getLoc();
  auto storeDims = [&](gpu::KernelDim3 dims, Value array) {
    Value each[] = {dims.x, dims.y, dims.z};
    for (auto [i, dim] : llvm::enumerate(each)) {
      Value number = dim.getType().isIndex()
                         ? Value(arith::IndexCastOp::create(b, loc, i64(), dim))
                     : dim.getType() == i64()
                         ? dim
                         : Value(arith::ExtUIOp::create(b, loc, i64(), dim));
      LLVM::StoreOp::create(b, loc, number,
                            element(b, loc, array, i64(), static_cast<int>(i)));
    }
  };
  storeDims(launch.getGridSizeOperandValues(), scratch.grid);
  storeDims(launch.getBlockSizeOperandValues(), scratch.block);
  for (auto [i, parameter] : llvm::enumerate(parameters)) {
    Value value = parameter.value, address = value;
    if (!parameter.isAddress) {
      address = element(b, loc, scratch.slots, i64(), static_cast<int>(i));
      // A parameter that is a bit takes a byte.
      if (value.getType().isInteger(1))
        value = LLVM::ZExtOp::create(b, loc, b.getI8Type(), value);
      LLVM::StoreOp::create(b, loc, value, address);
    }
    LLVM::StoreOp::create(
        b, loc, address,
        element(b, loc, scratch.pointers, pointer(), static_cast<int>(i)));
  }
  Value cluster = launch.hasClusterSize()
                      ? castTo(b, loc, launch.getClusterSizeX(), i64())
                      : constant(b, loc, 1);
  Value shared = constant(b, loc, 0);
  if (Value bytes = launch.getDynamicSharedMemorySize())
    shared = LLVM::ZExtOp::create(b, loc, i64(), bytes);
  auto type = LLVM::LLVMFunctionType::get(
      LLVM::LLVMVoidType::get(&getContext()),
      {pointer(), pointer(), pointer(), i64(), i64(), pointer()});
  LLVM::CallOp::create(
      b, loc, type,
      ValueRange{hostFunction(b, loc, LaunchMember),
                 nameOfKernel(b, loc, getOperation(),
                              launch.getKernelName().getValue()),
                 scratch.grid, scratch.block, cluster, shared,
                 scratch.pointers});
  launch.erase();
}

LogicalResult LaunchThroughHostPass::lower(func::FuncOp function) {
  SmallVector<gpu::LaunchFuncOp> launches;
  function.walk([&](gpu::LaunchFuncOp op) { launches.push_back(op); });
  if (launches.empty())
    return success();
  SmallVector<SmallVector<Parameter>> passed;
  size_t most = 1;
  for (gpu::LaunchFuncOp launch : launches) {
    if (!launch.getAsyncDependencies().empty() || launch.getAsyncToken())
      return launch.emitOpError("is asynchronous; launches of a step follow "
                                "each other on one stream");
    OpBuilder b(launch);
    auto each = parameters(b, launch);
    if (failed(each))
      return failure();
    most = std::max(most, each->size());
    passed.push_back(std::move(*each));
  }
  OpBuilder b = OpBuilder::atBlockBegin(&function.front());
  Location loc = function.getLoc();
  auto reserve = [&](Type type, int64_t count) -> Value {
    return LLVM::AllocaOp::create(b, loc, pointer(), type,
                                  constant(b, loc, count));
  };
  Scratch scratch;
  scratch.grid = reserve(i64(), 3);
  scratch.block = reserve(i64(), 3);
  scratch.slots = reserve(i64(), static_cast<int64_t>(most));
  scratch.pointers = reserve(pointer(), static_cast<int64_t>(most));
  for (auto [launch, each] : llvm::zip(launches, passed))
    lower(launch, scratch, each);
  return success();
}

/// A body that passes everything on to the member.
void LaunchThroughHostPass::defineHostCall(func::FuncOp function,
                                           HostMember member) {
  Location loc = function.getLoc();
  OpBuilder b = OpBuilder::atBlockBegin(function.addEntryBlock());
  auto converted = [&](Type type) { return type.isIndex() ? i64() : type; };
  SmallVector<Value> arguments{hostFunction(b, loc, member)};
  SmallVector<Type> parameters;
  for (BlockArgument argument : function.getArguments()) {
    parameters.push_back(converted(argument.getType()));
    arguments.push_back(castTo(b, loc, argument, parameters.back()));
  }
  FunctionType type = function.getFunctionType();
  Type result = type.getNumResults()
                    ? converted(type.getResult(0))
                    : Type(LLVM::LLVMVoidType::get(&getContext()));
  auto call = LLVM::CallOp::create(
      b, loc, LLVM::LLVMFunctionType::get(result, parameters), arguments);
  SmallVector<Value> results;
  if (type.getNumResults())
    results.push_back(castTo(b, loc, call.getResult(), type.getResult(0)));
  func::ReturnOp::create(b, loc, results);
}

void LaunchThroughHostPass::defineHostCalls() {
  for (auto [name, member] :
       {std::pair("einhead_host_tensor_map", TensorMapMember),
        std::pair("einhead_host_zeroed", ZeroedMember),
        std::pair("einhead_host_multiprocessors", MultiprocessorsMember),
        std::pair("einhead_host_clusters", ClustersMember)})
    if (auto function = getOperation().lookupSymbol<func::FuncOp>(name);
        function && function.isExternal())
      defineHostCall(function, member);
}

void LaunchThroughHostPass::runOnOperation() {
  for (auto function : getOperation().getOps<func::FuncOp>())
    if (!function.isExternal() && failed(lower(function)))
      return signalPassFailure();
  defineHostCalls();
}
