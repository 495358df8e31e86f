// What the dialect's attributes refuse, and with which words.
// RUN: einhead-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{attn.shape of argument #0 has 1 entries for 2 dimensions}}
func.func @shape_rank(%x: tensor<?x256xf32> {attn.shape = "b"}) {
  return
}

// -----

// expected-error @+1 {{attn.shape of argument #0: expected names, numbers or name+number, got "b, 2*m"}}
func.func @shape_entry(%x: tensor<?x256xf32> {attn.shape = "b, 2*m"}) {
  return
}

// -----

// expected-error @+1 {{attn.shape of argument #0: expected names, numbers or name+number, got "b,,m"}}
func.func @shape_entry_empty(%x: tensor<?x?x256xf32> {attn.shape = "b,,m"}) {
  return
}

// -----

// expected-error @+1 {{attn.shape of argument #1 is a string on a ranked tensor}}
func.func @shape_of_a_scalar(%x: tensor<?xf32>, %n: index {attn.shape = ""}) {
  return
}

// -----

// expected-error @+1 {{attn.shape of result #0 has 2 entries for 1 dimensions}}
func.func private @shape_of_a_result() -> (tensor<?xf32> {attn.shape = "b, d"})

// -----

// expected-error @+1 {{attn.name of argument #0 is a string}}
func.func @name_without_value(%x: tensor<?xf32> {attn.name}) {
  return
}

// -----

// expected-error @+1 {{attn.parameter of argument #0 is a string}}
func.func @parameter_without_value(%x: tensor<?xf32> {attn.parameter = 3 : i64}) {
  return
}

// -----

// expected-error @+1 {{unknown attribute attn.names of argument #0}}
func.func @unknown(%x: tensor<?xf32> {attn.names = "x"}) {
  return
}

// -----

// expected-error @+1 {{unknown attribute attn.output of result #0}}
func.func private @unknown_of_a_result() -> (tensor<?xf32> {attn.output})

// -----

// expected-error @+1 {{a set over 2 dimensions for the letters "m"}}
func.func @mask_letter_missing() attributes { mask = #attn.mask<"m", affine_set<(n, m) : (n - m == 0)>> } {
  return
}

// -----

// expected-error @+1 {{a set over 0 dimensions for the letters "m"}}
func.func @mask_of_no_letters() attributes { mask = #attn.mask<"m", affine_set<() : (0 == 0)>> } {
  return
}

// -----

#one = affine_set<(n, m)[p] : (n + p - m >= 0)>
#none = affine_set<(n, m) : (n - m >= 0)>
// expected-error @+1 {{the sets of a mask have the same symbols}}
func.func @mask_symbols_differ() attributes { mask = #attn.mask<"nm", #one, #none> } {
  return
}

// -----

#square = affine_set<(n, m) : (n - m >= 0)>
// expected-error @+1 {{mask letter 'm' stands twice}}
func.func @mask_letter_twice() attributes { mask = #attn.mask<"mm", #square> } {
  return
}

// -----

// expected-error @+1 {{chunk, key_tile and row_tile are at least 1}}
func.func @schedule_chunk() attributes { s = #attn.schedule<chunk = 0, key_tile = 64, row_tile = 32, lanes = 16> } {
  return
}

// -----

// expected-error @+1 {{lanes is a power of two that divides key_tile, got 12 and 64}}
func.func @schedule_lanes() attributes { s = #attn.schedule<chunk = 512, key_tile = 64, row_tile = 32, lanes = 12> } {
  return
}

// -----

// expected-error @+1 {{lanes is a power of two that divides key_tile, got 16 and 24}}
func.func @schedule_lanes_of_a_tile() attributes { s = #attn.schedule<chunk = 48, key_tile = 24, row_tile = 32, lanes = 16> } {
  return
}

// -----

// expected-error @+1 {{chunk is a multiple of key_tile, got 100 and 64}}
func.func @schedule_multiple() attributes { s = #attn.schedule<chunk = 100, key_tile = 64, row_tile = 32, lanes = 16> } {
  return
}

// -----

// expected-error @+1 {{struct is missing required parameter: lanes}}
func.func @schedule_field_missing() attributes { s = #attn.schedule<chunk = 512, key_tile = 64, row_tile = 32> } {
  return
}

// -----

// expected-error @+1 {{expected an integer set, got "(m) : (x >= 0)"}}
func.func @mask_set() attributes { mask = #attn.mask<"m", "(m) : (x >= 0)"> } {
  return
}
