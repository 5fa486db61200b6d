// SPDX-License-Identifier: MIT
/* Uses memory: eat MEGABYTES. Fills each page, so that others are swapped out, and then looks whether all came back. */
#include <err.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
	size_t size;
	char *memory;

	if (argc != 2)
		errx(2, "usage: eat MEGABYTES");
	size = strtoul(argv[1], NULL, 10) << 20;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	for (size_t at = 0; at < size; at += 8)
		*(uint64_t *)(memory + at) = at * 0x9e3779b97f4a7c15;
	for (size_t at = 0; at < size; at += 8)
		if (*(uint64_t *)(memory + at) != at * 0x9e3779b97f4a7c15)
			errx(1, "byte %zu came back different", at);
	return 0;
}
