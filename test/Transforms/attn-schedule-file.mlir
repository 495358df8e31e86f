// A stored schedule is used where its key matches, and only there; an entry
// that is wrong is an error at its place.
// RUN: split-file %s %t
// RUN: einhead-opt %t/graph.mlir --attn-schedule='cpu=znver4 file=%t/good.json' --remarks-filter='attn.*' 2>%t/remarks | FileCheck %t/graph.mlir
// RUN: FileCheck %t/graph.mlir --check-prefix=REMARK < %t/remarks

// Without the file, or for another CPU, the model's.
// RUN: einhead-opt %t/graph.mlir --attn-schedule=cpu=znver4 | FileCheck %t/graph.mlir --check-prefix=MODEL
// RUN: einhead-opt %t/graph.mlir --attn-schedule='cpu=znver5 file=%t/good.json' | FileCheck %t/graph.mlir --check-prefix=MODEL

// RUN: not einhead-opt %t/graph.mlir --attn-schedule='cpu=znver4 file=%t/no.json' 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: error: schedules: cannot read '{{.*}}no.json': No such file or directory

// RUN: sed 's/"chunk": 192/"chunks": 192/' %t/good.json > %t/unknown.json
// RUN: not einhead-opt %t/graph.mlir --attn-schedule='cpu=znver4 file=%t/unknown.json' 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// UNKNOWN: unknown.json:9:{{[0-9]+}}: error: schedules: missing required key 'chunk'

// RUN: sed 's/"packed": false/"packed": false, "colour": 1/' %t/good.json > %t/colour.json
// RUN: not einhead-opt %t/graph.mlir --attn-schedule='cpu=znver4 file=%t/colour.json' 2>&1 | FileCheck %s --check-prefix=COLOUR
// COLOUR: colour.json:9:{{[0-9]+}}: error: schedules: unknown key 'colour'

// RUN: sed 's/"products": "fma"/"products": "sums"/' %t/good.json > %t/products.json
// RUN: not einhead-opt %t/graph.mlir --attn-schedule='cpu=znver4 file=%t/products.json' 2>&1 | FileCheck %s --check-prefix=PRODUCTS
// PRODUCTS: products.json:9:{{[0-9]+}}: error: schedules: products are fma, dot or tiles

// RUN: sed 's/"products": "fma"/"products": "dot"/' %t/good.json > %t/dot.json
// RUN: not einhead-opt %t/graph.mlir --attn-schedule='cpu=znver4 file=%t/dot.json' 2>&1 | FileCheck %s --check-prefix=DOT
// DOT: dot.json:{{[0-9]+}}:{{[0-9]+}}: error: schedules: products by dot are of bf16, the operands are f32/f32/f32

// RUN: sed 's/"chunk": 192/"chunk": 200/' %t/good.json > %t/chunk.json
// RUN: not einhead-opt %t/graph.mlir --attn-schedule='cpu=znver4 file=%t/chunk.json' 2>&1 | FileCheck %s --check-prefix=CHUNK
// CHUNK: chunk.json:{{[0-9]+}}:{{[0-9]+}}: error: schedules: chunk is 200, not a multiple of key_tile, 96

// RUN: sed 's/"key_tile": 96/"key_tile": 24/' %t/good.json > %t/lanes.json
// RUN: not einhead-opt %t/graph.mlir --attn-schedule='cpu=znver4 file=%t/lanes.json' 2>&1 | FileCheck %s --check-prefix=LANES
// LANES: error: schedules: key_tile is 24, not a multiple of znver4's 16 lanes

// RUN: sed 's/"y": 4,/"y": 0,/' %t/good.json > %t/size.json
// RUN: not einhead-opt %t/graph.mlir --attn-schedule='cpu=znver4 file=%t/size.json' 2>&1 | FileCheck %s --check-prefix=SIZE
// SIZE: error: schedules: sizes: "y" is 0, expected a number of at least 1, or "?"

// Keys and values may be i8 or f8E4M3FN, a query may not.
// RUN: sed 's/"f32", "f32", "f32"/"f32", "i8", "i8"/' %t/good.json > %t/rows.json
// RUN: einhead-opt %t/graph.mlir --attn-schedule='cpu=znver4 file=%t/rows.json' | FileCheck %t/graph.mlir --check-prefix=MODEL
// RUN: sed 's/"f32", "f32", "f32"/"f32", "f8E4M3FN", "f8E4M3FN"/' %t/good.json > %t/float8.json
// RUN: einhead-opt %t/graph.mlir --attn-schedule='cpu=znver4 file=%t/float8.json' | FileCheck %t/graph.mlir --check-prefix=MODEL
// RUN: sed 's/"f32", "f32", "f32"/"i8", "f32", "f32"/' %t/good.json > %t/query.json
// RUN: not einhead-opt %t/graph.mlir --attn-schedule='cpu=znver4 file=%t/query.json' 2>&1 | FileCheck %s --check-prefix=QUERY
// QUERY: error: schedules: types are f32, f16 or bf16, of key and value f8E4M3FN or i8 too, got "i8"

// RUN: sed 's/"y": 4,/"z": 4,/' %t/good.json > %t/letter.json
// RUN: not einhead-opt %t/graph.mlir --attn-schedule='cpu=znver4 file=%t/letter.json' 2>&1 | FileCheck %s --check-prefix=LETTER
// LETTER: error: schedules: sizes: no letter "z" in the spec

// RUN: sed 's/"yd, xd, xe -> ye"/"yd, xd -> ye"/' %t/good.json > %t/spec.json
// RUN: not einhead-opt %t/graph.mlir --attn-schedule='cpu=znver4 file=%t/spec.json' 2>&1 | FileCheck %s --check-prefix=SPEC
// SPEC: error: schedules: spec "yd, xd -> ye": {{.+}}

// RUN: sed 's/"window(5)"/"windows(5)"/' %t/good.json > %t/mask.json
// RUN: not einhead-opt %t/graph.mlir --attn-schedule='cpu=znver4 file=%t/mask.json' 2>&1 | FileCheck %s --check-prefix=MASK
// MASK: error: schedules: mask: {{.+}}

// RUN: sed 's/"cpu": "znver4"/"cpu": "host"/' %t/good.json > %t/host.json
// RUN: not einhead-opt %t/graph.mlir --attn-schedule='cpu=znver4 file=%t/host.json' 2>&1 | FileCheck %s --check-prefix=HOST
// HOST: error: schedules: cpu is a name, "host" is none

// RUN: sed 's/"products": "dot", "packed": false/"products": "tiles", "packed": true/' %t/good.json > %t/tiles.json
// RUN: not einhead-opt %t/graph.mlir --attn-schedule='cpu=znver4 file=%t/tiles.json' 2>&1 | FileCheck %s --check-prefix=TILES
// TILES: tiles.json:22:{{[0-9]+}}: error: schedules: znver4 has no products by tiles
// RUN: sed 's/"cpu": "znver4"/"cpu": "sapphirerapids"/' %t/tiles.json > %t/amx.json
// RUN: einhead-opt %t/graph.mlir --attn-schedule='cpu=sapphirerapids file=%t/amx.json' -o /dev/null
// RUN: sed 's/"key_tile": 64/"key_tile": 16/' %t/amx.json > %t/amx-keys.json
// RUN: not einhead-opt %t/graph.mlir --attn-schedule='cpu=sapphirerapids file=%t/amx-keys.json' 2>&1 | FileCheck %s --check-prefix=KEYS
// KEYS: error: schedules: products by tiles are of packed tiles, of a multiple of 32 keys

// RUN: sed 's/"version": 1/"version": 2/' %t/good.json > %t/version.json
// RUN: not einhead-opt %t/graph.mlir --attn-schedule='cpu=znver4 file=%t/version.json' 2>&1 | FileCheck %s --check-prefix=VERSION
// VERSION: error: schedules: version 2, this reads 1

// RUN: sed -e 's/"bf16", "bf16", "bf16"/"f32", "f32", "f32"/' -e 's/"dot"/"fma"/' %t/good.json > %t/twice.json
// RUN: not einhead-opt %t/graph.mlir --attn-schedule='cpu=znver4 file=%t/twice.json' 2>&1 | FileCheck %s --check-prefix=TWICE
// TWICE: error: schedules: entries 1 and 3 are for the same problem: znver4, "rk, mk, mv -> rv", k=16,m=?,r=4,v=16, f32/f32/f32

// RUN: sed 's/"version": 1,/"version": 1/' %t/good.json > %t/comma.json
// RUN: not einhead-opt %t/graph.mlir --attn-schedule='cpu=znver4 file=%t/comma.json' 2>&1 | FileCheck %s --check-prefix=COMMA
// COMMA: comma.json:{{[0-9]+}}:{{[0-9]+}}: error: schedules: {{.+}}

//--- good.json
{
  "version": 1,
  "schedules": [
    {
      "cpu": "znver4",
      "spec": "yd, xd, xe -> ye",
      "sizes": {"y": 4, "x": "?", "d": 16, "e": 16},
      "types": ["f32", "f32", "f32"],
      "schedule": {"chunk": 192, "key_tile": 96, "row_tile": 2, "prefetch": 7, "products": "fma", "packed": false}
    },
    {
      "cpu": "znver4",
      "spec": "rk, mk, mv -> rv",
      "sizes": {"r": 4, "m": "?", "k": 16, "v": 16},
      "types": ["f32", "f32", "f32"],
      "mask": ["rm", "window(5)"],
      "schedule": {"chunk": 1024, "key_tile": 16, "row_tile": 4, "prefetch": 0, "products": "fma", "packed": true},
      "median_us": 4.5,
      "threads": 2
    },
    {
      "cpu": "znver4",
      "spec": "rk, mk, mv -> rv",
      "sizes": {"r": 4, "m": "?", "k": 16, "v": 16},
      "types": ["bf16", "bf16", "bf16"],
      "schedule": {"chunk": 64, "key_tile": 64, "row_tile": 4, "prefetch": 1, "products": "dot", "packed": false}
    }
  ]
}

//--- graph.mlir
// The letters have other names, and the roles are the same.
// CHECK-LABEL: func.func @stored
// CHECK: schedule <chunk = 192, key_tile = 96, row_tile = 2, lanes = 16, prefetch = 7>
// REMARK: chunks of 192 keys, tiles of 96 keys by up to 2 rows, 16 lanes (znver4), 7 keys prefetched, products by fma, as stored in {{.*}}good.json
// MODEL-LABEL: func.func @stored
// MODEL: schedule <chunk = 512, key_tile = 64,
func.func @stored(%q: tensor<4x16xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>,
                  %init: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<4x16xf32>)
    key(%k : tensor<?x16xf32>) value(%v : tensor<?x16xf32>) scale 1.0 shared_kv
    outs(%init : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}

// CHECK-LABEL: func.func @stored_mask
// CHECK: schedule <chunk = 1024, key_tile = 16, row_tile = 4, lanes = 16, packed = true>
func.func @stored_mask(%q: tensor<4x16xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>,
                       %p: index, %init: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<4x16xf32>)
    key(%k : tensor<?x16xf32>) value(%v : tensor<?x16xf32>) scale 1.0
    mask <"rm", window(5)>(%p) shared_kv
    outs(%init : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}

// Another window is another problem.
// REMARK: good.json has no schedule for znver4, "rk, mk, mv -> rv", k=16,m=?,r=4,v=16, f32/f32/f32, mask "rm"
// CHECK-LABEL: func.func @other_mask
// CHECK: schedule <chunk = 512, key_tile = 64,
func.func @other_mask(%q: tensor<4x16xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>,
                      %p: index, %init: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<4x16xf32>)
    key(%k : tensor<?x16xf32>) value(%v : tensor<?x16xf32>) scale 1.0
    mask <"rm", window(6)>(%p) shared_kv
    outs(%init : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}

// So is a known number of keys,
// CHECK-LABEL: func.func @other_extent
// CHECK: schedule <chunk = 512, key_tile = 64,
func.func @other_extent(%q: tensor<4x16xf32>, %k: tensor<9x16xf32>, %v: tensor<9x16xf32>,
                        %init: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<4x16xf32>)
    key(%k : tensor<9x16xf32>) value(%v : tensor<9x16xf32>) scale 1.0 shared_kv
    outs(%init : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}

// one operand of another type,
// CHECK-LABEL: func.func @other_type
// CHECK: schedule <chunk = 512, key_tile = 64,
func.func @other_type(%q: tensor<4x16xf32>, %k: tensor<?x16xbf16>, %v: tensor<?x16xf32>,
                      %init: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<4x16xf32>)
    key(%k : tensor<?x16xbf16>) value(%v : tensor<?x16xf32>) scale 1.0 shared_kv
    outs(%init : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}

// another order of dimensions,
// CHECK-LABEL: func.func @other_layout
// CHECK: schedule <chunk = 512, key_tile = 64,
func.func @other_layout(%q: tensor<4x1x16xf32>, %k: tensor<1x?x16xf32>, %v: tensor<?x1x16xf32>,
                        %init: tensor<4x1x16xf32>) -> tensor<4x1x16xf32> {
  %y = attn.attention "rbk, bmk, mbv -> rbv" query(%q : tensor<4x1x16xf32>)
    key(%k : tensor<1x?x16xf32>) value(%v : tensor<?x1x16xf32>) scale 1.0 shared_kv
    outs(%init : tensor<4x1x16xf32>) -> tensor<4x1x16xf32>
  return %y : tensor<4x1x16xf32>
}

// a bias,
// CHECK-LABEL: func.func @with_bias
// CHECK: schedule <chunk = 512, key_tile = 64,
func.func @with_bias(%q: tensor<4x16xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>,
                     %bias: tensor<4x?xf32>, %init: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<4x16xf32>)
    key(%k : tensor<?x16xf32>) value(%v : tensor<?x16xf32>) scale 1.0
    bias "rm" (%bias : tensor<4x?xf32>) shared_kv
    outs(%init : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}

// rows that do not share their loads.
// CHECK-LABEL: func.func @not_shared
// CHECK: schedule <chunk = 512, key_tile = 64, row_tile = 1,
func.func @not_shared(%q: tensor<4x16xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>,
                      %init: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<4x16xf32>)
    key(%k : tensor<?x16xf32>) value(%v : tensor<?x16xf32>) scale 1.0
    outs(%init : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}

// How many keys are valid is no part of the problem.
// CHECK-LABEL: func.func @valid
// CHECK: schedule <chunk = 192, key_tile = 96,
func.func @valid(%q: tensor<4x16xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>,
                 %n: index, %init: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<4x16xf32>)
    key(%k : tensor<?x16xf32>) value(%v : tensor<?x16xf32>) scale 1.0
    valid(%n : index) shared_kv
    outs(%init : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}

// What stands in the IR stays.
// CHECK-LABEL: func.func @own
// CHECK: schedule <chunk = 128, key_tile = 32, row_tile = 2, lanes = 8>
func.func @own(%q: tensor<4x16xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>,
               %init: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %y = attn.attention "rk, mk, mv -> rv" query(%q : tensor<4x16xf32>)
    key(%k : tensor<?x16xf32>) value(%v : tensor<?x16xf32>) scale 1.0 shared_kv
    schedule #attn.schedule<chunk = 128, key_tile = 32, row_tile = 2, lanes = 8>
    outs(%init : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}
