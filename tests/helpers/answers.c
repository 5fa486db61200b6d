// SPDX-License-Identifier: MIT
/*
 * Calls and answers on the bare ABI: answers DEVICE
 *
 * What does not belong to a call of one's own is refused and harms nothing. answers --own NUMBER: makes that loop device, filters it and
 * removes it, in the one thread that would have to answer.
 */
#include "raw.h"

#include <linux/loop.h>

#define CHECK(call, want)                                                                                              \
	do {                                                                                                           \
		int got_ = (call);                                                                                     \
		if (got_ != (want))                                                                                    \
			errx(1, "line %d: %s: %d, not %d", __LINE__, #call, got_, want);                               \
	} while (0)

static const char *device;

static struct raw filter(uint32_t altitude, uint64_t features, uint32_t call_ms)
{
	struct raw r = raw_new(altitude, 1u << BFUSE_OP_READ);

	r.reg.features = features;
	r.reg.call_ms = call_ms;
	/* It leaves no orphan. */
	r.reg.defaults.policy = BFUSE_POLICY_PASS;
	return r;
}

static int register_it(struct raw *r)
{
	return ioctl(r->fd, BFUSE_REGISTER, &r->reg) ? -errno : 0;
}

static int match(struct raw *r, const char *name, uint32_t flags)
{
	struct bfuse_match m = { .size = sizeof(m), .flags = flags };

	/* All bytes may be taken, without the end. */
	memcpy(m.name, name, strnlen(name, sizeof(m.name)));
	return ioctl(r->fd, BFUSE_MATCH, &m) ? -errno : 0;
}

static int answer_with(struct raw *r, uint64_t cookie, uint32_t what, uint32_t flags, uint32_t ops)
{
	struct bfuse_answer a = {
		.size = sizeof(a), .answer = what, .cookie = cookie, .flags = flags, .interest.ops = ops };
	int ret = ioctl(r->fd, BFUSE_ANSWER, &a) ? -errno : 0;

	if (!ret && what == BFUSE_ANSWER_ACCEPT && !(r->attachment = a.attachment))
		errx(1, "no attachment");
	return ret;
}

static int answer(struct raw *r, uint64_t cookie, uint32_t what)
{
	return answer_with(r, cookie, what, what == BFUSE_ANSWER_ACCEPT ? BFUSE_ATTACH_DEFAULTS : 0, 0);
}

static int ask(struct raw *r, uint64_t cookie, struct bfuse_offer *offer)
{
	*offer = (struct bfuse_offer){ .size = sizeof(*offer), .cookie = cookie };
	return ioctl(r->fd, BFUSE_OFFER, offer) ? -errno : 0;
}

static struct bfuse_request next_entry(struct raw *r)
{
	struct bfuse_request rq;
	struct bfuse_enter e;

	while (!raw_pop(r, 0, &rq))
		if (raw_enter(r, &e, 1, 10000) || !e.ready)
			errx(1, "no event");
	return rq;
}

static struct bfuse_request next_event(struct raw *r, unsigned int event)
{
	struct bfuse_request rq;

	do
		rq = next_entry(r);
	while (rq.kind != BFUSE_EVENT || rq.op != event);
	return rq;
}

static void registration(void)
{
	struct raw r = filter(100, 0, 1), plain = filter(100, 0, 0);

	CHECK(register_it(&r), -EINVAL);
	r.reg.features = BFUSE_F_EVENTS;
	r.reg.call_ms = BFUSE_CALL_MS_MAX + 1;
	CHECK(register_it(&r), -EINVAL);
	CHECK(match(&r, "x", BFUSE_MATCH_DISKS), -ENOENT);
	r.reg.call_ms = BFUSE_CALL_MS_MAX;
	CHECK(register_it(&r), 0);
	CHECK(match(&r, "x", 0), -EINVAL);
	CHECK(match(&r, "x", 4), -EINVAL);
	CHECK(match(&r, "a name that takes all 32 bytes!!", BFUSE_MATCH_DISKS), -EINVAL);
	for (int i = 0; i < BFUSE_RULES_MAX; i++)
		CHECK(match(&r, "nothing", BFUSE_MATCH_DISKS | BFUSE_MATCH_PARTITIONS), 0);
	CHECK(match(&r, "nothing", BFUSE_MATCH_DISKS), -ENOSPC);
	CHECK(register_it(&plain), 0);
	CHECK(match(&plain, "x", BFUSE_MATCH_DISKS), -EOPNOTSUPP);
	close(r.fd);
	close(plain.fd);
}

static void answers(void)
{
	struct raw a = filter(100, BFUSE_F_EVENTS, 20000), b = filter(200, BFUSE_F_EVENTS, 20000);
	const char *name = strrchr(device, '/') + 1;
	struct bfuse_request of_a, of_b;
	struct bfuse_offer offer;

	raw_register(&a);
	raw_register(&b);
	CHECK(match(&a, name, BFUSE_MATCH_DISKS), 0);
	CHECK(match(&b, name, BFUSE_MATCH_DISKS), 0);
	of_a = next_event(&a, BFUSE_EVENT_OFFERED);
	of_b = next_event(&b, BFUSE_EVENT_OFFERED);

	CHECK(ask(&a, of_a.tag, &offer), 0);
	if (strcmp(offer.device, name) || !(offer.flags & BFUSE_OFFER_EXISTING) || !offer.sectors || !offer.left_ms)
		errx(1, "offer of %s, flags %#x", offer.device, offer.flags);
	CHECK(ask(&a, of_b.tag, &offer), -ENOENT);
	CHECK(ask(&a, of_a.tag + 1000, &offer), -ENOENT);
	CHECK(answer(&a, of_b.tag, BFUSE_ANSWER_ACCEPT), -ENOENT);
	CHECK(answer(&a, 0, BFUSE_ANSWER_ACCEPT), -ENOENT);
	CHECK(answer(&a, of_a.tag, BFUSE_ANSWER_DONE), -EINVAL);
	CHECK(answer(&a, of_a.tag, 3), -EINVAL);
	CHECK(answer_with(&a, of_a.tag, BFUSE_ANSWER_DECLINE, BFUSE_ATTACH_DEFAULTS, 0), -EINVAL);
	CHECK(answer_with(&a, of_a.tag, BFUSE_ANSWER_ACCEPT, BFUSE_ATTACH_DEFAULTS, 1), -EINVAL);
	CHECK(answer_with(&a, of_a.tag, BFUSE_ANSWER_ACCEPT, 0, 1u << 31), -EINVAL);
	CHECK(answer(&a, of_a.tag, BFUSE_ANSWER_ACCEPT), 0);
	CHECK(answer(&a, of_a.tag, BFUSE_ANSWER_ACCEPT), -ENOENT);
	CHECK(answer(&a, of_a.tag, BFUSE_ANSWER_DECLINE), -ENOENT);
	CHECK(ask(&a, of_a.tag, &offer), -ENOENT);
	CHECK(answer(&b, of_b.tag, BFUSE_ANSWER_DECLINE), 0);
	if (next_event(&a, BFUSE_EVENT_MATCHED).tag != 1 || next_event(&b, BFUSE_EVENT_MATCHED).tag != 1)
		errx(1, "not one rule");
	/* It is attached there, so another rule offers other disks only. */
	CHECK(match(&a, "*", BFUSE_MATCH_DISKS), 0);
	for (of_a = next_entry(&a); of_a.op != BFUSE_EVENT_MATCHED; of_a = next_entry(&a)) {
		CHECK(ask(&a, of_a.tag, &offer), 0);
		CHECK(answer(&a, of_a.tag, BFUSE_ANSWER_DECLINE), 0);
		if (!strcmp(offer.device, name))
			errx(1, "%s offered again", name);
	}
	close(a.fd);
	close(b.fd);
}

/* An altitude that is taken ends the offer, as if it had been declined. */
static void taken(void)
{
	struct raw first = filter(300, 0, 0), second = filter(300, BFUSE_F_EVENTS, 20000);
	const char *name = strrchr(device, '/') + 1;
	struct bfuse_request rq;

	raw_register(&first);
	CHECK(raw_attach(&first, device), 0);
	raw_register(&second);
	CHECK(match(&second, name, BFUSE_MATCH_DISKS), 0);
	rq = next_event(&second, BFUSE_EVENT_OFFERED);
	CHECK(answer(&second, rq.tag, BFUSE_ANSWER_ACCEPT), -EEXIST);
	CHECK(answer(&second, rq.tag, BFUSE_ANSWER_ACCEPT), -ENOENT);
	next_event(&second, BFUSE_EVENT_MATCHED);
	close(first.fd);
	close(second.fd);
}

/* A limit that has passed. */
static void late(void)
{
	struct raw r = filter(400, BFUSE_F_EVENTS, 50);
	struct bfuse_request rq;

	raw_register(&r);
	CHECK(match(&r, strrchr(device, '/') + 1, BFUSE_MATCH_DISKS), 0);
	rq = next_event(&r, BFUSE_EVENT_OFFERED);
	next_event(&r, BFUSE_EVENT_MATCHED);
	CHECK(answer(&r, rq.tag, BFUSE_ANSWER_ACCEPT), -ENOENT);
	close(r.fd);
}

static void own(int number)
{
	struct raw r = filter(500, BFUSE_F_EVENTS, 30000);
	int control = open("/dev/loop-control", O_RDWR);
	struct bfuse_request rq;
	char path[32];

	if (control < 0)
		err(1, "/dev/loop-control");
	snprintf(path, sizeof(path), "/dev/loop%d", number);
	raw_register(&r);
	CHECK(match(&r, "loop*", BFUSE_MATCH_DISKS), 0);
	next_event(&r, BFUSE_EVENT_MATCHED);
	CHECK(ioctl(control, LOOP_CTL_ADD, number), number);
	for (int i = 0; i < 100 && access(path, F_OK); i++)
		usleep(100000);
	CHECK(raw_attach(&r, path), 0);
	/* 0, or on some kernels the number. */
	if (ioctl(control, LOOP_CTL_REMOVE, number) < 0)
		err(1, "LOOP_CTL_REMOVE");
	rq = next_entry(&r);
	if (rq.kind != BFUSE_EVENT || rq.op != BFUSE_EVENT_DETACHED || rq.status != -ENODEV)
		errx(1, "event %u, status %d", rq.op, rq.status);
	close(r.fd);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--own")) {
		own(atoi(argv[2]));
		return 0;
	}
	if (argc != 2)
		errx(2, "usage: answers DEVICE|--own NUMBER");
	device = argv[1];
	registration();
	answers();
	taken();
	late();
	return 0;
}
