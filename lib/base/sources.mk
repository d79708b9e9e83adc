SRCS += lib/base/buf.c lib/base/crc32.c lib/base/error.c lib/base/fd.c lib/base/io_stats.c \
	lib/base/iov.c \
	lib/base/json.c lib/base/json_encode.c lib/base/json_schema.c \
	lib/base/json_text.c lib/base/log.c lib/base/parse.c \
	lib/base/utf8.c
TESTS += tests/unit/test_buf.c tests/unit/test_crc32.c \
	tests/unit/test_error.c tests/unit/test_fd.c tests/unit/test_io_stats.c tests/unit/test_json.c \
	tests/unit/test_log.c tests/unit/test_parse.c
TESTS += tests/unit/test_utf8.c
SRCS += lib/base/cpu_list.c
TESTS += tests/unit/test_cpu_list.c
