# SPDX-License-Identifier: Apache-2.0
# The cuda backend: the device and its kernels. A family of kernels is a .cu file here and a line in families.def.
if HAVE_CUDA
gie_module_LTLIBRARIES += backends/cuda/cuda.la
backends_cuda_cuda_la_SOURCES = \
  backends/cuda/cuda.c backends/cuda/common.h backends/cuda/families.def \
  backends/cuda/device.c backends/cuda/nvml.c \
  backends/cuda/device.cuh backends/cuda/fast.cuh backends/cuda/host.cuh backends/cuda/copy.cuh \
  backends/cuda/peaks.cu backends/cuda/copy.cu backends/cuda/rows.cuh backends/cuda/rows.cu backends/cuda/move.cuh backends/cuda/move.cu backends/cuda/move_ops.cu backends/cuda/shape.cu backends/cuda/pointwise.cu backends/cuda/pointwise.cuh \
  backends/cuda/pool.cu backends/cuda/pool_fast.cuh backends/cuda/reduce.cu backends/cuda/reduce.cuh backends/cuda/norm.cu backends/cuda/norm.cuh backends/cuda/norm_rows.cuh backends/cuda/norm_columns.cuh backends/cuda/lrn.cu \
  backends/cuda/depthwise.cu backends/cuda/depthwise.cuh backends/cuda/resize.cu backends/cuda/resize.cuh \
  backends/cuda/conv.cu backends/cuda/conv_form.cu backends/cuda/conv_form.h backends/cuda/conv_plain.cu backends/cuda/conv_image.cu backends/cuda/conv_image.cuh \
  backends/cuda/conv_tile.cu backends/cuda/conv_tile.h backends/cuda/conv_tiles.def \
  backends/cuda/conv_device.cuh backends/cuda/conv_read.cuh backends/cuda/conv_sums.cuh backends/cuda/conv_end.cuh \
  backends/cuda/conv_tile.cuh backends/cuda/conv_tma.cuh \
  backends/cuda/conv_f16.cu backends/cuda/conv_f32.cu backends/cuda/conv_tf32.cu backends/cuda/conv_tf32x3.cu
backends_cuda_cuda_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS) $(CUDA_CPPFLAGS)
backends_cuda_cuda_la_LDFLAGS = -module $(GIE_MODULE_LDFLAGS) $(CUDA_LDFLAGS)
backends_cuda_cuda_la_LIBADD = $(CUDA_LIBS) $(LIBM)
endif
