// Each constraint of attn.append is refused by its sentence.
// RUN: einhead-opt %s -split-input-file -verify-diagnostics

func.func @append_c1_two_terms(%k: tensor<2x64xf32>, %cache: tensor<2x128x64xf32>, %at: index) {
  // expected-error @+1 {{'attn.append' op expected one term for the new rows, got 2}}
  %0 = attn.append "bk, bk -> bmk"(%k into %cache at %at : index) : tensor<2x64xf32> into tensor<2x128x64xf32>
  return
}

// -----

func.func @append_c1_rank_of_rows(%k: tensor<64xf32>, %cache: tensor<2x128x64xf32>, %at: index) {
  // expected-error @+1 {{'attn.append' op the rank of the new rows is 1, its term "bk" has 2 letters}}
  %0 = attn.append "bk -> bmk"(%k into %cache at %at : index) : tensor<64xf32> into tensor<2x128x64xf32>
  return
}

// -----

func.func @append_c1_rank_of_cache(%k: tensor<2x64xf32>, %cache: tensor<2x8x128x64xf32>, %at: index) {
  // expected-error @+1 {{'attn.append' op the rank of the cache is 4, its term "bmk" has 3 letters}}
  %0 = attn.append "bk -> bmk"(%k into %cache at %at : index) : tensor<2x64xf32> into tensor<2x8x128x64xf32>
  return
}

// -----

func.func @append_c2_nothing_grows(%k: tensor<2x64xf32>, %cache: tensor<2x64xf32>, %at: index) {
  // expected-error @+1 {{'attn.append' op the cache must have one letter that the new rows lack, got ""}}
  %0 = attn.append "bk -> bk"(%k into %cache at %at : index) : tensor<2x64xf32> into tensor<2x64xf32>
  return
}

// -----

func.func @append_c2_two_grow(%k: tensor<2x64xf32>, %cache: tensor<2x8x128x64xf32>, %at: index) {
  // expected-error @+1 {{'attn.append' op the cache must have one letter that the new rows lack, got "hm"}}
  %0 = attn.append "bk -> bhmk"(%k into %cache at %at : index) : tensor<2x64xf32> into tensor<2x8x128x64xf32>
  return
}

// -----

func.func @append_c3_two_new_letters(%k: tensor<2x3x5x64xf32>, %cache: tensor<2x128x64xf32>, %at: index) {
  // expected-error @+1 {{'attn.append' op the new rows may have one letter that the cache lacks, got "np"}}
  %0 = attn.append "bnpk -> bmk"(%k into %cache at %at : index) : tensor<2x3x5x64xf32> into tensor<2x128x64xf32>
  return
}

// -----

func.func @append_c4_extent(%k: tensor<2x32xf32>, %cache: tensor<2x128x64xf32>, %at: index) {
  // expected-error @+1 {{'attn.append' op letter 'k' is 64 in the cache but 32 in the new rows}}
  %0 = attn.append "bk -> bmk"(%k into %cache at %at : index) : tensor<2x32xf32> into tensor<2x128x64xf32>
  return
}

// -----

func.func @append_c5_extent_of_position(%k: tensor<2x64xf32>, %cache: tensor<2x128x64xf32>, %at: tensor<3xi64>) {
  // expected-error @+1 {{'attn.append' op position has 3 entries, letter 'b' is 2}}
  %0 = attn.append "bk -> bmk"(%k into %cache at %at : tensor<3xi64>) : tensor<2x64xf32> into tensor<2x128x64xf32>
  return
}

// -----

func.func @append_c5_appended_letter_first(%k: tensor<2x64xf32>, %cache: tensor<128x2x64xf32>, %at: tensor<128xi64>) {
  // expected-error @+1 {{'attn.append' op positions for each sequence need a cache whose first letter is not the appended 'm'}}
  %0 = attn.append "bk -> mbk"(%k into %cache at %at : tensor<128xi64>) : tensor<2x64xf32> into tensor<128x2x64xf32>
  return
}

// -----

func.func @append_c6_element_type(%k: tensor<2x64xf32>, %cache: tensor<2x128x64xbf16>, %at: index) {
  // expected-error @+1 {{'attn.append' op the new rows are 'f32', the cache is 'bf16'}}
  %0 = attn.append "bk -> bmk"(%k into %cache at %at : index) : tensor<2x64xf32> into tensor<2x128x64xbf16>
  return
}
