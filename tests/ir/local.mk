check_PROGRAMS += tests/ir/test_graph tests/ir/test_infer tests/ir/test_verify
TESTS += tests/ir/test_graph tests/ir/test_infer tests/ir/test_verify
tests_ir_test_graph_SOURCES = tests/ir/test_graph.c
tests_ir_test_graph_LDADD = libgie_rt_internal.la $(CHECK_LIBS)
tests_ir_test_infer_SOURCES = tests/ir/test_infer.c
tests_ir_test_infer_LDADD = libgie_rt_internal.la $(CHECK_LIBS)
tests_ir_test_verify_SOURCES = tests/ir/test_verify.c
tests_ir_test_verify_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

# The text form
check_PROGRAMS += tests/ir/test_text tests/ir/test_save
TESTS += tests/ir/test_text tests/ir/test_save
tests_ir_test_save_SOURCES = tests/ir/test_save.c
tests_ir_test_save_LDADD = libgie_rt_internal.la $(CHECK_LIBS)
tests_ir_test_text_SOURCES = tests/ir/test_text.c
tests_ir_test_text_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

# Passes: every case in tests/ir/*.gie. update-cases writes the expectations anew.
check_PROGRAMS += tests/ir/run_cases
TESTS += tests/ir/cases.sh
tests_ir_run_cases_SOURCES = tests/ir/run_cases.c
tests_ir_run_cases_LDADD = libgie_internal.la libgie_rt_internal.la $(LIBM)
PHONY_TARGETS += update-cases
update-cases: tests/ir/run_cases$(EXEEXT) $(gie_module_LTLIBRARIES)
	$(AM_TESTS_ENVIRONMENT) $(top_srcdir)/tests/ir/cases.sh --update

check_PROGRAMS += tests/ir/test_scale tests/ir/test_networks_text
TESTS += tests/ir/test_scale tests/ir/test_networks_text
tests_ir_test_scale_SOURCES = tests/ir/test_scale.c
tests_ir_test_scale_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS)
tests_ir_test_networks_text_SOURCES = tests/ir/test_networks_text.c
tests_ir_test_networks_text_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS)
check_PROGRAMS += tests/ir/test_infer_random
TESTS += tests/ir/test_infer_random
tests_ir_test_infer_random_SOURCES = tests/ir/test_infer_random.c
tests_ir_test_infer_random_LDADD = libgie_rt_internal.la $(CHECK_LIBS)
TESTS += tests/ir/doc_pass.sh

check_PROGRAMS += tests/ir/test_pipeline
TESTS += tests/ir/test_pipeline
tests_ir_test_pipeline_SOURCES = tests/ir/test_pipeline.c
tests_ir_test_pipeline_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS)

# Random networks through random pipelines; GIE_RANDOM_GRAPHS sets how many.
check_PROGRAMS += tests/ir/test_passes_random
TESTS += tests/ir/test_passes_random
BIG_TESTS += tests/ir/test_passes_random
tests_ir_test_passes_random_SOURCES = tests/ir/test_passes_random.c
tests_ir_test_passes_random_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)
