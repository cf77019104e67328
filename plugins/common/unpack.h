/* SPDX-License-Identifier: Apache-2.0 */
/* From a file to a parsed protobuf message whose payloads stay in the file: the pre-scan, then protobuf-c. */
#ifndef GIE_PLUGINS_UNPACK_H
#define GIE_PLUGINS_UNPACK_H

#include "core/base/base.h"
#include "plugins/common/prescan.h"
#include <protobuf-c/protobuf-c.h>

/* *out lives in the arena. *scan keeps the ranges of the payloads; prescan_free() it, on failure too. E_DATA for an
 * empty file, else as prescan_file(). */
gie_status unpack_file(struct gie_context *ctx, struct gie_arena *arena, const struct gie_source *src,
                       const struct pre_message *root, const ProtobufCMessageDescriptor *type,
                       struct prescan *scan, ProtobufCMessage **out);

#endif
