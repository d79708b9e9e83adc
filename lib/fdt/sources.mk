SRCS += lib/fdt/fdt_builder.c lib/fdt/fdt_nodes.c
TESTS += tests/unit/test_fdt.c
