/* Light and forward error correction of a port, where its driver knows.
 *
 * The transceiver's memory is read through the driver (rte_eth_dev_get_module_eeprom) or, for a
 * port that is a kernel's interface, through the kernel's driver (SIOCETHTOOL), and decoded as
 * SFF-8472 (SFP) or SFF-8636/8436 (QSFP) say: received and sent power in units of 0.1 uW, and the
 * module's own threshold below which it thinks received light too low. A serial bus is behind it:
 * milliseconds, so control calls this from a helper thread. Nothing is written to a module. */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <math.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <rte_dev_info.h>
#include <rte_ethdev.h>
#include "flow.h"
#include "optics.h"
#include "port.h"

#define DARK_DBM (-40.0f) /* what is said of no light at all */

/* ---- decoding ---- */
static float dbm(double tenth_uw)
{
	return tenth_uw < 1 ? DARK_DBM : (float)(10 * log10(tenth_uw / 10000));
}

static double be_float(const uint8_t *p)
{
	uint32_t bits = flow_be32(p);
	float value;

	memcpy(&value, &bits, sizeof(value));
	return isfinite(value) ? value : 0;
}

/* SFF-8472 9.3: power as the module means it, when it leaves the sums to us. */
static double calibrated_rx(const uint8_t *a2, double raw)
{
	double power = 0;

	for (unsigned i = 0; i < 5; i++) /* Rx_PWR(4) first */
		power = power * raw + be_float(a2 + 56 + 4 * i);
	return power;
}

static double calibrated_tx(const uint8_t *a2, double raw)
{
	return raw * flow_be16(a2 + 80) / 256 + (int16_t)flow_be16(a2 + 82);
}

static int decode_sfp(const uint8_t *e, unsigned len, struct dp_optics *o)
{
	const uint8_t *a2 = e + 256; /* the second device's memory follows the first's */
	double rx, tx;

	if (len < 512 || !(e[92] & 0x40)) /* SFF-8472 table 8-5: digital diagnostics */
		return -ENODATA;
	tx = flow_be16(a2 + 102);
	rx = flow_be16(a2 + 104);
	if (e[92] & 0x10) { /* externally calibrated */
		tx = calibrated_tx(a2, tx);
		rx = calibrated_rx(a2, rx);
	}
	o->lanes = 1;
	o->rx_dbm[0] = dbm(rx);
	o->tx_dbm[0] = dbm(tx);
	o->rx_low_dbm = flow_be16(a2 + 34) ? dbm(flow_be16(a2 + 34)) : DARK_DBM;
	return 0;
}

static int decode_qsfp(const uint8_t *e, unsigned len, struct dp_optics *o)
{
	bool page3 = len >= 640 && !(e[2] & 4); /* SFF-8636 6.2.2: flat memory has no upper pages */

	if (len < 256)
		return -ENODATA;
	o->lanes = 4;
	for (unsigned lane = 0; lane < 4; lane++) {
		o->rx_dbm[lane] = dbm(flow_be16(e + 34 + 2 * lane));
		/* Byte 220: does it measure what it sends? */
		o->tx_dbm[lane] = e[220] & 4 ? dbm(flow_be16(e + 50 + 2 * lane)) : NAN;
	}
	/* Page 3, byte 178: low alarm of received power */
	o->rx_low_dbm = page3 && flow_be16(e + 512 + 50) ? dbm(flow_be16(e + 512 + 50)) : DARK_DBM;
	return 0;
}

int optics_decode(uint32_t kind, const uint8_t *eeprom, unsigned len, struct dp_optics *ret_optics)
{
	int ret = kind == RTE_ETH_MODULE_SFF_8472 ? decode_sfp(eeprom, len, ret_optics)
		  : kind == RTE_ETH_MODULE_SFF_8636 || kind == RTE_ETH_MODULE_SFF_8436
			  ? decode_qsfp(eeprom, len, ret_optics)
			  : -ENODATA;

	ret_optics->light_known = !ret;
	return ret;
}

/* ---- reading ---- */
static int read_driver(const struct port *port, uint32_t *ret_kind, uint8_t *eeprom, unsigned *len)
{
	struct rte_eth_dev_module_info info = { 0 };
	struct rte_dev_eeprom_info what = { .data = eeprom };
	int ret = rte_eth_dev_get_module_info(port->ethdev, &info);

	if (ret)
		return ret;
	what.length = *len = RTE_MIN(info.eeprom_len, OPTICS_EEPROM_MAX);
	*ret_kind = info.type;
	return rte_eth_dev_get_module_eeprom(port->ethdev, &what);
}

static int kernel_ask(const struct port *port, void *what)
{
	struct ifreq ifr = { .ifr_data = what };
	int sock, ret = 0;

	if (!port->if_index || !if_indextoname(port->if_index, ifr.ifr_name))
		return -ENODEV;
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	if (ioctl(sock, SIOCETHTOOL, &ifr) < 0)
		ret = -errno;
	close(sock);
	return ret;
}

static int read_kernel(const struct port *port, uint32_t *ret_kind, uint8_t *eeprom, unsigned *len)
{
	struct ethtool_modinfo info = { .cmd = ETHTOOL_GMODULEINFO };
	union {
		struct ethtool_eeprom h;
		uint8_t room[sizeof(struct ethtool_eeprom) + OPTICS_EEPROM_MAX];
	} what = { .h = { .cmd = ETHTOOL_GMODULEEEPROM } };
	int ret = kernel_ask(port, &info);

	if (ret)
		return ret;
	*len = what.h.len = RTE_MIN(info.eeprom_len, (uint32_t)OPTICS_EEPROM_MAX);
	*ret_kind = info.type;
	ret = kernel_ask(port, &what);
	memcpy(eeprom, what.room + sizeof(what.h), *len);
	return ret;
}

static const char *fec_of(const struct port *port)
{
	struct ethtool_fecparam param = { .cmd = ETHTOOL_GFECPARAM };
	uint32_t mode = 0;

	if (!rte_eth_fec_get(port->ethdev, &mode))
		return mode & RTE_ETH_FEC_MODE_CAPA_MASK(RS)	  ? "RS"
		       : mode & RTE_ETH_FEC_MODE_CAPA_MASK(BASER) ? "BASE-R"
		       : mode & RTE_ETH_FEC_MODE_CAPA_MASK(AUTO)  ? "auto"
								  : "off";
	if (kernel_ask(port, &param))
		return NULL;
	return param.active_fec & ETHTOOL_FEC_RS      ? "RS"
	       : param.active_fec & ETHTOOL_FEC_BASER ? "BASE-R"
	       : param.active_fec & ETHTOOL_FEC_AUTO  ? "auto"
						      : "off";
}

int dp_port_optics(unsigned p, struct dp_optics *ret_optics)
{
	uint8_t eeprom[OPTICS_EEPROM_MAX] = { 0 };
	uint32_t kind = 0;
	unsigned len = 0;

	if (p >= port_count)
		return -ENOENT;
	memset(ret_optics, 0, sizeof(*ret_optics));
	if (!read_driver(&port_table[p], &kind, eeprom, &len) ||
		!read_kernel(&port_table[p], &kind, eeprom, &len))
		optics_decode(kind, eeprom, len, ret_optics);
	ret_optics->fec = fec_of(&port_table[p]);
	return 0;
}
