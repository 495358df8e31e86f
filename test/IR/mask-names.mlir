// A mask's name stands for sets and prints as them.

// RUN: %einhead-opt %s -split-input-file -verify-diagnostics | FileCheck %s

// CHECK: causal = #attn.mask<"nm", "(d0, d1)[s0] : (d0 + s0 - d1 >= 0)">
// CHECK-SAME: causal_upper_left = #attn.mask<"nm", "(d0, d1) : (d0 - d1 >= 0)">
// CHECK-SAME: documents = #attn.mask<"nm", "(d0, d1)[s0] : (d1 - ((d0 + s0) floordiv 64) * 64 >= 0, ((d0 + s0) floordiv 64) * 64 - d1 + 63 >= 0)">
// CHECK-SAME: documents_at_run_time = #attn.mask<"nm", "(d0, d1)[s0, s1, s2] : (d1 - s1 >= 0, -(d1 + 1) + s2 >= 0)">
// CHECK-SAME: fixed = #attn.mask<"nm", "(d0, d1)[s0] : (d0 + s0 - d1 >= 0, d1 - ((d0 + s0) floordiv 128) * 128 >= 0)", "(d0, d1)[s0] : (d1 mod 128 - 120 >= 0, -(d1 mod 128) + 127 >= 0, ((d0 + s0) floordiv 128) * 128 - d1 - 1 >= 0)">
// CHECK-SAME: fixed_per_head = #attn.mask<"hnm", "(d0, d1, d2)[s0] : (d1 + s0 - d2 >= 0, d2 - ((d1 + s0) floordiv 128) * 128 >= 0)", "(d0, d1, d2)[s0] : (d2 mod 128 - (d0 * -8 + 120) >= 0, d0 * -8 - d2 mod 128 + 127 >= 0, ((d1 + s0) floordiv 128) * 128 - d2 - 1 >= 0)">
// CHECK-SAME: local = #attn.mask<"nm", "(d0, d1)[s0] : (d0 + s0 - d1 >= 0, d1 - (d0 + s0 - 31) >= 0)">
// CHECK-SAME: one_query = #attn.mask<"m", "(d0)[s0] : (-d0 + s0 >= 0)">
// CHECK-SAME: prefix = #attn.mask<"nm", "(d0, d1)[s0, s1] : (d0 + s0 - d1 >= 0)", "(d0, d1)[s0, s1] : (d1 - (d0 + s0 + 1) >= 0, -(d1 + 1) + s1 >= 0)">
// CHECK-SAME: sinks = #attn.mask<"nm", "(d0, d1)[s0] : (d0 + s0 - d1 >= 0, -(d1 + 1) + 4 >= 0)", "(d0, d1)[s0] : (d0 + s0 - d1 >= 0, d1 - (d0 + s0 - 127) >= 0, d1 - 4 >= 0)">
// CHECK-SAME: strided = #attn.mask<"nm", "(d0, d1)[s0] : (d0 + s0 - d1 >= 0, d1 - (d0 + s0 - 127) >= 0)", "(d0, d1)[s0] : ((d0 + s0 - d1) mod 128 == 0, d0 + s0 - d1 - 128 >= 0)">
// CHECK-SAME: window = #attn.mask<"nm", "(d0, d1)[s0] : (d0 + s0 - d1 >= 0, d1 - (d0 + s0 - 127) >= 0)">
// CHECK-SAME: window_at_run_time = #attn.mask<"nm", "(d0, d1)[s0, s1] : (d0 + s0 - d1 >= 0, d1 - (d0 + s0 - s1 + 1) >= 0)">
func.func @names() attributes {
  causal = #attn.mask<"nm", causal>,
  causal_upper_left = #attn.mask<"nm", causal_upper_left>,
  one_query = #attn.mask<"m", causal>,
  window = #attn.mask<"nm", window(128)>,
  window_at_run_time = #attn.mask<"nm", window>,
  local = #attn.mask<"nm", local>,
  prefix = #attn.mask<"nm", prefix>,
  sinks = #attn.mask<"nm", sinks(4, 128)>,
  strided = #attn.mask<"nm", strided(128)>,
  fixed = #attn.mask<"nm", fixed(128, 8)>,
  fixed_per_head = #attn.mask<"hnm", fixed(128, 8, "h")>,
  documents = #attn.mask<"nm", documents(64)>,
  documents_at_run_time = #attn.mask<"nm", documents>} {
  return
}

// -----

// expected-error @+1 {{mask 'sinks' takes 2 sizes, got 1}}
func.func @sizes() attributes {m = #attn.mask<"nm", sinks(4)>}

// -----

// expected-error @+1 {{a size of mask 'strided' is at least 1, got 0}}
func.func @zero() attributes {m = #attn.mask<"nm", strided(0)>}

// -----

// expected-error @+1 {{a summary of 9 keys does not fit a block of 8}}
func.func @summary() attributes {m = #attn.mask<"nm", fixed(8, 9)>}

// -----

// expected-error @+1 {{head letter "g" is none of "hnm"}}
func.func @head() attributes {m = #attn.mask<"hnm", fixed(8, 2, "g")>}

// -----

// expected-error @+1 {{mask 'causal' is over a query letter and a key letter; got "hnm"}}
func.func @letters() attributes {m = #attn.mask<"hnm", causal>}
