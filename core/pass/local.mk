libgie_internal_la_SOURCES += core/pass/pass.h core/pass/form.h core/pass/form.c core/pass/list.c core/pass/pipeline.c
