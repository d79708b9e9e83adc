SRCS += api/call.c api/connection.c api/discover.c api/jsonrpc.c \
	api/methods.c api/server.c
TESTS +=
