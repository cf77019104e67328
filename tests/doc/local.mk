TESTS += tests/doc/backend_md.sh
