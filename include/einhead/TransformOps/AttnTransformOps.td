//===- AttnTransformOps.td - Attention in scripts ----------*- tablegen -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TRANSFORMOPS_ATTNTRANSFORMOPS_TD
#define EINHEAD_TRANSFORMOPS_ATTNTRANSFORMOPS_TD

include "einhead/IR/AttnAttrs.td"
include "mlir/Dialect/Transform/IR/TransformDialect.td"
include "mlir/Dialect/Transform/Interfaces/TransformInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Attn_TransformOp<string mnemonic, list<Trait> traits>
    : Op<Transform_Dialect, "attn." # mnemonic, !listconcat(traits, [
        MemoryEffectsOpInterface, ReportTrackingListenerFailuresOpTrait])> {
  let cppNamespace = "::einhead::transform_ops";
}

/// Replaces each payload op of its handle by others.
class Attn_ReplaceEachOp<string mnemonic>
    : Attn_TransformOp<mnemonic, [FunctionalStyleTransformOpTrait,
        TransformEachOpTrait, TransformOpInterface]>;

/// Replaces all payload ops of its handle at once.
class Attn_ReplaceAllOp<string mnemonic>
    : Attn_TransformOp<mnemonic, [FunctionalStyleTransformOpTrait,
        DeclareOpInterfaceMethods<TransformOpInterface>]>;

/// Changes each payload op of its handle in place.
class Attn_ChangeEachOp<string mnemonic>
    : Attn_TransformOp<mnemonic, [
        DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
        TransformEachOpTrait, TransformOpInterface]>;

class Attn_ApplyToOne<string target> {
  code declaration = [{
    ::mlir::DiagnosedSilenceableFailure applyToOne(
        ::mlir::transform::TransformRewriter &rewriter, }] # target # [{ target,
        ::mlir::transform::ApplyToEachResultList &results,
        ::mlir::transform::TransformState &state);
  }];
}

def Attn_TransformRaiseOp : Attn_ReplaceEachOp<"raise"> {
  let summary = "Make the chain around a softmax an attention";
  let description = [{
    Each `attn.softmax` of the handle becomes the `attn.attention` that its chain
    is, as `--attn-raise` does; the rest of the chain goes where nothing else
    uses it.

    Consumes the handle.  A softmax that is no attention is a silenceable
    failure with the first reason, and stays as it is.

    ```mlir
    %attention = transform.attn.raise %softmax
      : (!transform.any_op) -> !transform.any_op
    ```
  }];
  let arguments = (ins TransformHandleTypeInterface:$target);
  let results = (outs TransformHandleTypeInterface:$attention);
  let assemblyFormat = "$target attr-dict `:` functional-type(operands, results)";
  let extraClassDeclaration =
    Attn_ApplyToOne<"::einhead::attn::SoftmaxOp">.declaration;
}

def Attn_TransformFuseSharedKVOp : Attn_ReplaceAllOp<"fuse_shared_kv"> {
  let summary = "Share K/V loads between rows in a function";
  let description = [{
    What `--attn-fuse-shared-kv` does, for each `func.func` of the handle.
    Attentions may become one, so the handle is that of the function, and the
    result is that of the attentions that it then has.

    Consumes the handle, and with it those of all ops in the function.  An op
    that is no function is a silenceable failure.

    ```mlir
    %attention = transform.attn.fuse_shared_kv %function
      : (!transform.any_op) -> !transform.any_op
    ```
  }];
  let arguments = (ins TransformHandleTypeInterface:$function);
  let results = (outs TransformHandleTypeInterface:$attention);
  let assemblyFormat = "$function attr-dict `:` functional-type(operands, results)";
}

def Attn_TransformScheduleOp : Attn_ChangeEachOp<"schedule"> {
  let summary = "Choose the schedule of an attention from the target's numbers";
  let description = [{
    Gives each `attn.attention` of the handle the schedule that `--attn-schedule`
    would, in place of any that it has.  `cpu` is `host` or a name that LLVM
    knows.

    Keeps the handle.  An attention that the tiled loops cannot take is a
    silenceable failure with the reason; an unknown CPU is an error.

    ```mlir
    transform.attn.schedule %attention {cpu = "x86-64-v3"} : !transform.any_op
    ```
  }];
  let arguments = (ins TransformHandleTypeInterface:$target,
    DefaultValuedAttr<StrAttr, "\"host\"">:$cpu);
  let results = (outs);
  let assemblyFormat = "$target attr-dict `:` type($target)";
  let extraClassDeclaration =
    Attn_ApplyToOne<"::einhead::attn::AttentionOp">.declaration;
}

def Attn_TransformSetScheduleOp : Attn_ChangeEachOp<"set_schedule"> {
  let summary = "Give an attention a schedule";
  let description = [{
    Each `attn.attention` or `attn.partial_attention` of the handle gets this
    schedule.

    Keeps the handle.  An attention that the tiled loops cannot take is a
    silenceable failure with the reason.

    ```mlir
    transform.attn.set_schedule
      #attn.schedule<chunk = 256, key_tile = 32, row_tile = 16, lanes = 8>
      on %attention : !transform.any_op
    ```
  }];
  let arguments = (ins TransformHandleTypeInterface:$target,
    Attn_ScheduleAttr:$schedule);
  let results = (outs);
  let assemblyFormat = [{
    qualified($schedule) `on` $target attr-dict `:` type($target)
  }];
  let extraClassDeclaration = Attn_ApplyToOne<"::mlir::Operation *">.declaration;
}

def Attn_TransformSplitKeysOp : Attn_ReplaceAllOp<"split_keys"> {
  let summary = "Split an attention over chunks of keys";
  let description = [{
    What `--attn-split-keys` does: each `attn.attention` of the handle becomes
    partial attentions over chunks of its keys (one for each disjoint part of
    its mask, in the order in which they continue one another) and a merge.

    Consumes the handle.  An attention without a schedule is a silenceable
    failure, as is one that the tiled loops cannot take; nothing is split then.

    ```mlir
    %partial, %merge = transform.attn.split_keys %attention
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    ```
  }];
  let arguments = (ins TransformHandleTypeInterface:$target);
  let results = (outs TransformHandleTypeInterface:$partial,
                      TransformHandleTypeInterface:$merge);
  let assemblyFormat = "$target attr-dict `:` functional-type(operands, results)";
}

def Attn_TransformTileDecodeOp : Attn_ReplaceAllOp<"tile_decode"> {
  let summary = "Tile chunked partial attentions into loops";
  let description = [{
    What `--attn-tile-decode` does with the partial attentions of the handle: one
    `scf.forall` over chunks, batch letters and row blocks, shared by those that
    continue one another, and in it loops over key tiles.  The results are the
    parallel loops and the partial attentions in them.

    Consumes the handle; all that continue one another must be in it.  An op
    without chunks or schedule is a silenceable failure; nothing is tiled then.

    ```mlir
    %loop, %tiles = transform.attn.tile_decode %partial
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    ```
  }];
  let arguments = (ins TransformHandleTypeInterface:$target);
  let results = (outs TransformHandleTypeInterface:$loop,
                      TransformHandleTypeInterface:$tiles);
  let assemblyFormat = "$target attr-dict `:` functional-type(operands, results)";
}

def Attn_TransformTileKeysOp : Attn_ReplaceAllOp<"tile_keys"> {
  let summary = "Tile a partial attention over its keys";
  let description = [{
    The inner half of `--attn-tile-decode`, for loops that come from elsewhere:
    each partial attention of the handle, on one chunk, becomes loops over tiles
    of `key_tile` keys.  With a mask, tiles where it holds everywhere are walked
    without it and tiles where it holds nowhere are not visited; without one the
    last, shorter tile is peeled.  The results are the loops and the partial
    attentions in them.

    Consumes the handle.  An op with chunks or without a schedule is a
    silenceable failure; nothing is tiled then.

    ```mlir
    %loops, %tiles = transform.attn.tile_keys %partial
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    ```
  }];
  let arguments = (ins TransformHandleTypeInterface:$target);
  let results = (outs TransformHandleTypeInterface:$loops,
                      TransformHandleTypeInterface:$tiles);
  let assemblyFormat = "$target attr-dict `:` functional-type(operands, results)";
}

def Attn_TransformTileMergeOp : Attn_ReplaceAllOp<"tile_merge"> {
  let summary = "Make a merge one task for each state";
  let description = [{
    What `--attn-tile-decode` does with an `attn.merge`: one `scf.forall` over all
    letters of a state but the last.  The results are the loops and the merges;
    a merge with one letter stays, without a loop.

    Consumes the handle.

    ```mlir
    %loop, %tile = transform.attn.tile_merge %merge
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    ```
  }];
  let arguments = (ins TransformHandleTypeInterface:$target);
  let results = (outs TransformHandleTypeInterface:$loop,
                      TransformHandleTypeInterface:$tiles);
  let assemblyFormat = "$target attr-dict `:` functional-type(operands, results)";
}

#endif // EINHEAD_TRANSFORMOPS_ATTNTRANSFORMOPS_TD
