/* What systemd is told, sd_notify(3): nothing when nobody asked ($NOTIFY_SOCKET unset). */
#ifndef LINTAS_NOTIFY_H
#define LINTAS_NOTIFY_H

#include <stdint.h>

void notify_send(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* How often "WATCHDOG=1" is due, half of what the unit allows; 0 = not at all. */
uint64_t notify_watchdog_us(void);

#endif
