// What a block of threads cannot run is said where it stands.
// RUN: einhead-opt %s --attn-forall-to-gpu --split-input-file --verify-diagnostics
// RUN: not einhead-opt %s --attn-forall-to-gpu=threads=96 2>&1 | FileCheck %s --check-prefix=THREADS
// THREADS: attn-forall-to-gpu: threads=96 is no power of two up to 1024

func.func @dynamic_memory(%n: index, %x: memref<?xf32>) {
  scf.forall (%i) in (4) {
    // expected-error @below {{takes memory of a dynamic size in a parallel body, which a kernel's shared memory cannot have}}
    %a = memref.alloc(%n) : memref<?xf32>
    memref.copy %x, %a : memref<?xf32> to memref<?xf32>
  }
  return
}

// -----

func.func @much_memory(%x: memref<10000xf32>) {
  scf.forall (%i) in (4) {
    %a = memref.alloc() : memref<5000xf32>
    // expected-error @below {{brings the shared memory of a parallel body to 60000 bytes, above the 49152 that a block may have}}
    %b = memref.alloc() : memref<10000xf32>
    memref.copy %x, %b : memref<10000xf32> to memref<10000xf32>
  }
  return
}

// -----

func.func private @other(f32)

func.func @call(%v: f32) {
  scf.forall (%i) in (4) {
    // expected-error @below {{cannot be shared by the threads of a kernel}}
    func.call @other(%v) : (f32) -> ()
  }
  return
}

// -----

#in = affine_map<(i, j) -> (i, j)>
#out = affine_map<(i, j) -> (i)>

func.func @twice(%x: memref<4x8xf32>, %y: memref<4xf32>) {
  scf.forall (%k) in (4) {
    // expected-error @below {{writes an element more than once: output 0 lacks parallel loop 1}}
    linalg.generic {indexing_maps = [#in, #out], iterator_types = ["parallel", "parallel"]}
        ins(%x : memref<4x8xf32>) outs(%y : memref<4xf32>) {
    ^bb0(%a: f32, %b: f32):
      linalg.yield %a : f32
    }
  }
  return
}

// -----

func.func @tensors(%x: tensor<4xf32>, %v: f32) -> tensor<4xf32> {
  // expected-error @below {{is on tensors; bufferize before attn-forall-to-gpu}}
  %y = scf.forall (%i) in (4) shared_outs(%o = %x) -> tensor<4xf32> {
    %s = tensor.extract_slice %o[%i] [1] [1] : tensor<4xf32> to tensor<1xf32>
    %f = linalg.fill ins(%v : f32) outs(%s : tensor<1xf32>) -> tensor<1xf32>
    scf.forall.in_parallel {
      tensor.parallel_insert_slice %f into %o[%i] [1] [1] : tensor<1xf32> into tensor<4xf32>
    }
  }
  return %y : tensor<4xf32>
}

// -----

func.func @no_schedule(%q: memref<4x32xf32>, %k: memref<16x32xf32>,
                       %max: memref<4xf32>, %acc: memref<4x32xf32>) {
  // expected-error @below {{has no schedule; run --attn-schedule first}}
  attn.partial_attention "rk, mk, mv -> rv" query(%q : memref<4x32xf32>)
    key(%k : memref<16x32xf32>) value(%k : memref<16x32xf32>) scale 1.0
    outs(%max, %max, %acc : memref<4xf32>, memref<4xf32>, memref<4x32xf32>)
  return
}

// -----

func.func @wide(%q: memref<1x16000xf32>, %k: memref<16x16000xf32>,
                %max: memref<1xf32>, %acc: memref<1x16000xf32>) {
  // expected-error @below {{takes 128176 bytes of shared memory for one row and one key, above the 49152 that a block has left; raise shared-bytes where the GPU has more}}
  attn.partial_attention "rk, mk, mv -> rv" query(%q : memref<1x16000xf32>)
    key(%k : memref<16x16000xf32>) value(%k : memref<16x16000xf32>) scale 1.0
    schedule #attn.schedule<chunk = 16, key_tile = 16, row_tile = 4, lanes = 16>
    outs(%max, %max, %acc : memref<1xf32>, memref<1xf32>, memref<1x16000xf32>)
  return
}
