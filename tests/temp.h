/* SPDX-License-Identifier: Apache-2.0 */
/* Files of tests: in a folder that is gone when they are over. */
#ifndef GIE_TESTS_TEMP_H
#define GIE_TESTS_TEMP_H

/* A path in a temporary folder of the process, which is removed at the end of the process that made it. The last four
 * stay valid. */
const char *temp_path(const char *name);

#endif
