TESTS += tests/doc/plugin.sh
TESTS += tests/doc/backend_md.sh
TESTS += tests/doc/robustness.sh
