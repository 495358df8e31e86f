//===- Passes.td - Einhead's passes ------------------------*- tablegen -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TRANSFORMS_PASSES_TD
#define EINHEAD_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def SpecializePass : Pass<"attn-specialize", "::mlir::ModuleOp"> {
  let summary = "Give named dimensions their extents";
  let description = [{
    Function arguments name their dimensions (`attn.shape = "b, m, k"`).  This
    pass replaces the dynamic extents whose names it is given.  An extent that is
    known of one dimension is known of all that letters and ops make one with it:
    of arguments, results, and everything between; with or without names given.
    A `tensor.cast` stands where a type cannot follow.  Names that are not given
    stay dynamic.

    Refused: extents that contradict each other, and a dynamic extent that has
    two names in one function, since a call could give it two numbers.

    Before, with `--attn-specialize=sizes=k=128`:
    ```mlir
    func.func @f(%q: tensor<?x?xf32> {attn.shape = "b, k"})
    ```
    After:
    ```mlir
    func.func @f(%q: tensor<?x128xf32> {attn.shape = "b, k"})
    ```
  }];
  let options = [ListOption<"sizes", "sizes", "std::string",
                            "name=extent pairs, comma-separated">];
}

def AbsorbPass : Pass<"attn-absorb", "::mlir::func::FuncOp"> {
  let summary = "Attend to the latent that keys and values are projected from";
  let description = [{
    Where keys and values are einsums of a latent and a weight, the weights can
    go to the other side of the attention: that of the keys to the query, that of
    the values behind the output.  The attention then reads the latent, which all
    heads share.  A second score einsum, that of rotary keys beside the latent,
    joins the first one.  Both forms are counted, and the cheaper one is taken; a
    remark states both.  Sums are taken in another order.

    Before:
    ```mlir
    %k = attn.einsum "bmc, hck -> bhmk"(%latent, %up_k)
    %s = attn.einsum "bhk, bhmk -> bhm"(%q, %k)
    ```
    After:
    ```mlir
    %l = attn.einsum "bhk, hck -> bhc"(%q, %up_k)
    %s = attn.einsum "bhc, bmc -> bhm"(%l, %latent)
    ```
  }];
  let dependentDialects = ["::einhead::attn::AttnDialect",
                           "::mlir::tensor::TensorDialect",
                           "::mlir::arith::ArithDialect"];
}

def RaisePass : Pass<"attn-raise", "::mlir::func::FuncOp"> {
  let summary = "Recognise attention by its letters";
  let description = [{
    Finds einsum - softmax - einsum chains and makes each one `attn.attention`.
    What counts is where the letters stand, not how the chain is spelled.  Between
    scores and softmax may stand a scale, a bias, and elementwise arith, math and
    linalg ops (soft-cap, ALiBi, boolean masks), which become the `score` region.
    A softmax whose result feeds no such chain gets a missed remark
    that says exactly why; with `require-fused` that is an error.

    Level after: 1 (attention).
  }];
  let options = [Option<"requireFused", "require-fused", "bool", "false",
                        "a softmax that is not raised is an error">];
  let dependentDialects = ["::einhead::attn::AttnDialect",
                           "::mlir::tensor::TensorDialect"];
}

def FuseSharedKVPass : Pass<"attn-fuse-shared-kv", "::mlir::func::FuncOp"> {
  let summary = "Share K/V loads between all rows that K and V lack";
  let description = [{
    Brings each attention into the normal form in which one K/V tile serves all
    rows.  What counts is which elements K and V are, as an affine map from
    their indices, not how that is spelled (broadcasts, generics, gathers,
    reshapes, slices, insertions, concatenations):
    - *RepeatedKV*: K and V that are the same for all indices of a letter are
      read without it; where they are the same for groups of indices, the letter
      is split in two (`"bhk, bhmk, bhmv -> bhv"` becomes `"bgrk, bgmk, bgmv ->
      bgrv"`).
    - *SiblingAttention*: attentions over one K and V become one, with the rows
      of all: read in place where the queries are slices of one tensor, else
      stacked or concatenated.
    - *PrefixSuffix*: K and V of parts, of which one repeats, become an
      attention for each part, joined by `attn.merge`.

    Each decision is a remark with the K/V bytes before and after, or the reason
    why not.  An attention that this pass has not seen walks K and V once for
    each row.

    Level after: 2 (shared).
  }];
  let dependentDialects = ["::einhead::attn::AttnDialect",
                           "::mlir::affine::AffineDialect",
                           "::mlir::arith::ArithDialect",
                           "::mlir::tensor::TensorDialect"];
}

def SchedulePass : Pass<"attn-schedule", "::mlir::func::FuncOp"> {
  let summary = "Choose tile sizes from the target's numbers";
  let description = [{
    Puts an `#attn.schedule` on each attention that has none.  Sizes come from
    the extents and from TargetInfo; a schedule that the user wrote stays.  Where
    `file` holds a schedule for this target and problem, as `einhead tune`
    stores it, that one is taken, and the remark says so.  An entry that is
    unknown or invalid is an error at its place in the file.  An
    attention that cannot be tiled (two key letters, a dynamic depth) is left
    without one, with a missed remark; it lowers through linalg.

    For a `chip` with wgmma (sm_90a), what one kernel of tensor cores computes
    gets `products = wgmma`; a missed remark says of others why not.

    Level after: 3 (scheduled).
  }];
  let options = [
    Option<"cpu", "cpu", "std::string", "\"host\"", "the target CPU">,
    Option<"file", "file", "std::string", "",
           "measured schedules, as 'einhead tune' stores them">,
    Option<"chip", "chip", "std::string", "",
           "the target GPU; none: the loops run on the CPU">,
    Option<"requireFused", "require-fused", "bool", "false",
           "an attention that cannot be tiled is an error">];
  let dependentDialects = ["::einhead::attn::AttnDialect"];
}

def StateTrafficPass : Pass<"attn-state-traffic", "::mlir::func::FuncOp"> {
  let summary = "Write down the K/V bytes that scheduled attention must read";
  let description = [{
    The traffic contract, first half.  For example sizes of what is dynamic, the
    least K/V bytes of all scheduled attentions: the keys that some row attends,
    counted one by one, times the bytes of a key; once more for each further
    block of rows (`row_tile`).  Where the keys of a part of a mask lie apart in
    no list, `walked` has those between as well.  The numbers and the sizes stand
    in the attribute `attn.traffic` of the function until
    `--attn-check-traffic`.  A remark says how many scores a mask keeps, and how
    many operations those are.

    Level after: 3 (scheduled).
  }];
}

def SplitKeysPass : Pass<"attn-split-keys", "::mlir::func::FuncOp"> {
  let summary = "Split attention over chunks of keys, joined by attn.merge";
  let description = [{
    Each scheduled `attn.attention` becomes `attn.partial_attention`, whose
    states have a leading dimension of one chunk of keys each, and `attn.merge`.
    Chunks start at multiples of the schedule's `chunk`.
  }];
  let dependentDialects = ["::einhead::attn::AttnDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect",
    "::mlir::affine::AffineDialect"];
}

def TileDecodePass : Pass<"attn-tile-decode", "::mlir::func::FuncOp"> {
  let summary = "Tile attention into loops over batch, rows, splits and keys";
  let description = [{
    Through TilingInterface: one `scf.forall` over splits, batch letters and row
    blocks; inside it one `scf.for` over key tiles that carries the state.  The
    last, shorter key tile is peeled.

    Level after: 4 (tiled).
  }];
  let dependentDialects = ["::einhead::attn::AttnDialect",
    "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect",
    "::mlir::affine::AffineDialect"];
}

def CheckTrafficPass : Pass<"attn-check-traffic", "::mlir::func::FuncOp"> {
  let summary = "Fail if the tiled loops read more K/V than they must";
  let description = [{
    The traffic contract, second half.  Runs the index arithmetic of the loops
    with the sizes of `attn.traffic`, adds up the K/V bytes of each partial
    attention that they reach, and compares.  More than the stated bytes
    (`walked`, where that is more) and the padding of the first and last key tile
    of each loop is an error.

    Level after: 4 (tiled).
  }];
}

def FuseProjectionsPass : Pass<"attn-fuse-projections", "::mlir::func::FuncOp"> {
  let summary = "Project one activation with all its weights in one parallel loop";
  let description = [{
    Einsums that read one tensor and sum the same letters of it (query, key and
    value of one x; gate and up) become one `scf.forall` over blocks of their
    results, each of which computes a block of every one: one fork and join, and
    x stays in the cache.  Blocks are memory in one piece or long runs of it:
    columns by the weight's first letter, and where that letter is summed, parts
    of the sums, which a second loop adds in order.  Where x has many rows they
    are cut as well.  How many blocks there are follows from the extents alone,
    so that bits do not depend on threads.  A large einsum without siblings
    becomes such a loop as well.
  }];
  let options = [
    Option<"minBytes", "min-bytes", "int64_t", "262144",
           "smaller weights are not worth a fork and a join">];
  let dependentDialects = ["::mlir::linalg::LinalgDialect",
    "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect",
    "::mlir::arith::ArithDialect", "::mlir::affine::AffineDialect"];
}

def ConvertAttnToLinalgPass : Pass<"convert-attn-to-linalg", "::mlir::func::FuncOp"> {
  let summary = "Lower the graph ops through upstream linalg";
  let description = [{
    The unfused path, and the lowering of everything that is not attention:
    einsums become `linalg.generic`s of at most two operands each, with the
    unit-stride letter innermost; a softmax its max, exp and sum; an append a
    `tensor.insert_slice`; an attention without a schedule is decomposed first
    (AggregatedOpInterface).
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect",
    "::mlir::tensor::TensorDialect", "::mlir::math::MathDialect",
    "::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect"];
}

def AttnToVectorPass : Pass<"attn-to-vector", "::mlir::func::FuncOp"> {
  let summary = "Lower tiled attention on buffers to vectors";
  let description = [{
    Writes `attn.partial_attention` and `attn.merge` on memrefs as loops over
    register tiles.  Each row of a K tile and of a V tile is loaded once for a
    whole block of query rows.

    Level after: 5 (vector), with `attn.read_ahead` for what the schedule
    prefetches.
  }];
  let dependentDialects = ["::mlir::vector::VectorDialect",
    "::mlir::scf::SCFDialect", "::mlir::memref::MemRefDialect",
    "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::x86vector::X86VectorDialect", "::mlir::amx::AMXDialect"];
}

def PrefetchPass : Pass<"attn-prefetch", "::mlir::func::FuncOp"> {
  let summary = "Ask for the rows of tiles to come, at an even pace";
  let description = [{
    Spreads requests for the cache lines of each `attn.read_ahead` over the code
    that follows it, in the order of addresses, K and V side by side.  Vector
    operations and matrix tiles in loops with constant bounds count as the code's
    time.  Memory is busy all the time then, and no burst fills the queue that
    loads wait in.  One request for each line; where the code reads in order, one
    for as many bytes as the CPU's own prefetchers follow (`TargetInfo`).

    Level after: 5 (vector): no attn op is left.
  }];
  let options = [
    Option<"cpu", "cpu", "std::string", [{"host"}],
           "CPU: host, or a name that LLVM knows, with +feature">
  ];
  let dependentDialects = ["::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect"];
}

def AttnToGPUPass : Pass<"attn-to-gpu", "::mlir::ModuleOp"> {
  let summary = "Attention on buffers as kernels of Hopper tensor cores";
  let description = [{
    Each `attn.attention` whose schedule says `products = wgmma` becomes a kernel
    in `gpu.module @kernels`, and the host code that launches it: one launch, in
    which TMA streams K and V into a ring of tiles in shared memory, warpgroups
    compute the transposed products (keys and value columns fill M = 64, the
    query rows are N), and the parts of a unit's keys are merged.  Lengths are
    read on the device.

    Refused: what the kernel does not take, with the reason.
  }];
  let dependentDialects = ["::mlir::gpu::GPUDialect",
    "::mlir::NVVM::NVVMDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::scf::SCFDialect", "::mlir::memref::MemRefDialect",
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect"];
}

def DestinationResultsPass : Pass<"attn-destination-results", "::mlir::ModuleOp"> {
  let summary = "Turn results of functions into destination arguments";
  let description = [{
    Each result of a public function that is no cache becomes one more argument,
    a tensor that the function fills; caches are updated in place.
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect"];
}

def OutlineParallelPass : Pass<"attn-outline-parallel", "::mlir::ModuleOp"> {
  let summary = "Outline scf.forall bodies and call the host's parallel_for";
  let description = [{
    On buffers: each outermost `scf.forall` becomes a function of a context and
    a range, and a call of `parallel_for` of the host table (runtime.h).  Nested
    ones become loops.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect",
    "::mlir::scf::SCFDialect", "::mlir::func::FuncDialect",
    "::mlir::memref::MemRefDialect"];
}

def ForallToGPUPass : Pass<"attn-forall-to-gpu", "::mlir::func::FuncOp"> {
  let summary = "Launch a block of threads for each iteration of scf.forall";
  let description = [{
    On buffers: each outermost `scf.forall` becomes a `gpu.launch`, a row of
    blocks, one for each iteration.  The threads of a block run the body
    together: indices, subviews, loops and branches alike; elements of linalg
    ops, copies, `attn.partial_attention` and `attn.merge` by turns, with a
    barrier behind each.  Memory of the body is the block's shared memory.
    Nested loops become `scf.for`.  Attention outside of every loop is a launch
    of one block.

    Any scores (mask, bias, score region, lists of keys, scales of 8-bit rows), any
    extents, and keys and values of f32, f16, bf16, f8E4M3FN and i8.  `math.exp2` must be
    good to 2 ulp, and 0 for -inf.

    Refused: memory of a dynamic size in a body, more shared memory than
    `shared-bytes`, ops that write one element from several points of their
    parallel loops, ops of other dialects with side effects.
  }];
  let options = [Option<"threads", "threads", "int64_t", "128",
                        "threads of a block, a power of two: enough to hide "
                        "latency, few enough that several blocks share a "
                        "multiprocessor">,
                 Option<"sharedBytes", "shared-bytes", "int64_t", "49152",
                        "shared memory of a block: what every GPU gives "
                        "without being asked">];
  let dependentDialects = ["::mlir::gpu::GPUDialect",
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect"];
}

def EmitEntryPointsPass : Pass<"attn-emit-entry-points", "::mlir::ModuleOp"> {
  let summary = "Add the entry points that the runtime calls";
  let description = [{
    In the LLVM dialect: for each public function `einhead_entry_<name>`, which
    takes an array of pointers to arguments; the variables `einhead_module_abi`
    and `einhead_module_host`; and the allocation functions, which ask the host.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def LinalgToGPUPass : Pass<"attn-linalg-to-gpu", "::mlir::func::FuncOp"> {
  let summary = "Make kernels of linalg ops and copies on buffers";
  let description = [{
    On buffers: each linalg op outside of `gpu.launch` and `scf.forall` becomes a
    launch with one thread for each point of its parallel loops, numbered in the
    order of the output's dimensions; a thread runs the reductions, its sums in
    registers.  A long one is shared out among threads of a block.  Copies are such ops, too.  A loop around one op whose turns write
    different rows, as appends at a position for each sequence do, becomes a
    further parallel loop.  A number that a tensor element gives is loaded by the
    kernel that uses it, where the element is still the same then; a store of one
    number is a kernel of one thread.

    Before:
    ```mlir
    linalg.generic {iterator_types = ["parallel", "reduction"], ...}
      ins(%a : memref<8x64xf32>) outs(%s : memref<8xf32>) {...}
    ```
    After:
    ```mlir
    gpu.launch blocks(...) in (%c1, ...) threads(...) in (%c256, ...) {
      scf.if %inside {
        %sum = scf.for %k = %c0 to %c64 step %c1 iter_args(...) -> (f32) {...}
        memref.store %sum, %s[%i] : memref<8xf32>
      }
      gpu.terminator
    }
    ```
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect",
    "::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect"];
}

def DeviceMathPass : Pass<"attn-device-math"> {
  let summary = "Write math functions as instructions that a GPU has";
  let description = [{
    A GPU has no C library: exponentials, logarithms, powers and trigonometric
    functions of f32 and narrower types become polynomials.  They are computed in
    f32 where that keeps about 2 ulp, and in f64 where it does not (sines of large
    angles, powers), and are right for infinities, NaN and zeros.  Functions of
    f64 get the precision of f64.  What upstream writes as arithmetic (ceildivs,
    hyperbolic functions) is expanded.  *Refused:* a function that has no such
    form, by name.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect"];
}

def ExpandFloat8Pass : Pass<"attn-expand-float8"> {
  let summary = "Write conversions of f8E4M3FN as integer operations";
  let description = [{
    `arith.extf` from f8E4M3FN is exact, NaN included.  `arith.truncf` to it
    rounds to the nearest, ties to even; what is larger than 448, infinities
    included, becomes 448 of the same sign, and NaN stays NaN.  Numbers and vectors,
    f32, f16 and bf16 on the other side.

    Refused: other arithmetic on f8E4M3FN, which is to be widened first, and
    `arith.truncf` from f64, which would round twice.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def LaunchThroughHostPass : Pass<"attn-launch-through-host", "::mlir::ModuleOp"> {
  let summary = "Launch kernels by calls of the host table";
  let description = [{
    Each `gpu.launch_func` becomes a call of `launch` of the host table
    (runtime.h) with the kernel's name, sizes and the addresses of its
    parameters: memrefs are expanded as in the kernel, a parameter with
    `llvm.byval` is the memory that the operand points to.  Defines the functions
    `@einhead_host_tensor_map`, `@einhead_host_zeroed` and
    `@einhead_host_multiprocessors` where they are declared, through the table.
    *Refused:* asynchronous launches, operands without a form in the kernel.

    Before:
    ```mlir
    gpu.launch_func @kernels::@step_0 blocks in (%n, %c1, %c1)
      threads in (%c256, %c1, %c1) args(%x : memref<?xf32>)
    ```
    After:
    ```mlir
    llvm.call %launch(%name, %grid, %block, %one, %zero, %arguments)
      : !llvm.ptr, (!llvm.ptr, !llvm.ptr, !llvm.ptr, i64, i64, !llvm.ptr) -> ()
    ```
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect",
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect"];
}

def ConvertHeadsPass : Pass<"attn-convert-heads", "::mlir::ModuleOp"> {
  let summary = "Pool the heads of keys and values into fewer";
  let description = [{
    At level 0, the head conversion of grouped-query attention: keys and values
    get `kv-heads` heads, each the mean of a group of consecutive heads, the
    first of them, or new random numbers.

    In each einsum - softmax - einsum chain the heads are the letter that query
    and key share and that comes from the weight of the key's projection, an
    einsum which sums over all letters that its operands share.  From key and
    value the heads are followed upwards, through einsums, appends, reshapes and
    elementwise ops, to parameters (constants, arguments with `attn.parameter`,
    weights of projections) and caches.  Constants are pooled here, arguments by
    ops that run in each call; `einhead convert-heads` pools a checkpoint
    instead.  A mean of arguments is taken in f32 and rounded to
    their element type.  With `random` an argument with `attn.parameter` gives way
    to a constant; what is added, a bias, becomes 0.  Caches shrink; the
    query is reshaped, and scores, softmax and values get a row letter for the
    heads of one group.

    Before, with `--attn-convert-heads=kv-heads=2`:
    ```mlir
    %k = attn.einsum "bd, hkd -> bhk"(%x, %wk)
      : (tensor<1x64xf32>, tensor<8x16x64xf32>) -> tensor<1x8x16xf32>
    %s = attn.einsum "bhk, bhmk -> bhm"(%q, %keys)
      : (tensor<1x8x16xf32>, tensor<1x8x?x16xf32>) -> tensor<1x8x?xf32>
    ```
    After:
    ```mlir
    %k = attn.einsum "bd, hkd -> bhk"(%x, %pooled)
      : (tensor<1x64xf32>, tensor<2x16x64xf32>) -> tensor<1x2x16xf32>
    %s = attn.einsum "bhrk, bhmk -> bhrm"(%rows, %keys)
      : (tensor<1x2x4x16xf32>, tensor<1x2x?x16xf32>) -> tensor<1x2x4x?xf32>
    ```

    Either the whole module is converted or, with an error at the op in the way,
    nothing: where the number of heads is dynamic or no multiple of `kv-heads`,
    keys are an input without a projection, an op between mixes heads or
    multiplies two parameters that have them, a mask or lengths depend on the
    head, or keys and values are used elsewhere.  `attn.attention` is refused:
    the pass stands before `--attn-raise`.  Chains that have `kv-heads` heads
    already stay as they are.
  }];
  let options = [
    Option<"kvHeads", "kv-heads", "int64_t", "0",
           "heads of keys and values afterwards; must be given">,
    Option<"method", "method", "std::string", "\"mean\"",
           "mean, first or random">,
    Option<"seed", "seed", "uint64_t", "0", "of the random numbers">,
    Option<"deviation", "deviation", "double", "0.02",
           "standard deviation of the random numbers; the default is that of "
           "Hugging Face's configurations">];
  let dependentDialects = ["::einhead::attn::AttnDialect",
    "::mlir::arith::ArithDialect", "::mlir::tensor::TensorDialect"];
}

#endif // EINHEAD_TRANSFORMS_PASSES_TD
