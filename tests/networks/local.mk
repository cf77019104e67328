# Real networks of the shared test data; each test skips visibly without it.
check_PROGRAMS += tests/networks/test_networks tests/networks/test_mnist
TESTS += tests/networks/test_networks tests/networks/test_mnist tests/networks/squeezenet.sh tests/networks/googlenet.sh

tests_networks_test_networks_SOURCES = tests/networks/test_networks.c
tests_networks_test_networks_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_networks_test_networks_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)

tests_networks_test_mnist_SOURCES = tests/networks/test_mnist.c
tests_networks_test_mnist_LDADD = libgie_internal.la libgie_rt_internal.la -lz $(LIBM)
