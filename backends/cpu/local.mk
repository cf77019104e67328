# SPDX-License-Identifier: Apache-2.0
# The cpu backend: device and reference kernels.
gie_module_LTLIBRARIES += backends/cpu/cpu.la
backends_cpu_cpu_la_SOURCES = \
  backends/cpu/cost.c backends/cpu/cpu.c backends/cpu/cpu.h backends/cpu/kernels.def \
  backends/cpu/tensor.c backends/cpu/number.c backends/cpu/functions.c backends/cpu/run.c \
  backends/cpu/contract.c backends/cpu/conv.c backends/cpu/matmul.c \
  backends/cpu/pointwise.c backends/cpu/norm.c backends/cpu/pool.c backends/cpu/reduce.c \
  backends/cpu/move.c backends/cpu/resize.c backends/cpu/shape.c \
  backends/cpu/branch.c
backends_cpu_cpu_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS)
backends_cpu_cpu_la_CFLAGS = $(GIE_CFLAGS) $(OPENMP_CFLAGS)
backends_cpu_cpu_la_LDFLAGS = -module $(GIE_MODULE_LDFLAGS)
backends_cpu_cpu_la_LIBADD = $(LIBM)
