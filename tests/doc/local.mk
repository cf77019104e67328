TESTS += tests/doc/backend_md.sh
TESTS += tests/doc/robustness.sh
