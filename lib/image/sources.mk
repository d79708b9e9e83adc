SRCS += lib/image/disk.c lib/image/fat.c lib/image/gpt.c lib/image/image.c \
	lib/image/kernel.c lib/image/pe.c lib/image/unpack.c
TESTS += tests/unit/test_fat.c tests/unit/test_gpt.c tests/unit/test_image.c \
	tests/unit/test_kernel.c tests/unit/test_pe.c \
	tests/unit/test_unpack.c
