// RUN: einhead-opt %s | einhead-opt -o /dev/null

// What the pipeline does from level graph to level tiled, as a script.
module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %softmax = transform.structured.match ops{["attn.softmax"]} in %module
      : (!transform.any_op) -> !transform.any_op
    %raised = transform.attn.raise %softmax : (!transform.any_op) -> !transform.any_op
    %function = transform.structured.match ops{["func.func"]} in %module
      : (!transform.any_op) -> !transform.any_op
    %attention = transform.attn.fuse_shared_kv %function : (!transform.any_op) -> !transform.any_op
    transform.attn.schedule %attention {cpu = "x86-64-v3"} : !transform.any_op
    %partial, %merge = transform.attn.split_keys %attention
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    %loop, %tiles = transform.attn.tile_decode %partial
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    %tasks, %merges = transform.attn.tile_merge %merge
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}
