/* Prints api/API.md, or with "manual" daemon/armvm.json.5. */
#include "api/api.h"

int main(int argc, char **argv)
{
	struct error e = ERROR_INIT;

	if (argc < 2)
		api_write_markdown(stdout);
	else if (!streq(argv[1], "manual") ||
		 api_write_manual(stdout, &e) < 0) {
		fprintf(stderr, "usage: armvm-apidoc [manual] %s\n", e.message);
		return 2;
	}
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
