// RUN: einhead-opt %s | einhead-opt -o /dev/null

// An experiment: the rows of a prefix in blocks of 16, a task each, without
// states of chunks that another task would merge.  With a causal mask a block
// reads the keys up to its last row.
module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %softmax = transform.structured.match ops{["attn.softmax"]} in %module
      : (!transform.any_op) -> !transform.any_op
    %attention = transform.attn.raise %softmax : (!transform.any_op) -> !transform.any_op
    transform.attn.set_schedule
      #attn.schedule<chunk = 48, key_tile = 16, row_tile = 64, lanes = 8>
      on %attention : !transform.any_op
    %block, %tasks = transform.structured.tile_using_forall %attention tile_sizes [1, 16]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)

    // One part of the keys: its states are the block's own.
    %fills:3, %part, %merge, %loop = transform.structured.tile_reduction_using_forall %block
        by num_threads = [0, 0, 0, 1]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op, !transform.any_op,
                                !transform.any_op, !transform.any_op)
    %loops, %tiles = transform.attn.tile_keys %part
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)

    // What is done with the rows, in blocks of the same size.
    %residual = transform.structured.match ops{["linalg.generic"]} in %module
      : (!transform.any_op) -> !transform.any_op
    %sum, %blocks = transform.structured.tile_using_forall %residual tile_sizes [1, 16]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}
