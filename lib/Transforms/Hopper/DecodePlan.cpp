//===- DecodePlan.cpp - Sizes of a Hopper decode kernel ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DecodePlan.h"
#include "einhead/Analysis/ValueInKey.h"
#include "einhead/IR/KeySet.h"
#include "einhead/IR/Tile.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;
using namespace einhead::hopper;

/// Of a multiprocessor (CUDA programming guide, compute capability 9.0): shared
/// memory, and what each block takes of it for the system.
static constexpr int64_t sharedBytesPerSM = 228 << 10, reservedBytes = 1 << 10;
static constexpr int64_t mostGroups = 3;

/// The kernel walks the keys from the first to the last one that a row attends,
/// the same for all units.
static std::string whyNotMask(AttentionLike op, MaskAttr mask) {
  AttentionRoles roles = rolesOf(op);
  if (roles.key.size() != 1)
    return "a mask over several key letters";
  char key = roles.key[0];
  for (char letter : otherLetters(mask, key))
    if (roles.row.find(letter) == std::string::npos)
      return std::string("its mask differs along '") + letter +
             "', which is no row letter";
  if (isSparse(mask, key) || disjointMasks(mask).size() != 1)
    return "the keys of its mask lie apart";
  return "";
}

/// Whether key and value are bytes that consumers convert.
static bool hasByteKeys(AttentionOp op) {
  Type key = getElementTypeOrSelf(op.getKey());
  return isa<Float8E4M3FNType>(key) || key.isInteger(8);
}

static std::string whyNotTypes(AttentionOp op) {
  Type query = getElementTypeOrSelf(op.getQuery());
  if (!query.isBF16() && !query.isF16())
    return "the query is neither bf16 nor f16";
  Type key = getElementTypeOrSelf(op.getKey());
  if (getElementTypeOrSelf(op.getValue()) != key)
    return "key and value differ in element type";
  if (key != query && !hasByteKeys(op))
    return "key and value are neither f8E4M3FN, nor i8, nor of the query's "
           "type";
  Type output = getElementTypeOrSelf(op.getOutput());
  if (!output.isF32() && !output.isBF16() && !output.isF16())
    return "the output is not f32, f16 or bf16";
  return "";
}

/// TMA reads rows of whole 16 bytes.
static std::string whyNotColumns(AttentionOp op, const AttentionRoles &roles) {
  auto like = cast<AttentionLike>(op.getOperation());
  int64_t multiple = hasByteKeys(op) ? 16 : 8;
  for (char letter : {roles.depth[0], roles.value[0]})
    if (staticExtent(like, letter) % multiple)
      return (llvm::Twine("the extent of '") + llvm::Twine(letter) +
              "' is no multiple of " + llvm::Twine(multiple) +
              ", so that rows are no multiples of 16 bytes")
          .str();
  return "";
}

std::string einhead::hopper::whyNotDecodeKernel(AttentionOp op) {
  auto like = cast<AttentionLike>(op.getOperation());
  AttentionRoles roles = rolesOf(like);
  if (std::string why = whyNotTypes(op); !why.empty())
    return why;
  if (!op.getSharedKv())
    return "its rows do not share K and V";
  for (char letter : roles.row)
    if (ShapedType::isDynamic(staticExtent(like, letter)))
      return std::string("the extent of row letter '") + letter +
             "' is dynamic";
  if (std::string why = whyNotColumns(op, roles); !why.empty())
    return why;
  if (roles.queryTerm.back() != roles.depth[0])
    return "depth is not the last letter of the query";
  // A tensor map has at most 5 dimensions, two of which are keys and columns.
  if (roles.keyTerm.size() > 5 || roles.valueTerm.size() > 5)
    return "key or value has more than three batch letters";
  if (op.getMask())
    if (std::string why = whyNotMask(like, *op.getMask()); !why.empty())
      return why;
  if (op.getBias() || op.getBlocks() || op.getSink() ||
      !op.getScore().empty() || op.getOffsetLetters())
    return "a bias, block list, sink or score region shapes its scores";
  if (op.getScale().convertToDouble() <= 0)
    return "its scale is not positive";
  return "";
}

/// The value as columns of the key, from the first on.
static bool isValueInKey(AttentionOp op) {
  if (op.getKey() == op.getValue())
    return true;
  if (isa<TensorType>(op.getKey().getType()))
    return ValueInKey::of(cast<AttentionLike>(op.getOperation())).holds;
  auto view = op.getValue().getDefiningOp<memref::SubViewOp>();
  auto keyView = op.getKey().getDefiningOp<memref::SubViewOp>();
  if (!view || view.getSourceType().getRank() != view.getType().getRank() ||
      !view.hasUnitStride())
    return false;
  if (view.getSource() == op.getKey())
    return view.hasZeroOffset();
  // Two slices of one tensor that begin at the same element.
  return keyView && keyView.getSource() == view.getSource() &&
         keyView.hasUnitStride() &&
         keyView.getMixedOffsets() == view.getMixedOffsets();
}

/// Registers of a thread that computes `rows` rows: accumulators, scores, sums,
/// operands that were converted, and what else it needs (what ptxas takes
/// without spilling more than a few words).
static int64_t registersFor(const DecodeShape &shape, int64_t rows) {
  int64_t each = 4 * shape.outputBlocks() + 4 * shape.keyBlocks + 6;
  int64_t scales = shape.isScaled() ? 8 : 0;
  return rows / 8 * each + (shape.byteKeys ? 56 : 32) + scales;
}

/// As many rows as registers allow, in blocks of about the same size.
static int64_t rowsOfUnit(const DecodeShape &shape) {
  int64_t most = 8, rows = shape.totalRows;
  while (registersFor(shape, most + 8) <= DecodeShape::registers(2))
    most += 8;
  if (rows <= most)
    return rows;
  return llvm::alignTo(llvm::divideCeil(rows, llvm::divideCeil(rows, most)), 8);
}

/// Whether the sizes fit into an SM, with as many stages as there is room for;
/// a group computes on one while another is filled.
static bool takeStages(DecodeShape &shape) {
  int64_t budget = sharedBytesPerSM / shape.blocksPerSM - reservedBytes;
  int64_t least = shape.split ? 2 : 2 * shape.groups;
  int64_t step = shape.split ? 1 : shape.groups;
  for (shape.stages = least; shape.sharedBytes() <= budget;)
    shape.stages += step;
  shape.stages -= step;
  return shape.stages >= least || shape.groups == 1;
}

/// Whether rows are so many and the value so wide that rows should be the M of
/// a wgmma.  512 columns are what two groups have registers for.
static bool isWide(const DecodeShape &shape) {
  constexpr int64_t fewRows = 32, mostBoxes = 8;
  return shape.valueInKey && !shape.byteKeys && shape.totalRows > fewRows &&
         shape.widthBoxes() > mostBoxes / 2 &&
         shape.widthBoxes() <= mostBoxes && shape.depthBoxes() <= mostBoxes + 1;
}

/// What there is to compute.
DecodeShape einhead::hopper::shapeOf(AttentionOp op,
                                     const AttentionRoles &roles) {
  auto like = cast<AttentionLike>(op.getOperation());
  DecodeShape shape;
  shape.totalRows = 1;
  for (char letter : roles.row)
    shape.totalRows *= staticExtent(like, letter);
  shape.depth = staticExtent(like, roles.depth[0]);
  shape.width = staticExtent(like, roles.value[0]);
  shape.valueInKey = isValueInKey(op);
  shape.byteKeys = hasByteKeys(op);
  shape.integers = getElementTypeOrSelf(op.getKey()).isInteger(8);
  shape.keyScaled = op.getKeyScale() != nullptr;
  shape.valueScaled = op.getValueScale() != nullptr;
  shape.query = getElementTypeOrSelf(op.getQuery());
  shape.element =
      shape.byteKeys ? Float16Type::get(op.getContext()) : shape.query;
  shape.output = getElementTypeOrSelf(op.getOutput());
  shape.scale = op.getScale().convertToDouble();
  return shape;
}

/// Many rows of bytes wait for tensor cores, exponentials and barriers more
/// than for memory: rounds of twice as many keys have fewer of the latter.
static bool takeLargeRounds(DecodeShape &shape) {
  DecodeShape large = shape;
  large.groups = 2;
  large.keyBlocks = 2;
  large.keyTile = large.roundKeys();
  if (registersFor(large, large.paddedRows()) > DecodeShape::registers(2) ||
      !takeStages(large))
    return false;
  shape = large;
  return true;
}

/// With more rows still, groups that compute either weights or outputs wait
/// less for each other, and three of them have enough registers.  Measured on
/// an H200: of up to 32 rows, or 64 columns, it wins nothing.
static bool takeRoles(DecodeShape &shape) {
  constexpr int64_t fewRows = 32, mostRegisters = 168;
  DecodeShape split = shape;
  split.split = true;
  split.groups = 3;
  split.keyBlocks = 2;
  split.keyTile = split.roundKeys();
  int64_t blocks = shape.paddedRows() / 8, scales = shape.isScaled() ? 8 : 0;
  int64_t weights = blocks * (4 * split.keyBlocks + 6) + 40 + scales;
  int64_t outputs = blocks * 4 * shape.outputBlocks() + 64;
  bool isNarrow = shape.queryBoxes() == 1 || shape.outputBlocks() == 1;
  if (shape.valueInKey || isNarrow || shape.paddedRows() <= fewRows ||
      std::max(weights, outputs) > mostRegisters || !takeStages(split))
    return false;
  shape = split;
  return true;
}

DecodeShape einhead::hopper::planDecodeKernel(AttentionOp op) {
  auto like = cast<AttentionLike>(op.getOperation());
  AttentionRoles roles = rolesOf(like);
  DecodeShape shape = shapeOf(op, roles);
  shape.keyTile = 64;
  if (isWide(shape)) {
    int64_t blocks = llvm::divideCeil(shape.totalRows, 64);
    shape.wide = true;
    shape.rows =
        std::min<int64_t>(llvm::divideCeil(shape.totalRows, blocks), 64);
    shape.keyTile = 128;
    shape.groups = shape.stages = 2;
    shape.blocksPerSM = 1;
    return shape;
  }
  shape.rows = rowsOfUnit(shape);

  // Few rows wait for memory: two small blocks overlap their ends.  Many rows
  // need groups that compute while others wait.
  // Measured on an H200: three blocks where keys are few.
  constexpr int64_t fewRows = 16, fewKeys = 512;
  int64_t keys = staticExtent(like, roles.key[0]);
  bool isShort = !ShapedType::isDynamic(keys) && keys <= fewKeys;
  bool isSmall = shape.paddedRows() <= fewRows && shape.outputBlocks() <= 2 &&
                 shape.queryBoxes() <= 2;
  shape.blocksPerSM = !isSmall ? 1 : isShort ? 3 : 2;
  shape.groups = isSmall ? 1 : mostGroups;
  if (shape.byteKeys && !isSmall &&
      (takeRoles(shape) || takeLargeRounds(shape)))
    return shape;
  int64_t registers = registersFor(shape, shape.paddedRows());
  while (shape.groups > 1 && registers > DecodeShape::registers(shape.groups))
    --shape.groups;
  while (!takeStages(shape))
    --shape.groups;
  // Bytes of short units: 14.1 us with two stages, 15.4 with four.
  if (shape.byteKeys && isShort && isSmall)
    shape.stages = std::min<int64_t>(shape.stages, 2);
  return shape;
}
