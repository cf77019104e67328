# Installed headers. tests/headers compiles each of them alone; those that are only included by
# another one end in _list.h, _inline.h or are fn_declare.h.
gieinclude_HEADERS += \
  include/gie/base.h \
  include/gie/base_list.h \
  include/gie/cuda.h \
  include/gie/cuda_steps.h \
  include/gie/fn_declare.h \
  include/gie/gie.h \
  include/gie/graph.h \
  include/gie/graph_inline.h \
  include/gie/graph_list.h \
  include/gie/kernel.h \
  include/gie/module.h \
  include/gie/plan.h \
  include/gie/status.h \
  include/gie/types.h \
  include/gie/window.h
