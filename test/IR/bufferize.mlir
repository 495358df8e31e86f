// The destination-style attention ops bufferize into their destinations: no
// copy and no allocation is made.
// RUN: einhead-opt %s -one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" -canonicalize | FileCheck %s

// CHECK-NOT: memref.alloc
// CHECK-NOT: memref.copy

// CHECK-LABEL: func.func @attention
// CHECK-SAME: %[[QUERY:[a-z0-9]+]]: memref<2x8x64xf32>, %[[KEY:[a-z0-9]+]]: memref<2x?x64xbf16>
// CHECK-SAME: %[[LENGTHS:[a-z0-9]+]]: memref<2xi64>, %[[OUT:[a-z0-9]+]]: memref<2x8x64xf32>
func.func @attention(%q: tensor<2x8x64xf32>, %k: tensor<2x?x64xbf16>, %n: tensor<2xi64>,
                     %out: tensor<2x8x64xf32> {bufferization.writable = true}) -> tensor<2x8x64xf32> {
  // CHECK: attn.attention "bhk, bmk, bmv -> bhv" query(%[[QUERY]] : memref<2x8x64xf32>)
  // CHECK-SAME: key(%[[KEY]] : memref<2x?x64xbf16>) value(%[[KEY]] : memref<2x?x64xbf16>)
  // CHECK-SAME: valid(%[[LENGTHS]] : memref<2xi64>)
  // CHECK-SAME: outs(%[[OUT]] : memref<2x8x64xf32>){{$}}
  %y = attn.attention "bhk, bmk, bmv -> bhv" query(%q : tensor<2x8x64xf32>) key(%k : tensor<2x?x64xbf16>)
      value(%k : tensor<2x?x64xbf16>) scale 0.125 valid(%n : tensor<2xi64>)
      outs(%out : tensor<2x8x64xf32>) -> tensor<2x8x64xf32>
  // CHECK: return %[[OUT]]
  return %y : tensor<2x8x64xf32>
}

// The states are continued, so they are read and written.
// CHECK-LABEL: func.func @continued_twice
func.func @continued_twice(%q: tensor<8x64xf32>, %k: tensor<128x64xf32>,
                           %max: tensor<8xf32>, %sum: tensor<8xf32>, %acc: tensor<8x64xf32>)
    -> (tensor<8xf32>, tensor<8xf32>, tensor<8x64xf32>) {
  // CHECK: attn.partial_attention {{.*}} outs(%[[MAX:[a-z0-9]+]], %[[SUM:[a-z0-9]+]], %[[ACC:[a-z0-9]+]] :
  // CHECK: attn.partial_attention {{.*}} outs(%[[MAX]], %[[SUM]], %[[ACC]] :
  // CHECK: return %[[MAX]], %[[SUM]], %[[ACC]]
  %a:3 = attn.partial_attention "hk, mk, mv -> hv" query(%q : tensor<8x64xf32>) key(%k : tensor<128x64xf32>)
      value(%k : tensor<128x64xf32>) scale 0.125
      outs(%max, %sum, %acc : tensor<8xf32>, tensor<8xf32>, tensor<8x64xf32>)
      -> tensor<8xf32>, tensor<8xf32>, tensor<8x64xf32>
  %b:3 = attn.partial_attention "hk, mk, mv -> hv" query(%q : tensor<8x64xf32>) key(%k : tensor<128x64xf32>)
      value(%k : tensor<128x64xf32>) scale 0.125
      outs(%a#0, %a#1, %a#2 : tensor<8xf32>, tensor<8xf32>, tensor<8x64xf32>)
      -> tensor<8xf32>, tensor<8xf32>, tensor<8x64xf32>
  return %b#0, %b#1, %b#2 : tensor<8xf32>, tensor<8xf32>, tensor<8x64xf32>
}

// CHECK-LABEL: func.func @merge
func.func @merge(%max: tensor<?x8xf32>, %sum: tensor<?x8xf32>, %acc: tensor<?x8x64xf32>, %out: tensor<8x64xf16>)
    -> tensor<8x64xf16> {
  // CHECK: attn.merge "h, hv -> hv"({{.*}} : memref<?x8xf32>, memref<?x8xf32>, memref<?x8x64xf32>)
  // CHECK-SAME: outs(%[[OUT:.*]] : memref<8x64xf16>){{$}}
  // CHECK: return %[[OUT]]
  %y = attn.merge "h, hv -> hv"(%max, %sum, %acc : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8x64xf32>)
      outs(%out : tensor<8x64xf16>) -> tensor<8x64xf16>
  return %y : tensor<8x64xf16>
}

// An attention writes its destination only; a state that is used again needs a
// copy, which is the negative twin of the above.
// CHECK-LABEL: func.func @state_used_again
// CHECK: memref.alloc
func.func @state_used_again(%q: tensor<8x64xf32>, %k: tensor<128x64xf32>,
                            %max: tensor<8xf32>, %sum: tensor<8xf32>, %acc: tensor<8x64xf32>)
    -> (tensor<8x64xf32>, tensor<8x64xf32>) {
  %a:3 = attn.partial_attention "hk, mk, mv -> hv" query(%q : tensor<8x64xf32>) key(%k : tensor<128x64xf32>)
      value(%k : tensor<128x64xf32>) scale 0.125
      outs(%max, %sum, %acc : tensor<8xf32>, tensor<8xf32>, tensor<8x64xf32>)
      -> tensor<8xf32>, tensor<8xf32>, tensor<8x64xf32>
  return %a#2, %acc : tensor<8x64xf32>, tensor<8x64xf32>
}
