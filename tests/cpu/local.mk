# SPDX-License-Identifier: Apache-2.0
# Tests of the cpu backend. The op cases serve the tests of every backend.
check_PROGRAMS += tests/cpu/test_kernels
TESTS += tests/cpu/test_kernels
tests_cpu_test_kernels_SOURCES = tests/cpu/test_kernels.c tests/cpu/naive.c tests/cpu/naive.h \
  tests/op_problem.c tests/op_problem.h tests/op_cases.c tests/op_cases.h tests/op_cases.def
tests_cpu_test_kernels_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_cpu_test_kernels_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)

check_PROGRAMS += tests/cpu/test_cost
TESTS += tests/cpu/test_cost
tests_cpu_test_cost_SOURCES = tests/cpu/test_cost.c tests/op_cases.c tests/op_cases.h tests/op_cases.def
tests_cpu_test_cost_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_cpu_test_cost_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)

check_PROGRAMS += tests/cpu/test_branch
TESTS += tests/cpu/test_branch
tests_cpu_test_branch_SOURCES = tests/cpu/test_branch.c tests/op_problem.c tests/op_problem.h tests/op_cases.c \
  tests/op_cases.h tests/op_cases.def
tests_cpu_test_branch_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_cpu_test_branch_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)
