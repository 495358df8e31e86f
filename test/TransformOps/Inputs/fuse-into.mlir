// Blocks of four rows of what comes behind the attention, the attention in them.
module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %attention = transform.structured.match ops{["attn.attention"]} in %root : (!transform.any_op) -> !transform.any_op
    %sum = transform.structured.match ops{["linalg.add"]} in %root : (!transform.any_op) -> !transform.any_op
    %tile, %loop = transform.structured.tile_using_forall %sum tile_sizes [1, 4]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    %fused, %new = transform.structured.fuse_into_containing_op %attention into %loop
      : (!transform.any_op, !transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.attn.set_schedule #attn.schedule<chunk = 48, key_tile = 16, row_tile = 64, lanes = 8>
      on %fused : !transform.any_op
    %fills:3, %part, %merge, %keys = transform.structured.tile_reduction_using_forall %fused
        by num_threads = [0, 0, 1]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op, !transform.any_op,
                                !transform.any_op, !transform.any_op)
    %loops, %tiles = transform.attn.tile_keys %part
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}
