/* SPDX-License-Identifier: Apache-2.0 */
/* A shared library that is no module. */
int plain_answer(void);
int plain_answer(void) { return 42; }
