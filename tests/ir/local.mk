check_PROGRAMS += tests/ir/test_graph tests/ir/test_infer tests/ir/test_verify
TESTS += tests/ir/test_graph tests/ir/test_infer tests/ir/test_verify
tests_ir_test_graph_SOURCES = tests/ir/test_graph.c
tests_ir_test_graph_LDADD = libgie_rt_internal.la $(CHECK_LIBS)
tests_ir_test_infer_SOURCES = tests/ir/test_infer.c
tests_ir_test_infer_LDADD = libgie_rt_internal.la $(CHECK_LIBS)
tests_ir_test_verify_SOURCES = tests/ir/test_verify.c
tests_ir_test_verify_LDADD = libgie_rt_internal.la $(CHECK_LIBS)
