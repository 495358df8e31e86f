// RUN: einhead-opt %s | einhead-opt -o /dev/null

// Sizes of one's own, loops of upstream: tasks of one sequence, one group and
// 256 keys, in each of them 32 keys at a time.
module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %softmax = transform.structured.match ops{["attn.softmax"]} in %module
      : (!transform.any_op) -> !transform.any_op
    %attention = transform.attn.raise %softmax : (!transform.any_op) -> !transform.any_op
    transform.attn.set_schedule
      #attn.schedule<chunk = 256, key_tile = 32, row_tile = 4, lanes = 8>
      on %attention : !transform.any_op

    // The keys first: the states of all tasks are one tensor, made before the loop.
    %fills:3, %part, %merge, %chunks = transform.structured.tile_reduction_using_forall %attention
        by tile_sizes = [0, 0, 0, 256]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op, !transform.any_op,
                                !transform.any_op, !transform.any_op)
    %task, %groups = transform.structured.tile_using_forall %part tile_sizes [1, 1]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    %loops, %tiles = transform.attn.tile_keys %task
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    %merged, %sequences = transform.structured.tile_using_forall %merge tile_sizes [1]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}
