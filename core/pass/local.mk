libgie_internal_la_SOURCES += core/pass/pass.h core/pass/list.c core/pass/pipeline.c
