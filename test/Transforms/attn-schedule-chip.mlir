// RUN: einhead-opt %s --attn-schedule=chip=sm_90a --remarks-filter='attn.*' \
// RUN:   --remark-format=emitRemark 2>&1 | FileCheck %s
// RUN: einhead-opt %s --attn-schedule=chip=sm_80 --remarks-filter='attn.*' \
// RUN:   --remark-format=emitRemark 2>&1 | FileCheck %s --check-prefix=OLD

// A GPU with wgmma gets one kernel of it where the kernel takes the attention;
// others get one of mma.sync.

// OLD: one kernel of mma.sync (sm_80), tiles of 64 keys by 71 rows padded to 96, 6 stages, 4 groups of keys, 2 warps of rows, 1 blocks on an SM
// CHECK: one kernel of wgmma (sm_90a), tiles of 64 keys by 71 rows padded to 72, {{[0-9]+}} stages, 3 warpgroups, 1 blocks on an SM
func.func @mqa(%q: tensor<2x71x64xbf16>, %k: tensor<2x512x64xbf16>,
    %v: tensor<2x512x64xbf16>, %out: tensor<2x71x64xf32>) -> tensor<2x71x64xf32> {
  %r = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x71x64xbf16>)
      key(%k : tensor<2x512x64xbf16>) value(%v : tensor<2x512x64xbf16>)
      scale 0.125 shared_kv
      outs(%out : tensor<2x71x64xf32>) -> tensor<2x71x64xf32>
  return %r : tensor<2x71x64xf32>
}

// Many rows of bytes: rounds of twice as many keys.

// OLD: no tensor cores: mma.sync takes keys and values of the query's type alone

// CHECK: one kernel of wgmma (sm_90a), tiles of 128 keys by 64 rows padded to 64, 5 stages, 3 warpgroups, 1 blocks on an SM
func.func @bytes(%q: tensor<2x64x128xbf16>, %k: tensor<2x512x128xf8E4M3FN>,
    %v: tensor<2x512x128xf8E4M3FN>, %out: tensor<2x64x128xf32>) -> tensor<2x64x128xf32> {
  %r = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x64x128xbf16>)
      key(%k : tensor<2x512x128xf8E4M3FN>) value(%v : tensor<2x512x128xf8E4M3FN>)
      scale 0.125 shared_kv
      outs(%out : tensor<2x64x128xf32>) -> tensor<2x64x128xf32>
  return %r : tensor<2x64x128xf32>
}

// CHECK: no tensor cores: the extent of 'k' is no multiple of 8
func.func @odd(%q: tensor<2x4x9xbf16>, %k: tensor<2x512x9xbf16>,
    %v: tensor<2x512x16xbf16>, %out: tensor<2x4x16xf32>) -> tensor<2x4x16xf32> {
  %r = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x4x9xbf16>)
      key(%k : tensor<2x512x9xbf16>) value(%v : tensor<2x512x16xbf16>)
      scale 0.3 shared_kv
      outs(%out : tensor<2x4x16xf32>) -> tensor<2x4x16xf32>
  return %r : tensor<2x4x16xf32>
}

// CHECK: no tensor cores: a bias, block list, sink or score region shapes its scores
func.func @biased(%q: tensor<2x4x16xbf16>, %k: tensor<2x512x16xbf16>,
    %v: tensor<2x512x16xbf16>, %bias: tensor<4x512xf32>,
    %out: tensor<2x4x16xf32>) -> tensor<2x4x16xf32> {
  %r = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x4x16xbf16>)
      key(%k : tensor<2x512x16xbf16>) value(%v : tensor<2x512x16xbf16>)
      scale 0.3 bias "hm"(%bias : tensor<4x512xf32>) shared_kv
      outs(%out : tensor<2x4x16xf32>) -> tensor<2x4x16xf32>
  return %r : tensor<2x4x16xf32>
}

// Latent attention: 512 columns are too many for the registers of a warp.

// CHECK: one kernel of wgmma (sm_90a), tiles of 64 keys by 16 rows
// OLD: no tensor cores: rows of 576 and 512 columns are too wide for the registers of a warp or the shared memory of sm_80
func.func @latent(%q: tensor<2x16x576xbf16>, %k: tensor<2x512x576xbf16>,
    %v: tensor<2x512x512xbf16>, %out: tensor<2x16x512xf32>) -> tensor<2x16x512xf32> {
  %r = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x16x576xbf16>)
      key(%k : tensor<2x512x576xbf16>) value(%v : tensor<2x512x512xbf16>)
      scale 0.125 shared_kv
      outs(%out : tensor<2x16x512xf32>) -> tensor<2x16x512xf32>
  return %r : tensor<2x16x512xf32>
}
