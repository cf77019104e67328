# The templates are installed as sources, for `gie plugin new`. Here they are built too, for the tests
# only: shared objects that are not installed, hence -rpath.
templateskerneldir = $(pkgdatadir)/templates/kernel
dist_templateskernel_DATA = plugins/templates/kernel/Makefile plugins/templates/kernel/template.c \
  plugins/templates/kernel/try.gie
templatespassdir = $(pkgdatadir)/templates/pass
dist_templatespass_DATA = plugins/templates/pass/Makefile plugins/templates/pass/template.c \
  plugins/templates/pass/try.gie
templateslayerdir = $(pkgdatadir)/templates/layer
dist_templateslayer_DATA = plugins/templates/layer/Makefile plugins/templates/layer/template.c \
  plugins/templates/layer/template_cuda.cu plugins/templates/layer/try.gie
templatesformatdir = $(pkgdatadir)/templates/format
dist_templatesformat_DATA = plugins/templates/format/Makefile plugins/templates/format/template.c \
  plugins/templates/format/try.template

GIE_TEMPLATE_LDFLAGS = $(GIE_MODULE_LDFLAGS) -rpath /nowhere
check_LTLIBRARIES += plugins/templates/kernel/template.la plugins/templates/pass/template.la \
  plugins/templates/layer/template.la plugins/templates/format/template.la
plugins_templates_kernel_template_la_SOURCES = plugins/templates/kernel/template.c
plugins_templates_kernel_template_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS)
plugins_templates_kernel_template_la_LDFLAGS = -module $(GIE_TEMPLATE_LDFLAGS)
plugins_templates_pass_template_la_SOURCES = plugins/templates/pass/template.c
plugins_templates_pass_template_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS)
plugins_templates_pass_template_la_LDFLAGS = -module $(GIE_TEMPLATE_LDFLAGS)
plugins_templates_layer_template_la_SOURCES = plugins/templates/layer/template.c
plugins_templates_layer_template_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS)
plugins_templates_layer_template_la_LDFLAGS = -module $(GIE_TEMPLATE_LDFLAGS)
plugins_templates_layer_template_la_LIBADD = $(LIBM)
plugins_templates_format_template_la_SOURCES = plugins/templates/format/template.c
plugins_templates_format_template_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS)
plugins_templates_format_template_la_LDFLAGS = -module $(GIE_TEMPLATE_LDFLAGS)

# The layer with its kernel for CUDA devices, as its own Makefile builds it where there is an nvcc.
if HAVE_CUDA
check_LTLIBRARIES += plugins/templates/layer/with_cuda.la
plugins_templates_layer_with_cuda_la_SOURCES = plugins/templates/layer/template.c plugins/templates/layer/template_cuda.cu
plugins_templates_layer_with_cuda_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS) $(CUDA_CPPFLAGS) -DWITH_CUDA
plugins_templates_layer_with_cuda_la_LDFLAGS = -module $(GIE_TEMPLATE_LDFLAGS) $(CUDA_LDFLAGS)
plugins_templates_layer_with_cuda_la_LIBADD = $(CUDA_LIBS) $(LIBM)
endif
