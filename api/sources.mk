SRCS += api/apidoc.c api/call.c api/client.c api/connection.c api/discover.c \
	api/http.c api/http_access.c api/http_console.c api/http_events.c api/http_reply.c \
	api/http_request.c api/http_route.c api/http_tls.c api/openapi.c api/jsonrpc.c \
	api/methods.c api/params_device.c api/params_job.c api/params_snapshot.c api/params_stats.c api/server.c
TESTS += tests/unit/test_jsonrpc.c tests/unit/test_api_client.c \
	tests/unit/test_api_limits.c tests/unit/test_api_server.c \
	tests/unit/test_jsonrpc_examples.c \
	tests/unit/test_http_route.c
SRCS += api/events.c api/inner.c api/call_options.c api/outer.c api/parked.c
SRCS += api/manual.c api/params_console.c
TESTS += tests/unit/test_manual.c
