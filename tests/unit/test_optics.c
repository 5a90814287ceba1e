/* What a transceiver's memory means: SFF-8472 and SFF-8636, also cut short and lying. */
#include <math.h>
#include <string.h>
#include "dataplane/optics.h"
#include "unit.h"

#define SFF_8472 2
#define SFF_8636 3

static uint8_t eeprom[1024];

static void put16(unsigned at, uint16_t value)
{
	eeprom[at] = (uint8_t)(value >> 8);
	eeprom[at + 1] = (uint8_t)value;
}

static void put_float(unsigned at, float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	put16(at, (uint16_t)(bits >> 16));
	put16(at + 2, (uint16_t)bits);
}

static bool near(float a, double b)
{
	return fabs((double)a - b) < 0.05;
}

static void test_sfp(void)
{
	struct dp_optics o = { 0 };

	memset(eeprom, 0, sizeof(eeprom));
	eeprom[92] = 0x60;	 /* measures, calibrated */
	put16(256 + 102, 10000); /* 1 mW */
	put16(256 + 104, 3890);
	put16(256 + 34, 100); /* 10 uW */
	CU_ASSERT_EQUAL(optics_decode(SFF_8472, eeprom, 512, &o), 0);
	CU_ASSERT(o.light_known);
	CU_ASSERT_EQUAL(o.lanes, 1);
	CU_ASSERT(near(o.tx_dbm[0], 0));
	CU_ASSERT(near(o.rx_dbm[0], -4.1));
	CU_ASSERT(near(o.rx_low_dbm, -20));
	put16(256 + 104, 0);
	CU_ASSERT_EQUAL(optics_decode(SFF_8472, eeprom, 512, &o), 0);
	CU_ASSERT(near(o.rx_dbm[0], -40));
	CU_ASSERT_EQUAL(optics_decode(SFF_8472, eeprom, 511, &o), -ENODATA);
	eeprom[92] = 0x20; /* it does not measure */
	CU_ASSERT_EQUAL(optics_decode(SFF_8472, eeprom, 512, &o), -ENODATA);
	CU_ASSERT(!o.light_known);
}

static void test_sfp_calibrated_here(void)
{
	struct dp_optics o = { 0 };

	memset(eeprom, 0, sizeof(eeprom));
	eeprom[92] = 0x50;
	put16(256 + 102, 5000);
	put16(256 + 80, 0x0200); /* slope 2.0 */
	put16(256 + 104, 200);
	put_float(256 + 68, 5);	 /* Rx_PWR(1) */
	put_float(256 + 72, 10); /* Rx_PWR(0) */
	CU_ASSERT_EQUAL(optics_decode(SFF_8472, eeprom, 512, &o), 0);
	CU_ASSERT(near(o.tx_dbm[0], 0));
	CU_ASSERT(near(o.rx_dbm[0], 10 * log10(1010 / 10000.0)));
	put_float(256 + 56, INFINITY); /* a lie */
	CU_ASSERT_EQUAL(optics_decode(SFF_8472, eeprom, 512, &o), 0);
	CU_ASSERT(isfinite(o.rx_dbm[0]));
}

static void test_qsfp(void)
{
	struct dp_optics o = { 0 };

	memset(eeprom, 0, sizeof(eeprom));
	for (unsigned lane = 0; lane < 4; lane++) {
		put16(34 + 2 * lane, 10000);
		put16(50 + 2 * lane, 1000);
	}
	put16(512 + 50, 1000);
	CU_ASSERT_EQUAL(optics_decode(SFF_8636, eeprom, 640, &o), 0);
	CU_ASSERT_EQUAL(o.lanes, 4);
	CU_ASSERT(near(o.rx_dbm[3], 0));
	CU_ASSERT(isnan(o.tx_dbm[0]));
	CU_ASSERT(near(o.rx_low_dbm, -10));
	eeprom[220] = 4;
	CU_ASSERT_EQUAL(optics_decode(SFF_8636, eeprom, 256, &o), 0);
	CU_ASSERT(near(o.tx_dbm[0], -10));
	CU_ASSERT(near(o.rx_low_dbm, -40));
	CU_ASSERT_EQUAL(optics_decode(SFF_8636, eeprom, 255, &o), -ENODATA);
	CU_ASSERT_EQUAL(optics_decode(9, eeprom, 640, &o), -ENODATA);
}

void unit_optics(void)
{
	static const struct unit_test tests[] = {
		{ "sfp", test_sfp },
		{ "sfp_calibrated_here", test_sfp_calibrated_here },
		{ "qsfp", test_qsfp },
	};

	UNIT_SUITE("optics", tests);
}
