// SPDX-License-Identifier: MIT
/*
 * A filter that serves nobody and reads its own device: own-io DEVICE ALTITUDE
 *
 * It must get its data without being asked. Ten blocks of 4 KiB, at 0, 8 KiB, ...
 */
#include "raw.h"

int main(int argc, char **argv)
{
	struct bfuse_next next = { .size = sizeof(next) };
	struct raw r;
	void *buffer;
	int fd, ret;

	if (argc != 3)
		errx(2, "usage: own-io DEVICE ALTITUDE");
	alarm(20);
	r = raw_new(strtoul(argv[2], NULL, 10), BFUSE_OPS_ALL);
	r.reg.defaults.policy = BFUSE_POLICY_ERROR;
	raw_register(&r);
	ret = raw_attach(&r, argv[1]);
	if (ret)
		errx(1, "attach: %s", strerror(-ret));
	fd = open(argv[1], O_RDONLY | O_DIRECT);
	if (fd < 0 || posix_memalign(&buffer, 4096, 4096))
		err(1, "%s", argv[1]);
	for (int i = 0; i < 10; i++)
		if (pread(fd, buffer, 4096, i * 8192) != 4096)
			err(1, "read %d", i);
	next.attachment = r.attachment - 1;
	if (ioctl(r.fd, BFUSE_NEXT, &next))
		err(1, "BFUSE_NEXT");
	if (next.stat.delivered || next.stat.bypassed != 10)
		errx(1, "%llu delivered, %llu bypassed", next.stat.delivered, next.stat.bypassed);
	printf("%d\n", getpid());
	fflush(stdout);
	if (ioctl(r.fd, BFUSE_DETACH, &(struct bfuse_detach){ .size = sizeof(struct bfuse_detach),
							      .attachment = r.attachment, .flags = BFUSE_DETACH_WAIT }))
		err(1, "BFUSE_DETACH");
	return 0;
}
