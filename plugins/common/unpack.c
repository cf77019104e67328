/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing what the pre-scan left (unpack.h). protobuf-c takes its memory from the caller's arena; everything is
 * freed together. */
#include "plugins/common/unpack.h"

struct parser_memory {
  struct gie_arena *arena;
  bool exhausted;
};

static void *parser_alloc(void *memory, size_t size)
{
  struct parser_memory *m = memory;
  void *p = gie_arena_alloc(m->arena, size, 1);
  m->exhausted = m->exhausted || !p;
  return p;
}

static void parser_free(void *memory, void *p) { (void)memory, (void)p; }

gie_status unpack_file(struct gie_context *ctx, struct gie_arena *arena, const struct gie_source *src,
                       const struct pre_message *root, const ProtobufCMessageDescriptor *type,
                       struct prescan *scan, ProtobufCMessage **out)
{
  static const unsigned char nothing[1];
  struct parser_memory memory = {arena, false};
  ProtobufCAllocator allocator = {parser_alloc, parser_free, &memory};
  if (src->size == 0)
    return gie_fail(ctx, GIE_E_DATA, "the file is empty");
  GIE_TRY(prescan_file(ctx, src, root, scan));
  ProtobufCMessage *m = protobuf_c_message_unpack(type, &allocator, scan->n_slim,
                                                  scan->slim ? scan->slim : nothing);
  prescan_drop_slim(scan);
  if (m) {
    *out = m;
    return GIE_OK;
  }
  if (memory.exhausted)
    return GIE_E_MEMORY;
  /* The pre-scan has checked all else. */
  return gie_fail(ctx, GIE_E_PARSE, "a packed list of numbers is broken; the file is damaged");
}
