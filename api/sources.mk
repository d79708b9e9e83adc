SRCS += api/apidoc.c api/call.c api/client.c api/connection.c api/discover.c api/jsonrpc.c \
	api/methods.c api/server.c
TESTS += tests/unit/test_jsonrpc.c tests/unit/test_api_client.c \
	tests/unit/test_api_limits.c tests/unit/test_api_server.c
