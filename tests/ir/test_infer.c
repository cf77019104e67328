/* SPDX-License-Identifier: Apache-2.0 */
/* Shape inference, by table: statements of a graph whose node makes %y, and either the type of %y or the
 * status and a piece of the message. Symbols n and m may be used. */
#include "core/ir/infer.h"
#include "tests/gie_check.h"
#include <gie/gie.h>
#include <gie/window.h>

struct row {
  const char *text, *expect;
};

#define X(shape) "input %x:f32" shape " "
#define W(shape) "input %w:f32" shape " "

static const struct row windows[] = {
    {X("[n,3,224,224]") W("[64,3,7,7]") "%y = conv(%x,%w) {stride=[2,2], pad=[3,3,3,3]}",
     "f32[n,64,112,112]"},
    {X("[1,3,5]") W("[4,3,2]") "%y = conv(%x,%w)", "f32[1,4,4]"},
    {X("[1,3,5,6,7]") W("[4,3,1,2,3]") "%y = conv(%x,%w) {dilation=[1,1,2]}", "f32[1,4,5,5,3]"},
    {X("[1,4,8,8]") W("[4,1,3,3]") "%y = conv(%x,%w) {group=4}", "f32[1,4,6,6]"},
    {X("[1,3,9,9]") W("[2,3,3,3]") "%y = conv(%x,%w) {stride=[2,3], auto_pad=\"same_upper\"}",
     "f32[1,2,5,3]"},
    {X("[1,3,n,m]") W("[2,3,3,3]") "%y = conv(%x,%w) {pad=[1,1,1,1]}", "f32[1,2,n,m]"},
    {X("[1,3,n,m]") W("[2,3,3,3]") "%y = conv(%x,%w)", "f32[1,2,n-2,m-2]"},
    {X("[1,3,2*n,m]") W("[2,3,3,3]") "%y = conv(%x,%w) {stride=[2,2], pad=[1,1,1,1]}", "f32[1,2,n,?]"},
    {X("[1,3,4*n,n]") W("[2,3,3,3]") "%y = conv(%x,%w) {stride=[4,1], auto_pad=\"same_lower\"}",
     "f32[1,2,n,n]"},
    {X("[1,3,?,8]") W("[2,3,3,3]") "%y = conv(%x,%w)", "f32[1,2,?,6]"},
    {X("[0,3,8,8]") W("[2,3,3,3]") "%y = conv(%x,%w)", "f32[0,2,6,6]"},
    {X("[1,3,0,8]") W("[2,3,3,3]") "%y = conv(%x,%w)", "E_SHAPE: kernel larger"},
    {X("[1,3,0,8]") W("[2,3,3,3]") "%y = conv(%x,%w) {auto_pad=\"same_upper\"}", "f32[1,2,0,8]"},
    {X("[1,n,8,8]") W("[2,3,3,3]") "%y = conv(%x,%w)", "f32[1,2,6,6]"},
    {X("[1,2*n,8,8]") W("[2,3,3,3]") "%y = conv(%x,%w)", "E_SHAPE: channels"},
    {X("[1,3,8,8]") W("[2,3,3,3]") "%y = conv(%x,%w) {group=0}", "E_ATTR: group is 0"},
    {X("[1,3,8,8]") W("[2,3,3,3]") "%y = conv(%x,%w) {group=-1}", "E_ATTR: group is -1"},
    {X("[1,3,8,8]") W("[2,3,3,3]") "%y = conv(%x,%w) {group=9223372036854775807}", "E_LIMIT: above 2^63-1"},
    {X("[1,4,8,8]") W("[3,2,3,3]") "%y = conv(%x,%w) {group=2}", "E_SHAPE: 3 output channels"},
    {X("[1,3,8,8]") W("[2,4,3,3]") "%y = conv(%x,%w)", "E_SHAPE: made for 4"},
    {X("[1,3,8,8]") W("[2,3,3]") "%y = conv(%x,%w)", "E_SHAPE: w has rank 3, x has rank 4"},
    {X("[1,3]") W("[2,3]") "%y = conv(%x,%w)", "E_SHAPE: rank 2"},
    {X("[1,3,8,8]") W("[2,3,9,3]") "%y = conv(%x,%w)", "E_SHAPE: kernel larger"},
    {X("[1,3,8,8]") W("[2,3,0,3]") "%y = conv(%x,%w)", "E_ATTR: at least 1"},
    {X("[1,3,8,8]") W("[2,3,3,3]") "%y = conv(%x,%w) {stride=[0,1]}", "E_ATTR: at least 1"},
    {X("[1,3,8,8]") W("[2,3,3,3]") "%y = conv(%x,%w) {stride=[1]}", "E_ATTR: one entry"},
    {X("[1,3,8,8]") W("[2,3,3,3]") "%y = conv(%x,%w) {stride=[1,1,1,1,1,1,1,1]}", "E_ATTR: one entry"},
    {X("[1,3,8,8]") W("[2,3,3,3]") "%y = conv(%x,%w) {dilation=[1,-2]}", "E_ATTR: at least 1"},
    {X("[1,3,8,8]") W("[2,3,3,3]") "%y = conv(%x,%w) {dilation=[1,2147483647]}", "E_ATTR: dilated kernel"},
    {X("[1,3,8,8]") W("[2,3,3,3]") "%y = conv(%x,%w) {pad=[1,1,1,-1]}", "E_ATTR: negative"},
    {X("[1,3,8,8]") W("[2,3,3,3]") "%y = conv(%x,%w) {pad=[1,1,1,9223372036854775807]}",
     "E_ATTR: above 2^31-1"},
    {X("[1,3,8,8]") W("[2,3,3,3]") "%y = conv(%x,%w) {pad=[1,1]}", "E_ATTR: one entry"},
    {X("[1,3,8,8]") W("[2,3,3,3]") "%y = conv(%x,%w) {auto_pad=\"maybe\"}", "E_ATTR: auto_pad"},
    {X("[1,3,8,8]") W("[2,3,3,3]") "input %b:f32[3] %y = conv(%x,%w,%b)", "E_SHAPE: bias has 3"},
    {X("[1,3,8,8]") W("[2,3,3,3]") "input %b:f32[2,1] %y = conv(%x,%w,%b)", "E_SHAPE: rank 2"},
    {X("[1,3,8,8]") "input %w:f16[2,3,3,3] %y = conv(%x,%w)", "E_TYPE: operand 1 (w) is f16"},
    {"input %x:i64[1,3,8,8] input %w:i64[2,3,3,3] %y = conv(%x,%w)", "E_TYPE: operand 0 (x) is i64"},
    {X("[1,3,4611686018427387904,8]") W("[2,3,3,3]") "%y = conv(%x,%w)", "E_SHAPE: above 2^31-1"},

    {X("[1,3,4,4]")
         W("[3,2,3,3]") "%y = conv_transpose(%x,%w) {stride=[2,2], pad=[1,1,1,1], output_pad=[1,1]}",
     "f32[1,2,8,8]"},
    {X("[1,3,3,3]") W("[3,2,3,3]") "%y = conv_transpose(%x,%w) {stride=[2,2], auto_pad=\"same_upper\"}",
     "f32[1,2,6,6]"},
    {X("[1,1,3,3]")
         W("[1,2,3,3]") "%y = conv_transpose(%x,%w) {stride=[3,2], output_shape=[10,8], output_pad=[1,1]}",
     "f32[1,2,10,8]"},
    {X("[1,4,3,3]") W("[4,2,3,3]") "%y = conv_transpose(%x,%w) {group=2, dilation=[2,2]}", "f32[1,4,7,7]"},
    {X("[1,3,n,m]") W("[3,2,2,2]") "%y = conv_transpose(%x,%w) {stride=[2,2]}", "f32[1,2,2*n,2*m]"},
    {X("[1,3,3,3]") W("[4,2,3,3]") "%y = conv_transpose(%x,%w)", "E_SHAPE: channels"},
    {X("[1,3,3,3]") W("[3,2,3,3]") "%y = conv_transpose(%x,%w) {output_pad=[1,1]}", "E_ATTR: output_pad"},
    {X("[1,3,3,3]") W("[3,2,3,3]") "%y = conv_transpose(%x,%w) {pad=[4,4,4,4]}", "E_SHAPE: cuts away"},
    {X("[1,3,2000000000,3]") W("[3,2,3,3]") "%y = conv_transpose(%x,%w) {stride=[2,1]}",
     "E_SHAPE: output extent"},

    {X("[n,64,112,112]") "%y = max_pool(%x) {kernel=[3,3], stride=[2,2], pad=[1,1,1,1]}", "f32[n,64,56,56]"},
    {X("[1,1,4,4]") "%y = max_pool(%x) {kernel=[3,3], stride=[2,2], ceil_mode=1}", "f32[1,1,2,2]"},
    {X("[1,1,5,5]") "%y = max_pool(%x) {kernel=[2,2], stride=[2,2], ceil_mode=1}", "f32[1,1,3,3]"},
    {X("[1,1,2,2]") "%y = max_pool(%x) {kernel=[1,1], stride=[2,2], ceil_mode=1}", "f32[1,1,1,1]"},
    {X("[1,1,3,3]") "%y = max_pool(%x) {kernel=[2,2], stride=[2,2], pad=[1,1,1,1], ceil_mode=1}",
     "f32[1,1,2,2]"},
    {X("[1,1,2*n,8]") "%y = max_pool(%x) {kernel=[3,3], stride=[2,2], ceil_mode=1}", "f32[1,1,n,4]"},
    {X("[1,1,2*n,2*n]") "%y = max_pool(%x) {kernel=[1,3], stride=[2,2], ceil_mode=1}", "f32[1,1,n,n]"},
    {X("[1,2,6,6]") "%v, %y = max_pool(%x) {kernel=[2,2]}", "i64[1,2,5,5]"},
    {"input %x:u8[1,2,6,6] %y = max_pool(%x) {kernel=[2,2]}", "u8[1,2,5,5]"},
    {"input %x:u8[1,2,6,6] %y = average_pool(%x) {kernel=[2,2]}", "E_TYPE: average_pool takes"},
    {X("[1,2,6,6]") "%y = max_pool(%x) {kernel=[2]}", "E_ATTR: kernel has 1"},
    {X("[1,2,6,6]") "%y = max_pool(%x) {kernel=[2,2], pad=[2,2,0,0]}", "E_ATTR: not smaller than the kernel"},
    {X("[1,2,6,6]") "%y = max_pool(%x)", "E_ATTR: kernel is missing"},
    {X("[1,2,6,6]") "%y = global_average_pool(%x)", "f32[1,2,1,1]"},
    {X("[n,2,m]") "%y = global_max_pool(%x)", "f32[n,2,1]"},
    {X("[1,2]") "%y = global_max_pool(%x)", "E_SHAPE: rank 2"},
};

static const struct row products[] = {
    {X("[n,8]") W("[8,4]") "%y = gemm(%x,%w)", "f32[n,4]"},
    {X("[8,n]") W("[4,8]") "%y = gemm(%x,%w) {trans_a=1, trans_b=1}", "f32[n,4]"},
    {X("[n,8]") W("[8,4]") "input %c:f32[4] %y = gemm(%x,%w,%c)", "f32[n,4]"},
    {X("[n,8]") W("[8,4]") "input %c:f32[] %y = gemm(%x,%w,%c)", "f32[n,4]"},
    {X("[1,8]") W("[8,4]") "input %c:f32[2,4] %y = gemm(%x,%w,%c)", "E_SHAPE: does not broadcast"},
    {X("[n,8]") W("[7,4]") "%y = gemm(%x,%w)", "E_SHAPE: inner dims differ"},
    {X("[n,8,1]") W("[8,4]") "%y = gemm(%x,%w)", "E_SHAPE: a has rank 3"},
    {X("[n,8]") W("[8,4]") "%y = gemm(%x,%w) {alpha=nan}", "E_ATTR: alpha is not a number"},
    {X("[2,1,3,4]") W("[5,4,6]") "%y = matmul(%x,%w)", "f32[2,5,3,6]"},
    {X("[4]") W("[4]") "%y = matmul(%x,%w)", "f32[]"},
    {X("[4]") W("[2,4,3]") "%y = matmul(%x,%w)", "f32[2,3]"},
    {X("[2,3,4]") W("[4]") "%y = matmul(%x,%w)", "f32[2,3]"},
    {X("[n,3,4]") W("[4,m]") "%y = matmul(%x,%w)", "f32[n,3,m]"},
    {X("[2,3,4]") W("[3,4,4]") "%y = matmul(%x,%w)", "E_SHAPE: do not broadcast"},
    {X("[]") W("[4]") "%y = matmul(%x,%w)", "E_SHAPE: scalar"},
    {X("[0,4]") W("[4,2]") "%y = matmul(%x,%w)", "f32[0,2]"},
};

static const struct row pointwise[] = {
    {X("[n,3]") "%y = relu(%x)", "f32[n,3]"},
    {"input %x:bool[3] %y = relu(%x)", "E_TYPE: operand 0 (x) is bool"},
    {"input %x:bool[3] %y = not(%x)", "bool[3]"},
    {X("[n,3]") "%y = clip(%x) {min=0.0, max=6.0}", "f32[n,3]"},
    {X("[n,3]") "%y = clip(%x) {min=nan}", "E_ATTR: min is not a number"},
    {X("[n,3]") "%y = relu(%x) {alpha=1.0}", "E_ATTR: no attribute \"alpha\""},
    {X("[n,3]") "%y = leaky_relu(%x) {alpha=1}", "f32[n,3]"},
    {X("[n,3]") "%y = leaky_relu(%x) {alpha=\"1\"}", "E_ATTR: must be a float"},
    {X("[n,3]") "%y = leaky_relu(%x, %x)", "E_GRAPH: 2 operands"},
    {X("[n,3,1]") W("[3,5]") "%y = add(%x,%w)", "f32[n,3,5]"},
    {X("[n,1]") W("[m]") "%y = add(%x,%w)", "f32[n,m]"},
    {X("[n]") W("[m]") "%y = add(%x,%w)", "f32[?]"},
    {X("[n]") W("[4]") "%y = mul(%x,%w)", "f32[4]"},
    {X("[2*n+4]") W("[3]") "%y = mul(%x,%w)", "E_SHAPE: do not broadcast"},
    {X("[?]") W("[4]") "%y = mul(%x,%w)", "f32[4]"},
    {X("[0]") W("[1]") "%y = mul(%x,%w)", "f32[0]"},
    {X("[0]") W("[2]") "%y = mul(%x,%w)", "E_SHAPE: do not broadcast"},
    {X("[2,3]") W("[2]") "%y = sub(%x,%w)", "E_SHAPE: [2,3] and [2]"},
    {X("[2,3]") "input %w:f64[3] %y = div(%x,%w)", "E_TYPE: operand 1 (b) is f64"},
    {X("[2,3]") "input %w:i32[3] %y = pow(%x,%w)", "f32[2,3]"},
    {X("[2,3]") W("[3]") "%y = prelu(%x,%w)", "f32[2,3]"},
    {X("[3]") W("[2,3]") "%y = prelu(%x,%w)", "E_SHAPE: does not broadcast"},
    {X("[2,3]") W("[3]") "input %z:f32[4,1,1] %y = sum(%x,%w,%z)", "f32[4,2,3]"},
    {X("[2,3]") W("[3]") "input %z:f16[1] %y = max(%x,%w,%z)", "E_TYPE: f16"},
    {X("[2,3]") W("[3]") "%y = greater(%x,%w)", "bool[2,3]"},
    {"input %c:bool[2,1] " X("[3]") W("[1]") "%y = where(%c,%x,%w)", "f32[2,3]"},
    {X("[3]") W("[1]") "%y = where(%x,%x,%w)", "E_TYPE: operand 0 (cond) is f32"},
    {X("[3]") "%y = cast(%x) {to=i8}", "i8[3]"},
    {X("[3]") "%y = cast(%x)", "E_ATTR: to is missing"},
    {X("[3]") "%y = cast(%x) {to=3}", "E_ATTR: must be a dtype"},
    {X("[n,8,4,4]") "input %s:f32[8] %y = batch_norm(%x,%s,%s,%s,%s)", "f32[n,8,4,4]"},
    {X("[n,8,4,4]") "input %s:f32[7] %y = batch_norm(%x,%s,%s,%s,%s)", "E_SHAPE: operand 1 has 7"},
    {X("[n,8,4,4]") "input %s:f32[8] %y = batch_norm(%x,%s,%s,%s,%s) {epsilon=nan}",
     "E_ATTR: epsilon is not a number"},
    {X("[n,8,4,4]") "input %s:f32[8] %y = batch_norm(%x,%s,%s,%s,%s) {epsilon=-1.0}",
     "E_ATTR: epsilon is -1"},
    {X("[n,8,4,4]") "input %s:i32[8] %y = batch_norm(%x,%s,%s,%s,%s)", "E_TYPE: must be a float"},
    {X("[n,8,4,4]") "input %s:f32[8] %y = instance_norm(%x,%s,%s)", "f32[n,8,4,4]"},
    {X("[n,8,4,4]") "%y = lrn(%x) {size=5}", "f32[n,8,4,4]"},
    {X("[n,8,4,4]") "%y = lrn(%x) {size=0}", "E_ATTR: size is 0"},
    {X("[n,8]") "%y = softmax(%x) {axis=1}", "f32[n,8]"},
    {X("[n,8]") "%y = softmax(%x) {axis=2}", "E_ATTR: axis 2 is out of range for rank 2"},
    {X("[n,8]") "%y = softmax(%x) {axis=-9223372036854775808}", "E_ATTR: out of range"},
    {X("[]") "%y = log_softmax(%x)", "E_ATTR: out of range"},
    {X("[n,8]") "%v, %y = dropout(%x)", "bool[n,8]"},
    {X("[n,8]") "const %t:bool[] = {true} %y = dropout(%x,_,%t)", "E_UNSUPPORTED: training"},
    {X("[n,8]") "input %t:bool[] %y = dropout(%x,_,%t)", "E_UNSUPPORTED: training"},
    {X("[n,8]") "const %t:bool[] = {false} %y = dropout(%x,_,%t)", "f32[n,8]"},
};

static const struct row reductions[] = {
    {X("[n,3,4]") "const %a:i64[1] = {-1} %y = reduce_mean(%x,%a)", "f32[n,3,1]"},
    {X("[n,3,4]") "const %a:i64[2] = {1,-1} %y = reduce_sum(%x,%a) {keepdims=0}", "f32[n]"},
    {X("[n,3,4]") "%y = reduce_max(%x)", "f32[1,1,1]"},
    {X("[n,3,4]") "%y = reduce_max(%x) {keepdims=0}", "f32[]"},
    {X("[n,3,4]") "%y = reduce_max(%x) {noop_with_empty_axes=1}", "f32[n,3,4]"},
    {X("[n,3,4]") "const %a:i64[0] = {} %y = reduce_min(%x,%a)", "f32[1,1,1]"},
    {X("[n,3,4]") "input %a:i64[1] %y = reduce_min(%x,%a)", "f32[?,?,?]"},
    {X("[n,3,4]") "input %a:i64[2] %y = reduce_min(%x,%a) {keepdims=0}", "f32[?]"},
    {X("[n,3,4]") "input %a:i64[n] %y = reduce_min(%x,%a) {keepdims=0}", "f32[*]"},
    {X("[n,3,4]") "const %a:i64[2] = {1,-2} %y = reduce_l2(%x,%a)", "E_ATTR: axis 1 is listed twice"},
    {X("[n,3,4]") "const %a:i64[1] = {3} %y = reduce_l2(%x,%a)", "E_ATTR: axis 3"},
    {X("[n,3,4]") "const %a:i64[4] = {0,1,2,0} %y = reduce_l2(%x,%a)", "E_SHAPE: 4 axes for rank 3"},
    {X("[n,3,4]") "const %a:i32[1] = {0} %y = reduce_l2(%x,%a)", "E_TYPE: i32"},
    {X("[n,3,4]") "%y = arg_max(%x) {axis=-1}", "i64[n,3,1]"},
    {X("[n,3,4]") "%y = arg_max(%x) {axis=1, keepdims=0}", "i64[n,4]"},
    {X("[n,0]") "%y = arg_max(%x) {axis=1}", "E_SHAPE: no elements"},
};

static const struct row moves[] = {
    {X("[n,3,8]") W("[n,5,8]") "%y = concat(%x,%w) {axis=1}", "f32[n,8,8]"},
    {X("[?,3,8]") W("[n,n,?]") "%y = concat(%x,%w) {axis=-2}", "f32[n,n+3,8]"},
    {X("[3]") W("[5,8]") "%y = concat(%x,%w) {axis=0}", "E_SHAPE: operand 1 has rank 2"},
    {X("[3,7]") W("[5,8]") "%y = concat(%x,%w) {axis=0}", "E_SHAPE: operand 1 of shape [5,8]"},
    {X("[3,7]") "%y = concat(%x) {axis=2}", "E_ATTR: axis 2"},
    {X("[3,7]") "%y = concat(%x)", "E_ATTR: axis is missing"},
    {X("[3,7]") "%y = concat(%x,_) {axis=0}", "E_GRAPH: operand 1 (x) is omitted"},
    {X("[9223372036854775807,0]") "%y = concat(%x,%x) {axis=0}", "E_LIMIT: above 2^63-1"},
    {X("[n,6]") "%a, %b, %y = split(%x) {axis=1}", "f32[n,2]"},
    {X("[7]") "%a, %b, %y = split(%x)", "f32[1]"},
    {X("[5]") "%a, %b, %c, %y = split(%x)", "E_SHAPE: cannot be split into 4"},
    {X("[3*n]") "%a, %b, %y = split(%x)", "f32[n]"},
    {X("[n]") "%a, %y = split(%x)", "f32[?]"},
    {X("[6,2]") "const %s:i64[2] = {2,4} %a, %y = split(%x,%s)", "f32[4,2]"},
    {X("[n,2]") "const %s:i64[2] = {2,4} %a, %y = split(%x,%s)", "f32[4,2]"},
    {X("[6,2]") "const %s:i64[2] = {2,5} %a, %y = split(%x,%s)", "E_SHAPE: add up to 7; axis 0 has 6"},
    {X("[6,2]") "const %s:i64[3] = {2,2,2} %a, %y = split(%x,%s)", "E_SHAPE: 3 sizes for 2 results"},
    {X("[6,2]") "const %s:i64[2] = {8,-2} %a, %y = split(%x,%s)", "E_SHAPE: negative size -2"},
    {X("[6,2]") "const %s:i64[2] = {9223372036854775807,9223372036854775807} %a, %y = split(%x,%s)",
     "E_LIMIT: 2^63-1"},
    {X("[6,2]") "input %s:i64[2] %a, %y = split(%x,%s)", "f32[?,2]"},
    {X("[n,6,2]") "input %i:i64[3,4] %y = gather(%x,%i) {axis=1}", "f32[n,3,4,2]"},
    {X("[n,6,2]") "const %i:i64[] = {5} %y = gather(%x,%i) {axis=1}", "f32[n,2]"},
    {X("[n,6,2]") "const %i:i64[] = {6} %y = gather(%x,%i) {axis=1}", "E_SHAPE: index 6 is out of range"},
    {X("[n,6,2]") "const %i:i64[2] = {0,-7} %y = gather(%x,%i) {axis=1}", "E_SHAPE: index -7"},
    {X("[n,6,2]") "input %i:f32[2] %y = gather(%x,%i)", "E_TYPE: indices"},
    {X("[]") "input %i:i64[2] %y = gather(%x,%i)", "E_ATTR: axis 0"},
    {X("[1,1,1,1,1]") "input %i:i64[1,1,1,1,1] %y = gather(%x,%i)", "E_LIMIT: rank 9"},
    {X("[n,2,3]") "%y = transpose(%x)", "f32[3,2,n]"},
    {X("[n,2,3]") "%y = transpose(%x) {perm=[0,2,1]}", "f32[n,3,2]"},
    {X("[n,2,3]") "%y = transpose(%x) {perm=[0,2,2]}", "E_ATTR: no permutation"},
    {X("[n,2,3]") "%y = transpose(%x) {perm=[0,-1,1]}", "E_ATTR: no permutation"},
    {X("[n,2,3]") "%y = transpose(%x) {perm=[0,1,4611686018427387904]}", "E_ATTR: no permutation"},
    {X("[n,2,3]") "%y = transpose(%x) {perm=[0,1]}", "E_ATTR: perm has 2"},
    {X("[n,4]") "const %p:i64[4] = {1,0,2,3} %y = pad(%x,%p)", "f32[n+3,7]"},
    {X("[n,4]") "const %p:i64[4] = {0,-1,0,-3} %y = pad(%x,%p)", "f32[n,0]"},
    {X("[n,4]") "const %p:i64[4] = {0,-2,0,-3} %y = pad(%x,%p)", "E_SHAPE: cut away more"},
    {X("[n,4]") "const %p:i64[3] = {0,0,0} %y = pad(%x,%p)", "E_SHAPE: pads has 3"},
    {X("[n,4]") "const %p:i64[4] = {0,9223372036854775807,0,1} %y = pad(%x,%p)", "E_LIMIT: above 2^63-1"},
    {X("[n,4]") "const %p:i64[2] = {1,1} const %a:i64[1] = {-1} %y = pad(%x,%p,_,%a)", "f32[n,6]"},
    {X("[n,4]") "const %p:i64[2] = {1,1} const %a:i64[1] = {2} %y = pad(%x,%p,_,%a)", "E_ATTR: axis 2"},
    {X("[n,4]") "const %p:i64[4] = {0,4,0,0} %y = pad(%x,%p) {mode=\"reflect\"}",
     "E_SHAPE: cannot be reflected by 4"},
    {X("[n,4]") "const %p:i64[4] = {0,3,0,3} %y = pad(%x,%p) {mode=\"reflect\"}", "f32[n,10]"},
    {X("[n,0]") "const %p:i64[4] = {0,1,0,0} %y = pad(%x,%p) {mode=\"edge\"}", "E_SHAPE: no elements"},
    {X("[n,0]") "const %p:i64[4] = {0,1,0,0} %y = pad(%x,%p)", "f32[n,1]"},
    {X("[n,4]") "const %p:i64[4] = {0,1,0,0} %y = pad(%x,%p) {mode=\"mirror\"}",
     "E_ATTR: none of constant, reflect"},
    {X("[n,4]") "input %p:i64[4] %y = pad(%x,%p)", "f32[?,?]"},
    {X("[]") "input %p:i64[1] %y = pad(%x,%p)", "E_SHAPE: pads has 1"},
    {X("[n,4]") "input %p:i64[2] input %a:i64[1] %y = pad(%x,%p,_,%a)", "f32[?,?]"},
    {X("[n,4]") "const %p:i64[4] = {0,1,0,0} input %v:f32[2] %y = pad(%x,%p,%v)", "E_SHAPE: one element"},
    {X("[n,4]") "const %r:i64[2] = {2,0} %y = tile(%x,%r)", "f32[2*n,0]"},
    {X("[n,4]") "const %r:i64[2] = {2,-1} %y = tile(%x,%r)", "E_SHAPE: repeated -1"},
    {X("[n,4]") "const %r:i64[1] = {2} %y = tile(%x,%r)", "E_SHAPE: 1 repeats for rank 2"},
    {X("[n,4]") "const %r:i64[2] = {1,4611686018427387904} %y = tile(%x,%r)", "E_LIMIT: above 2^63-1"},
    {X("[4,4]") "const %r:i64[2] = {1073741824,1073741824} %y = tile(%x,%r)", "E_LIMIT: overflows"},
    {X("[4,4]") "const %r:i64[2] = {536870912,536870912} %y = tile(%x,%r)", "E_LIMIT: bytes"},
    {X("[n,12,2,m]") "%y = depth_to_space(%x) {block=2}", "f32[n,3,4,2*m]"},
    {X("[n,12,2,m]") "%y = depth_to_space(%x) {block=5}", "E_SHAPE: divided by 25"},
    {X("[n,12,2,m]") "%y = depth_to_space(%x) {block=4294967296}", "E_ATTR: block"},
    {X("[n,12,2,m]") "%y = depth_to_space(%x) {block=2, mode=\"X\"}", "E_ATTR: DCR, CRD"},
    {X("[n,3,4,2*m]") "%y = space_to_depth(%x) {block=2}", "f32[n,12,2,m]"},
    {X("[n,3,4]") "%y = space_to_depth(%x) {block=2}", "E_SHAPE: rank 3"},
};

static const struct row reshapes[] = {
    {X("[n,512,7,7]") "const %s:i64[2] = {0,-1} %y = reshape(%x,%s)", "f32[n,25088]"},
    {X("[n,512,1,1]") "const %s:i64[2] = {-1,512} %y = reshape(%x,%s)", "f32[n,512]"},
    {X("[n,4,6]") "const %s:i64[3] = {-1,8,3} %y = reshape(%x,%s)", "f32[n,8,3]"},
    {X("[2*n,4]") "const %s:i64[2] = {-1,8} %y = reshape(%x,%s)", "f32[n,8]"},
    {X("[n,4]") "const %s:i64[2] = {-1,8} %y = reshape(%x,%s)", "f32[?,8]"},
    {X("[2,3,4]") "const %s:i64[2] = {4,6} %y = reshape(%x,%s)", "f32[4,6]"},
    {X("[2,3,4]") "const %s:i64[0] = {} %y = reshape(%x,%s)", "E_SHAPE: as many elements"},
    {X("[1,1]") "const %s:i64[0] = {} %y = reshape(%x,%s)", "f32[]"},
    {X("[2,3,4]") "const %s:i64[2] = {5,-1} %y = reshape(%x,%s)", "E_SHAPE: as many elements"},
    {X("[2,3,4]") "const %s:i64[2] = {-1,-1} %y = reshape(%x,%s)", "E_SHAPE: more than one -1"},
    {X("[2,3,4]") "const %s:i64[2] = {-2,4} %y = reshape(%x,%s)", "E_SHAPE: the dim -2"},
    {X("[2,3]") "const %s:i64[3] = {2,3,0} %y = reshape(%x,%s)", "E_SHAPE: copies dim 2"},
    {X("[0,3]") "const %s:i64[2] = {0,-1} %y = reshape(%x,%s)", "f32[0,3]"},
    {X("[0,3]") "const %s:i64[2] = {3,0} %y = reshape(%x,%s) {allowzero=1}", "f32[3,0]"},
    {X("[0,3]") "const %s:i64[2] = {-1,0} %y = reshape(%x,%s) {allowzero=1}", "E_SHAPE: both 0 and -1"},
    {X("[n,6]") "const %s:i64[2] = {0,5} %y = reshape(%x,%s)", "E_SHAPE: as many elements"},
    {X("[n,m]") "const %s:i64[1] = {-1} %y = reshape(%x,%s)", "f32[?]"},
    {X("[n,6]") "input %s:i64[3] %y = reshape(%x,%s)", "f32[?,?,?]"},
    {X("[n,6]") "input %s:i64[m] %y = reshape(%x,%s)", "f32[*]"},
    {X("[n,6]") "input %s:i64[9] %y = reshape(%x,%s)", "E_LIMIT: rank 9"},
    {X("[n,6]") "input %s:i64[2,1] %y = reshape(%x,%s)", "E_SHAPE: rank 2"},
    {X("[n,6]") "const %s:i32[1] = {-1} %y = reshape(%x,%s)", "E_TYPE: shape"},
    {X("[6]") "const %s:i64[3] = {9223372036854775807,9223372036854775807,2} %y = reshape(%x,%s)",
     "E_LIMIT: overflows"},
    {X("[n,3,4]") "%y = flatten(%x)", "f32[n,12]"},
    {X("[n,3,4]") "%y = flatten(%x) {axis=0}", "f32[1,12*n]"},
    {X("[2,3,4]") "%y = flatten(%x) {axis=-1}", "f32[6,4]"},
    {X("[2,3,4]") "%y = flatten(%x) {axis=3}", "f32[24,1]"},
    {X("[2,3,4]") "%y = flatten(%x) {axis=4}", "E_ATTR: axis 4"},
    {X("[n,1,4,1]") "const %a:i64[2] = {1,-1} %y = squeeze(%x,%a)", "f32[n,4]"},
    {X("[3,1,4,1]") "%y = squeeze(%x)", "f32[3,4]"},
    {X("[n,1]") "%y = squeeze(%x)", "f32[*]"},
    {X("[2*n,1]") "%y = squeeze(%x)", "f32[2*n]"},
    {X("[n,1,4]") "const %a:i64[1] = {2} %y = squeeze(%x,%a)", "E_SHAPE: axis 2 has 4"},
    {X("[n,1,4]") "const %a:i64[1] = {3} %y = squeeze(%x,%a)", "E_ATTR: axis 3"},
    {X("[n,4]") "const %a:i64[2] = {0,-1} %y = unsqueeze(%x,%a)", "f32[1,n,4,1]"},
    {X("[n,4]") "const %a:i64[2] = {0,-4} %y = unsqueeze(%x,%a)", "E_ATTR: twice"},
    {X("[n,4]") "input %a:i64[2] %y = unsqueeze(%x,%a)", "f32[?,?,?,?]"},
    {X("[n,4]") "input %a:i64[7] %y = unsqueeze(%x,%a)", "E_LIMIT: rank 9"},
    {X("[n,1]") "const %s:i64[3] = {2,1,4} %y = expand(%x,%s)", "f32[2,n,4]"},
    {X("[3,2]") "const %s:i64[2] = {3,4} %y = expand(%x,%s)", "E_SHAPE: do not broadcast"},
    {X("[3,2]") "const %s:i64[2] = {3,-1} %y = expand(%x,%s)", "E_SHAPE: the dim -1"},
    {X("[3,1]") "input %s:i64[2] %y = expand(%x,%s)", "f32[3,?]"},
};

#define S1(start, end) "const %s:i64[1] = {" start "} const %e:i64[1] = {" end "} "
static const struct row slices[] = {
    {X("[5,n]") S1("1", "3") "%y = slice(%x,%s,%e)", "f32[2,n]"},
    {X("[5]") S1("-3", "9223372036854775807") "%y = slice(%x,%s,%e)", "f32[3]"},
    {X("[5]")
         S1("9223372036854775807", "-9223372036854775808") "const %t:i64[1] = {-1} const %a:i64[1] = {0} "
                                                           "%y = slice(%x,%s,%e,%a,%t)",
     "f32[5]"},
    {X("[5]")
         S1("4", "-9223372036854775808") "const %t:i64[1] = {-9223372036854775808} const %a:i64[1] = {0} "
                                         "%y = slice(%x,%s,%e,%a,%t)",
     "f32[1]"},
    {X("[5]") S1("0", "5") "const %t:i64[1] = {9223372036854775807} const %a:i64[1] = {-1} "
                           "%y = slice(%x,%s,%e,%a,%t)",
     "f32[1]"},
    {X("[10]") S1("1", "8") "const %t:i64[1] = {3} %y = slice(%x,%s,%e,_,%t)", "f32[3]"},
    {X("[10]") S1("8", "1") "const %t:i64[1] = {-3} %y = slice(%x,%s,%e,_,%t)", "f32[3]"},
    {X("[5]") S1("3", "1") "%y = slice(%x,%s,%e)", "f32[0]"},
    {X("[0]") S1("0", "1") "%y = slice(%x,%s,%e)", "f32[0]"},
    {X("[5]") S1("0", "1") "const %t:i64[1] = {0} %y = slice(%x,%s,%e,_,%t)", "E_ATTR: a step is 0"},
    {X("[n]") S1("0", "9223372036854775807") "%y = slice(%x,%s,%e)", "f32[n]"},
    {X("[n]") S1("1", "9223372036854775807") "%y = slice(%x,%s,%e)", "f32[?]"},
    {X("[n+1]") S1("1", "9223372036854775807") "%y = slice(%x,%s,%e)", "f32[n]"},
    {X("[n+2]") S1("0", "-1") "%y = slice(%x,%s,%e)", "f32[n+1]"},
    {X("[n+2]") S1("-1", "9223372036854775807") "%y = slice(%x,%s,%e)", "f32[1]"},
    {X("[n]") S1("0", "2") "%y = slice(%x,%s,%e)", "f32[?]"},
    {X("[5,6]") "const %s:i64[2] = {1,1} const %e:i64[2] = {2,3} const %a:i64[2] = {1,-1} %y = slice(%x,%s,%e,%a)",
     "E_ATTR: listed twice"},
    {X("[5,6]") "const %s:i64[2] = {1,1} const %e:i64[1] = {2} %y = slice(%x,%s,%e)", "E_SHAPE: ends has 1"},
    {X("[5]") "const %s:i64[2] = {1,1} const %e:i64[2] = {2,2} %y = slice(%x,%s,%e)",
     "E_SHAPE: 2 ranges for rank 1"},
    {X("[5,6]") "input %s:i64[1] input %e:i64[1] %y = slice(%x,%s,%e)", "f32[?,6]"},
    {X("[5,6]") "input %s:i64[1] input %e:i64[1] input %a:i64[1] %y = slice(%x,%s,%e,%a)", "f32[?,?]"},
    {X("[5,6]") "input %s:i64[] input %e:i64[] %y = slice(%x,%s,%e)", "E_SHAPE: rank 0"},
};

#define SCALES(list) "const %s:f32[4] = {" list "} "
static const struct row resizes[] = {
    {X("[n,3,8,10]") SCALES("1,1,2,1.5") "%y = resize(%x,_,%s)", "f32[n,3,16,15]"},
    {X("[n,3,10,m]") SCALES("1,1,0.7,2") "%y = resize(%x,_,%s)", "f32[n,3,7,2*m]"},
    {X("[n,3,10,m]") SCALES("1,1,1,0.5") "%y = resize(%x,_,%s)", "f32[n,3,10,?]"},
    {X("[n,3,10,8]") SCALES("1,1,1e30,1") "%y = resize(%x,_,%s)", "E_LIMIT: axis 2 would have"},
    {X("[n,3,10,8]") SCALES("1,1,nan,1") "%y = resize(%x,_,%s)", "E_SHAPE: the scale of axis 2"},
    {X("[n,3,10,8]") SCALES("1,1,-1,1") "%y = resize(%x,_,%s)", "E_SHAPE: the scale of axis 2 is -1"},
    {X("[n,3,10,8]") SCALES("1,1,inf,1") "%y = resize(%x,_,%s)", "E_SHAPE: the scale of axis 2 is inf"},
    {X("[n,3,10,8]") "const %z:i64[4] = {1,3,20,4} %y = resize(%x,_,_,%z)", "f32[1,3,20,4]"},
    {X("[n,3,10,8]") "const %z:i64[2] = {20,4} %y = resize(%x,_,_,%z) {axes=[2,-1]}", "f32[n,3,20,4]"},
    {X("[n,3,10,8]") "const %z:i64[2] = {20,4} %y = resize(%x,_,_,%z) {axes=[3,-1]}", "E_ATTR: listed twice"},
    {X("[n,3,10,8]") "const %z:i64[2] = {20,20} %y = resize(%x,_,_,%z) {axes=[2,3], keep_aspect=\"not_larger\"}",
     "f32[n,3,20,16]"},
    {X("[n,3,10,8]") "const %z:i64[2] = {20,20} %y = resize(%x,_,_,%z) {axes=[2,3], keep_aspect=\"not_smaller\"}",
     "f32[n,3,25,20]"},
    {X("[n,3,10,8]") "const %z:i64[3] = {1,20,4} %y = resize(%x,_,_,%z)", "E_SHAPE: 3 sizes for 4 axes"},
    {X("[n,3,10,8]") "const %z:i64[4] = {1,3,20,-4} %y = resize(%x,_,_,%z)", "E_LIMIT: axis 3"},
    {X("[n,3,10,8]") "input %z:i64[4] %y = resize(%x,_,_,%z)", "f32[?,?,?,?]"},
    {X("[n,3,10,8]") "%y = resize(%x)", "E_GRAPH: either scales or sizes"},
    {X("[n,3,10,8]") SCALES("1,1,2,2") "const %z:i64[4] = {1,3,20,4} %y = resize(%x,_,%s,%z)",
     "E_GRAPH: not both"},
    {X("[n,3,10,8]") "const %s:f32[0] = {} const %z:i64[4] = {1,3,20,4} %y = resize(%x,_,%s,%z)",
     "f32[1,3,20,4]"},
    {X("[n,3,0,8]") SCALES("1,1,2,2") "%y = resize(%x,_,%s)", "f32[n,3,0,16]"},
    {X("[n,3,0,8]") "const %z:i64[4] = {1,3,2,4} %y = resize(%x,_,_,%z)", "E_SHAPE: no elements"},
    {X("[n,3,10,8]") SCALES("1,1,2,2") "%y = resize(%x,_,%s) {mode=\"best\"}",
     "E_ATTR: nearest, linear, cubic"},
    {X("[n,3,10,8]") SCALES("1,1,2,2") "%y = resize(%x,_,%s) {coordinate=\"tf_crop_and_resize\"}",
     "E_GRAPH: roi"},
};

/* The shape arithmetic that exporters write. */
static const struct row chains[] = {
    {X("[n,512,7,7]") "const %i:i64[] = {0} const %a:i64[1] = {0} const %m:i64[1] = {-1}"
                      "%s = shape(%x) %g = gather(%s,%i) %u = unsqueeze(%g,%a) %c = concat(%u,%m) {axis=0} %y = reshape(%x,%c)",
     "f32[n,25088]"},
    {X("[n,3,8,8]") "const %st:i64[1] = {2} const %en:i64[1] = {4} const %two:i64[1] = {2}"
                    "%s = shape(%x) %hw = slice(%s,%st,%en) %big = mul(%hw,%two) const %b:i64[1] = {0} const %e:i64[1] = {2}"
                    "%nc = slice(%s,%b,%e) %z = concat(%nc,%big) {axis=0} %y = resize(%x,_,_,%z)",
     "f32[n,3,16,16]"},
    {X("[n,6,4]") "const %h:i64[] = {2} %s = shape(%x) {start=1, end=2} %d = div(%s,%h) const %m:i64[1] = {-1}"
                  "%o = shape(%x) {end=1} %c = concat(%o,%d,%m) {axis=0} %y = reshape(%x,%c)",
     "f32[n,3,8]"},
    {X("[n,1]") "%s = shape(%x) {end=1} const %k:i64[1] = {5} %c = concat(%s,%k) {axis=0} %y = expand(%x,%c)",
     "f32[n,5]"},
    {X("[n,4]") "const %m:i64[2] = {-1,4} const %minus:i64[1] = {-1} const %r:i64[1] = {2}"
                "%ones = constant_of_shape(%r) {value=i64[1]{1}} %neg = mul(%ones,%minus) %eq = equal(%m,%neg)"
                "%w = where(%eq,%ones,%m) %y = expand(%x,%w)",
     "f32[n,4]"},
    {X("[n,4]") "%s = shape(%x) %y = constant_of_shape(%s)", "f32[n,4]"},
    {X("[n,4]") "%s = shape(%x) %y = constant_of_shape(%s) {value=i32[1]{7}}", "i32[n,4]"},
    {X("[n,4]") "%s = shape(%x) %y = constant_of_shape(%s) {value=i32[2]{7,7}}", "E_ATTR: one element"},
    {"const %s:i64[1] = {-3} %y = constant_of_shape(%s)", "E_SHAPE: the dim -3"},
    {"input %s:i64[3] %y = constant_of_shape(%s)", "f32[?,?,?]"},
    {X("[n,4]") "%s = shape(%x) %c = cast(%s) {to=i32} %d = cast(%c) {to=i64} %y = constant_of_shape(%d)",
     "f32[n,4]"},
    {X("[n,4]") "%s = shape(%x) %c = cast(%s) {to=f32} %d = cast(%c) {to=i64} %y = constant_of_shape(%d)",
     "f32[?,?]"},
    {X("[n,300]") "%s = shape(%x) %c = cast(%s) {to=u8} %d = cast(%c) {to=i64} %y = constant_of_shape(%d)",
     "f32[?,?]"},
    {X("[2,3,4]") "%s = shape(%x) %r = reduce_sum(%s) %y = constant_of_shape(%r)", "f32[9]"},
    {X("[2,3,4]") "%s = shape(%x) %r = reduce_max(%s) {keepdims=1} %y = constant_of_shape(%r)", "f32[4]"},
    {X("[n,4]") "%s = shape(%x) {start=-1} %i = identity(%s) %y = constant_of_shape(%i)", "f32[4]"},
    {X("[n,4]") "%s = shape(%x) {start=1, end=1} %y = constant_of_shape(%s)", "f32[]"},
    {X("[n,4]") "%s = shape(%x) %d = sub(%s,%s) %y = constant_of_shape(%d)", "f32[0,0]"},
    {X("[n,4]") "const %z:i64[] = {0} %s = shape(%x) %d = div(%s,%z) %y = constant_of_shape(%d)", "f32[?,?]"},
    {X("[n,4]") "%s = shape(%x) %d = neg(%s) %y = constant_of_shape(%d)", "E_SHAPE: the dim -4"},
    {"input %x:?[*] %s = shape(%x) %y = constant_of_shape(%s)", "f32[*]"},
};

/* What follows from an operand of which nothing is known. */
static const struct row unknowns[] = {
    {"input %x:?[*] input %w:f32[8,3,3,3] %y = conv(%x,%w)", "?[*]"},
    {"input %x:f32[n,3,8,8] input %w:f32[*] %y = conv(%x,%w)", "f32[n,?,?,?]"},
    {"input %x:f32[*] %y = max_pool(%x) {kernel=[2,2]}", "f32[*]"},
    {"input %x:f32[*] %y = relu(%x)", "f32[*]"},
    {"input %x:f32[*] input %w:f32[3] %y = add(%x,%w)", "f32[*]"},
    {"input %x:?[3] input %w:f32[3] %y = add(%x,%w)", "f32[3]"},
    {"input %x:f32[*] input %w:f32[2,3] %y = concat(%x,%w) {axis=0}", "f32[?,3]"},
    {"input %x:f32[*] const %s:i64[2] = {4,-1} %y = reshape(%x,%s)", "f32[4,?]"},
    {"input %x:f32[*] const %s:i64[2] = {0,4} %y = reshape(%x,%s)", "f32[?,4]"},
    {"input %x:f32[*] %y = flatten(%x)", "f32[?,?]"},
    {"input %x:f32[*] %y = transpose(%x)", "f32[*]"},
    {"input %x:f32[*] %y = softmax(%x) {axis=77}", "f32[*]"},
    {"input %x:f32[*] %y = gemm(%x,%x)", "f32[?,?]"},
    {"input %x:f32[*] %y = matmul(%x,%x)", "f32[*]"},
    {"input %x:f32[*] %y = arg_max(%x)", "i64[*]"},
    {"input %x:f32[*] %s = shape(%x) %y = identity(%s)", "i64[?]"},
};

static const struct row steps[] = {
    {X("[n,3,8,8]") W("[4,3,1,1]") "input %r:f32[n,4,8,8] %y = conv(%x,%w) | add(%r) | relu", "f32[n,4,8,8]"},
    {X("[n,3,8,8]") W("[4,3,1,1]") "input %r:f32[4,1,1] %y = conv(%x,%w) | reverse sub(%r) | clip {min=0.0}",
     "f32[n,4,8,8]"},
    {X("[n,3,8,8]") W("[4,3,1,1]") "%y = conv(%x,%w) | relu | cast {to=f16}", "f16[n,4,8,8]"},
    {X("[n,3,8,8]") W("[4,3,1,1]") "%y = conv(%x,%w) | cast {to=f16} | relu", "E_TYPE: only the last step"},
    {X("[n,3,1,1]") W("[4,3,1,1]") "input %r:f32[n,4,8,8] %y = conv(%x,%w) | add(%r)",
     "E_SHAPE: does not broadcast"},
    {X("[n,3,8,8]") W("[4,3,1,1]") "input %r:f32[1,1,1,1,1] %y = conv(%x,%w) | add(%r)",
     "E_SHAPE: does not broadcast"},
    {X("[n,3,8,8]") W("[4,3,1,1]") "input %r:f16[4,1,1] %y = conv(%x,%w) | add(%r)",
     "E_TYPE: operand is f16"},
    {X("[n,3,8,8]") W("[4,3,1,1]") "%y = conv(%x,%w) | not", "E_TYPE: f32"},
};

/* ---- Running the tables ---------------------------------------------------------------------------- */

static struct gie_context *ctx;

static void setup(void)
{
  struct gie_context_options options = {.struct_size = sizeof options, .no_modules = true};
  ck_assert_int_eq(gie_context_new(&options, &ctx), GIE_OK);
}

static void teardown(void) { gie_context_free(ctx); }

static void check_row(const struct row *r)
{
  char text[2000], got[400];
  struct gie_graph *g;
  int n = snprintf(text, sizeof text, "graph (n,m) { %s output %%y }", r->text);
  gie_status s = gie_graph_parse(ctx, text, (size_t)n, NULL, &g);
  if (s != GIE_OK) {
    const char *piece = strstr(r->expect, ": ");
    snprintf(got, sizeof got, "%s: ", gie_status_name(s));
    ck_assert_msg(strncmp(r->expect, "E_", 2) == 0 && strncmp(got, r->expect, strlen(got)) == 0 &&
                      strstr(gie_error_text(ctx), piece + 2),
                  "%s\n  expected %s\n  got %s%s", r->text, r->expect, got, gie_error_text(ctx));
    return;
  }
  struct gie_infer x = {.graph = g};
  ir_type_text(&x, &gie_value_get(g, gie_value_find(g, "y"))->type, got, sizeof got);
  ck_assert_msg(strcmp(got, r->expect) == 0, "%s\n  expected %s\n  got %s", r->text, r->expect, got);
  gie_graph_free(g);
}

#define TABLE(name)                                  \
  START_TEST(check_##name) { check_row(&name[_i]); } \
  END_TEST
TABLE(windows)
TABLE(products)
TABLE(pointwise)
TABLE(reductions)
TABLE(moves)
TABLE(reshapes)
TABLE(slices)
TABLE(resizes)
TABLE(chains)
TABLE(unknowns)
TABLE(steps)

/* ---- The op table and what is not reached through the text ------------------------------------------- */

START_TEST(every_builtin_op_is_found)
{
  unsigned n = 0;
  for (const struct gie_op *op; (op = ir_builtin_op(n)) != NULL; n++) {
    struct ir_operand d;
    ck_assert_ptr_eq(ir_builtin_find(op->name), op);
    ck_assert_ptr_eq(ir_op_doc(op), ir_builtin_doc(n));
    ck_assert_ptr_nonnull(op->infer);
    for (uint32_t i = 0; i < op->min_in || (i < op->max_in && i < 8); i++)
      ck_assert_msg(ir_op_operand(op, i, &d), "%s declares no operand %u", op->name, (unsigned)i);
    ck_assert_msg(op->max_in > 8 || !ir_op_operand(op, op->max_in, &d), "%s declares too many operands",
                  op->name);
    if (op->flags & GIE_OP_COMMUTATIVE)
      ck_assert_uint_ge(op->max_in, 2);
  }
  ck_assert_uint_gt(n, 70);
  ck_assert_ptr_null(ir_builtin_find(""));
  ck_assert_ptr_null(ir_builtin_find("Conv"));
}
END_TEST

START_TEST(inferring_again_follows_an_edit)
{
  struct gie_graph *g;
  static const char text[] = "graph { input %x:f32[2,3] %y = relu(%x) %z = transpose(%y) output %z }";
  struct gie_type type = {GIE_F16, {2, {gie_dim_num(4), gie_dim_num(5)}}};
  struct gie_infer x = {0};
  char got[64];
  ck_assert_int_eq(gie_graph_parse(ctx, text, sizeof text - 1, NULL, &g), GIE_OK);
  ck_assert_int_eq(gie_value_set_type(g, gie_value_find(g, "x"), &type), GIE_OK);
  ck_assert_int_eq(gie_graph_infer(g), GIE_OK);
  ck_assert_str_eq(ir_type_text(&x, &gie_value_get(g, gie_value_find(g, "z"))->type, got, sizeof got),
                   "f16[5,4]");
  gie_graph_free(g);
}
END_TEST

START_TEST(declared_types_are_checked_and_kept)
{
  static const struct {
    const char *text;
    gie_status status;
    const char *type;
  } rows[] = {
      {"graph { input %x:f32[2,3] %y:f32[2,3] = relu(%x) output %y }", GIE_OK, "f32[2,3]"},
      {"graph { input %x:f32[2,3] %y:f32[2,4] = relu(%x) output %y }", GIE_E_SHAPE, ""},
      {"graph { input %x:f32[2,3] %y:f32[6] = relu(%x) output %y }", GIE_E_SHAPE, ""},
      {"graph { input %x:f32[2,3] %y:f16[2,3] = relu(%x) output %y }", GIE_E_SHAPE, ""},
      {"graph { input %x:f32[2,3] input %s:i64[1] %y:f32[6] = reshape(%x,%s) output %y }", GIE_OK, "f32[6]"},
      {"graph (n) { input %x:f32[?,3] %y:f32[n,3] = relu(%x) output %y }", GIE_OK, "f32[n,3]"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct gie_graph *g;
    char got[64];
    ck_assert_msg(gie_graph_parse(ctx, rows[i].text, strlen(rows[i].text), NULL, &g) == rows[i].status,
                  "%s: %s", rows[i].text, gie_error_text(ctx));
    if (rows[i].status != GIE_OK)
      continue;
    struct gie_infer x = {.graph = g};
    ck_assert_int_eq(gie_graph_infer(g), GIE_OK);
    ck_assert_str_eq(ir_type_text(&x, &gie_value_get(g, gie_value_find(g, "y"))->type, got, sizeof got),
                     rows[i].type);
    gie_graph_free(g);
  }
}
END_TEST

/* Pads that auto_pad and output_shape come to: the odd element goes where ONNX says. */
START_TEST(window_pads)
{
  static const struct {
    const char *text;
    bool transpose;
    int64_t in, kernel, begin, end, out;
  } rows[] = {
      {"max_pool(%x) {kernel=[3], stride=[2], auto_pad=\"same_upper\"}", false, 8, 3, 0, 1, 4},
      {"max_pool(%x) {kernel=[3], stride=[2], auto_pad=\"same_lower\"}", false, 8, 3, 1, 0, 4},
      {"max_pool(%x) {kernel=[2], stride=[4], auto_pad=\"same_upper\"}", false, 8, 2, 0, 0, 2},
      {"conv_transpose(%x,%w) {stride=[2], auto_pad=\"same_upper\"}", true, 3, 3, 0, 1, 6},
      {"conv_transpose(%x,%w) {stride=[2], auto_pad=\"same_lower\"}", true, 3, 3, 1, 0, 6},
      {"conv_transpose(%x,%w) {stride=[2], output_shape=[6]}", true, 3, 3, 1, 0, 6},
      {"conv_transpose(%x,%w) {stride=[3], output_shape=[20]}", true, 3, 3, 0, 0, 20},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char text[300];
    struct gie_graph *g;
    struct gie_window w;
    const char *why = "";
    int n = snprintf(text, sizeof text,
                     "graph { input %%x:f32[1,1,%lld] input %%w:f32[1,1,%lld] %%y = %s output %%y }",
                     (long long)rows[i].in, (long long)rows[i].kernel, rows[i].text);
    ck_assert_msg(gie_graph_parse(ctx, text, (size_t)n, NULL, &g) == GIE_OK, "%s", gie_error_text(ctx));
    const struct gie_node *node = gie_node_get(g, gie_graph_first(g));
    bool ok = rows[i].transpose ? gie_window_read_transpose(node, 1, &rows[i].in, &rows[i].kernel, &w, &why)
                                : gie_window_read(node, 1, &rows[i].in, &rows[i].kernel, &w, &why);
    ck_assert_msg(ok, "%s", why);
    ck_assert_int_eq(w.pad_begin[0], rows[i].begin);
    ck_assert_int_eq(w.pad_end[0], rows[i].end);
    ck_assert_int_eq(w.out[0], rows[i].out);
    gie_graph_free(g);
  }
}
END_TEST

#define ADD_TABLE(name) tcase_add_loop_test(c, check_##name, 0, sizeof name / sizeof name[0])

int main(void)
{
  Suite *suite = suite_create("infer");
  TCase *c = check_tcase(suite, "infer", setup, teardown);
  ADD_TABLE(windows);
  ADD_TABLE(products);
  ADD_TABLE(pointwise);
  ADD_TABLE(reductions);
  ADD_TABLE(moves);
  ADD_TABLE(reshapes);
  ADD_TABLE(slices);
  ADD_TABLE(resizes);
  ADD_TABLE(chains);
  ADD_TABLE(unknowns);
  ADD_TABLE(steps);
  tcase_add_test(c, every_builtin_op_is_found);
  tcase_add_test(c, inferring_again_follows_an_edit);
  tcase_add_test(c, declared_types_are_checked_and_kept);
  tcase_add_test(c, window_pads);
  return check_suite(suite);
}
