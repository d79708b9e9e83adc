SRCS += lib/snapshot/snapshot_read.c lib/snapshot/snapshot_write.c \
	lib/snapshot/state.c

