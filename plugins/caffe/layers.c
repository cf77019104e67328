/* SPDX-License-Identifier: Apache-2.0 */
/* The layers that the importer knows, sorted by name. */
#include "plugins/caffe/caffe.h"

#define ANY UINT16_MAX

static const struct caffe_kind kinds[] = {
    {"AbsVal", "ABSVAL", 1, 1, 1, 1, caffe_lower_plain},
    {"BNLL", "BNLL", 1, 1, 1, 1, caffe_lower_plain},
    {"BatchNorm", NULL, 1, 1, 1, 1, caffe_lower_batch_norm},
    {"Bias", NULL, 1, 2, 1, 1, caffe_lower_bias},
    {"Concat", "CONCAT", 1, ANY, 1, 1, caffe_lower_concat},
    {"Convolution", "CONVOLUTION", 1, 1, 1, 1, caffe_lower_convolution},
    {"ConvolutionDepthwise", NULL, 1, 1, 1, 1, caffe_lower_convolution},
    {"Crop", NULL, 2, 2, 1, 1, caffe_lower_crop},
    {"Deconvolution", "DECONVOLUTION", 1, 1, 1, 1, caffe_lower_deconvolution},
    {"DepthwiseConvolution", NULL, 1, 1, 1, 1, caffe_lower_convolution},
    {"Dropout", "DROPOUT", 1, 1, 1, 1, caffe_lower_copies},
    {"ELU", NULL, 1, 1, 1, 1, caffe_lower_elu},
    {"Eltwise", "ELTWISE", 2, ANY, 1, 1, caffe_lower_eltwise},
    {"Exp", "EXP", 1, 1, 1, 1, caffe_lower_exp},
    {"Flatten", "FLATTEN", 1, 1, 1, 1, caffe_lower_flatten},
    {"InnerProduct", "INNER_PRODUCT", 1, 1, 1, 1, caffe_lower_inner_product},
    {"Input", NULL, 0, 0, 1, ANY, caffe_lower_input},
    {"Interp", NULL, 1, 2, 1, 1, caffe_lower_interp},
    {"LRN", "LRN", 1, 1, 1, 1, caffe_lower_lrn},
    {"Log", NULL, 1, 1, 1, 1, caffe_lower_log},
    {"Normalize", NULL, 1, 1, 1, 1, caffe_lower_normalize},
    {"PReLU", NULL, 1, 1, 1, 1, caffe_lower_prelu},
    {"Permute", NULL, 1, 1, 1, 1, caffe_lower_permute},
    {"Pooling", "POOLING", 1, 1, 1, 1, caffe_lower_pooling},
    {"Power", "POWER", 1, 1, 1, 1, caffe_lower_power},
    {"ReLU", "RELU", 1, 1, 1, 1, caffe_lower_relu},
    {"Reshape", NULL, 1, 1, 1, 1, caffe_lower_reshape},
    {"Scale", NULL, 1, 2, 1, 1, caffe_lower_scale},
    {"Sigmoid", "SIGMOID", 1, 1, 1, 1, caffe_lower_plain},
    {"Silence", "SILENCE", 1, ANY, 0, 0, caffe_lower_silence},
    {"Slice", "SLICE", 1, 1, 1, ANY, caffe_lower_slice},
    {"Softmax", "SOFTMAX", 1, 1, 1, 1, caffe_lower_softmax},
    {"Split", "SPLIT", 1, 1, 1, ANY, caffe_lower_copies},
    {"TanH", "TANH", 1, 1, 1, 1, caffe_lower_plain},
};

const struct caffe_kind *caffe_find_kind(const char *name)
{
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (strcmp(kinds[i].name, name) == 0)
      return &kinds[i];
  return NULL;
}

const char *caffe_v1_type(const char *name)
{
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (kinds[i].v1 && strcmp(kinds[i].v1, name) == 0)
      return kinds[i].name;
  return name;
}
