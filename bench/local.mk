# SPDX-License-Identifier: Apache-2.0
# Benchmarks: `make bench-programs` builds them, nothing runs them by itself. How each is run is said in
# its script; bench/results/ has what came out.
bench_programs = bench/import_large bench/conv_engines bench/cuda_kernels bench/passes_vs_peers/in_process
EXTRA_PROGRAMS += $(bench_programs)
bench_import_large_SOURCES = bench/import_large.c
bench_conv_engines_SOURCES = bench/conv_engines.c
bench_conv_engines_LDADD = libgie_internal.la libgie_rt_internal.la $(LIBM)
bench_cuda_kernels_SOURCES = bench/cuda_kernels.c
bench_cuda_kernels_LDADD = libgie_internal.la libgie_rt_internal.la $(LIBM)
bench_passes_vs_peers_in_process_SOURCES = bench/passes_vs_peers/in_process.c
bench_passes_vs_peers_in_process_LDADD = libgie.la

if HAVE_CUDA
bench_programs += bench/cuda/conv_tiles bench/cuda/planted
bench_cuda_conv_tiles_SOURCES = bench/cuda/conv_tiles.cu bench/cuda/conv_problem.cuh
bench_cuda_conv_tiles_LDFLAGS = $(AM_LDFLAGS) $(CUDA_LDFLAGS)
bench_cuda_conv_tiles_LDADD = backends/cuda/conv_tile.lo backends/cuda/conv_f16.lo backends/cuda/conv_f32.lo \
  backends/cuda/conv_tf32.lo backends/cuda/conv_tf32x3.lo $(CUDA_LIBS) $(LIBM)
bench_cuda_planted_SOURCES = bench/cuda/planted.cu
bench_cuda_planted_LDFLAGS = $(AM_LDFLAGS) $(CUDA_LDFLAGS)
bench_cuda_planted_LDADD = $(CUDA_LIBS)
endif

bench-programs: all $(bench_programs)
PHONY_TARGETS += bench-programs
