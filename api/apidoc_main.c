/* Prints api/API.md. */
#include "api/api.h"

int main(void)
{
	api_write_markdown(stdout);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
