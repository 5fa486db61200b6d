// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Telling whoever started us that the filter is in place: a newline to a file descriptor, and systemd's protocol.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The name begins with '/', or with '@' for an abstract socket. */
static int notify(const char *name)
{
	static const char ready[] = "READY=1";
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(name);
	ssize_t sent;
	int fd;

	if (length >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, name, length);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	sent = sendto(fd, ready, sizeof(ready) - 1, MSG_NOSIGNAL, (void *)&address,
		      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
	length = sent < 0 ? (size_t)errno : 0;
	close(fd);
	return -(int)length;
}

void bfuse__ready(struct bfuse *bfuse, int fd)
{
	const char *name = getenv("NOTIFY_SOCKET");
	int err = name && *name ? notify(name) : 0;

	if (err)
		bfuse__log(bfuse, LOG_WARNING, "NOTIFY_SOCKET %s: %s", name, strerror(-err));
	if (fd < 0)
		return;
	if (write(fd, "\n", 1) != 1)
		bfuse__log(bfuse, LOG_WARNING, "--ready-fd %d: %s", fd, strerror(errno));
	if (fd > STDERR_FILENO)
		close(fd);
}
