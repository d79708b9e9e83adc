SRCS += store/store.c store/store_event.c store/store_job.c store/store_kept.c \
	store/store_list.c store/store_migrate.c \
	store/store_nvram.c store/store_run.c store/store_schema.c \
	store/store_sql.c store/store_vars.c store/store_vm.c
TESTS += tests/unit/test_store.c tests/unit/test_store_locked.c tests/unit/test_store_migrate.c \
	tests/unit/test_store_nvram.c tests/unit/test_store_vms.c \
	tests/unit/test_store_job.c
