// What the host would have to read from the device, or compute itself, is an error that names the op.

// RUN: einhead-opt --einhead-check-host-memory --split-input-file --verify-diagnostics %s

func.func @extent(%n: memref<i64>) {
  // expected-error @below {{'memref.load' op reads tensor memory, which is on the device, and host code branches or allocates by it; pass the number as a scalar argument}}
  %0 = memref.load %n[] : memref<i64>
  %1 = arith.index_cast %0 : i64 to index
  %2 = memref.alloc(%1) : memref<?xf32>
  return
}

// -----

func.func @written(%x: memref<4xf32>, %v: f32) {
  %c0 = arith.constant 0 : index
  // expected-error @below {{'memref.store' op touches tensor memory in host code, which is on the device}}
  memref.store %v, %x[%c0] : memref<4xf32>
  return
}

// -----

func.func @on_the_stack(%v: f32) {
  // expected-error @below {{'memref.alloca' op touches tensor memory in host code}}
  %0 = memref.alloca() : memref<4xf32>
  return
}

// -----

func.func @parallel(%x: memref<4xf32>) {
  // expected-error @below {{'scf.forall' op is left in host code: no pass made it a kernel}}
  scf.forall (%i) in (4) {
  }
  return
}

// -----

func.func @op(%x: memref<4xf32>, %v: f32) {
  // expected-error @below {{'linalg.fill' op is left in host code: no pass made it a kernel}}
  linalg.fill ins(%v : f32) outs(%x : memref<4xf32>)
  return
}

// -----

// What kernels do is theirs, and memory that is asked for is the host's to ask for.
func.func @right(%n: index) {
  %0 = memref.alloc(%n) : memref<?xf32>
  %1 = memref.dim %0, %n : memref<?xf32>
  return
}
gpu.module @kernels {
  gpu.func @right_0(%x: memref<4xf32>, %v: f32) kernel {
    %c0 = arith.constant 0 : index
    memref.store %v, %x[%c0] : memref<4xf32>
    gpu.return
  }
}
