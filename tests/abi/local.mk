TESTS += tests/abi/exports.sh tests/abi/headers.sh tests/abi/install.sh tests/abi/layout.sh
