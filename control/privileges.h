/* What lintasd may still do once it forwards. */
#ifndef LINTAS_PRIVILEGES_H
#define LINTAS_PRIVILEGES_H

/* First thing in the process, before there are threads: nothing can be gained by exec any more. */
int privileges_lock(void);
/* Last thing of the start: every thread gives up what it no longer needs. */
int privileges_drop(void);
/* After it: no core file, no ptrace but root's, unless LINTAS_DUMPABLE=1 is in the environment. */
int privileges_close(void);

#endif
