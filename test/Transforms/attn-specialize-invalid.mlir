// RUN: einhead-opt %s --attn-specialize=sizes=n=6 -split-input-file -verify-diagnostics

// Extents that contradict each other are refused, and so are two names that a
// call could give two extents: the code takes them for one.

// expected-error @below {{dimension 'b' of argument #1 and dimension 'batch' of argument #0 have one extent, and a call could give them two: give them one name in attn.shape}}
func.func @names(%q: tensor<?x8xf32> {attn.shape = "batch, 8"},
                 %k: tensor<?x8xf32> {attn.shape = "b, 8"}) -> (tensor<?xf32> {attn.shape = "b"}) {
  %s = attn.einsum "bk, bk -> b"(%q, %k) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?xf32>
  return %s : tensor<?xf32>
}

// -----

// expected-error @below {{dimension 'rows' of result #0 and dimension 'b' of argument #0 have one extent}}
func.func @result(%q: tensor<?x8xf32> {attn.shape = "b, 8"}) -> (tensor<?x8xf32> {attn.shape = "rows, 8"}) {
  %y = arith.negf %q : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// expected-error @below {{dimension 'm+1' of result #0 and dimension 'm' of argument #0 have one extent}}
func.func @offset(%q: tensor<?x8xf32> {attn.shape = "m, 8"}) -> (tensor<?x8xf32> {attn.shape = "m+1, 8"}) {
  %y = arith.negf %q : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// Two names of one extent that is known cannot differ.
func.func @known(%q: tensor<?x8xf32> {attn.shape = "batch, 8"}, %k: tensor<?x8xf32> {attn.shape = "b, 8"},
                 %w: tensor<4xf32>) -> (tensor<?xf32> {attn.shape = "b"}) {
  %s = attn.einsum "bk, bk, b -> b"(%q, %k, %w) : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<4xf32>) -> tensor<?xf32>
  return %s : tensor<?xf32>
}

// -----

// Each op by itself is right: 4 and 5 meet through the sum.
// expected-error @below {{a dimension of extent 5 must have the extent 4: letters and ops make it one with another}}
// expected-note @below {{which has that extent here}}
func.func @chain(%x: tensor<4xf32>, %y: tensor<5xf32>) -> tensor<?xf32> {
  %a = tensor.cast %x : tensor<4xf32> to tensor<?xf32>
  %b = tensor.cast %y : tensor<5xf32> to tensor<?xf32>
  %c = arith.addf %a, %b : tensor<?xf32>
  return %c : tensor<?xf32>
}

// -----

// expected-error @below {{a dimension of extent 5 must have the extent 6: letters and ops make it one with another}}
// expected-note @below {{which has that extent here}}
func.func @size(%x: tensor<?xf32> {attn.shape = "n"}, %y: tensor<5xf32>) -> tensor<?xf32> {
  %z = attn.einsum "n, n -> n"(%x, %y) : (tensor<?xf32>, tensor<5xf32>) -> tensor<?xf32>
  return %z : tensor<?xf32>
}
