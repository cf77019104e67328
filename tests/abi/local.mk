TESTS += tests/abi/headers.sh tests/abi/layout.sh
