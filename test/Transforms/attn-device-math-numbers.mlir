// Run on the CPU, the arithmetic gives what the C library gives.

// RUN: rm -rf %t && mkdir %t
// RUN: %python %S/Inputs/device_math.py write %t
// RUN: %einhead-opt --attn-device-math %s -o %t/f.mlir
// RUN: FileCheck %s < %t/f.mlir
// RUN: %einhead run %t/f.mlir --input=x=%t/x.npy --input=y=%t/y.npy --check=false \
// RUN:   --output=exp=%t/exp.npy --output=exp2=%t/exp2.npy --output=expm1=%t/expm1.npy --output=log=%t/log.npy \
// RUN:   --output=log2=%t/log2.npy --output=log10=%t/log10.npy --output=log1p=%t/log1p.npy --output=sin=%t/sin.npy \
// RUN:   --output=cos=%t/cos.npy --output=tan=%t/tan.npy --output=sinh=%t/sinh.npy --output=cosh=%t/cosh.npy \
// RUN:   --output=tanh=%t/tanh.npy --output=erf=%t/erf.npy --output=powf=%t/powf.npy
// RUN: %python %S/Inputs/device_math.py check %t 3
// A function that is 8 units off is found.
// RUN: not %python %S/Inputs/device_math.py check %t 3 tanh

// CHECK-NOT: math.{{(exp|expm1|log|log2|log10|log1p|sin|cos|tan|sinh|cosh|tanh|erf|powf)}} %

!t = tensor<2048xf32>
func.func @f(%x: !t {attn.name = "x"}, %y: !t {attn.name = "y"})
    -> (!t {attn.name = "exp"}, !t {attn.name = "exp2"}, !t {attn.name = "expm1"}, !t {attn.name = "log"},
        !t {attn.name = "log2"}, !t {attn.name = "log10"}, !t {attn.name = "log1p"}, !t {attn.name = "sin"},
        !t {attn.name = "cos"}, !t {attn.name = "tan"}, !t {attn.name = "sinh"}, !t {attn.name = "cosh"},
        !t {attn.name = "tanh"}, !t {attn.name = "erf"}, !t {attn.name = "powf"}) {
  %0 = math.exp %x : !t
  %1 = math.exp2 %x : !t
  %2 = math.expm1 %x : !t
  %3 = math.log %x : !t
  %4 = math.log2 %x : !t
  %5 = math.log10 %x : !t
  %6 = math.log1p %x : !t
  %7 = math.sin %x : !t
  %8 = math.cos %x : !t
  %9 = math.tan %x : !t
  %10 = math.sinh %x : !t
  %11 = math.cosh %x : !t
  %12 = math.tanh %x : !t
  %13 = math.erf %x : !t
  %14 = math.powf %x, %y : !t
  return %0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14
      : !t, !t, !t, !t, !t, !t, !t, !t, !t, !t, !t, !t, !t, !t, !t
}
