/* SPDX-License-Identifier: Apache-2.0 */
/* The config table: everything that the environment (GIE_<NAME>) or a program's options can set.
 * Included by context.c only. A row is here when something reads it.
 *
 *          name           default  help */
GIE_CONFIG("LOG", "warn", "messages on standard error: LEVEL or TOPIC:LEVEL, separated by commas; levels: error warn info debug")
GIE_CONFIG("MODULE_PATH", "", "directories with modules, separated by colons, searched before the installed one")
GIE_CONFIG("FORCE", "", "kernels to run nodes with, for experiments: NODE:KERNEL, separated by commas; a node that its kernel refuses fails")
GIE_CONFIG("DUMP", "", "existing folder that gets the graph as text and as .dot before the first pass and after each one")
GIE_CONFIG("WORKER", "", "program that runs candidate kernels apart; default: the installed gie-worker")
GIE_CONFIG("CACHE", "", "file with measured times of kernels, or none; default: gie/timing.txt in XDG_CACHE_HOME or ~/.cache")
GIE_CONFIG("GRAPH", "", "0: a device gets the launches of each run one by one instead of as one graph; slower")
GIE_CONFIG("SYNC", "", "1: a device waits for each launch, so that a fault names its node; slow")
GIE_CONFIG("DATA_DIR", "", "directory with templates/; default: the installed one")
GIE_CONFIG("ONNX_INSIDE", "", "bytes of constants that a saved ONNX model holds itself; with more they go to a file beside it; default: 1500000000")
