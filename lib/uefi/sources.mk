SRCS += lib/uefi/uefi_var.c lib/uefi/varstore_read.c lib/uefi/varstore_write.c
TESTS += tests/unit/test_uefi_var.c tests/unit/test_varstore.c
