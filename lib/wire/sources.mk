SRCS += lib/wire/channel.c lib/wire/console_log.c lib/wire/messages.c lib/wire/spill.c
TESTS += tests/unit/test_channel.c tests/unit/test_spill.c
