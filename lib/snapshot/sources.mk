SRCS += lib/snapshot/snapshot_read.c lib/snapshot/snapshot_write.c \
	lib/snapshot/state.c
TESTS += tests/unit/test_snapshot.c tests/unit/test_state.c
