# SPDX-License-Identifier: Apache-2.0
# Work on a GPU: its tests on this machine (`make check-gpu`), and a directory that takes tests, benchmarks and the command to
# a machine that has only a driver and CUDA's libraries (`make gpu-bundle`).
gie_gpu_backends = cuda cudnn cublas winograd
gie_gpu_tests = $(filter-out %/transforms,$(filter $(gie_gpu_backends:%=tests/%/%) %/test_cuda,$(check_PROGRAMS)))
gie_gpu_programs = bench/cuda_kernels $(if $(filter bench/cuda/planted,$(bench_programs)),bench/cuda/planted)

check-gpu: all $(gie_gpu_tests)
	$(MAKE) check-TESTS TESTS='$(gie_gpu_tests)'

# Modules that are only tested, and scripts with what they read.
if HAVE_CUDA
gie_gpu_modules = plugins/templates/layer/with_cuda.la
endif
gie_gpu_scripts = tests/detection/plugin_cuda.sh tests/detection/cases.gie

gpu-bundle: all $(gie_gpu_tests) $(gie_gpu_programs) $(gie_gpu_modules)
	$(AM_V_GEN)top_builddir='$(abs_top_builddir)' top_srcdir='$(abs_top_srcdir)' STRIP='$(STRIP)' \
	  MODULES='$(gie_module_LTLIBRARIES)' TESTED='$(gie_gpu_modules)' SCRIPTS='$(gie_gpu_scripts)' TESTS='$(gie_gpu_tests)' PROGRAMS='$(gie_gpu_programs)' \
	  $(SHELL) $(top_srcdir)/bench/gpu_peers/bundle.sh gpu-bundle

PHONY_TARGETS += check-gpu gpu-bundle
