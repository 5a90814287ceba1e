#ifndef LINTAS_TEST_MIRROR_H
#define LINTAS_TEST_MIRROR_H

void unit_mirror(void);

#endif
